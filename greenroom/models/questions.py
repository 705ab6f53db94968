"""What kind of thing a question asks for, and which sentences have one: English, Portuguese, Spanish.

Knows the form of questions and sentences and none of their meaning.
"""

import re

_CAPITAL = r"(?<=[a-zà-ÿ0-9,;(“\"'] )[A-ZÀ-ÖØ-Þ][\w'’-]+"
_NUMBER = (
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|hundred|thousand|million|half|several"
    r"|dois|duas|três|quatro|cinco|seis|sete|oito|nove|dez|cem|mil|milhões|metade"
    r"|dos|tres|cuatro|cinco|siete|ocho|nueve|diez|cien|millones|mitad)\b"
)
_TIME = (
    r"\b[12]\d{3}\b|\b\d{1,2}[:h]\d\d|\b(?:century|year|month|week|day|today|yesterday|ago|since|until|january"
    r"|february|march|april|june|july|august|september|october|november|december|monday|friday|século|ano|mês"
    r"|semana|dia|hoje|ontem|desde|até|janeiro|fevereiro|março|abril|maio|junho|julho|agosto|setembro|outubro"
    r"|novembro|dezembro|siglo|año|mes|día|hoy|ayer|hasta|enero|febrero|marzo|mayo|junio|julio|septiembre"
    r"|octubre|noviembre|diciembre)s?\b"
)
_ASKS = {
    "number": re.compile(
        r"\b(?:how (?:many|much|long|far|old|often|tall|big|high|deep|fast|heavy)|what"
        r" (?:percent|number|amount|price|size)|quant[oa]s?|qual"
        r" (?:é )?(?:o|a) (?:número|porcentagem|preço|tamanho|valor|população)"
        r"|cu[aá]nt[oa]s?|que porcentagem|qué porcentaje)\b", re.IGNORECASE),
    "time": re.compile(
        r"\b(?:when|what (?:year|date|day|month|time|century)|which year|quando"
        r"|em que (?:ano|dia|data|mês|século)|cu[aá]ndo|(?:en )?qué (?:año|día|fecha|mes|siglo))\b",
        re.IGNORECASE),
    "person": re.compile(r"\b(?:who|whom|whose|quem|qui[eé]n(?:es)?)\b", re.IGNORECASE),
    "place": re.compile(
        r"\b(?:where|which (?:city|country|state)|what (?:city|country|state)|onde|aonde"
        r"|em que (?:cidade|país)|d[oó]nde|en qué (?:ciudad|país))\b", re.IGNORECASE),
    "reason": re.compile(r"\b(?:why|por ?que|por qué|por quê)\b", re.IGNORECASE),
    "meaning": re.compile(
        r"^\W*(?:what (?:is|are|does)|o que (?:é|são|significa)|qué (?:es|son|significa))\b", re.IGNORECASE),
}  # fmt: skip
"""How questions ask, by what for."""
_SUITS = {
    "number": re.compile(_NUMBER, re.IGNORECASE),
    "time": re.compile(_TIME, re.IGNORECASE),
    "person": re.compile(_CAPITAL),
    "place": re.compile(_CAPITAL),
    "reason": re.compile(
        r"\b(?:because|since|due|so that|in order|reason|porque|pois|devido|por causa|já que|para que|motivo"
        r"|debido|ya que|razón|a fin de)\b", re.IGNORECASE),
    "meaning": re.compile(
        r"\b(?:is|are|means?|refers|called|é|são|significa|refere|chamad[oa]|es|son|se llama)\b",
        re.IGNORECASE),
}  # fmt: skip
"""What a sentence that answers has."""


def asked_for(question: str) -> str:
    """What kind of thing a question asks for: number, time, person, place, reason, meaning, or ""."""
    for kind, pattern in _ASKS.items():
        if pattern.search(question) is not None:
            return kind
    return ""


def fit(kind: str, text: str, question: str) -> float:
    """How well a sentence's form suits what was asked for, 0 to 1; a question answers none."""
    if text.rstrip().endswith("?"):
        return -1.0
    pattern = _SUITS.get(kind)
    if pattern is None:
        return 0.0
    if kind in {"person", "place"}:
        known = frozenset(question.lower().split())
        return float(any(one.lower() not in known for one in pattern.findall(text)))
    return float(pattern.search(text) is not None)
