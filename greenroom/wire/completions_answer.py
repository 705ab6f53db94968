"""Chat answers as `text_completion` objects, whole and in pieces.

Sans-io. Choices count on from prompt to prompt: those of the second prompt begin at `n`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from greenroom.usage import Usage
from greenroom.wire.completions_request import Asked
from greenroom.wire.openai import encode, error_body, usage_json

_REASONS = {"length": "length", "content_filter": "content_filter"}
"""finish_reason of a chat → that of a completion; all others are "stop"."""
_Object = dict[str, Any]  # Any: JSON to be written


class _Alternative(Struct):
    token: str
    logprob: float


class _Token(Struct):
    token: str
    logprob: float
    top_logprobs: list[_Alternative] = []


class _Logprobs(Struct):
    content: list[_Token] | None = None


class _Message(Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Completion(Struct):
    choices: list[_Choice]
    created: int = 0
    model: str = ""
    system_fingerprint: str | None = None
    greenroom: Raw = Raw()


class _PieceChoice(Struct):
    index: int = 0
    delta: _Message | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Piece(Struct):
    choices: list[_PieceChoice] = []
    created: int = 0
    model: str = ""
    error: Raw = Raw()
    greenroom: Raw = Raw()


class Told(NamedTuple):
    """The whole answer to one prompt: the exchange's id, the chat body, what it cost in tokens."""

    id: str
    body: bytes
    usage: Usage


_completion = Decoder(_Completion)
_piece = Decoder(_Piece)
_NO_CHUNK = error_body("The stream holds an event that is not a chunk.", "server_error", "upstream_protocol")


def total(usages: Sequence[Usage]) -> Usage:
    """All of it."""
    return Usage(
        input_tokens=sum(one.input_tokens for one in usages),
        cached_tokens=sum(one.cached_tokens for one in usages),
        output_tokens=sum(one.output_tokens for one in usages),
        reasoning_tokens=sum(one.reasoning_tokens for one in usages),
        estimated=any(one.estimated for one in usages),
    )


def to_completion(asked: Asked, answers: Sequence[Told]) -> tuple[bytes, list[str]]:
    """One body for the answers to all prompts, and the names of what their models did not give."""
    choices: list[_Object] = []
    lost: list[str] = []
    views = [_completion.decode(one.body) for one in answers]
    for place, view in enumerate(views):
        given = _likeliest(view.choices, asked, lost)
        for number, choice in enumerate(given):
            choices.append(_whole_choice(choice, asked, place, place * asked.n + number, lost))
    body: _Object = {
        "id": f"cmpl-{answers[0].id}",
        "object": "text_completion",
        "created": views[0].created,
        "model": views[0].model,
        "choices": choices,
        "usage": usage_json(total([one.usage for one in answers])),
    }
    if views[0].system_fingerprint is not None:
        body["system_fingerprint"] = views[0].system_fingerprint
    if len(answers) > 1:
        body["greenroom"] = {
            "prompts": [
                {"id": one.id, **({"facts": view.greenroom} if bytes(view.greenroom) else {})}
                for one, view in zip(answers, views, strict=True)
            ]
        }
    elif bytes(views[0].greenroom):
        body["greenroom"] = views[0].greenroom
    return encode(body), list(dict.fromkeys(lost))


def _likeliest(choices: list[_Choice], asked: Asked, lost: list[str]) -> list[_Choice]:
    """The choices to give: with `best_of`, those of the highest mean log-probability of a token."""
    if not asked.is_ranked or len(choices) <= asked.n:
        return choices
    scores = [_mean(choice) for choice in choices]
    if any(score is None for score in scores):
        lost.append("best_of")
        return choices[: asked.n]
    order = sorted(range(len(choices)), key=lambda number: -(scores[number] or 0.0))
    return [choices[number] for number in order[: asked.n]]


def _mean(choice: _Choice) -> float | None:
    tokens = (choice.logprobs.content or ()) if choice.logprobs is not None else ()
    return sum(one.logprob for one in tokens) / len(tokens) if tokens else None


