"""The fast routes: `/v1/chat/completions` and its fronts, embeddings, moderations, models, `/api/inspect`.

Reads the head, asks the gateway, writes the answer. Knows HTTP and the dialect; no step, no provider.
"""

import asyncio
from collections.abc import Callable, Mapping
from time import perf_counter_ns
from types import MappingProxyType
from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from greenroom.errors import GreenroomError, Overloaded, QuotaExceeded, UpstreamError
from greenroom.exchange import Exchange, usd
from greenroom.gateway.access import Grant
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.keys import Key
from greenroom.gateway.moderation import moderate
from greenroom.gateway.pipeline import App
from greenroom.gateway.purse import BudgetExceeded
from greenroom.gateway.relay import Outlet
from greenroom.server.beat import Beat
from greenroom.server.fronts import (
    COMMENT,
    OPENAI,
    Envelope,
    Events,
    Failure,
    Front,
    KeptTurn,
    Series,
    Translated,
)
from greenroom.server.head import Refusal, Request
from greenroom.server.incoming import Incoming
from greenroom.server.listing import Listing
from greenroom.server.messages import ANTHROPIC, COUNT_TOKENS, MESSAGES, Counter, asked, count_body
from greenroom.server.outgoing import Outgoing
from greenroom.server.repeats import HEADER, Repeats
from greenroom.server.series import Following, opened
from greenroom.server.slow_paths import MODELS, is_slow, is_upload
from greenroom.server.timing import ms, stage_times
from greenroom.wire import moderation, openai, openai_request

CHAT = b"/v1/chat/completions"
MODERATIONS = b"/v1/moderations"
EMBEDDINGS = b"/v1/embeddings"
INSPECT = b"/api/inspect"
_POSTED = frozenset({CHAT, EMBEDDINGS, MODERATIONS, INSPECT})
_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})
_NO_FRONTS: Mapping[bytes, Front] = MappingProxyType({})
_CODES = {408: "request_timeout", 413: "request_too_large", 503: "shutting_down"}


class _Document(Struct):
    text: str
    id: str = ""
    title: str = ""


class _Inspect(Struct):
    reply: str | None = None
    documents: list[_Document] = []


_inspect = Decoder(_Inspect)


