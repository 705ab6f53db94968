"""What Gemini sends back: whole answers to `chat.completion` bodies, errors to what they mean.

Sans-io. Knows nothing of requests. Parts that chat completions have no place for (made images, code that was
run) are left out and named.
"""

from typing import Final, NoReturn
from uuid import uuid4

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from greenroom.errors import UpstreamAuth, UpstreamProtocol, UpstreamRefused
from greenroom.wire.chat_answer import Said, call, usage_of, whole
from greenroom.wire.chat_body import SIGNED
from greenroom.wire.gemini_request import MADE_ID

FINISH_REASONS: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE", "JAILBREAK",
        ),
        "content_filter",
    ),
}  # fmt: skip
"""Gemini's finishReason → finish_reason; all others are "stop" with their name kept, and need content."""
_WRONG_KEY = frozenset(
    {"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "CREDENTIALS_MISSING"}
)


class FunctionCall(Struct):
    """A call; `id` is often missing."""

    name: str = ""
    args: Raw = Raw(b"{}")
    id: str | None = None


class Part(Struct, rename="camel"):
    """A part of what the model said."""

    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Raw = Raw()
    executable_code: Raw = Raw()
    code_execution_result: Raw = Raw()
    file_data: Raw = Raw()

    @property
    def others(self) -> list[str]:
        """Names of the kinds that chat completions have no place for."""
        return [
            name
            for name, raw in (
                ("inlineData", self.inline_data),
                ("executableCode", self.executable_code),
                ("codeExecutionResult", self.code_execution_result),
                ("fileData", self.file_data),
            )
            if bytes(raw) not in {b"", b"null"}
        ]


class _Content(Struct):
    parts: list[Part] | None = None


class Candidate(Struct, rename="camel"):
    """One answer, or the next piece of it."""

    content: _Content | None = None
    finish_reason: str | None = None
    index: int = 0

    @property
    def parts(self) -> list[Part]:
        """What it says."""
        return (self.content.parts or []) if self.content is not None else []


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Tokens(Struct, rename="camel"):
    modality: str = ""
    token_count: int = 0


class WireUsage(Struct, rename="camel"):
    """`usageMetadata`."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    prompt_tokens_details: list[_Tokens] | None = None
    candidates_tokens_details: list[_Tokens] | None = None
    cache_tokens_details: list[_Tokens] | None = None


class Answer(Struct, rename="camel"):
    """A `GenerateContentResponse`: a whole answer, or one event of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: WireUsage | None = None
    response_id: str = ""
    error: "Error | None" = None

    @property
    def refusal(self) -> str | None:
        """Why the prompt was blocked, if it was."""
        feedback = self.prompt_feedback
        if feedback is None or feedback.block_reason is None:
            return None
        said = feedback.block_reason_message
        return said or f"The provider blocked the prompt ({feedback.block_reason})."


class _Detail(Struct, rename="camel"):
    reason: str | None = None
    retry_delay: str | None = None


class Error(Struct):
    """The inner part of Google's error envelope."""

    code: int | None = None
    message: str = ""
    status: str = ""
    details: list[_Detail] | None = None

    @property
    def is_auth(self) -> bool:
        """Whether it says that the key is wrong, which Google does with status 400."""
        return any(one.reason in _WRONG_KEY for one in self.details or ())

    @property
    def retry_after_s(self) -> float | None:
        """The wait that RetryInfo names ("7s", "0.5s")."""
        for one in self.details or ():
            if one.retry_delay is not None and one.retry_delay.endswith("s"):
                try:
                    return max(0.0, float(one.retry_delay[:-1]))
                except ValueError:
                    continue
        return None


class _Envelope(Struct):
    error: Error | None = None


decode_answer = Decoder(Answer).decode
_envelopes = Decoder(_Envelope | list[_Envelope])


def from_generate_content(
    body: bytes, *, asked: str, created: int, native: bool = False
) -> tuple[bytes, list[str]]:
    """Translate a whole answer to a `chat.completion`; also name the kinds of parts that were left out.

    `asked` is the model's name for the client. With `native`, thinking goes along as `thinking_blocks`.
    Raises UpstreamRefused or UpstreamAuth for an error envelope, UpstreamProtocol for everything else that is
    not a finished answer.
    """
    try:
        answer = decode_answer(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        error = read_error(body)
        if error is not None:
            raise_error(error)
        raise UpstreamProtocol("The answer is not one of Gemini's.") from None
    if answer.error is not None:
        raise_error(answer.error)
    lost: list[str] = []
    if answer.refusal is not None and not answer.candidates:
        said = [Said("content_filter", refusal=answer.refusal)]
    else:
        said = [_said(one, lost, native=native) for one in answer.candidates or ()]
    if not said:
        raise UpstreamProtocol("Gemini's answer has neither candidates nor a reason why.")
    made = whole(
        said, id=answer.response_id, created=created, asked=asked, usage=openai_usage(answer.usage_metadata)
    )
    return made, list(dict.fromkeys(lost))


def _said(candidate: Candidate, lost: list[str], *, native: bool) -> Said:
    if candidate.finish_reason is None:
        raise UpstreamProtocol("Gemini's answer has no finish reason: it was cut.")
    said = Said("stop", index=candidate.index)
    signature = None
    for part in candidate.parts:
        lost += [f"content.{name}" for name in part.others]
        signature = part.thought_signature or signature
        if part.function_call is not None:
            said.calls = [*said.calls, called(part)]
        elif part.text is not None and part.thought:
            said.reasoning += part.text
        elif part.text is not None:
            said.text += part.text
            if part.thought_signature is not None:
                said.extra = extra(part.thought_signature)
    has_content = bool(said.text or said.calls)
    said.finish, said.native = finish(candidate.finish_reason, has_calls=bool(said.calls))
    check_end(candidate.finish_reason, has_content=has_content)
    if native and (said.reasoning or signature):
        said.blocks = [thinking_block(said.reasoning, signature)]
    return said


def called(part: Part) -> dict[str, object]:
    """A call as chat completions have it, with the signature that must come back."""
    function = part.function_call
    assert function is not None
    arguments = bytes(function.args).decode()
    signed = extra(part.thought_signature) if part.thought_signature else None
    return call(
        function.id or MADE_ID + uuid4().hex,
        function.name,
        "{}" if arguments == "null" else arguments,
        signed,
    )


def extra(signature: str) -> dict[str, object]:
    """`extra_content` as Google's surface for OpenAI clients writes it."""
    return {"google": {"thought_signature": signature}}


def thinking_block(text: str, signature: str | None) -> dict[str, object]:
    """Thinking as another front takes it, with the signature marked as Gemini's."""
    return {"type": "thinking", "thinking": text, "signature": SIGNED + (signature or "")}


def finish(reason: str, *, has_calls: bool) -> tuple[str, str | None]:
    """OpenAI's finish reason, and Gemini's own where that says more."""
    known = FINISH_REASONS.get(reason)
    if known == "stop" and has_calls:
        return "tool_calls", None
    return known or "stop", None if known in {"stop", "length"} else reason


def check_end(reason: str, *, has_content: bool) -> None:
    """Raise UpstreamProtocol where an answer ended for a reason that is a failure, and says nothing."""
    if reason not in FINISH_REASONS and not has_content:
        raise UpstreamProtocol(f"The model ended without an answer ({reason[:60]}).")


def openai_usage(usage: WireUsage | None) -> dict[str, object] | None:
    """The counts in OpenAI's form, or None when they are missing or cannot be true."""
    if usage is None or usage.prompt_token_count is None:
        return None
    thoughts = usage.thoughts_token_count or 0
    return usage_of(
        usage.prompt_token_count + (usage.tool_use_prompt_token_count or 0),
        (usage.candidates_token_count or 0) + thoughts,
        cached=usage.cached_content_token_count or 0,
        reasoning=thoughts,
        audio_in=_audio(usage.prompt_tokens_details),
        audio_out=_audio(usage.candidates_tokens_details),
        cached_audio=_audio(usage.cache_tokens_details),
    )


def _audio(details: list[_Tokens] | None) -> int:
    return sum(one.token_count for one in details or () if one.modality == "AUDIO")


def read_error(body: bytes) -> Error | None:
    """The error of an envelope, or of a list of one; None where there is none."""
    try:
        found: _Envelope | list[_Envelope] = _envelopes.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(found, list):
        return found[0].error if found else None
    return found.error


def raise_error(error: Error) -> NoReturn:
    """Raise what an error inside an answer with status 200 stands for."""
    if error.is_auth or error.code in {401, 403}:
        raise UpstreamAuth("The provider does not accept the key it is configured with.")
    raise UpstreamRefused(
        error.message or "The provider sent an error instead of an answer.",
        upstream_status=error.code or 500,
        upstream_code=error.status or None,
        retry_after_s=error.retry_after_s,
    )
