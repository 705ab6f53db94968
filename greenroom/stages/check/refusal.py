"""In which language a refusal is said."""

import re
from typing import Literal

from greenroom.exchange import Exchange
from greenroom.stages.check.tables import words

Language = Literal["en", "pt", "es"]

_letters = re.compile(r"[^\W\d_]+").findall
_TELLING: dict[Language, frozenset[str]] = {
    "en": words("the is my and you what please how are this with for your can do have of to it"),
    "pt": words("o meu minha é não você que um uma do da os em por favor como para com seu sua está isso de"),
    "es": words(
        "el mi es no usted que un una del de los en por favor cómo para con su está eso y la las qué"
    ),
}


def refusal_language(exchange: Exchange) -> Language:
    """The exchange's language, else the one whose small words are most in the newest user text."""
    if exchange.language is not None:
        code = exchange.language[0][:2]
        return "pt" if code == "pt" else "es" if code == "es" else "en"
    newest = exchange.request.newest_user
    said = _letters(newest.value[:400].lower()) if newest is not None else []
    best: Language = "en"
    most = 0
    for language, telling in _TELLING.items():
        count = sum(word in telling for word in said)
        if count > most:
            best, most = language, count
    return best
