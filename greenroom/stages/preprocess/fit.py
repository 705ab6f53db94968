"""`fit`: a prompt counted, trimmed to the model's window, and refused before it costs money.

Knows counts and windows; how a window is looked up is handed in. Messages are not taken out of the request:
the places of those left out stand in `exchange.context["fit.dropped"]`, and whoever writes the body obeys.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from msgspec import DecodeError, Meta, Raw, Struct
from msgspec.json import Decoder

from greenroom.contracts import StepConfig
from greenroom.errors import ContextTooLong
from greenroom.exchange import ChatRequest, Exchange, Reply, Stage, StepRecord, Text
from greenroom.stages.preprocess.tokens import PER_MESSAGE, PER_REQUEST, count_exact, encoding_of, estimate

_YARDSTICK = "o200k_base"
"""Encoding that stands in for models whose own is not public."""
_YARDSTICK_ERROR = 0.2
PER_IMAGE = 1_500
"""Tokens of an image near the size that providers scale down to."""
_QUICK = 4_000
"""Characters counted on the loop itself; more go to a thread."""


class FitConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.fit]: prompts held to the model's window."""

    overflow: Literal["trim", "error"] = "trim"
    """What happens to a conversation that is too long: its oldest turns are left out, or it is refused."""
    answer_tokens: Annotated[int, Meta(ge=1)] = 512
    """Room kept free for the answer, where the caller does not ask for less."""
    reserve_tokens: Annotated[int, Meta(ge=0)] = 2048
    """Room kept free for passages and memory that later steps put in; an eighth of a small window at most."""


class _Limits(Struct):
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: Raw = Raw()


class _Count(NamedTuple):
    """Tokens of each message and of all else; `share` is the relative error."""

    messages: list[int]
    rest: int
    share: float

    def total(self, dropped: set[int]) -> int:
        return self.rest + sum(cost for index, cost in enumerate(self.messages) if index not in dropped)


_limits = Decoder(_Limits)


class Fit:
    """Counts every prompt; trims, clamps or refuses one that comes near its model's window.

    Far from the window an estimate with an error bar does; near it texts are counted with rank files, where
    there are any. Never left out: system and developer messages, the newest message, the newest user message,
    one half of a tool call without the other. Images are not counted.
    """

    name = "fit"
    stage: Stage = "preprocess"

    def __init__(self, config: FitConfig, windows: Callable[[str], int | None]) -> None:
        """`windows` answers how many tokens the model of a given name takes, or None if nobody knows."""
        self._windows = windows
        self._trims = config.overflow == "trim"
        self._applies = config.mode == "apply"
        self._answer = config.answer_tokens
        self._reserve = config.reserve_tokens

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Note `tokens`, `error`, `exact`, `window`; leave out messages, lower `max_tokens` where needed.

        Raises: ContextTooLong when what must stay is surely longer than the window.
        """
        request = exchange.request
        count, error = estimate(request.texts, request.roles)
        count += request.filled_tokens
        if request.has_tools:
            tools = _tool_tokens(request)
            count, error = count + tools, error + tools // 3
        window = self._windows(request.model)
        record = exchange.steps[-1]
        record.notes = {"tokens": count, "error": error, "exact": False, "window": window}
        if window is None:
            return None
        room = window - min(self._reserve, window // 8)
        if count + error + (request.max_tokens or self._answer) > room:
            await self._hold(exchange, record, window, room)
        return None

    async def _hold(self, exchange: Exchange, record: StepRecord, window: int, room: int) -> None:
        request = exchange.request
        count = await _count(request, request.model)
        least = min(request.max_tokens or self._answer, self._answer, max(1, window // 4))
        dropped: set[int] = set()
        if self._trims:
            dropped = _trim(exchange, count, room - least)
        total = count.total(dropped)
        error = round(total * count.share)
        record.notes |= {"tokens": total, "error": error, "exact": error == 0}
        if total - error >= window:
            raise ContextTooLong(
                f"The prompt is {'' if error == 0 else 'about '}{total} tokens long, and the model "
                f"'{request.model}' takes {window}. Shorten it, or choose a model with a larger window.",
                "messages",
            )
        if not self._applies:
            record.notes |= {"would_drop": len(dropped)} if dropped else {}
            return
        if dropped:
            exchange.context["fit.dropped"] = dropped
            record.notes["dropped"] = sorted(dropped)
            record.outcome = "changed"
        left = max(room - total - error, min(least, window - total), 1)
        if request.max_tokens is not None and request.max_tokens > left:
            record.notes["max_tokens"] = [request.max_tokens, left]
            record.outcome = "changed"
            _clamp(request, left)


def _clamp(request: ChatRequest, left: int) -> None:
    limits = _read_limits(request)
    names = [name for name in ("max_completion_tokens", "max_tokens") if getattr(limits, name) is not None]
    for name in names or ["max_tokens"]:
        request.fields[name] = b"%d" % left
    request.max_tokens = left


def _read_limits(request: ChatRequest) -> _Limits:
    try:
        return _limits.decode(request.raw)
    except DecodeError:
        return _Limits()


def _tool_tokens(request: ChatRequest) -> int:
    """The tools' JSON schema, about four bytes a token."""
    return len(bytes(_read_limits(request).tools)) // 4


