"""The gateway: an exchange in, its answer out, and its record kept. What every face calls.

Knows access, rooms, pipeline, relay and recorder; no sockets and no HTTP.
"""

import re
from collections.abc import Mapping
from random import Random, SystemRandom
from time import perf_counter_ns, time_ns

from greenroom.contracts import Sink
from greenroom.errors import ContentRefused, MalformedRequest, Overloaded, RequestError
from greenroom.exchange import Caller, ChatRequest, Exchange, Reply
from greenroom.gateway import again, pipeline
from greenroom.gateway.access import Access, Grant, may_use
from greenroom.gateway.figures import ModelFigures
from greenroom.gateway.pipeline import App
from greenroom.gateway.relay import Outlet, Relay
from greenroom.gateway.rooms import Embedder, Rooms
from greenroom.gateway.settling import settle_unanswered
from greenroom.store.by_prompt import PROMPT_TAG
from greenroom.store.observations import TAG
from greenroom.usage import Usage
from greenroom.wire import openai, openai_request, tracecontext
from greenroom.wire.openai_embeddings import EmbeddingRequest, parse_embeddings, summary

EMBEDDINGS = "embeddings"
"""What stands for the app in records of requests for vectors, which no app answers."""
BEGUN = "begun"
"""Where an exchange's context says that the head of its answer has left: what fails then is said in-band."""
_GIVEN = frozenset({"answered", "cached"})
_LEFT = frozenset({"open", "cancelled"})
_NAME = re.compile(r"[\w.@:+/ -]{1,128}\Z")


