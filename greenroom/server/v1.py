"""The fast routes: `/v1/chat/completions`, `/v1/embeddings`, `/v1/moderations`, `/v1/models`, `/api/inspect`.

Reads the head, asks the gateway, writes the answer. Knows HTTP and the dialect; no step, no provider.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any
from urllib.parse import unquote

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from greenroom.errors import (
    GreenroomError,
    ModelNotFound,
    Overloaded,
    QuotaExceeded,
    UpstreamError,
)
from greenroom.exchange import Exchange
from greenroom.gateway.access import BudgetExceeded, Grant, Key
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.moderation import moderate
from greenroom.gateway.pipeline import App
from greenroom.server.head import Refusal, Request
from greenroom.server.incoming import Incoming
from greenroom.server.protocol import HttpProtocol
from greenroom.wire import moderation, openai, openai_request

CHAT = b"/v1/chat/completions"
MODERATIONS = b"/v1/moderations"
EMBEDDINGS = b"/v1/embeddings"
FILES = b"/v1/files"
KNOWLEDGE = (FILES, b"/v1/vector_stores")
"""Behind these paths files are taken, read and searched: not in microseconds, so by the ASGI app."""
MODELS = b"/v1/models"
INSPECT = b"/api/inspect"
_POSTED = frozenset({CHAT, EMBEDDINGS, MODERATIONS, INSPECT})
KEEP_ALIVE_S = 10.0
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
        self, gateway: Gateway, record: Callable[[Exchange], dict[str, Any]], started_at: int
    ) -> None:  # Any: JSON
        self.gateway = gateway
        self._record = record
        self._started_at = started_at

    def refusal(self, status: int, message: str) -> Refusal:
        """The answer to a request that could not be parsed, or that broke."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        code = _CODES.get(status, "malformed_request" if status < 500 else "internal_error")
        return Refusal(status, openai.error_body(message, kind, code), _id_header(self.gateway.new_id()))

    def admit(self, request: Request) -> Refusal | None:
        """Path, method and key, before a body is read."""
        path = request.path
        is_chat = path == CHAT
        if not is_chat and not path.startswith(b"/v1/") and path != INSPECT:
            return None
        request.is_fast = True
        refusal = None if is_chat and request.method == b"POST" else self._misdirected(request)
        if refusal is None:
            try:
                request.context = self.gateway.access.identify(request.headers)
                if not is_chat and path.startswith(KNOWLEDGE):
                    request.is_fast = False
                    if path == FILES and request.method == b"POST":
                        request.incoming = Incoming()
                return None
            except GreenroomError as error:
                refusal = Refusal(*_shown(error))
        return refusal._replace(headers=_id_header(self.gateway.new_id()) + refusal.headers)

    def _misdirected(self, request: Request) -> Refusal | None:
        path = request.path
        if path.startswith(KNOWLEDGE):
            return None  # the ASGI app knows these
        wanted = b"POST" if path in _POSTED else b"GET"
        if path != MODELS and path not in _POSTED and not path.startswith(MODELS + b"/"):
            message = f"There is no route {path.decode('latin-1')[:100]}."
            return Refusal(404, openai.error_body(message, "invalid_request_error", "not_found"))
        if request.method != wanted and not (wanted == b"GET" and request.method == b"HEAD"):
            message = f"This route takes {wanted.decode()} only."
            body = openai.error_body(message, "invalid_request_error", "method_not_allowed")
            return Refusal(405, body, b"allow: %b\r\n" % wanted)
        return None

    async def answer(self, request: Request, out: HttpProtocol) -> None:
        """One request whose key is known."""
        began = perf_counter_ns()
        key = request.context
        assert isinstance(key, Key)
        gateway = self.gateway
        id = gateway.new_id()
        try:
            if request.path == CHAT:
                exchange, app = gateway.open(id, key.caller, request.body, request.headers)
                grant = gateway.access.admit(key)
                if exchange.request.stream:
                    await self._stream(exchange, app, grant, out, began)
                else:
                    body = await gateway.whole(exchange, app, grant, began)
                    out.respond_fine(body, _answer_headers(exchange))
            elif request.path == EMBEDDINGS:
                exchange, wanted, embedder = gateway.open_embeddings(
                    id, key.caller, request.body, request.headers
                )
                grant = gateway.access.admit(key)
                body = await gateway.embed(exchange, wanted, embedder, grant, began)
                out.respond_fine(body, _answer_headers(exchange))
            elif request.path == INSPECT:
                await self._inspect(id, key, request, out)
            elif request.path == MODERATIONS:
                await self._moderate(id, key, request, out)
            else:
                out.respond(200, self._models(request.path, key), _id_header(id))
        except GreenroomError as error:
            if out.started:
                raise
            status, body, headers = _shown(error)
            out.respond(status, body, _id_header(id) + headers)

    async def _stream(
        self, exchange: Exchange, app: App, grant: Grant, out: HttpProtocol, began: int
    ) -> None:
        beat = _Beat(out, exchange)
        stream = None
        try:
            stream = await self.gateway.begin_stream(exchange, app, grant, began)
            beat.stop()
            if not out.started:
                out.begin(_id_header(exchange.id) + _dropped_header(exchange))
            await stream.run(out)
            out.end()
        except asyncio.CancelledError:
            if out.is_cut and out.started:
                message = openai.error_body("The server is shutting down.", "server_error", "shutting_down")
                out.raw(b"%x\r\ndata: %b\n\n\r\n" % (len(message) + 8, message))
                out.end()
            raise
        except GreenroomError as error:
            if not out.started:
                raise
            _, kind, code, param = openai.error_of(error)
            out.send(b"data: " + openai.error_body(str(error), kind, code, param) + b"\n\n")
            out.end()
        finally:
            beat.stop()
            if stream is not None:
                stream.finish()

    async def _inspect(self, id: str, key: Key, request: Request, out: HttpProtocol) -> None:
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
            grant.release(0, 0)
        out.respond(200, openai.encode(self._record(exchange)), _id_header(id))

    async def _moderate(self, id: str, key: Key, request: Request, out: HttpProtocol) -> None:
        asked = moderation.parse(request.body)
        grant = self.gateway.access.admit(key)
        try:
            body = await moderate(self.gateway, id, key.caller, asked, request.headers)
        finally:
            grant.release(0, 0)
        out.respond(200, openai.encode(body), _id_header(id))

    def _models(self, path: bytes, key: Key) -> bytes:
        names = [
            name for name in self.gateway.rooms.names() if not key.caller.apps or name in key.caller.apps
        ]
        if path == MODELS:
            return openai.encode({"object": "list", "data": [self._model(name) for name in names]})
        name = unquote(path[len(MODELS) + 1 :].decode("latin-1"))
        if name not in names:
            raise ModelNotFound(f"No app or model goes by '{name[:100]}'.", "model")
        return openai.encode(self._model(name))

    def _model(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._started_at, "owned_by": "greenroom"}


