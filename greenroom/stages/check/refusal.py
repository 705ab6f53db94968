"""In which language a refusal is said."""

import re
from typing import Literal

from greenroom.exchange import Exchange

Language = Literal["en", "pt", "es"]

_words = re.compile(r"[^\W\d_]+").findall
_TELLING: dict[Language, frozenset[str]] = {
    "en": frozenset("the is my and you what please how are this with for your can do have of to it".split()),
    "pt": frozenset(
        "o meu minha é não você que um uma do da os em por favor como para com seu sua está isso de".split()
    ),
    "es": frozenset(
        "el mi es no usted que un una del de los en por favor cómo para con su está eso y la las qué".split()
    ),
}


def refusal_language(exchange: Exchange) -> Language:
    """The language found for the exchange, else the one whose small words the newest user text has most of; English in doubt."""
    if exchange.language is not None:
        code = exchange.language[0][:2]
        return "pt" if code == "pt" else "es" if code == "es" else "en"
    newest = exchange.request.newest_user
    words = _words(newest.value[:400].lower()) if newest is not None else []
    best: Language = "en"
    most = 0
    for language, telling in _TELLING.items():
        count = sum(word in telling for word in words)
        if count > most:
            best, most = language, count
    return best
