"""Answers of the Responses dialect: from chat answers, whole or in pieces, to a `Draft`.

Sans-io. Knows chat's neutral extensions (`reasoning_content`, `thinking_blocks`); nothing of what is stored.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.wire.openai import ToolDelta
from greenroom.wire.responses_draft import Draft, Status
from greenroom.wire.responses_items import Item

RESPONSE_CODES = {429: "rate_limit_exceeded"}
"""What the dialect calls an error of this status; all others are `server_error`."""


class _Logprobs(Struct):
    content: list[Any] | None = None  # Any: given on as it came
    refusal: list[Any] | None = None  # Any: as above


class _Said(Struct):
    """A message, or a piece of one."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[Any] | None = None  # Any: given on as it came
    tool_calls: list[ToolDelta] | None = None
    annotations: list[dict[str, Any]] | None = None  # Any: as above


class _Choice(Struct):
    index: int = 0
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(Struct):
    reasoning_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class ChatError(Struct):
    """A failure said in-band."""

    message: str = ""
    type: str | None = None
    code: str | int | None = None


class _Answer(Struct):
    """What we read of a chat completion, or of a piece of one."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    service_tier: str | None = None
    greenroom: dict[str, Any] | None = None  # Any: our own facts
    error: ChatError | None = None


_decode = Decoder(_Answer).decode


def begun(id: str, created_at: int, echo: Item) -> Item:
    """A response before it says anything: every key that the dialect requires."""
    return {
        "id": id, "object": "response", "created_at": created_at, "completed_at": None,
        "status": "in_progress", "background": False, "error": None, "incomplete_details": None,
        **echo,
        "output": [], "usage": None,
    }  # fmt: skip


class Ending:
    """What is known of an answer's end, gathered on the way."""

    __slots__ = ("_finish_reason", "_is_whole", "_tier", "_usage", "draft", "greenroom")

    def __init__(self, draft: Draft, *, is_whole: bool) -> None:
        self.draft = draft
        self.greenroom: dict[str, Any] | None = None  # Any: as it came
        self._is_whole = is_whole
        self._finish_reason: str | None = None
        self._usage: Item | None = None
        self._tier: str | None = None

    def take(self, payload: bytes) -> ChatError | None:
        """One chat answer, or one piece of it; the failure that it tells of, if it does.

        Raises what decoding raises.
        """
        answer = _decode(payload)
        if answer.error is not None:
            return answer.error
        if answer.usage is not None:
            self._usage = usage_shown(answer.usage)
        if answer.greenroom:
            self.greenroom = answer.greenroom
        self._tier = answer.service_tier or self._tier
        for choice in answer.choices:
            if choice.index == 0:
                self._take_choice(choice)
        return None

    def _take_choice(self, choice: _Choice) -> None:
        said = choice.message if self._is_whole else choice.delta
        draft = self.draft
        if choice.finish_reason is not None:
            self._finish_reason = choice.finish_reason
        if said is None:
            return
        if said.reasoning_content:
            draft.think(said.reasoning_content)
        if said.thinking_blocks:
            draft.thought(said.thinking_blocks)
        if said.content:
            logprobs = choice.logprobs.content if choice.logprobs is not None else None
            draft.say(said.content, [_logprob(one) for one in logprobs or ()])
        if said.refusal:
            draft.refuse(said.refusal)
        for number, call in enumerate(said.tool_calls or ()):
            index = number if self._is_whole else call.index
            function = call.function
            draft.call(index, call.id, function.name if function is not None else None)
            if function is not None and function.arguments:
                draft.arguments(index, function.arguments)
        if said.annotations:
            draft.cite([shown for one in said.annotations if (shown := annotation(one)) is not None])

    def finish(self, completed_at: int, *, is_refusal: bool) -> None:
        """End the draft. `is_refusal`: a check answered instead of the model, which is an ordinary answer."""
        reason = self._finish_reason
        why = None
        if reason == "length":
            why = "max_output_tokens"
        elif reason == "content_filter" and not is_refusal:
            why = "content_filter"
        status: Status = "completed" if why is None else "incomplete"
        fields: Item = {
            "completed_at": completed_at if status == "completed" else None,
            "incomplete_details": None if why is None else {"reason": why},
            "usage": self._usage,
        }
        if self._tier is not None:
            fields["service_tier"] = self._tier
        self.draft.finish(status, self.told(fields))

    def fail(self, error: ChatError) -> None:
        """End the draft with what went wrong."""
        status = 429 if error.code in {"rate_limit_exceeded", "insufficient_quota"} else 500
        failed_fields: Item = {"error": failure(error.message, status), "usage": self._usage}
        self.draft.finish("failed", self.told(failed_fields) | {"greenroom": self._facts(error)})

    def cancel(self) -> None:
        """End the draft where it stands."""
        self.draft.finish("cancelled", {"usage": self._usage})

    def told(self, fields: Item) -> Item:
        """The fields with our own facts."""
        return fields if self.greenroom is None else {**fields, "greenroom": self.greenroom}

    def _facts(self, error: ChatError) -> Item:
        return {"error": {"type": error.type, "code": error.code}, "outcome": "failed"}


def failure(message: str, status: int) -> Item:
    """`error` of a failed response."""
    return {"code": RESPONSE_CODES.get(status, "server_error"), "message": message}


def usage_shown(usage: _Usage) -> Item:
    """Counts in this dialect's words."""
    details, more = usage.prompt_tokens_details, usage.completion_tokens_details
    asked, answered = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return {
        "input_tokens": asked,
        "input_tokens_details": {
            "cached_tokens": (details.cached_tokens or 0) if details is not None else 0,
            "cache_write_tokens": (details.cache_write_tokens or 0) if details is not None else 0,
        },
        "output_tokens": answered,
        "output_tokens_details": {
            "reasoning_tokens": (more.reasoning_tokens or 0) if more is not None else 0
        },
        "total_tokens": asked + answered,
    }


def annotation(chat: Item) -> Item | None:
    """A citation in this dialect's words; None for one it does not know."""
    kind = chat.get("type")
    inner = chat.get(str(kind))
    if not isinstance(inner, dict):
        return None
    if kind == "file_citation":
        return {
            "type": kind, "file_id": inner.get("file_id", ""), "filename": inner.get("filename", ""),
            "index": inner.get("index", 0),
        }  # fmt: skip
    if kind == "url_citation":
        return {
            "type": kind, "url": inner.get("url", ""), "title": inner.get("title", ""),
            "start_index": inner.get("start_index", 0), "end_index": inner.get("end_index", 0),
        }  # fmt: skip
    return None


def _logprob(one: Any) -> Any:  # Any: JSON of a provider
    """A likelihood with every field that the dialect requires, and those of the words beside it."""
    if not isinstance(one, dict):
        return one
    beside = one.get("top_logprobs")
    return {
        **_likely(one),
        "top_logprobs": [_likely(other) for other in beside or () if isinstance(other, dict)],
    }


def _likely(one: dict[str, Any]) -> dict[str, Any]:  # Any: as above
    return {
        "token": one.get("token", ""),
        "logprob": one.get("logprob", 0.0),
        "bytes": one.get("bytes") or [],
    }


def whole_answer(
    draft: Draft, body: bytes, completed_at: int, *, searched: Sequence[Item] = (), is_refusal: bool
) -> Item:
    """The response that a whole chat completion stands for."""
    for call in searched:
        draft.search(call)
    ending = Ending(draft, is_whole=True)
    ending.take(body)
    ending.finish(completed_at, is_refusal=is_refusal)
    return draft.response


BROKEN = (ValidationError, DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises."""