class V1:
    """Answers the fast routes."""

    def __init__(
        self,
        gateway: Gateway,
        record: Callable[[Exchange], dict[str, Any]],  # Any: JSON
        started_at: int,
        fronts: Mapping[bytes, Front] = _NO_FRONTS,
        count: Counter | None = None,
    ) -> None:
        self.gateway = gateway
        self._record = record
        self._listing = Listing(started_at)
        self._fronts = fronts
        """Other dialects, by path."""
        self._count = count
        counting = () if count is None else (COUNT_TOKENS,)
        self._posted = _POSTED | frozenset((*fronts, *counting))
        self._repeats = Repeats()

    def refusal(self, status: int, message: str, path: bytes = b"", code: str | None = None) -> Refusal:
        """The answer to a request that could not be parsed, or that broke."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        code = code or _CODES.get(status, "malformed_request" if status < 500 else "internal_error")
        return self._refusal(Failure(status, message, kind, code), self._envelope(path, _NO_HEADERS))

    def _refusal(self, failure: Failure, envelope: Envelope, headers: bytes = b"") -> Refusal:
        id = self.gateway.new_id()
        head = _id_header(id) + envelope.id_header(id) + headers
        return Refusal(failure.status, envelope.error(failure, id), head)

    def _envelope(self, path: bytes, headers: Mapping[bytes, bytes]) -> Envelope:
        front = self._fronts.get(path)
        if front is not None:
            return front.envelope
        is_anthropics = path.startswith(MODELS) and b"anthropic-version" in headers
        return ANTHROPIC if is_anthropics or path.startswith(MESSAGES) else OPENAI

    def admit(self, request: Request) -> Refusal | None:
        """Path, method and key, before a body is read."""
        path = request.path
        is_chat = path == CHAT
        if not is_chat and not path.startswith(b"/v1/") and path != INSPECT:
            return None
        request.is_fast = True
        try:
            if not is_chat or request.method != b"POST":
                self._check_route(request)
            request.context = self.gateway.access.identify(request.headers)
            if not is_chat and is_slow(request):
                request.is_fast = False
                if is_upload(request):
                    request.incoming = Incoming()
            return None
        except _Misdirected as error:
            return self._refusal(error.failure, self._envelope(path, request.headers), error.headers)
        except GreenroomError as error:
            envelope = self._envelope(path, request.headers)
            return self._refusal(_failure(error), envelope, _retry_headers(error))

    def _check_route(self, request: Request) -> None:
        path = request.path
        if is_slow(request):
            return  # the ASGI app knows these
        wanted = b"POST" if path in self._posted else b"GET"
        if path != MODELS and path not in self._posted and not path.startswith(MODELS + b"/"):
            message = f"There is no route {path.decode('latin-1')[:100]}."
            raise _Misdirected(Failure(404, message, "invalid_request_error", "not_found"))
        if request.method != wanted and not (wanted == b"GET" and request.method == b"HEAD"):
            message = f"This route takes {wanted.decode()} only."
            failure = Failure(405, message, "invalid_request_error", "method_not_allowed")
            raise _Misdirected(failure, b"allow: %b\r\n" % wanted)

    async def answer(self, request: Request, out: Outgoing) -> None:
        """One request whose key is known."""
        began = perf_counter_ns()
        key = request.context
        assert isinstance(key, Key)
        gateway = self.gateway
        id = gateway.new_id()
        try:
            if HEADER in request.headers and isinstance(out, Outgoing):
                await self._repeats.answer(request, key.caller.key_id, out, self.answer)
            elif request.path == CHAT:
                exchange, app = gateway.open(id, key.caller, request.body, request.headers)
                grant = gateway.access.admit(key)
                if exchange.request.stream:
                    await self._stream(exchange, app, grant, out, began)
                else:
                    body = await gateway.whole(exchange, app, grant, began)
                    out.respond_fine(body, _answer_headers(exchange, exchange.cost_usd) + self._limits(key))
            elif request.path in self._fronts:
                await self._translated(self._fronts[request.path], id, key, request, out, began)
            elif request.path == EMBEDDINGS:
                exchange, wanted, embedder = gateway.open_embeddings(
                    id, key.caller, request.body, request.headers
                )
                grant = gateway.access.admit(key)
                body = await gateway.embed(exchange, wanted, embedder, grant, began)
                out.respond_fine(body, _answer_headers(exchange, exchange.cost_usd) + self._limits(key))
            elif request.path == COUNT_TOKENS:
                await self._count_tokens(id, key, request, out)
            elif request.path == INSPECT:
                await self._inspect(id, key, request, out)
            elif request.path == MODERATIONS:
                await self._moderate(id, key, request, out)
            else:
                envelope = self._envelope(request.path, request.headers)
                out.respond(200, self._models(request, key), _id_header(id) + envelope.id_header(id))
        except GreenroomError as error:
            if out.started:
                raise
            failure, envelope = _failure(error), self._envelope(request.path, request.headers)
            head = _id_header(id) + envelope.id_header(id) + _retry_headers(error)
            head += self._limits(key, envelope)
            out.respond(failure.status, envelope.error(failure, id), head)

    async def _translated(
        self, front: Front, id: str, key: Key, request: Request, out: Outgoing, began: int
    ) -> None:
        gateway = self.gateway
        turn = await front.read(request, key.caller)
        exchange, app = opened(gateway, front, turn, id, key, turn.chat, request)
        more = None
        if isinstance(turn, Series) and turn.following:
            more = Following(gateway, front, turn, key, request)
        kept = turn if isinstance(turn, KeptTurn) else None
        if kept is not None:
            app = kept.begin(exchange, app)
        grant = gateway.access.admit(key)
        head = front.envelope.id_header(id)
        if kept is not None and kept.is_background:
            await self._leave(kept, exchange, app, grant, out, began)
            return
        try:
            if exchange.request.stream:
                await self._stream(exchange, app, grant, out, began, turn.events(exchange), front, more)
            else:
                body = await gateway.whole(exchange, app, grant, began)
                cost = exchange.cost_nano_usd
                if more is not None:
                    cost = await more.whole(cost)
                answer = await turn.whole(exchange, body)
                head += _answer_headers(exchange, usd(cost)) + self._limits(key, front.envelope)
                out.respond_fine(answer, head)
        finally:
            if kept is not None:
                kept.end(exchange)

    def _limits(self, key: Key, envelope: Envelope = OPENAI) -> bytes:
        """Where a key stands in its limits, if it has any, as the dialect's headers."""
        return envelope.limit_headers(self.gateway.access.limits(key)) if key.is_limited else b""

    async def _leave(
        self, turn: KeptTurn, exchange: Exchange, app: App, grant: Grant, out: Outgoing, began: int
    ) -> None:
        left = await turn.leave(exchange, app, grant, began)
        head = _id_header(exchange.id) + _dropped_header(exchange)
        if isinstance(left, bytes):
            out.respond_fine(left, head)
            return
        out.begin(head)
        await left.run(out)
        out.end()

    async def _stream(
        self,
        exchange: Exchange,
        app: App,
        grant: Grant,
        out: Outgoing,
        began: int,
        events: Events | None = None,
        front: Front | None = None,
        more: Following | None = None,
    ) -> None:
        outlet: Outlet = out if events is None else Translated(out, events)
        envelope = OPENAI if front is None else front.envelope
        head = _id_header(exchange.id) + envelope.id_header(exchange.id)
        beat = Beat(exchange, out, head, COMMENT if events is None else events.keep_alive)
        stream = None
        try:
            stream = await self.gateway.begin_stream(exchange, app, grant, began)
            beat.stop()
            if not out.started:
                out.begin(head + _dropped_header(exchange) + self._limits(grant.key, envelope))
            await stream.run(outlet)
            if more is not None and exchange.outcome != "failed":
                stream.finish()  # its place under the key's limits is free for the next
                await more.stream(out)
            out.end()
        except asyncio.CancelledError:
            if out.is_cut and out.started:
                message = openai.error_body("The server is shutting down.", "server_error", "shutting_down")
                outlet.send(b"data: %b\n\n" % message)
                out.end()
            raise
        except GreenroomError as error:
            if not out.started:
                raise
            _, kind, code, param = openai.error_of(error)
            outlet.send(b"data: " + openai.error_body(str(error), kind, code, param) + b"\n\n")
            out.end()
        finally:
            beat.stop()
            if stream is not None:
                stream.finish()

    async def _inspect(self, id: str, key: Key, request: Request, out: Outgoing) -> None:
        try:
            extra = _inspect.decode(request.body)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise openai_request.malformed(error, request.body) from None
        exchange, app = self.gateway.open(id, key.caller, request.body, request.headers)
        exchange.documents = [
            {"id": one.id or f"doc-{number}", "title": one.title, "text": one.text}
            for number, one in enumerate(extra.documents, 1)
        ]
        grant = self.gateway.access.admit(key)
        try:
            await self.gateway.inspect(exchange, app, extra.reply)
        finally:
            grant.release(0)
        out.respond(200, openai.encode(self._record(exchange)), _id_header(id))

    async def _moderate(self, id: str, key: Key, request: Request, out: Outgoing) -> None:
        texts = moderation.parse(request.body)
        grant = self.gateway.access.admit(key)
        try:
            body = await moderate(self.gateway, id, key.caller, texts, request.headers)
        finally:
            grant.release(0)
        out.respond(200, openai.encode(body), _id_header(id))

    def _models(self, request: Request, key: Key) -> bytes:
        apps = key.caller.apps
        rooms = self.gateway.rooms
        names = [name for name in rooms.names(key.caller) if not apps or name in apps]
        if request.path == MODELS:
            return self._listing.page(names, request.query, rooms.private)
        return self._listing.one(names, request.path[len(MODELS) + 1 :], rooms.private)

    async def _count_tokens(self, id: str, key: Key, request: Request, out: Outgoing) -> None:
        assert self._count is not None, "the route is there only with it"
        read = asked(request, counting=True)
        exchange, app = self.gateway.open(id, key.caller, read.chat, request.headers)
        grant = self.gateway.access.admit(key)
        try:
            count = await self._count(exchange.request, app.model)
        finally:
            grant.release(0)
        headers = b"x-greenroom-estimated: true\r\n" if count.error else b""
        out.respond(200, count_body(count), _id_header(id) + ANTHROPIC.id_header(id) + headers)


