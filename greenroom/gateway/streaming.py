"""An answer in pieces: filters with hold-back, the order of events, and the end said truthfully.

Text that passes unchanged leaves in the provider's own bytes. A piece without text first lets go what is held
of its choice. The finishing piece waits for the counts and carries our facts; a stream that ends without its
proper end is an error said in-band. Knows contracts and the dialect; no socket.
"""

from contextlib import suppress
from time import perf_counter_ns

from greenroom.errors import GreenroomError, UpstreamDisconnected, UpstreamRefused
from greenroom.exchange import Exchange
from greenroom.gateway.chain import Chain
from greenroom.gateway.pipeline import App, Postprocess, annotations_of, answered, facts_of, output_refusal
from greenroom.gateway.settling import estimate_usage, settle
from greenroom.gateway.tool_calls import HeldCalls, broken_of, note_broken
from greenroom.usage import Usage
from greenroom.wire import openai
from greenroom.wire.mold import Mold
from greenroom.wire.openai import Chunk, ChunkChoice, ChunkWriter, ToolDelta
from greenroom.wire.repeated_keys import refuse_repeated_keys

_START = b"data: "
_END = b"\n\n"
DONE = b"data: [DONE]\n\n"


class Prose:
    """One choice's prose: as it came, as it went, and what filters it."""

    __slots__ = ("chain", "index", "is_flushed", "raw", "sent")

    def __init__(self, index: int, chain: Chain | None, *, is_filtered: bool) -> None:
        self.index = index
        self.chain = chain
        self.is_flushed = False
        """Whether its filters gave back all they held; more text needs new ones."""
        self.raw: list[str] = []
        self.sent: list[str] = [] if is_filtered else self.raw

    def note(self, text: str) -> None:
        """Note what was sent."""
        if self.sent is not self.raw:
            self.sent.append(text)