class _Beat:
    """After ten seconds without content, sends the head and then comments, so that nobody hangs up."""

    def __init__(self, out: HttpProtocol, exchange: Exchange) -> None:
        self._out = out
        self._exchange = exchange
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(KEEP_ALIVE_S, self._tick)

    def _tick(self) -> None:
        if not self._out.started:
            self._out.begin(_id_header(self._exchange.id))
        self._out.raw(b"6\r\n: ka\n\n\r\n")
        self._timer = self._loop.call_later(KEEP_ALIVE_S, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _id_header(id: str) -> bytes:
    return b"x-request-id: %b\r\n" % id.encode()


def _dropped_header(exchange: Exchange) -> bytes:
    dropped = exchange.context.get("dropped")
    if not isinstance(dropped, list):
        return b""
    return b"x-greenroom-dropped: %b\r\n" % ", ".join(dropped).encode("ascii", "replace")


_MS = tuple(b"%d.%03d" % divmod(microseconds, 1000) for microseconds in range(4096))
"""Short times as they are written: what a step takes is among them."""


def _ms(ns: int) -> bytes:
    """Milliseconds with three decimals."""
    microseconds = ns // 1000
    return _MS[microseconds] if 0 <= microseconds < 4096 else b"%d.%03d" % divmod(microseconds, 1000)


def _stage_times(exchange: Exchange) -> bytes:
    before = ground = check = behind = 0
    for record in exchange.steps:
        stage = record.stage
        if stage == "postprocess":
            behind += record.ns
        elif stage == "check":
            check += record.ns
        elif stage == "preprocess":
            before += record.ns
        else:
            ground += record.ns
    try:
        times = (_MS[before // 1000], _MS[ground // 1000], _MS[check // 1000], _MS[behind // 1000])
    except IndexError:
        times = (_ms(before), _ms(ground), _ms(check), _ms(behind))
    return b"pre;dur=%b, ground;dur=%b, check;dur=%b, post;dur=%b, " % times


def _answer_headers(exchange: Exchange) -> bytes:
    """What every whole answer says of itself."""
    cost = exchange.cost_usd
    model_ns = exchange.model_ns
    head = (
        b"x-request-id: %b\r\nx-greenroom-model: %b\r\n%bx-greenroom-cache: %b\r\n"
        b"server-timing: %bmodel;dur=%b, overhead;dur=%b\r\n"
    ) % (
        exchange.id.encode(),
        (exchange.target or exchange.app).encode("latin-1", "replace"),
        b"" if cost is None else b"x-greenroom-cost-usd: %b\r\n" % cost.encode(),
        b"miss" if exchange.outcome != "cached" else str(exchange.context["cache"]).encode(),
        _stage_times(exchange) if exchange.steps else b"",
        _ms(model_ns),
        _ms(exchange.total_ns - model_ns),
    )
    return head + _dropped_header(exchange) if "dropped" in exchange.context else head


def _shown(error: GreenroomError) -> tuple[int, bytes, bytes]:
    """Status, body and headers that an error shows to a client."""
    status, kind, code, param = openai.error_of(error)
    headers = b""
    if isinstance(error, BudgetExceeded):
        headers = b"x-should-retry: false\r\n"
    elif isinstance(error, (QuotaExceeded, Overloaded)):
        headers = b"retry-after: %d\r\nretry-after-ms: %d\r\n" % (
            int(error.retry_after_s) + 1,
            int(error.retry_after_s * 1000),
        )
    elif isinstance(error, UpstreamError) and error.retry_after_s is not None:
        headers = b"retry-after: %d\r\n" % (int(error.retry_after_s) + 1)
    return status, openai.error_body(str(error), kind, code, param), headers