def _id_header(id: str) -> bytes:
    return b"x-request-id: %b\r\n" % id.encode()


def _dropped_header(exchange: Exchange) -> bytes:
    dropped = exchange.context.get("dropped")
    if not isinstance(dropped, list):
        return b""
    return b"x-greenroom-dropped: %b\r\n" % ", ".join(dropped).encode("ascii", "replace")


def _answer_headers(exchange: Exchange, cost: str | None) -> bytes:
    """What every whole answer says of itself; `cost` in US dollars."""
    model_ns = exchange.model_ns
    head = (
        b"x-request-id: %b\r\nx-greenroom-model: %b\r\n%bx-greenroom-cache: %b\r\n"
        b"server-timing: %bmodel;dur=%b, overhead;dur=%b\r\n"
    ) % (
        exchange.id.encode(),
        (exchange.target or exchange.app).encode("latin-1", "replace"),
        b"" if cost is None else b"x-greenroom-cost-usd: %b\r\n" % cost.encode(),
        b"miss" if exchange.outcome != "cached" else str(exchange.context["cache"]).encode(),
        stage_times(exchange) if exchange.steps else b"",
        ms(model_ns),
        ms(exchange.total_ns - model_ns),
    )
    return head + _dropped_header(exchange) if "dropped" in exchange.context else head


class _Misdirected(Exception):
    """A request whose path or method no route takes."""

    def __init__(self, failure: Failure, headers: bytes = b"") -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.headers = headers


def _failure(error: GreenroomError) -> Failure:
    """What an error shows to a client."""
    status, kind, code, param = openai.error_of(error)
    return Failure(status, str(error), kind, code, param)


def _retry_headers(error: GreenroomError) -> bytes:
    """When to try again, if that helps and is known."""
    if isinstance(error, BudgetExceeded):
        return b"x-should-retry: false\r\n"
    if isinstance(error, (QuotaExceeded, Overloaded)):
        return b"retry-after: %d\r\nretry-after-ms: %d\r\n" % (
            int(error.retry_after_s) + 1,
            int(error.retry_after_s * 1000),
        )
    if isinstance(error, UpstreamError) and error.retry_after_s is not None:
        return b"retry-after: %d\r\n" % (int(error.retry_after_s) + 1)
    return b""
