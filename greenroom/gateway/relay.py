"""One stream on its way: bytes from the provider in, bytes to the client out, in one call.

Knows the answer that is put together in between, HTTP's chunks by their mold, and no socket.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import perf_counter_ns
from typing import Protocol

from msgspec import DecodeError, ValidationError

from greenroom.errors import GreenroomError, MalformedRequest, UpstreamProtocol
from greenroom.exchange import Exchange, Reply
from greenroom.gateway.pipeline import App
from greenroom.gateway.streaming import Answer
from greenroom.wire.mold import special
from greenroom.wire.source import Source

_NONE: dict[int, bytes] = {}


class Outlet(Protocol):
    """Where a stream goes: a client's connection."""

    def send(self, data: bytes) -> None:
        """Send events; what the client does not take yet is kept."""
        ...

    async def drained(self) -> None:
        """Wait until the client has read enough. Raises CancelledError when it is gone."""
        ...

    def writer(self) -> Callable[[bytes], object]:
        """The shortest way to send what is framed as a chunk already."""
        ...

    def throttle(self, source: Source | None) -> None:
        """Pause `source` while the client does not read, until None is given."""
        ...


class Relay:
    """One stream on its way to the client: `run()` once, `close()` always.

    From its first content on, a stream that has a source is written to the client in the very call that read
    it from the provider.
    """

    def __init__(self, exchange: Exchange, app: App, reply: Reply, began_ns: int) -> None:
        self._exchange = exchange
        self._reply = reply
        self._answer = Answer(exchange, app, began_ns)
        self._opened_ns = 0
        self._out: list[bytes] = []
        self._over: asyncio.Future[None] | None = None
        self._is_clean = False
        """Whether the source's next byte begins an event."""
        self._mold, self._fit = self._answer.mold, self._answer.fit
        self._leads = _NONE
        """The mold's, while the source is clean."""

    async def run(self, outlet: Outlet) -> None:
        """Send all of it. Never raises for the provider's faults: they are said in-band."""
        reply = self._reply
        chunks, source = reply.chunks, reply.source
        assert chunks is not None
        self._send, self._write = outlet.send, outlet.writer()
        self._opened_ns = perf_counter_ns()
        self._over = asyncio.get_running_loop().create_future()
        try:
            self._take_batch(reply.first)
            if source is not None and not self._answer.has_ended:
                outlet.throttle(source)
                source.push_to(self)
            elif not self._answer.has_ended:
                await self._pull(chunks, outlet)
            await self._over
            await outlet.drained()
        finally:
            outlet.throttle(None)
            self.close()
            stop = getattr(chunks, "aclose", None)
            if stop is not None:
                await stop()

    async def _pull(self, chunks: AsyncIterator[list[bytes]], outlet: Outlet) -> None:
        """The same from a source that has to be asked for each piece."""
        try:
            async for batch in chunks:
                self._take_batch(batch)
                if self._answer.has_ended:
                    return
                await outlet.drained()
        except GreenroomError as error:
            self.end(error)
        else:
            self.end(None)

    def take_chunk(self, data: bytes) -> bool:
        """What came as one read: a whole chunk that fits the mold goes on without being parsed or decoded."""
        mold = self._mold
        lead = self._leads.get(len(data))
        if lead is None:
            lead = mold.lead(len(data)) if self._is_clean else None
            if lead is None:
                return False
        if not data.startswith(lead) or not data.endswith(mold.trail):
            return False
        try:
            text = data[len(lead) : mold.text_end].decode()
        except UnicodeDecodeError:
            return False
        if special(text) is not None:
            return False
        one = self._fit
        one.raw.append(text)
        chain = one.chain
        if chain is None:
            self._write(data)
            return True
        try:
            passed = chain.feed(text)
            if passed:
                one.sent.append(passed)
                self._write(mold.fill(passed))
            elif chain.rejected is not None:
                self._answer.stop_if_rejected(self._out)
                self._close_with(b"")
        except Exception as error:  # noqa: BLE001  # the edge: who called is the provider's connection
            self._fail(error)
        return True

    def take(self, data: bytes) -> None:
        """Bytes of the source's event stream, cut anywhere."""
        source = self._reply.source
        if self._answer.has_ended or source is None:
            return
        try:
            payloads = source.payloads(data)
        except Exception as error:  # noqa: BLE001  # as in `take_chunk`
            self._fail(error)
            return
        self._take_batch(payloads)
        self._is_clean = source.is_clean and not self._answer.has_ended
        self._mold, self._fit = self._answer.mold, self._answer.fit
        self._leads = self._mold.leads if self._is_clean else _NONE

    def end(self, error: Exception | None) -> None:
        """The source's bytes have ended."""
        if self._answer.has_ended:
            return
        if error is None and self._reply.source is not None:
            self._take_batch(self._reply.source.rest())
        if self._answer.has_ended:
            return
        try:
            if error is not None:
                raise error
            self._close_with(self._answer.end())
        except Exception as broken:  # noqa: BLE001  # as in `take`
            self._fail(broken)

    def _take_batch(self, payloads: list[bytes]) -> None:
        """Whole payloads; what they make goes out in one write."""
        out, answer = self._out, self._answer
        try:
            for payload in payloads:
                answer.take(payload, out)
                if answer.has_ended:
                    break
        except Exception as error:  # noqa: BLE001  # as in `take`
            self._fail(error)
            return
        if self._answer.has_ended:
            self._close_with(b"")
        elif out:
            self._send(b"".join(out))
            out.clear()

    def _fail(self, error: Exception) -> None:
        """Say in-band what broke; a fault of our own ends the connection instead."""
        if isinstance(error, (ValidationError, DecodeError, UnicodeDecodeError, RecursionError)):
            error = UpstreamProtocol("The stream holds an event that is not a chunk.")
        elif isinstance(error, MalformedRequest):
            error = UpstreamProtocol("The stream holds an event that says one thing twice.")
        if isinstance(error, GreenroomError):
            self._close_with(self._answer.broken(error))
            return
        self._answer.has_ended = True
        self._is_clean, self._leads = False, _NONE
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)

    def _close_with(self, last: bytes) -> None:
        """Send what is left: nothing follows. A provider that has not ended by itself is stopped."""
        self._answer.has_ended = True
        self._is_clean, self._leads = False, _NONE
        data = b"".join((*self._out, last))
        self._out.clear()
        if data:
            self._send(data)
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def close(self) -> None:
        """Stop the provider and note what was said, however the stream ended. Safe to call twice."""
        if self._reply.close is not None:
            self._reply.close()
            self._reply.close = None
        if self._opened_ns:
            # What the filters took while the provider was waited for is not the provider's.
            took_ns = perf_counter_ns() - self._opened_ns - self._answer.filtered_ns
            self._exchange.model_ns += max(0, took_ns)
            self._opened_ns = 0
        self._answer.close()
