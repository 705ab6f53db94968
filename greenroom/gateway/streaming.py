"""An answer in pieces: filters with hold-back, the order of frames, and the end said truthfully.

Text that passes unchanged leaves in the provider's own bytes. A piece without text first lets go what is held
of its choice. The finishing piece waits for the counts and carries our facts; a stream that ends without its
proper end is an error said in-band. Knows contracts and the dialect; no socket.
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from time import perf_counter_ns

from msgspec import DecodeError, ValidationError

from greenroom.errors import (
    GreenroomError,
    UpstreamDisconnected,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.exchange import Exchange, Reply, Usage
from greenroom.gateway.chain import Chain
from greenroom.gateway.pipeline import (
    App,
    Postprocess,
    annotations_of,
    estimate_usage,
    facts_of,
    output_refusal,
    settle,
)
from greenroom.wire import openai
from greenroom.wire.openai import Chunk, ChunkChoice, ChunkWriter

_START = b"data: "
_END = b"\n\n"
DONE = b"data: [DONE]\n\n"


class Relay:
    """One stream on its way to the client. `frames()` yields what to write, one `bytes` per read upstream."""

    def __init__(self, exchange: Exchange, app: App, reply: Reply, began_ns: int) -> None:
        self._exchange = exchange
        self._reply = reply
        self._began_ns = began_ns
        self._post = Postprocess(exchange, app)
        self._filtering = bool(app.post)
        self._contents: dict[int, Chain | None] = {}
        self._arguments: dict[tuple[int, int], Chain | None] = {}
        self._finishing: dict[int, str] = {}
        self._usage: Usage | None = None
        self._writer = ChunkWriter(
            f"chatcmpl-{exchange.id}", exchange.created_ns // 1_000_000_000, exchange.asked
        )
        self._named = False
        self._sent: dict[int, list[str]] = {}
        self._raw: dict[int, list[str]] = {}
        self._ended = False
        self._opened_ns = 0

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """SSE bytes for the client. Never raises for the provider's faults: they are said in-band."""
        chunks = self._reply.chunks
        assert chunks is not None
        out: list[bytes] = []
        self._opened_ns = perf_counter_ns()
        try:
            self._take_all(self._reply.first, out)
            if out:
                data = b"".join(out)
                out = []
                yield data
            if not self._ended:
                async for batch in chunks:
                    self._take_all(batch, out)
                    if out:
                        data = b"".join(out)
                        out = []
                        yield data
                    if self._ended:
                        break
            if not self._ended:
                self._proper_end()
                yield self._last_frames()
        except GreenroomError as broken:
            yield b"".join(out) + self._broken(broken)
        except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
            error = UpstreamProtocol("The stream holds an event that is not a chunk.")
            yield b"".join(out) + self._broken(error)
        finally:
            self.close()
            stop = getattr(chunks, "aclose", None)
            if stop is not None:
                await stop()

    def close(self) -> None:
        """Stop the provider and note what was said, however the stream ended. Safe to call twice."""
        if self._reply.close is not None:
            self._reply.close()
            self._reply.close = None
        exchange = self._exchange
        if self._opened_ns:
            exchange.model_ns += perf_counter_ns() - self._opened_ns
            self._opened_ns = 0
        if exchange.outcome == "open":
            exchange.outcome = "cancelled"
        if not exchange.reply_raw:
            self._post.report()
            exchange.reply_raw = ["".join(self._raw[index]) for index in sorted(self._raw)]
            exchange.reply_text = ["".join(self._sent.get(index, ())) for index in sorted(self._raw)]
        if exchange.usage is None:
            exchange.usage = self._usage or estimate_usage(exchange)
            settle(exchange)

    # pieces

    def _take_all(self, batch: list[bytes], out: list[bytes]) -> None:
        for payload in batch:
            self._take(payload, out)
            if self._ended:
                return

    def _take(self, payload: bytes, out: list[bytes]) -> None:
        if payload == b"[DONE]":
            return
        chunk = openai.decode_chunk(payload)
        if chunk.is_error:
            raise UpstreamRefused("The provider sent an error inside its stream.", upstream_status=502)
        if chunk.usage is not None:
            self._usage = openai.read_usage(chunk.usage) or self._usage
        if not chunk.choices:
            return
        if not self._named:
            self._named = True
            self._writer = ChunkWriter(
                chunk.id or f"chatcmpl-{self._exchange.id}",
                chunk.created or self._exchange.created_ns // 1_000_000_000,
                chunk.model or self._exchange.asked,
            )
        if len(chunk.choices) == 1 and self._passes(chunk.choices[0]):
            out += (_START, payload, _END)
            return
        self._rewrite(chunk, out)

    def _passes(self, choice: ChunkChoice) -> bool:
        """Whether a piece may leave as it came; feeds its text on the way, keeps what is left to rewrite."""
        delta = choice.delta
        if choice.finish_reason is not None or delta is None:
            return False
        text = delta.content
        if not text:
            return not self._filtering or (not delta.tool_calls and not self._contents.get(choice.index))
        index = choice.index
        if not self._exchange.first_token_ns:
            self._exchange.first_token_ns = perf_counter_ns() - self._began_ns
        raw = self._raw.get(index)
        if raw is None:
            raw = self._raw[index] = []
            self._sent[index] = []
            self._contents[index] = self._post.open("content", index) if self._filtering else None
        raw.append(text)
        chain = self._contents[index]
        if chain is not None:
            passed = chain.feed(text)
            if passed != text or delta.tool_calls or delta.role:
                delta.content = passed
                return False
        self._sent[index].append(text)
        if chain is None and delta.tool_calls and self._filtering:
            delta.content = text
            self._sent[index].pop()
            return False
        return True

    def _rewrite(self, chunk: Chunk, out: list[bytes]) -> None:
        several = len(chunk.choices) > 1
        for choice in chunk.choices:
            if several and self._passes(choice):
                self._write_content(
                    choice.index, choice.delta.content or "" if choice.delta else "", out, again=True
                )
                continue
            delta = choice.delta
            if delta is not None:
                if delta.role:
                    out += (
                        _START,
                        self._writer.delta(choice.index, {"role": delta.role, "content": ""}),
                        _END,
                    )
                if delta.content:
                    if choice.finish_reason is not None:
                        self._feed_late(choice, delta.content)
                    self._write_content(choice.index, delta.content, out)
                if self._stopped(out):
                    return
                if delta.tool_calls:
                    self._flush_content(choice.index, out)
                    self._write_calls(choice, out)
                if delta.refusal or delta.reasoning_content:
                    rest = {"refusal": delta.refusal, "reasoning_content": delta.reasoning_content}
                    present: dict[str, object] = {name: value for name, value in rest.items() if value}
                    out += (_START, self._writer.delta(choice.index, present), _END)
            if choice.finish_reason is not None:
                self._flush_content(choice.index, out)
                self._flush_arguments(choice.index, out)
                self._finishing[choice.index] = choice.finish_reason
            if self._stopped(out):
                return

    def _feed_late(self, choice: ChunkChoice, text: str) -> None:
        """Text in the finishing piece itself: some providers do that."""
        finish, choice.finish_reason = choice.finish_reason, None
        if self._passes(choice):
            self._sent[choice.index].pop()
            assert choice.delta is not None
            choice.delta.content = text
        choice.finish_reason = finish

    def _write_content(self, index: int, text: str, out: list[bytes], *, again: bool = False) -> None:
        if text:
            if not again:
                self._sent.setdefault(index, []).append(text)
            out += (_START, self._writer.content(index, text), _END)

    def _flush_content(self, index: int, out: list[bytes]) -> None:
        chain = self._contents.get(index)
        if chain is not None:
            self._contents[index] = None
            self._write_content(index, chain.flush(), out)

    def _write_calls(self, choice: ChunkChoice, out: list[bytes]) -> None:
        assert choice.delta is not None
        index = choice.index
        self._raw.setdefault(index, [])
        for call in choice.delta.tool_calls or ():
            key = (index, call.index)
            if key not in self._arguments:
                self._arguments[key] = self._post.open("arguments", index) if self._filtering else None
            chain = self._arguments[key]
            function: dict[str, object] = {}
            if call.function is not None:
                if call.function.name is not None:
                    function["name"] = call.function.name
                arguments = call.function.arguments
                if arguments is not None:
                    function["arguments"] = (
                        chain.feed(arguments) if chain is not None and arguments else arguments
                    )
            entry: dict[str, object] = {"index": call.index}
            if call.id is not None:
                entry |= {"id": call.id, "type": "function"}
            entry["function"] = function
            out += (_START, self._writer.delta(index, {"tool_calls": [entry]}), _END)

    def _flush_arguments(self, index: int, out: list[bytes]) -> None:
        for (choice, number), chain in self._arguments.items():
            if choice == index and chain is not None:
                self._arguments[choice, number] = None
                rest = chain.flush()
                if rest:
                    call = {"index": number, "function": {"arguments": rest}}
                    out += (_START, self._writer.delta(index, {"tool_calls": [call]}), _END)

    # ends

    def _stopped(self, out: list[bytes]) -> bool:
        """Whether a filter rejected: then what is held is dropped and the stream ends with the reason."""
        record = self._post.rejected
        if record is None:
            return False
        self._exchange.outcome = "refused"
        self._exchange.finish_reason = "content_filter"
        sentence = output_refusal(self._exchange)
        for index in self._raw or {0: []}:
            self._sent.setdefault(index, []).append(sentence)
            facts = openai.encode({**self._closing_facts(), "step": record.step, "reason": sentence})
            separator = "\n\n" if len(self._sent[index]) > 1 else ""
            out += (
                _START, self._writer.content(index, separator + sentence), _END,
                _START, self._writer.last(index, {}, "content_filter", facts), _END,
            )  # fmt: skip
        out.append(DONE)
        self._ended = True
        return True

    def _proper_end(self) -> None:
        """Raise unless every choice that began was finished."""
        if not self._finishing or any(index not in self._finishing for index in self._raw):
            raise UpstreamDisconnected("The provider's stream ended without its proper end.")

    def _last_frames(self) -> bytes:
        exchange = self._exchange
        exchange.usage = self._usage
        exchange.reply_raw = ["".join(pieces) for _, pieces in sorted(self._raw.items())]
        exchange.reply_text = ["".join(self._sent.get(index, ())) for index in sorted(self._raw)]
        if exchange.usage is None:
            exchange.usage = estimate_usage(exchange)
        settle(exchange)
        self._post.report()
        exchange.outcome = "answered"
        annotations = annotations_of(exchange)
        facts = openai.encode(self._closing_facts())
        out: list[bytes] = []
        for index, reason in sorted(self._finishing.items()):
            exchange.finish_reason = reason
            delta: dict[str, object] = {"annotations": annotations} if annotations and index == 0 else {}
            out += (_START, self._writer.last(index, delta, reason, facts), _END)
        if exchange.request.include_usage:
            out += (_START, self._writer.usage(exchange.usage), _END)
        out.append(DONE)
        self._ended = True
        return b"".join(out)

    def _closing_facts(self) -> dict[str, object]:
        exchange = self._exchange
        facts = facts_of(exchange)
        facts |= {"id": exchange.id, "model": exchange.target, "outcome": exchange.outcome}
        if exchange.cost_usd is not None:
            facts["cost_usd"] = exchange.cost_usd
        facts["ms"] = round((perf_counter_ns() - self._began_ns) / 1e6, 3)
        return facts

    def _broken(self, error: GreenroomError) -> bytes:
        exchange = self._exchange
        exchange.outcome = "failed"
        exchange.error = error.code
        if exchange.attempts:
            exchange.attempts[-1].error = error.code
        self._ended = True
        held: list[bytes] = []
        with suppress(GreenroomError):
            # What the filters still hold came and is paid for; they look it over like any end.
            for index in list(self._contents):
                self._flush_content(index, held)
        if self._post.rejected is not None:
            held.clear()
        _, kind, code, param = openai.error_of(error)
        name = exchange.target
        message = f"Model '{name}': {error}" if name else str(error)
        return b"".join(held) + _START + openai.error_body(message, kind, code, param) + _END