def _whole_choice(choice: _Choice, asked: Asked, place: int, index: int, lost: list[str]) -> _Object:
    said = choice.message.content or choice.message.refusal or ""
    begun = asked.prompts[place] if asked.echo else ""
    told = None
    if asked.logprobs is not None:
        told = _told_logprobs(choice.logprobs, said, asked.logprobs, len(begun))
        if told is None:
            lost.append("logprobs")
    return _choice(begun + said, index, told, _REASONS.get(choice.finish_reason or "", "stop"))


def _choice(text: str, index: int, logprobs: _Object | None, finish_reason: str | None) -> _Object:
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish_reason}


def _told_logprobs(found: _Logprobs | None, said: str, alternatives: int, start: int) -> _Object | None:
    """The legacy form; None where there are none, or where they are of another text than is given.

    A step that changed the answer changed what the tokens spell: theirs may hold what must not leave.
    """
    tokens = (found.content or ()) if found is not None else ()
    if not tokens or "".join(one.token for one in tokens) != said:
        return None
    offsets = []
    for one in tokens:
        offsets.append(start)
        start += len(one.token)
    tops = [{other.token: other.logprob for other in one.top_logprobs} for one in tokens]
    return {
        "tokens": [one.token for one in tokens],
        "token_logprobs": [one.logprob for one in tokens],
        "top_logprobs": tops if alternatives else None,
        "text_offset": offsets,
    }


class CompletionEvents:
    """Writes one stream: the pieces of the answers to all prompts, one prompt after the other."""

    def __init__(self, asked: Asked, id: str) -> None:
        self._asked = asked
        self._id = f"cmpl-{id}"
        self._place = 0
        self._lengths: dict[int, int] = {}
        """Choice of this prompt → characters of its text so far."""
        self._usages: list[Usage] = []
        self._head: _Object = {}

    def feed(self, payload: bytes, usage: Usage | None) -> bytes:
        """The events that one payload of the chat stream stands for.

        At its end, `[DONE]`, `usage` is what the answer cost: the next payload belongs to the next prompt.
        """
        if payload == b"[DONE]":
            return self._end(usage or Usage())
        try:
            piece = _piece.decode(payload)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return b"data: %b\n\n" % _NO_CHUNK
        if bytes(piece.error) not in {b"", b"null"}:
            return b"data: %b\n\n" % payload
        if not self._head:
            self._head = {
                "id": self._id, "object": "text_completion", "created": piece.created, "model": piece.model,
            }  # fmt: skip
        return b"".join([self._written(piece, choice) for choice in piece.choices])

    def _written(self, piece: _Piece, choice: _PieceChoice) -> bytes:
        said = "" if choice.delta is None else choice.delta.content or choice.delta.refusal or ""
        text = said
        if self._asked.echo and choice.index not in self._lengths and (said or choice.finish_reason):
            text = self._asked.prompts[self._place] + said
        if not text and choice.finish_reason is None:
            return b""
        before = self._lengths.get(choice.index, 0) + len(text) - len(said)
        self._lengths[choice.index] = before + len(said)
        wanted = self._asked.logprobs
        told = None if wanted is None else _told_logprobs(choice.logprobs, said, wanted, before)
        reason = None if choice.finish_reason is None else _REASONS.get(choice.finish_reason, "stop")
        index = self._place * self._asked.n + choice.index
        event = {**self._head, "choices": [_choice(text, index, told, reason)]}
        if bytes(piece.greenroom):
            event["greenroom"] = piece.greenroom
        return b"data: %b\n\n" % encode(event)

    def _end(self, usage: Usage) -> bytes:
        self._usages.append(usage)
        self._place += 1
        self._lengths = {}
        if self._place < len(self._asked.prompts):
            return b""
        if not self._asked.include_usage:
            return b"data: [DONE]\n\n"
        last = {**self._head, "choices": [], "usage": usage_json(total(self._usages))}
        return b"data: %b\n\ndata: [DONE]\n\n" % encode(last)
