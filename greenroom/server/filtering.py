"""The words in which people say which requests they want: `outcome:refused cost:>0.01 "late delivery"`.

A term is `field:value`, with a sign before a number (`latency:>2s`) and a `-` before a term that must not
hold. What has no field is searched for in the texts. Every mistake is told with its term and what would do.
"""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from greenroom.errors import MalformedRequest, nearest
from greenroom.exchange import SURFACES
from greenroom.store.conditions import ACTIONS, SIGNS, STEP_OUTCOMES, Condition, Sign
from greenroom.store.listing import TraceFilter
from greenroom.store.material import OUTCOMES

LONGEST: Final = 2_000
MOST_TERMS: Final = 30
FIELDS: Final[dict[str, str]] = {
    "outcome": "answered, cached, refused, failed or cancelled",
    "app": "the app that was asked",
    "model": "the model asked for or used",
    "user": "the user, as the client named them",
    "session": "the session",
    "key": "the key's id",
    "project": "the project",
    "tag": "a tag as name=value",
    "language": "a code, as pt or en",
    "surface": "chat, messages, responses, completions, embeddings or moderations",
    "status": "the HTTP status, as 429 or >=500",
    "cost": "US dollars, as >0.01",
    "latency": "the whole time, as >2s or <300ms",
    "overhead": "our own time, as >5ms",
    "first_token": "the time to the first token, as >1s",
    "tokens": "tokens in and out, as >4000",
    "input_tokens": "tokens in",
    "output_tokens": "tokens out",
    "score.NAME": "a score, as score.helpful:<0.5; score.helpful:any for whatever value",
    "step.NAME": "what a step did: mask, redact, block, warn, log, route; changed, refused, failed, skipped",
    "rule": "the rule of a finding",
    "category": "the category of a finding, as personal_data",
    "policy": "the policy that decided",
    "prompt": "the prompt that was filled, as name or name@3",
    "id": "the request's id",
    "from": "since when: 2026-01-31, 2026-01-31T12:00Z, or 90m, 24h, 7d ago",
    "to": "until when, likewise",
    "text": "words of the prompt or the answer",
}
"""What may be asked for, and how."""
_TERM = re.compile(r'(-?)([A-Za-z_][\w.\-]*):("(?:[^"\\]|\\.)*"|\S*)|("(?:[^"\\]|\\.)*")|(\S+)')
_TIMES: Final = {"us": 0.001, "ms": 1.0, "s": 1_000.0, "m": 60_000.0, "min": 60_000.0}
_AGO: Final = {"m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NUMBER = re.compile(r"(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)([a-z]*)")
_MEASURED: Final = ("latency", "overhead", "first_token")
_NUMBERS: Final = ("status", "cost", *_MEASURED, "tokens", "input_tokens", "output_tokens")
_CHOICES: Final[dict[str, Sequence[str]]] = {"outcome": OUTCOMES[1:], "surface": SURFACES}
_ALONE: Final = ("user", "session", "project")
_NAME = re.compile(r"[a-z][a-z0-9_.\-]{0,63}")


class Term(NamedTuple):
    """One term as it was written."""

    text: str
    field: str
    sign: Sign
    value: str


class Read(NamedTuple):
    """A filter and the terms it was read from."""

    filter: TraceFilter
    terms: list[Term]


def read(text: str, *, limit: int = 50, cursor: str | None = None, now: float | None = None) -> Read:
    """Read a filter. Terms are joined by "and". Raises: MalformedRequest with the term and what would do."""
    if len(text) > LONGEST:
        raise MalformedRequest(f"The filter has {len(text):,} characters; {LONGEST:,} may be.", "filter")
    terms = [_term(found) for found in _TERM.finditer(text)]
    if len(terms) > MOST_TERMS:
        raise MalformedRequest(f"The filter has {len(terms)} terms; {MOST_TERMS} may be.", "filter")
    words: list[str] = []
    alone: dict[str, str] = {}
    moments: dict[str, int] = {}
    conditions: list[Condition] = []
    for term in terms:
        if term.field == "text":
            words.append(term.value)
        elif term.field in ("from", "to"):
            moments[term.field] = _moment(term, time.time() if now is None else now)
        elif term.field in _ALONE and term.sign == "=":
            if term.field in alone:
                raise _wrong(term, f"'{term.field}' may be named once")
            alone[term.field] = term.value
        else:
            conditions.append(_condition(term))
    wanted = TraceFilter(
        q=" ".join(words) or None, user=alone.get("user"), session=alone.get("session"),
        project=alone.get("project"), since_ns=moments.get("from"), until_ns=moments.get("to"),
        conditions=tuple(conditions), limit=limit, cursor=cursor,
    )  # fmt: skip
    return Read(wanted, terms)


def write(terms: Sequence[Term]) -> str:
    """The terms as a filter again."""
    return " ".join(one.text for one in terms)


def quoted(value: str) -> str:
    """A value as it stands in a term."""
    if value and not re.search(r'[\s"\\]', value) and value[0] not in '<>=!"':
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def term_of(field: str, value: str) -> str:
    """A term that wants a field to be a value."""
    return f"{field}:{quoted(value)}"


def _term(found: re.Match[str]) -> Term:
    minus, field, value, phrase, word = found.groups()
    if field is None:
        return Term(found[0], "text", "=", _unquoted(phrase) if phrase else word)
    field = field.lower()
    sign: Sign = "="
    if not value.startswith('"'):
        sign = next((one for one in SIGNS if value.startswith(one)), "=")
        value = value.removeprefix(sign)
    term = Term(found[0], field, sign, _unquoted(value))
    known = {one.partition(".")[0]: one for one in FIELDS}
    name, dot, rest = field.partition(".")
    if (name not in known) or (dot != "") != known[name].endswith(".NAME"):
        near = nearest(name, known)
        hint = f"Did you mean '{known[near]}'?" if near else f"These are: {', '.join(FIELDS)}."
        hint += " Put words with a colon in quotes."
        raise MalformedRequest(f"'{found[0][:80]}': there is no field '{field[:40]}'. {hint}", "filter")
    if dot and _NAME.fullmatch(rest) is None:
        raise _wrong(term, f"after '{name}.' comes a name of small letters, digits, '_', '-' and '.'")
    if not term.value:
        raise _wrong(term, f"a value is missing; wanted is {FIELDS[known[name]]}")
    if minus:
        if sign != "=" or field in ("text", "from", "to"):
            raise _wrong(term, "'-' goes with field:value only, and not with text, from or to")
        term = term._replace(sign="!=")
    return term


def _condition(term: Term) -> Condition:
    field, sign, value = term.field, term.sign, term.value
    if field in _NUMBERS:
        return Condition(field, sign, _number(term))
    if field.startswith("score."):
        if value == "any" and sign == "=":
            return Condition(field, sign, "")
        return Condition(field, sign, _number(term))
    if sign not in ("=", "!="):
        raise _wrong(term, f"'{sign}' goes with numbers only; '{field}' is {_meaning(field)}")
    if field in _CHOICES and value not in _CHOICES[field]:
        raise _wrong(term, f"'{field}' is one of {', '.join(_CHOICES[field])}")
    if field.startswith("step.") and value not in (*ACTIONS, *STEP_OUTCOMES):
        raise _wrong(term, f"a step's action or outcome is one of {', '.join((*ACTIONS, *STEP_OUTCOMES))}")
    if field == "tag" and "=" not in value:
        raise _wrong(term, "a tag looks like tag:name=value")
    return Condition(field, sign, value)


def _number(term: Term) -> float:
    found = _NUMBER.fullmatch(term.value.lower().removeprefix("$"))
    if found is None:
        raise _wrong(term, f"a number is wanted: {_meaning(term.field)}")
    number, unit = float(found[1]), found[2]
    if term.field in _MEASURED:
        if unit and unit not in _TIMES:
            raise _wrong(term, f"times have the units {', '.join(_TIMES)}; without one they are milliseconds")
        return number * _TIMES.get(unit, 1.0)
    if unit == "k" and term.field.endswith("tokens"):
        return number * 1_000
    if unit:
        raise _wrong(term, f"'{unit}' is no unit here; wanted is {_meaning(term.field)}")
    return number


def _moment(term: Term, now: float) -> int:
    ago = _NUMBER.fullmatch(term.value.lower().removesuffix(" ago"))
    if term.sign != "=":
        raise _wrong(term, "'from' and 'to' have no sign")
    if ago is not None and ago[2] in _AGO:
        return _within(now - float(ago[1]) * _AGO[ago[2]])
    try:
        moment = datetime.fromisoformat(term.value)
    except ValueError:
        raise _wrong(term, f"a time is wanted: {FIELDS['from']}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _within(moment.timestamp())


def _within(unix_s: float) -> int:
    """Nanoseconds that the store can hold: times before 1970 or after 2255 are the ends."""
    return int(min(max(unix_s, 0.0), 9e9) * 1e9)


def _meaning(field: str) -> str:
    name = field.partition(".")[0]
    return FIELDS.get(field) or FIELDS[f"{name}.NAME"]


def _wrong(term: Term, why: str) -> MalformedRequest:
    return MalformedRequest(f"'{term.text[:80]}': {why}.", "filter")


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1] if value.endswith('"') and len(value) > 1 else value[1:])
