"""Gemini's event stream as pieces of a chat completion.

Sans-io: payloads in, encoded `chat.completion.chunk` objects out, without framing and without `[DONE]`.
Gemini has no end marker: an answer has ended when every candidate named its finish reason and the bytes
ended.
"""

from msgspec import DecodeError, Struct

from greenroom.errors import UpstreamDisconnected, UpstreamProtocol
from greenroom.wire.chat_answer import Pieces
from greenroom.wire.gemini_answer import (
    Candidate,
    WireUsage,
    called,
    check_end,
    decode_answer,
    extra,
    finish,
    openai_usage,
    raise_error,
    read_error,
    thinking_block,
)


class _Written(Struct):
    """What is known of one candidate."""

    calls: int = 0
    has_text: bool = False
    thoughts: str = ""
    signature: str | None = None
    reason: str | None = None


class GeminiStream:
    """Translates one stream; with `native`, thinking is said once more, signed, before the end."""

    __slots__ = ("_asked", "_created", "_native", "_pieces", "_refusal", "_usage", "_written", "lost")

    def __init__(self, asked: str, created: int, *, native: bool = False) -> None:
        self.lost: list[str] = []
        """Kinds of parts that were left out."""
        self._asked = asked
        self._created = created
        self._native = native
        self._pieces: Pieces | None = None
        self._written: dict[int, _Written] = {}
        self._refusal: str | None = None
        self._usage: WireUsage | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces that one payload stands for.

        Raises UpstreamRefused or UpstreamAuth for an error, UpstreamProtocol for what is no answer.
        """
        try:
            answer = decode_answer(data)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            error = read_error(data)
            if error is not None:
                raise_error(error)
            raise UpstreamProtocol("The stream holds an event that is not Gemini's.") from None
        if answer.error is not None:
            raise_error(answer.error)
        pieces: list[bytes] = []
        if self._pieces is None:
            self._pieces = Pieces(answer.response_id, self._created, self._asked)
            pieces.append(self._pieces.delta({"role": "assistant", "content": ""}))
        if answer.usage_metadata is not None:
            self._usage = answer.usage_metadata
        if answer.refusal is not None and not answer.candidates:
            self._refusal = answer.refusal
        for candidate in answer.candidates or ():
            pieces += self._candidate(self._pieces, candidate)
        return pieces

    def _candidate(self, write: Pieces, candidate: Candidate) -> list[bytes]:
        index = candidate.index
        written = self._written.setdefault(index, _Written())
        pieces = []
        for part in candidate.parts:
            self.lost += [f"content.{name}" for name in part.others]
            written.signature = part.thought_signature or written.signature
            if part.function_call is not None:
                pieces += self._signed(write, index, written)
                one = {"index": written.calls, **called(part)}
                written.calls += 1
                pieces.append(write.delta({"tool_calls": [one]}, index=index))
            elif part.thought:
                if part.text:
                    if self._native:
                        written.thoughts += part.text
                    pieces.append(write.delta({"reasoning_content": part.text}, index=index))
            elif part.text:
                if written.thoughts:  # a front ends its block here; a signature may still follow by itself
                    pieces += self._signed(write, index, written)
                written.has_text = True
                pieces.append(write.text(part.text, index=index))
            if part.thought_signature is not None and part.function_call is None and not part.thought:
                signed: dict[str, object] = {"extra_content": extra(part.thought_signature)}
                pieces.append(write.delta(signed, index=index))
        if candidate.finish_reason is not None:
            written.reason = candidate.finish_reason
        return pieces

    def _signed(self, write: Pieces, index: int, written: _Written) -> list[bytes]:
        """The thinking so far once more, with the signature that came after it."""
        if not self._native or not (written.thoughts or written.signature):
            return []
        block = thinking_block(written.thoughts, written.signature)
        written.thoughts, written.signature = "", None
        return [write.delta({"thinking_blocks": [block]}, index=index)]

    def finish(self) -> list[bytes]:
        """The last pieces, once the bytes have ended.

        Raises UpstreamDisconnected when an answer had not ended, UpstreamProtocol when it ended in a failure
        and without content.
        """
        write = self._pieces
        written = self._written
        if self._refusal is not None and not written and write is not None:
            pieces = [write.delta({"refusal": self._refusal}, "content_filter")]
        elif write is None or not written or any(one.reason is None for one in written.values()):
            raise UpstreamDisconnected("The stream ended before the answer did.")
        else:
            pieces = []
            for index, one in written.items():
                assert one.reason is not None
                check_end(one.reason, has_content=bool(one.has_text or one.calls))
                pieces += self._signed(write, index, one)
                reason, native = finish(one.reason, has_calls=one.calls > 0)
                pieces.append(write.delta({}, reason, index=index, native=native))
        usage = openai_usage(self._usage)
        if usage is not None:
            pieces.append(write.usage(usage))
        return pieces
