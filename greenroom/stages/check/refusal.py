"""What a user is told when a check refuses: one sentence for each category, in the user's language.

The one place of these sentences; an operator may set others in `[refusals.CATEGORY]`.
"""

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from greenroom.errors import ConfigError, nearest
from greenroom.exchange import Exchange
from greenroom.stages.check.tables import words

Language = Literal["en", "pt", "es"]
Sentences = Mapping[Language, str]


class RefusalConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[refusals.CATEGORY]: what users are told instead of the usual sentence; `{topic}` names a topic."""

    en: str | None = None
    pt: str | None = None
    es: str | None = None


_USUAL: dict[str, Sentences] = {
    "personal_data": {
        "en": "I can't take this message, because it holds personal data. Please remove it and try again.",
        "pt": "Não posso aceitar esta mensagem, porque ela contém dados pessoais. Retire-os e tente de novo.",
        "es": "No puedo aceptar este mensaje, porque contiene datos personales. Quítelos e inténtelo "
        "de nuevo.",
    },
    "secret": {
        "en": "I can't take this message, because it holds a password or key. Please remove it, and consider "
        "changing it.",
        "pt": "Não posso aceitar esta mensagem, porque ela contém uma senha ou chave. Retire-a e considere "
        "trocá-la.",
        "es": "No puedo aceptar este mensaje, porque contiene una contraseña o clave. Quítela y considere "
        "cambiarla.",
    },
    "injection": {
        "en": "I can't follow this message, because it tries to change the rules I work by. Please say "
        "plainly what you need.",
        "pt": "Não posso atender a esta mensagem, porque ela tenta mudar as regras com que trabalho. Diga "
        "diretamente do que precisa.",
        "es": "No puedo atender este mensaje, porque intenta cambiar las reglas con las que trabajo. Diga "
        "directamente qué necesita.",
    },
    "offense": {
        "en": "I can't answer this message, because of its wording. Please say it without offending anyone.",
        "pt": "Não posso responder a esta mensagem por causa dos termos usados. Reformule-a sem ofender "
        "ninguém.",
        "es": "No puedo responder a este mensaje por los términos que usa. Reformúlelo sin ofender a nadie.",
    },
    "insult": {
        "en": "I can't answer this message, because it insults someone. Please say it without the insult.",
        "pt": "Não posso responder a esta mensagem, porque ela insulta alguém. Reformule-a sem o insulto.",
        "es": "No puedo responder a este mensaje, porque insulta a alguien. Reformúlelo sin el insulto.",
    },
    "hate": {
        "en": "I can't answer this message, because it demeans people for who they are.",
        "pt": "Não posso responder a esta mensagem, porque ela rebaixa pessoas pelo que são.",
        "es": "No puedo responder a este mensaje, porque denigra a personas por lo que son.",
    },
    "threat": {
        "en": "I can't answer this message, because it threatens someone.",
        "pt": "Não posso responder a esta mensagem, porque ela ameaça alguém.",
        "es": "No puedo responder a este mensaje, porque amenaza a alguien.",
    },
    "harassment": {
        "en": "I can't answer this message, because it harasses someone.",
        "pt": "Não posso responder a esta mensagem, porque ela assedia alguém.",
        "es": "No puedo responder a este mensaje, porque acosa a alguien.",
    },
    "sexual": {
        "en": "I can't answer this message, because of its sexual content.",
        "pt": "Não posso responder a esta mensagem por causa do conteúdo sexual.",
        "es": "No puedo responder a este mensaje por su contenido sexual.",
    },
    "profanity": {
        "en": "I can't answer this message, because of its language. Please say it without swearing.",
        "pt": "Não posso responder a esta mensagem por causa do linguajar. Reformule-a sem palavrões.",
        "es": "No puedo responder a este mensaje por su lenguaje. Reformúlelo sin palabrotas.",
    },
    "self-harm": {
        "en": "I can't help with this, but you need not be alone with it. If you are in danger, please call "
        "your local emergency number or a crisis line now.",
        "pt": "Não posso ajudar com isto, mas você não precisa passar por isso sem apoio. Se está em perigo, "
        "ligue agora para o serviço de emergência ou para uma linha de apoio, como o CVV (188) no Brasil.",
        "es": "No puedo ayudar con esto, pero no tiene que afrontarlo sin apoyo. Si está en peligro, llame "
        "ahora al número de emergencias o a una línea de ayuda.",
    },
    "violence": {
        "en": "I can't answer this message, because it is about hurting someone.",
        "pt": "Não posso responder a esta mensagem, porque ela trata de ferir alguém.",
        "es": "No puedo responder a este mensaje, porque trata de dañar a alguien.",
    },
    "topic": {
        "en": "I can't talk about this here: {topic}.",
        "pt": "Não posso falar sobre este assunto aqui: {topic}.",
        "es": "No puedo hablar de este tema aquí: {topic}.",
    },
    "off_topic": {
        "en": "I can only help with this here: {topic}.",
        "pt": "Aqui só posso ajudar com: {topic}.",
        "es": "Aquí solo puedo ayudar con: {topic}.",
    },
    "answer": {
        "en": "The answer was withheld because it did not pass the checks of this service.",
        "pt": "A resposta foi retida porque não passou nas verificações deste serviço.",
        "es": "La respuesta fue retenida porque no superó las comprobaciones de este servicio.",
    },
    "other": {
        "en": "I can't answer this message, because it did not pass the checks of this service.",
        "pt": "Não posso responder a esta mensagem, porque ela não passou nas verificações deste serviço.",
        "es": "No puedo responder a este mensaje, porque no superó las comprobaciones de este servicio.",
    },
}
CATEGORIES = tuple(_USUAL)
"""All that may be refused for; "answer" is said when an answer is withheld, "other" of what has no own."""


class Refusals:
    """The sentences in force. Raises: ConfigError for a category that there is not."""

    def __init__(self, own: Mapping[str, RefusalConfig] | None = None) -> None:
        self._sentences = dict(_USUAL)
        for category, table in (own or {}).items():
            if category not in _USUAL:
                close = nearest(category, CATEGORIES)
                hint = f" Did you mean '{close}'?" if close else f" Known are {', '.join(CATEGORIES)}."
                raise ConfigError(f"There is no category '{category}' to refuse for.{hint}")
            said: dict[Language, str | None] = {"en": table.en, "pt": table.pt, "es": table.es}
            given: dict[Language, str] = {code: text for code, text in said.items() if text is not None}
            self._sentences[category] = {**_USUAL[category], **given}

    def sentence(self, exchange: Exchange, category: str, topic: str = "") -> str:
        """The sentence for a category in the language of the exchange."""
        found = self._sentences.get(category) or self._sentences["other"]
        return found[refusal_language(exchange)].replace("{topic}", topic)


SENTENCES = Refusals()
"""The usual ones."""

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
        for known in _TELLING:
            if code == known:
                return known
    newest = exchange.request.newest_user
    said = _letters(newest.value[:400].lower()) if newest is not None else []
    best: Language = "en"
    most = 0
    for language, telling in _TELLING.items():
        count = sum(word in telling for word in said)
        if count > most:
            best, most = language, count
    return best