class Answer:
    """One streamed answer: payloads in, events out."""

    def __init__(self, exchange: Exchange, app: App, began_ns: int) -> None:
        self.has_ended = False
        self.mold = Mold()
        """The shape of ordinary pieces of `fit`."""
        self.fit = Prose(0, None, is_filtered=False)
        self._exchange = exchange
        self._began_ns = began_ns
        self._post = Postprocess(exchange, app)
        self._filtering = bool(app.post)
        self._texts: dict[int, Prose] = {}
        self._arguments: dict[tuple[int, int], Chain | None] = {}
        self._calls: dict[int, HeldCalls] = {}
        """By choice, until it is finished."""
        self._argued = 0
        """Characters of tool calls' arguments that came."""
        self._finishing: dict[int, str] = {}
        self._native: dict[int, bytes] = {}
        self._usage: Usage | None = None
        self._writer = ChunkWriter(
            f"chatcmpl-{exchange.id}", exchange.created_ns // 1_000_000_000, exchange.asked
        )
        self._named = False

    @property
    def filtered_ns(self) -> int:
        """Time that the filters took so far."""
        return sum(record.ns for record in self._post.records)

    def close(self) -> None:
        """Note what was said and what it cost, however the answer ended. Safe to call twice."""
        exchange = self._exchange
        if exchange.outcome == "open":
            exchange.outcome = "cancelled"
        if not exchange.reply_raw:
            self._post.report()
            self._note_texts()
        if exchange.usage is None:
            exchange.usage = self._usage or estimate_usage(exchange, self._argued)
            settle(exchange)

    def _note_texts(self) -> None:
        texts = [one for _, one in sorted(self._texts.items())]
        self._exchange.pieces = sum([len(one.raw) for one in texts])
        self._exchange.reply_raw = ["".join(one.raw) for one in texts]
        self._exchange.reply_text = ["".join(one.sent) for one in texts]

    # pieces

    def take(self, payload: bytes, out: list[bytes]) -> None:
        """Add to `out` what one payload makes. Raises GreenroomError, and what decoding raises."""
        if payload == b"[DONE]":
            return
        if payload.find(b"\n") >= 0:
            # it came as several lines; between the values of JSON only
            payload = payload.replace(b"\n", b" ")
        text = self.mold.text_of(payload)
        if text:
            one = self.fit
            passed = self._feed(one, text)
            if passed is text:
                one.note(text)
                out += (_START, payload, _END)
            elif passed:
                self._write_content(one.index, passed, out)
            elif one.chain is not None and one.chain.rejected is not None:
                self.stop_if_rejected(out)
            return
        chunk = openai.decode_chunk(payload)
        if chunk.is_error:
            raise UpstreamRefused("The provider sent an error inside its stream.", upstream_status=502)
        if chunk.usage is not None:
            self._usage = openai.read_usage(chunk.usage, chunk.service_tier) or self._usage
        if not chunk.choices:
            return
        if not self._named:
            self._named = True
            self._writer = ChunkWriter(
                chunk.id or f"chatcmpl-{self._exchange.id}",
                chunk.created or self._exchange.created_ns // 1_000_000_000,
                chunk.model or self._exchange.asked,
            )
        if len(chunk.choices) > 1:
            self._rewrite(chunk, out)
            return
        choice = chunk.choices[0]
        if payload.count(b'"content"') > 1 or payload.count(b'"choices"') > 1:
            refuse_repeated_keys(payload)  # it may show us one thing and the client another
        if chunk.usage is None:
            self._learn(payload, choice)
        if not self._passes(choice):
            self._rewrite(chunk, out)
        elif choice.delta is not None and choice.delta.tool_calls:
            held = self._hold(choice.index, choice.delta.tool_calls)
            held.events += (_START, payload, _END)
            held.keep_alive(out)
        else:
            out += (_START, payload, _END)

    def _hold(self, index: int, pieces: list[ToolDelta]) -> HeldCalls:
        """Note pieces of tool calls that no filter looks at."""
        held = self._calls.get(index)
        if held is None:
            self._text(index)  # a choice that has begun has to be finished
            held = self._calls[index] = HeldCalls()
        for piece in pieces:
            function = piece.function
            arguments = None if function is None else function.arguments
            self._argued += len(arguments or "")
            held.add(piece, arguments)
        return held

    def _learn(self, payload: bytes, choice: ChunkChoice) -> None:
        """Let the mold take the shape of a piece that has nothing but text."""
        delta = choice.delta
        if delta is None or choice.finish_reason is not None or not delta.content:
            return
        other = delta.role or delta.tool_calls or delta.refusal or delta.reasoning_content
        if not other and not bytes(delta.thinking_blocks):
            one = self._text(choice.index)
            if self.mold.learn(payload, delta.content, len(one.raw)):
                self.fit = one

    def _text(self, index: int) -> Prose:
        one = self._texts.get(index)
        if one is None:
            chain = self._post.open("content", index) if self._filtering else None
            one = self._texts[index] = Prose(index, chain, is_filtered=self._filtering)
        return one

    def _feed(self, one: Prose, text: str) -> str:
        """Note what came; gives what may go."""
        if not self._exchange.first_token_ns:
            self._exchange.first_token_ns = perf_counter_ns() - self._began_ns
        one.raw.append(text)
        if one.is_flushed:
            one.is_flushed = False
            one.chain = self._post.open("content", one.index)
        return text if one.chain is None else one.chain.feed(text)

    def _passes(self, choice: ChunkChoice) -> bool:
        """Whether a piece may leave as it came; feeds its text on the way, keeps what is left to rewrite."""
        delta = choice.delta
        if choice.finish_reason is not None or delta is None:
            return False
        text = delta.content
        if not text:
            one = self._texts.get(choice.index)
            return not self._filtering or (not delta.tool_calls and (one is None or one.chain is None))
        one = self._text(choice.index)
        delta.content = passed = self._feed(one, text)
        if passed != text or (self._filtering and delta.tool_calls):
            return False
        if one.chain is not None and delta.role:
            return False
        one.note(text)
        return True

    def _rewrite(self, chunk: Chunk, out: list[bytes]) -> None:
        several = len(chunk.choices) > 1
        for choice in chunk.choices:
            delta = choice.delta
            if several and not (delta is not None and delta.tool_calls) and self._passes(choice):
                if delta is not None and delta.content:
                    out += (_START, self._writer.content(choice.index, delta.content), _END)
                continue
            if delta is not None:
                if delta.role:
                    out += (
                        _START,
                        self._writer.delta(choice.index, {"role": delta.role, "content": ""}),
                        _END,
                    )
                if delta.content:
                    if choice.finish_reason is not None:
                        # Text in the finishing piece itself: some providers do that.
                        delta.content = self._feed(self._text(choice.index), delta.content)
                    self._write_content(choice.index, delta.content, out)
                if self.stop_if_rejected(out):
                    return
                if delta.tool_calls:
                    self._flush_content(choice.index, out)
                    self._write_calls(choice, out)
                if delta.refusal or delta.reasoning_content or bytes(delta.thinking_blocks):
                    rest = {"refusal": delta.refusal, "reasoning_content": delta.reasoning_content}
                    present: dict[str, object] = {name: value for name, value in rest.items() if value}
                    if bytes(delta.thinking_blocks):
                        present["thinking_blocks"] = delta.thinking_blocks
                    out += (_START, self._writer.delta(choice.index, present), _END)
            if choice.finish_reason is not None:
                self._exchange.finish_reason = choice.finish_reason
                self._flush_content(choice.index, out)
                self._flush_arguments(choice.index)
                if choice.index in self._calls and self._post.rejected is None:
                    self._release(choice.index, out)
                self._finishing[choice.index] = choice.finish_reason
                self._native[choice.index] = bytes(choice.native)
            if self.stop_if_rejected(out):
                return

    def _write_content(self, index: int, text: str, out: list[bytes]) -> None:
        if text:
            self._text(index).note(text)
            out += (_START, self._writer.content(index, text), _END)

    def _flush_content(self, index: int, out: list[bytes]) -> None:
        one = self._texts.get(index)
        if one is not None and one.chain is not None:
            chain, one.chain = one.chain, None
            one.is_flushed = True
            self.mold = Mold()  # should more text come, it has to be filtered again
            self._write_content(index, chain.flush(), out)

    def _write_calls(self, choice: ChunkChoice, out: list[bytes]) -> None:
        if choice.delta is None:
            return
        index = choice.index
        held = self._hold(index, [])
        for call in choice.delta.tool_calls or ():
            key = (index, call.index)
            if key not in self._arguments:
                self._arguments[key] = self._post.open("arguments", index) if self._filtering else None
            chain = self._arguments[key]
            function: dict[str, object] = {}
            arguments = None
            if call.function is not None:
                if call.function.name is not None:
                    function["name"] = call.function.name
                arguments = call.function.arguments
                if arguments is not None:
                    self._argued += len(arguments)
                    if chain is not None and arguments:
                        arguments = chain.feed(arguments)
                    function["arguments"] = arguments
            held.add(call, arguments)
            entry: dict[str, object] = {"index": call.index}
            if call.id is not None:
                entry |= {"id": call.id, "type": "function"}
            entry["function"] = function
            held.events += (_START, self._writer.delta(index, {"tool_calls": [entry]}), _END)
        held.keep_alive(out)

    def _flush_arguments(self, index: int) -> None:
        for (choice, number), chain in self._arguments.items():
            if choice == index and chain is not None:
                self._arguments[choice, number] = None
                rest = chain.flush()
                if rest:
                    held = self._calls[index]
                    held.calls[number].arguments.append(rest)
                    call = {"index": number, "function": {"arguments": rest}}
                    held.events += (_START, self._writer.delta(index, {"tool_calls": [call]}), _END)

    def _release(self, index: int, out: list[bytes]) -> None:
        """Let the calls of a finished choice go: as they came if all are whole, else those that are."""
        held = self._calls.pop(index)
        broken = broken_of(held.calls)
        if held.is_in_order and not broken:
            out += held.events
            return
        if broken:
            note_broken(self._exchange, index, broken)
        whole = [one for number, one in sorted(held.calls.items()) if number not in broken]
        for number, one in enumerate(whole):
            function = {"name": one.name, "arguments": "".join(one.arguments)}
            call = {"index": number, "id": one.id, "type": "function", "function": function}
            out += (_START, self._writer.delta(index, {"tool_calls": [call]}), _END)

    # ends

    def stop_if_rejected(self, out: list[bytes]) -> bool:
        """Whether a filter rejected: then what is held is dropped and the stream ends with the reason."""
        record = self._post.rejected
        if record is None:
            return False
        self._exchange.outcome = "refused"
        self._exchange.finish_reason = "content_filter"
        sentence = output_refusal(self._exchange)
        for index in list(self._texts) or [0]:
            sent = self._text(index).sent
            sent.append(sentence)
            facts = openai.encode({**self._closing_facts(), "step": record.step, "reason": sentence})
            separator = "\n\n" if len(sent) > 1 else ""
            out += (
                _START, self._writer.content(index, separator + sentence), _END,
                _START, self._writer.last(index, {}, "content_filter", facts), _END,
            )  # fmt: skip
        out.append(DONE)
        self.has_ended = True
        return True

    def end(self) -> bytes:
        """The last events. Raises UpstreamDisconnected unless every choice that began was finished."""
        if not self._finishing or any(index not in self._finishing for index in self._texts):
            raise UpstreamDisconnected("The provider's stream ended without its proper end.")
        exchange = self._exchange
        exchange.usage = self._usage
        self._note_texts()
        if exchange.usage is None:
            exchange.usage = estimate_usage(exchange, self._argued)
        settle(exchange)
        self._post.report()
        exchange.outcome = answered(exchange)
        annotations = annotations_of(exchange)
        facts = openai.encode(self._closing_facts())
        out: list[bytes] = []
        for index, reason in sorted(self._finishing.items()):
            exchange.finish_reason = reason
            delta: dict[str, object] = {"annotations": annotations} if annotations and index == 0 else {}
            out += (_START, self._writer.last(index, delta, reason, facts, self._native[index]), _END)
        if exchange.request.include_usage:
            out += (_START, self._writer.usage(exchange.usage), _END)
        out.append(DONE)
        return b"".join(out)

    def _closing_facts(self) -> dict[str, object]:
        exchange = self._exchange
        facts = facts_of(exchange)
        facts |= {"id": exchange.id, "model": exchange.target, "outcome": exchange.outcome}
        if exchange.cost_usd is not None:
            facts["cost_usd"] = exchange.cost_usd
        facts["ms"] = round((perf_counter_ns() - self._began_ns) / 1e6, 3)
        return facts

    def broken(self, error: GreenroomError) -> bytes:
        """The last events when the stream broke."""
        exchange = self._exchange
        exchange.outcome = "failed"
        exchange.error = error.code
        if exchange.attempts:
            exchange.attempts[-1].error = error.code
        held: list[bytes] = []
        with suppress(GreenroomError):
            # What the filters still hold came and is paid for; they look it over like any end.
            for index in list(self._texts):
                self._flush_content(index, held)
        if self._post.rejected is not None:
            held.clear()
        _, kind, code, param = openai.error_of(error)
        name = exchange.target
        message = f"Model '{name}': {error}" if name else str(error)
        return b"".join(held) + _START + openai.error_body(message, kind, code, param) + _END