async def count_tokens(request: ChatRequest, model: str) -> tuple[int, int]:
    """How many tokens a request is for a model, and how far off that may be (±): 0 where it is exact.

    Tools are counted as the JSON they are, images at what a large one takes.
    """
    counted = await _count(request, model, quick=-1)
    tokens = counted.total(set())
    images = request.messages.count(b'"image_url":{')
    error = max(round(tokens * counted.share), int(request.has_tools)) + images * PER_IMAGE // 2
    return tokens + images * PER_IMAGE, error


async def _count(request: ChatRequest, model: str, *, quick: int = _QUICK) -> _Count:
    """`quick`: up to how many characters are counted on the loop itself."""
    encoding = encoding_of(model)
    texts = request.texts
    if sum(len(text.value) for text in texts) > quick:
        counts = await asyncio.to_thread(_count_texts, texts, encoding or _YARDSTICK)
    else:
        counts = _count_texts(texts, encoding or _YARDSTICK)
    rest = PER_REQUEST + (_tool_tokens(request) if request.has_tools else 0)
    messages = [PER_MESSAGE] * len(request.roles)
    if request.filled:
        messages.append(request.filled_tokens)  # the values of the prompt are counted here, too
    if counts is not None:
        for text, number in zip(texts, counts, strict=True):
            messages[text.index] += number
        is_exact = encoding is not None and not request.has_tools
        return _Count(messages, rest, 0.0 if is_exact else _YARDSTICK_ERROR)
    around, _ = estimate((), ())
    error = 0
    for text in texts:
        number, off = estimate((text,), ())
        messages[text.index] += number - around
        error += off
    total = rest + sum(messages)
    return _Count(messages, rest, error / total)


def _count_texts(texts: list[Text], encoding: str) -> list[int] | None:
    counts: list[int] = []
    for text in texts:
        number = count_exact(text.value, encoding)
        if number is None:
            return None
        counts.append(number)
    return counts


def _trim(exchange: Exchange, count: _Count, goal: int) -> set[int]:
    """The oldest messages whose leaving makes the rest fit into `goal` tokens, error bar included.

    What is left then begins with a user's message, as models expect.
    """
    roles = exchange.request.roles
    units = _units(exchange)
    newest_user = max((index for index, role in enumerate(roles) if role == "user"), default=-1)
    dropped: set[int] = set()
    total = count.total(dropped)
    for unit in units:
        fits = total * (1 + count.share) <= goal
        if fits and (not dropped or roles[unit[0]] == "user"):
            break
        if len(roles) - 1 in unit or newest_user in unit or (unit[0] > newest_user and fits):
            continue
        dropped.update(unit)
        total -= sum(count.messages[index] for index in unit)
    return dropped


def _units(exchange: Exchange) -> list[list[int]]:
    """Messages that stay or go together, oldest first, without those that always stay.

    A tool's answer belongs to the message that called it; `tool_pairs` in the context may join more.
    """
    roles = exchange.request.roles
    owner: dict[int, int] = {}
    pairs = exchange.context.get("tool_pairs")
    if isinstance(pairs, list):
        for caller, answers in pairs:
            owner.update(dict.fromkeys(answers, caller))
    units: dict[int, list[int]] = {}
    head = 0
    for index, role in enumerate(roles):
        if role in {"system", "developer"}:
            continue
        if role not in {"tool", "function"}:
            head = index
        units.setdefault(owner.get(index, head), []).append(index)
    return [units[first] for first in sorted(units)]