class Gateway:
    """Runs exchanges. One per process."""

    def __init__(self, access: Access, rooms: Rooms, sink: Sink, in_flight: int = 1024) -> None:
        self.access = access
        self.rooms = rooms
        self.at_work = 0
        self._sink = sink
        self._in_flight = in_flight
        self._random = Random(SystemRandom().getrandbits(128))  # noqa: S311  # ids differ; they guard nothing
        self.counts: dict[tuple[str, str], int] = {}
        """Finished exchanges by (app, outcome), for metrics."""
        self.figures = ModelFigures()

    def new_id(self) -> str:
        """32 hex digits that sort by time."""
        return (time_ns() // 1_000_000 << 80 | self._random.getrandbits(80)).to_bytes(16, "big").hex()

    def open(
        self, id: str, caller: Caller, body: bytes, headers: Mapping[bytes, bytes]
    ) -> tuple[Exchange, App]:
        """Read a chat body and find its app. Raises RequestError; nothing is kept yet."""
        if self.at_work >= self._in_flight:
            raise Overloaded("Too many requests are at work here. Try again in a second.")
        request = openai_request.parse_head(body)
        named = headers.get(b"x-greenroom-app")
        name = named.decode("latin-1") if named else request.model
        may_use(caller, name)
        app = self.rooms.find(name, caller)
        exchange = Exchange(id, caller, request, app.name)
        exchange.why = app.why
        if app.keep is not None and b"cache-control" in headers:
            exchange.context["cache.control"] = headers[b"cache-control"].decode("latin-1").strip().lower()
        _read_facts(exchange, headers)
        if caller.pipeline_off and not app.pipeline_off:
            app = app._replace(steps=(), post=(), pipeline_off=True, trial=None, shadow=None)
        if request.prompt and not app.is_prompted:
            app = self.rooms.prompted(app)
        if not app.pipeline_off:
            openai_request.read_messages(request, may_be_none=app.is_prompted)
            if request.has_tools:
                exchange.context["tool_pairs"] = openai_request.tool_pairs(request)
        return exchange, app

    def open_embeddings(
        self, id: str, caller: Caller, body: bytes, headers: Mapping[bytes, bytes]
    ) -> tuple[Exchange, EmbeddingRequest, Embedder]:
        """Read a body of `/v1/embeddings` and find its model. Raises RequestError; nothing is kept yet."""
        if self.at_work >= self._in_flight:
            raise Overloaded("Too many requests are at work here. Try again in a second.")
        request = parse_embeddings(body)
        may_use(caller, request.model)
        embedder = self.rooms.embedder(request.model)
        kept = ChatRequest(summary(request), request.model, user=request.user)
        exchange = Exchange(id, caller, kept, EMBEDDINGS, "embeddings")
        _read_facts(exchange, headers)
        return exchange, request, embedder

    async def embed(
        self,
        exchange: Exchange,
        request: EmbeddingRequest,
        embedder: Embedder,
        grant: Grant,
        began_ns: int,
    ) -> bytes:
        """The body of an answer with vectors. Raises GreenroomError; the record is kept either way."""
        self.at_work += 1
        try:
            self.access.begin(grant, exchange)
            body = await embedder(exchange, request)
            exchange.outcome = "answered"
            return body
        except Exception as error:
            _note_failure(exchange, error)
            raise
        finally:
            self._finish(exchange, None, grant, began_ns)

    async def whole(self, exchange: Exchange, app: App, grant: Grant, began_ns: int) -> bytes:
        """The body of a whole answer. Raises GreenroomError; the record is kept either way."""
        self.at_work += 1
        if app.trial is not None:
            app = app.trial(exchange) or app
        try:
            self.access.begin(grant, exchange)
            reply = await pipeline.prepare(exchange, app)
            if reply is not None:
                return self._refused(exchange, app, reply)
            if app.shadow is not None:
                app.shadow(exchange, grant.key)
            called = perf_counter_ns()
            try:
                reply, error = await again.ask(exchange, app)
            finally:
                answered = perf_counter_ns()
                exchange.model_ns = answered - called
            exchange.first_token_ns = answered - began_ns
            if error is not None:
                again.keep_only(exchange, app, reply)
                raise error
            return pipeline.finish_whole(exchange, app, reply)
        except Exception as error:
            _note_failure(exchange, error)
            raise
        finally:
            self._finish(exchange, app, grant, began_ns)

    async def begin_stream(self, exchange: Exchange, app: App, grant: Grant, began_ns: int) -> "Stream":
        """Prepare, call, and wait for the first content. Raises GreenroomError before any."""
        self.at_work += 1
        if app.trial is not None:
            app = app.trial(exchange) or app
        stream = Stream(self, exchange, app, grant, began_ns)
        try:
            self.access.begin(grant, exchange)
            reply = await pipeline.prepare(exchange, app)
            if reply is not None:
                stream.refusal = self._refused(exchange, app, reply)
            else:
                if app.shadow is not None:
                    app.shadow(exchange, grant.key)
                called = perf_counter_ns()
                reply, error = await again.ask(exchange, app)
                exchange.model_ns = perf_counter_ns() - called
                if error is not None:
                    again.keep_only(exchange, app, reply)
                    raise error
                stream.relay = Relay(exchange, app, reply, began_ns)
        except BaseException as error:
            if isinstance(error, Exception):
                _note_failure(exchange, error)
            stream.finish()
            raise
        return stream

    def _refused(self, exchange: Exchange, app: App, reply: Reply) -> bytes:
        body = pipeline.refuse_request(exchange, reply)
        if app.on_block == "error":
            exchange.status = 400
            raise ContentRefused(reply.refusal or "The request was refused by a check.")
        return body

    async def inspect(self, exchange: Exchange, app: App, reply_text: str | None) -> None:
        """Run the four stages without a model; `reply_text` is post-processed as if a model had said it."""
        exchange.inspect = True
        began = perf_counter_ns()
        refusal = await pipeline.prepare(exchange, app, keep_going=True)
        pipeline.model_of(exchange, app)
        exchange.sent = openai_request.render_chat(exchange.request, dropped=_dropped(exchange))
        exchange.outcome = "refused" if refusal is not None else "answered"
        if reply_text is not None:
            body = openai.completion(
                id=exchange.id,
                created=0,
                model=exchange.asked,
                content=reply_text,
                finish_reason="stop",
                usage=None,
            )
            outcome = exchange.outcome
            pipeline.finish_whole(exchange, app, Reply(body=body, view=openai.decode_completion(body)))
            exchange.outcome = "refused" if outcome == "refused" else exchange.outcome
            exchange.usage = None
        exchange.total_ns = perf_counter_ns() - began

    async def check(self, exchange: Exchange, app: App) -> Reply | None:
        """Run the checks of an app over a text and keep the record; the refusal, if the app would refuse.

        Raises: GreenroomError. Who asks was admitted before, once for all the texts of a request.
        """
        self.at_work += 1
        began_ns = perf_counter_ns()
        try:
            refusal = await pipeline.prepare(exchange, app._replace(steps=app.checks), keep_going=True)
            exchange.usage = Usage()
            exchange.cost_nano_usd = 0
            exchange.outcome = "answered" if refusal is None else "refused"
            exchange.reply_text.append((refusal and refusal.refusal) or "")
            return refusal
        except Exception as error:
            _note_failure(exchange, error)
            raise
        finally:
            self.at_work -= 1
            exchange.total_ns = perf_counter_ns() - began_ns
            self._keep(exchange)

    def _finish(self, exchange: Exchange, app: App | None, grant: Grant, began_ns: int) -> None:
        """Settle, count and record. Exactly once per exchange."""
        self.at_work -= 1
        exchange.total_ns = perf_counter_ns() - began_ns
        if exchange.usage is None:
            settle_unanswered(exchange)
        self.access.end(grant, exchange)
        if app is not None and exchange.outcome in _GIVEN:
            if app.remember is not None:
                app.remember(exchange)
            if app.keep is not None and pipeline.ASKED_AGAIN not in exchange.context:
                app.keep(exchange)
        self._keep(exchange)

    def _keep(self, exchange: Exchange) -> None:
        """Count and record; what nobody ended was left by its caller."""
        if exchange.outcome in _LEFT:
            exchange.outcome = "cancelled"
            exchange.status = 499
        key = (exchange.app, exchange.outcome)
        self.counts[key] = self.counts.get(key, 0) + 1
        self.figures.took(exchange)
        self._sink.put(exchange)


class Stream:
    """One streamed answer: `run()` once, `finish()` always."""

    def __init__(self, gateway: Gateway, exchange: Exchange, app: App, grant: Grant, began_ns: int) -> None:
        self.relay: Relay | None = None
        self.refusal: bytes | None = None
        self._gateway = gateway
        self._exchange = exchange
        self._app = app
        self._grant = grant
        self._began_ns = began_ns
        self._finished = False

    async def run(self, outlet: Outlet) -> None:
        """Send all of it. Raises CancelledError when the client is gone."""
        if self.relay is None:
            outlet.send(self._refusal_frames())
        else:
            await self.relay.run(outlet)

    def _refusal_frames(self) -> bytes:
        exchange = self._exchange
        writer = openai.ChunkWriter(
            f"chatcmpl-{exchange.id}", exchange.created_ns // 1_000_000_000, exchange.asked
        )
        facts = {**pipeline.facts_of(exchange), "id": exchange.id, "outcome": "refused"}
        pieces = [
            writer.delta(0, {"role": "assistant", "content": exchange.reply_text[0]}),
            writer.last(0, {}, "content_filter", openai.encode(facts)),
        ]
        if exchange.request.include_usage and exchange.usage is not None:
            pieces.append(writer.usage(exchange.usage))
        return b"".join(b"data: %b\n\n" % piece for piece in (*pieces, b"[DONE]"))

    def finish(self) -> None:
        """Close what is open and record; safe to call twice."""
        if self._finished:
            return
        self._finished = True
        if self.relay is not None:
            self.relay.close()
        self._gateway._finish(self._exchange, self._app, self._grant, self._began_ns)  # noqa: SLF001 - same module


def _note_failure(exchange: Exchange, error: Exception) -> None:
    status, _, exchange.error, _ = openai.error_of(error)
    if BEGUN not in exchange.context:
        exchange.status = status
    exchange.outcome = "refused" if isinstance(error, RequestError) else "failed"


def _dropped(exchange: Exchange) -> frozenset[int]:
    dropped = exchange.context.get("fit.dropped", frozenset())
    assert isinstance(dropped, frozenset | set)
    return frozenset(dropped)


def _read_facts(exchange: Exchange, headers: Mapping[bytes, bytes]) -> None:
    """Session, user and tags, from headers first, then from the body."""
    request = exchange.request
    session = headers.get(b"x-greenroom-session")
    user = headers.get(b"x-greenroom-user")
    tags = headers.get(b"x-greenroom-tags")
    if session is not None:
        exchange.session = _fact(session, "x-greenroom-session")
    if user is not None:
        exchange.user = _fact(user, "x-greenroom-user")
    elif request.user:
        exchange.user = request.user[:128]
    if request.metadata:
        if exchange.user is None:
            exchange.user = (request.metadata.get("user") or "")[:128] or None
        if exchange.session is None:
            exchange.session = (request.metadata.get("session") or "")[:128] or None
        exchange.tags.update({str(name): str(value) for name, value in request.metadata.items()})
    if tags is not None:
        for pair in tags.decode("utf-8", "replace").split(","):
            name, separator, value = pair.partition("=")
            if not separator or not name.strip():
                raise MalformedRequest("x-greenroom-tags must look like 'k=v,k=v'.", "x-greenroom-tags")
            exchange.tags[name.strip()[:64]] = value.strip()[:512]
    if b"traceparent" in headers:
        exchange.trace = tracecontext.read(headers[b"traceparent"])
    if exchange.tags:
        exchange.tags.pop(TAG, None)  # a client's own would count as one of an experiment's
        exchange.tags.pop(PROMPT_TAG, None)


def _fact(value: bytes, header: str) -> str:
    text = value.decode("utf-8", "replace")
    if not _NAME.match(text):
        raise MalformedRequest(
            f"{header} must be 1 to 128 letters, digits or . _ @ : + / - characters.", header
        )
    return text
