"""The model asked again by `polish`: for an answer in the user's language, or for a clearer one.

A rewrite is taken only when it keeps what can be counted: numbers, links, code, quotations, citation marks,
names and negations. Knows contracts and texts; how the model is asked again is the gateway's business.
"""

import re
from collections import Counter
from collections.abc import Sequence

from greenroom.contracts import Again
from greenroom.exchange import Exchange
from greenroom.stages.language import detect
from greenroom.stages.postprocess.polish import Polish, PolishConfig
from greenroom.wire.openai import ReplyChoice

_LANGUAGES = ("en", "pt", "es")
_TELLING = 40
"""Characters of an answer, or of a question, below which its language is not judged."""
_LONGEST = 20_000
"""Characters of an answer that is rewritten."""

_ANSWER_IN = {
    "en": "Answer again, in English. Say the same.",
    "pt": "Responda de novo, em português. Diga o mesmo.",
    "es": "Responda de nuevo, en español. Diga lo mismo.",
}
_CLEARER = {
    "en": """\
Write that answer again so that it reads more clearly: short sentences, plain words, no filler. Keep every \
fact, number, name, link, quotation, code and citation mark exactly. Give the new text alone.""",
    "pt": """\
Escreva essa resposta de novo, mais clara: frases curtas, palavras simples, sem enchimento. Mantenha \
exatamente todos os fatos, números, nomes, links, citações, código e marcas de fonte. Dê só o novo texto.""",
    "es": """\
Escriba esa respuesta de nuevo, más clara: frases cortas, palabras sencillas, sin relleno. Conserve \
exactamente todos los hechos, números, nombres, enlaces, citas, código y marcas de fuente. Dé solo el nuevo \
texto.""",
}

_code = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_link = re.compile(r"https?://[^\s)\]>]+|[\w.+-]+@[\w-]+\.[\w.]+")
_number = re.compile(r"\d+(?:[.,:/]\d+)*%?")
_quoted = re.compile(r"[\"“«]([^\"“”«»\n]{1,300})[\"”»]")
_name = re.compile(r"(?<=[a-zà-ÿ,;] )[A-ZÀ-ÖØ-Þ][\w'-]+(?: [A-ZÀ-ÖØ-Þ][\w'-]+)*")
_negation = re.compile(
    r"\b(?:not|never|no|none|nobody|nothing|without|cannot|não|nao|nunca|nada|nenhum|nenhuma|ninguém|sem|jamais|"
    r"nunca|ningún|ninguna|ninguno|nadie|sin|jamás)\b|n't\b",
    re.IGNORECASE,
)
_names_language = re.compile(
    r"tradu[cz]|translat|ingl[eêé]s|english|portugu[eêé]s|portuguese|espa[nñ]h?ol|spanish|castellano|"
    r"idioma|language|língua|lengua|franc[eê]s|french|alem|german|italian",
    re.IGNORECASE,
).search
"""A question that names a language may ask for an answer in it."""


class RewritingPolish(Polish):
    """A `Polish` that also reviews whole answers; a streamed one is then held to its end."""

    def __init__(self, config: PolishConfig) -> None:
        super().__init__(config)
        self._enforces = config.language == "enforce" and config.mode == "apply"
        self._rewrites = config.rewrite and config.mode == "apply"

    def awaits(self, exchange: Exchange, *, calls_tool: bool) -> bool:
        """Prose alone; of a language to be enforced only where the question's is known."""
        if calls_tool or (exchange.request.response_format or "").startswith("json"):
            return False
        return self._rewrites or (self._enforces and _asked_in(exchange) is not None)

    async def review(
        self, exchange: Exchange, choices: Sequence[ReplyChoice], asked_again: int
    ) -> Again | None:
        """The language first; then, once, the clearer text, held against the one before it."""
        texts = [one.message.content or "" for one in choices]
        asked_in = _asked_in(exchange)
        if self._enforces and asked_in is not None and any(_is_foreign(text, asked_in) for text in texts):
            return Again(
                f"the answer is not in the question's language ({asked_in})",
                2,
                _messages(texts[0], _ANSWER_IN[asked_in]) if not asked_again else (),
            )
        if not self._rewrites or not any(texts) or max(map(len, texts)) > _LONGEST:
            return None
        first = exchange.context.get("rewrite")
        if first is None:
            exchange.context["rewrite"] = texts
            request = _CLEARER[asked_in or "en"]
            return Again("rewritten for clarity", 1, _messages(texts[0], request))
        assert isinstance(first, list)
        lost = next(
            (found for pair in zip(first, texts, strict=False) if (found := lost_meaning(*pair))), None
        )
        if lost is None and len(first) == len(texts):
            return None
        return Again(f"the rewrite changed {lost or 'the number of answers'}", 3)


def polish(config: PolishConfig) -> Polish:
    """The step as the settings want it: answers are reviewed only where one of them asks for that."""
    return RewritingPolish(config) if config.rewrite or config.language == "enforce" else Polish(config)


def lost_meaning(before: str, after: str) -> str | None:
    """What of an answer its rewrite changed: the first kind of thing that can be counted, None if nothing."""
    if not 0.3 * len(before) <= len(after) <= 1.5 * len(before) + 40:
        return "its length"
    for kind, pattern in (
        ("code", _code),
        ("a link", _link),
        ("a number", _number),
        ("a quotation", _quoted),
    ):
        if Counter(pattern.findall(before)) != Counter(pattern.findall(after)):
            return kind
    if any(one not in after for one in _name.findall(before)) or any(
        one not in before for one in _name.findall(after)
    ):
        return "a name"
    if len(_negation.findall(before)) != len(_negation.findall(after)):
        return "a negation"
    return None


def _asked_in(exchange: Exchange) -> str | None:
    """The language of the newest question: one of ours, told by enough text, and no other is asked for."""
    newest = exchange.request.newest_user
    if newest is None or len(newest.value) < _TELLING:
        return None
    if _names_language(newest.value) is not None:
        return None
    code = (exchange.language or detect(newest.value))[0][:2]
    return code if code in _LANGUAGES else None


def _is_foreign(text: str, asked_in: str) -> bool:
    prose = _code.sub(" ", text)
    if len(prose) < _TELLING:
        return False
    code, sure = detect(prose)
    return code in _LANGUAGES and code != asked_in and sure > 0.5


def _messages(answer: str, request: str) -> tuple[dict[str, object], ...]:
    return ({"role": "assistant", "content": answer}, {"role": "user", "content": request})
