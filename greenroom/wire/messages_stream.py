"""A chat stream as Anthropic's events: one block after the other, in the order its clients expect.

Sans-io. However the pieces are cut, the message that the events build is the same. `message_start` is written
with the first piece, so that what fails before it can still be a plain error. A block is closed when the next
begins; where calls of tools are written side by side, the first goes out as it comes, the others at the end.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from greenroom.exchange import Passage
from greenroom.wire.messages_answer import (
    ChatUsage,
    Native,
    citations,
    message_id,
    refused,
    stop_of,
    usage_of,
)
from greenroom.wire.messages_error import in_band
from greenroom.wire.openai import ToolDelta, encode

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_NONE: Sequence[Passage] = ()


class _Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[dict[str, Any]] | None = None  # Any: blocks in Anthropic's own words
    tool_calls: list[ToolDelta] | None = None
    annotations: Raw = Raw()


class _Choice(Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    native: Native | None = None


class _Begin(Struct):
    usage: ChatUsage | None = None


class _Piece(Struct):
    choices: list[_Choice] = []
    usage: ChatUsage | None = None
    id: str = ""
    model: str = ""
    service_tier: str | None = None
    error: Raw = Raw()
    native: _Begin | None = None
    greenroom: Raw = Raw()


class _Call(Struct):
    """A call of a tool that is being written."""

    id: str = ""
    name: str = ""
    pieces: list[str] = []
    """Arguments that have not been sent."""


_piece = Decoder(_Piece)
_facts = Decoder(dict[str, Raw])
_T = TypeVar("_T")
_NO_CHUNK = Raw(b'{"message":"The stream holds an event that is not a chunk.","code":"upstream_protocol"}')


class MessageEvents:
    """Writes one stream."""

    keep_alive = PING

    def __init__(
        self,
        id: str,
        model: str,
        counted: Callable[[], int] = lambda: 0,
        passages: Callable[[], Sequence[Passage]] = lambda: _NONE,
    ) -> None:
        """`counted` tells about how many tokens went in, `passages` what could be cited, once asked for."""
        self._id = id
        self._model = model
        self._counted = counted
        self._passages = passages
        self._out: list[bytes] = []
        self._is_begun = False
        self._is_over = False
        self._open: str | None = None
        """The kind of the block that is open."""
        self._index = -1
        """Its place, or that of the last one."""
        self._calls: dict[int, _Call] = {}
        self._live: _Call | None = None
        """The call that goes out as it comes."""
        self._later: list[tuple[Callable[[Any], None], Any]] = []  # Any: texts and blocks
        """What came behind the first call."""
        self._said = 0
        """Characters sent so far."""
        self._last_text = ""
        self._refusal = ""
        self._annotations = Raw()
        self._finish: str | None = None
        self._native: Native | None = None
        self._usage: ChatUsage | None = None
        self._tier: str | None = None
        self._facts = Raw(b"")

    def feed(self, payload: bytes) -> bytes:
        """The events one payload stands for; an error ends the stream."""
        if self._is_over:
            return b""
        if payload == b"[DONE]":
            self._end()
        else:
            try:
                piece = _piece.decode(payload)
            except (DecodeError, UnicodeDecodeError, RecursionError):
                self._is_over = True
                return in_band(_NO_CHUNK, self._id)
            if bytes(piece.error) not in {b"", b"null"}:
                self._is_over = True
                return in_band(piece.error, self._id)
            self._take(piece)
        made = b"".join(self._out)
        self._out.clear()
        return made

    def _take(self, piece: _Piece) -> None:
        if not self._is_begun:
            self._begin(piece)
        if piece.usage is not None:
            self._usage = piece.usage
        self._tier = piece.service_tier or self._tier
        if bytes(piece.greenroom):
            self._facts = piece.greenroom
        for choice in piece.choices:
            if choice.index == 0:
                self._take_choice(choice)

    def _take_choice(self, choice: _Choice) -> None:
        delta = choice.delta
        if delta is not None:
            if delta.reasoning_content:
                self._in_turn(self._think, delta.reasoning_content)
            for block in delta.thinking_blocks or ():
                self._in_turn(self._sign, block)
            if delta.content:
                self._in_turn(self._say, delta.content)
            self._refusal += delta.refusal or ""
            for call in delta.tool_calls or ():
                self._call(call)
            if bytes(delta.annotations):
                self._annotations = delta.annotations
        if choice.finish_reason is not None:
            self._finish = choice.finish_reason
            self._native = choice.native

    # blocks

    def _in_turn(self, write: Callable[[_T], None], said: _T) -> None:
        """Write a text or a block now, or behind the calls that have begun."""
        if self._calls:
            self._later.append((write, said))
        else:
            write(said)

    def _start(self, kind: str, block: object) -> None:
        self._close()
        self._index += 1
        self._open = kind
        self._event("content_block_start", {"index": self._index, "content_block": block})

    def _close(self) -> None:
        if self._open is not None:
            self._open = None
            self._event("content_block_stop", {"index": self._index})

    def _say(self, text: str) -> None:
        if self._open != "text":
            self._start("text", {"type": "text", "text": ""})
        self._said += len(text)
        self._last_text = text
        self._delta(b'"text_delta","text"', text)

    def _think(self, text: str) -> None:
        if self._open != "thinking":
            self._start("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        self._said += len(text)
        self._delta(b'"thinking_delta","thinking"', text)

    def _sign(self, block: dict[str, Any]) -> None:  # Any: as in `_Delta`
        """What was written of a block of thinking is signed now, or it stands by itself.

        A block without a signature says again what was written: some services send one with each piece.
        """
        if block.get("type") == "redacted_thinking":
            self._start("redacted", block)
            self._close()
        elif block.get("signature"):
            if self._open != "thinking":
                self._start("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            self._delta(b'"signature_delta","signature"', str(block["signature"]))
            self._close()

    def _call(self, piece: ToolDelta) -> None:
        call = self._calls.get(piece.index)
        if call is None:
            call = self._calls[piece.index] = _Call()
            if self._live is None:
                self._live = call
        call.id = piece.id or call.id
        if piece.function is not None:
            call.name = piece.function.name or call.name
            if piece.function.arguments:
                call.pieces.append(piece.function.arguments)
        if call is self._live:
            if self._open != "tool" and call.name:
                self._begin_call(call)
            if self._open == "tool":
                self._write_arguments(call)

    def _begin_call(self, call: _Call) -> None:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        self._start("tool", block)

    def _write_arguments(self, call: _Call) -> None:
        for text in call.pieces:
            self._said += len(text)
            self._delta(b'"input_json_delta","partial_json"', text)
        call.pieces.clear()

    # the message

    def _begin(self, piece: _Piece) -> None:
        self._is_begun = True
        began = piece.native.usage if piece.native is not None else None
        usage = usage_of(began or ChatUsage(prompt_tokens=self._counted()))
        message: dict[str, object] = {
            "id": message_id(piece.id, self._id),
            "type": "message",
            "role": "assistant",
            "model": piece.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        self._event("message_start", {"message": message})

    def _end(self) -> None:
        self._is_over = True
        if not self._is_begun:
            self._begin(_Piece())
        if self._refusal and not self._said and self._native is None:
            self._say(self._refusal)
        cited = citations(self._annotations, self._passages()) if bytes(self._annotations) else []
        if self._open == "text":
            for one in cited:
                delta = {"type": "citations_delta", "citation": one}
                self._event("content_block_delta", {"index": self._index, "delta": delta})
            cited = []
        self._close()
        for call in self._calls.values():
            if call is not self._live:
                self._begin_call(call)
                self._write_arguments(call)
                self._close()
        self._calls = {}
        for write, said in self._later:
            write(said)
        self._close()
        stop = stop_of(
            self._finish, self._native, refusal=self._refusal or None, calls=self._live is not None
        )
        if stop.reason == "refusal" and stop.details is None:
            stop = stop._replace(details=refused(self._facts, self._last_text))
        usage = self._usage or ChatUsage(self._counted(), (self._said + 3) // 4)
        ending: dict[str, object] = {
            "delta": {
                "stop_reason": stop.reason,
                "stop_sequence": stop.sequence,
                "stop_details": stop.details,
            },
            "usage": usage_of(usage, tier=self._tier),
        }
        if cited:  # the text that they belong to had ended before
            ending["greenroom"] = {**_facts.decode(self._facts), "citations": cited}
        elif bytes(self._facts):
            ending["greenroom"] = self._facts
        self._event("message_delta", ending)
        self._event("message_stop", {})

    def _event(self, kind: str, data: dict[str, object]) -> None:
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind, **data})))

    def _delta(self, kind: bytes, text: str) -> None:
        self._out.append(
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":%b:%b}}\n\n' % (self._index, kind, encode(text))
        )
