"""The fast routes: `/v1/chat/completions`, `/v1/models` and `/api/inspect`, without ASGI.

Reads the head, asks the gateway, writes the answer. Knows HTTP and the dialect; no step, no provider.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any
from urllib.parse import unquote

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.errors import (
    GreenroomError,
    MalformedRequest,
    ModelNotFound,
    Overloaded,
    QuotaExceeded,
    UpstreamError,
)
from greenroom.exchange import Exchange
from greenroom.gateway.access import BudgetExceeded, Grant, Key
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.pipeline import App
from greenroom.server.protocol import HttpProtocol, Refusal, Request
from greenroom.wire import openai

CHAT = b"/v1/chat/completions"
MODELS = b"/v1/models"
INSPECT = b"/api/inspect"
KEEP_ALIVE_S = 10.0


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

    def takes(self, path: bytes) -> bool:
        """Everything under `/v1/`, and inspection."""
        return path.startswith(b"/v1/") or path == INSPECT

    def refusal(self, status: int, message: str) -> Refusal:
        """The answer to a request that could not be parsed, or that broke."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        code = "malformed_request" if status < 500 else "internal_error"
        return Refusal(status, openai.error_body(message, kind, code), _id_header(self.gateway.new_id()))

    def admit(self, request: Request) -> Refusal | None:
        """Method and key, before a body is read."""
        refusal = self._look(request)
        if refusal is None:
            return None
        return refusal._replace(headers=_id_header(self.gateway.new_id()) + refusal.headers)

    def _look(self, request: Request) -> Refusal | None:
        path = request.path
        wanted = b"POST" if path in {CHAT, INSPECT} else b"GET"
        if path not in {CHAT, INSPECT, MODELS} and not path.startswith(MODELS + b"/"):
            message = f"There is no route {path.decode('latin-1')[:100]}."
            return Refusal(404, openai.error_body(message, "invalid_request_error", "not_found"))
        if request.method != wanted and not (wanted == b"GET" and request.method == b"HEAD"):
            message = f"This route takes {wanted.decode()} only."
            body = openai.error_body(message, "invalid_request_error", "method_not_allowed")
            return Refusal(405, body, b"allow: %b\r\n" % wanted)
        try:
            request.context = self.gateway.access.identify(request.headers)
        except GreenroomError as error:
            return Refusal(*_shown(error))
        return None

    async def answer(self, request: Request, out: HttpProtocol) -> None:
        """One request whose key is known."""
        began = perf_counter_ns()
        key = request.context
        assert isinstance(key, Key)
        id = self.gateway.new_id()
        try:
            if request.path == CHAT:
                await self._chat(id, key, request, out, began)
            elif request.path == INSPECT:
                await self._inspect(id, key, request, out)
            else:
                out.respond(200, self._models(request.path, key), _id_header(id))
        except GreenroomError as error:
            if out.started:
                raise
            status, body, headers = _shown(error)
            out.respond(status, body, _id_header(id) + headers)

    async def _chat(self, id: str, key: Key, request: Request, out: HttpProtocol, began: int) -> None:
        gateway = self.gateway
        exchange, app = gateway.open(id, key.caller, request.body, request.headers)
        grant = gateway.access.admit(key)
        if exchange.request.stream:
            await self._stream(exchange, app, grant, out, began)
            return
        body = await gateway.whole(exchange, app, grant, began)
        out.respond(200, body, _answer_headers(exchange))

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
        except ValidationError as error:
            raise MalformedRequest(f"{error}.") from None
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedRequest(f"The body is not valid JSON: {error}.") from None
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


def _answer_headers(exchange: Exchange) -> bytes:
    """What every whole answer says of itself."""
    spent = {"preprocess": 0, "ground": 0, "check": 0, "postprocess": 0}
    for record in exchange.steps:
        spent[record.stage] += record.ns
    model_ns = exchange.model_ns
    cost = exchange.cost_usd
    cost_line = f"x-greenroom-cost-usd: {cost}\r\n" if cost is not None else ""
    return (
        f"x-request-id: {exchange.id}\r\nx-greenroom-model: {exchange.target or exchange.app}\r\n"
        f"{cost_line}x-greenroom-cache: miss\r\n"
        f"server-timing: pre;dur={spent['preprocess'] / 1e6:.3f}, ground;dur={spent['ground'] / 1e6:.3f}, "
        f"check;dur={spent['check'] / 1e6:.3f}, model;dur={model_ns / 1e6:.3f}, "
        f"post;dur={spent['postprocess'] / 1e6:.3f}, "
        f"overhead;dur={(exchange.total_ns - model_ns) / 1e6:.3f}\r\n"
    ).encode("latin-1", "replace") + _dropped_header(exchange)


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
