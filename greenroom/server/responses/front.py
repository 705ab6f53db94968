"""`POST /v1/responses`: a body in, the conversation before it found, the answer made and kept."""

import asyncio
import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from greenroom.errors import GreenroomError, MalformedRequest, StoreError
from greenroom.exchange import Caller, Exchange, Surface
from greenroom.gateway.access import Grant
from greenroom.gateway.pipeline import App
from greenroom.gateway.redact import Redactor
from greenroom.server.fronts import COMMENT, OPENAI, Envelope, Events, Follow, Translated
from greenroom.server.head import Request
from greenroom.server.responses.background import Background, Followed, Live
from greenroom.server.responses.desk import STOPPED, Before, Desk
from greenroom.server.responses.masking import KEPT, hidden, redactor_of
from greenroom.stages.ground.documents import Placed
from greenroom.store.material import pseudonym
from greenroom.store.responses import Kept
from greenroom.wire import openai
from greenroom.wire.responses_answer import begun, whole_answer
from greenroom.wire.responses_chat import chat_body, echo, wants_search
from greenroom.wire.responses_draft import Draft
from greenroom.wire.responses_items import FOREIGN, Item, ItemIds
from greenroom.wire.responses_request import ResponsesRequest, read_request
from greenroom.wire.responses_stream import ResponseStream
from greenroom.wire.responses_talk import to_messages
from greenroom.wire.source import Source

log = logging.getLogger("greenroom.responses")

RESULTS = "file_search_call.results"


class ResponsesFront:
    """The dialect in front of the pipeline. Shared by all requests."""

    surface: Surface = "responses"
    envelope: Envelope = OPENAI

    def __init__(self, desk: Desk, background: Background) -> None:
        self._desk = desk
        self._background = background

    async def read(self, request: Request, caller: Caller) -> "ResponsesTurn":
        """Read a body and what it builds on. Raises RequestError naming the field."""
        base = self._desk.gateway.new_id()
        ids = ItemIds(base)
        body = read_request(request.body, ids)
        is_kept = body.store and self._desk.capture != "off"
        if is_kept and not self._desk.file.is_roomy(caller.project):
            await asyncio.to_thread(self._desk.file.check_room, caller.project)
        if body.background:
            self._desk.check_keeping()
            self._background.check_room()
        before = await self._desk.before(caller, body)
        header = request.headers.get(b"x-greenroom-session")
        session = header.decode("utf-8", "replace") if header else before.session
        turn = ResponsesTurn(
            self._desk, self._background, f"resp_{base}", ids, body, before, caller,
            session=session or (f"resp_{base}" if is_kept else None), has_session=header is not None,
            is_kept=is_kept,
        )  # fmt: skip
        await turn.hide_foreign()
        return turn


class ResponsesTurn:
    """One request, and the way back of its answer."""

    def __init__(
        self,
        desk: Desk,
        background: Background,
        id: str,
        ids: ItemIds,
        request: ResponsesRequest,
        before: Before,
        caller: Caller,
        *,
        session: str | None,
        has_session: bool,
        is_kept: bool,
    ) -> None:
        self.is_background = request.background
        self._desk = desk
        self._background = background
        self._id = id
        self._request = request
        self._before = before
        self._caller = caller
        self._session = session
        self._has_session = has_session
        self._is_kept = is_kept
        self._created_at = int(time.time())
        # Resolved above: no reference is left.
        self._input: list[Item] = [one for one in request.items if isinstance(one, dict)]
        talk = to_messages([*before.items, *self._input], before.files)
        streams = request.stream or request.background
        self.chat = chat_body(request, talk.messages, stream=streams)
        self.dropped = [*request.dropped, *talk.dropped]
        repeated: dict[str, Any] = {**echo(request), "store": is_kept}  # Any: JSON
        self._draft = Draft(begun(id, self._created_at, repeated), ids, tells=streams)
        self._events: _TurnEvents | None = None

    async def hide_foreign(self) -> None:
        """Put masks into items that no model sees, and so no check."""
        foreign = [one for one in self._input if one["type"] in FOREIGN]
        if foreign and self._is_kept:
            masked = iter(await self._desk.hide(self._caller, foreign, self._session or self._id))
            self._input = [next(masked) if one["type"] in FOREIGN else one for one in self._input]

    def begin(self, exchange: Exchange, app: App) -> App:
        """Session, tags and the search that was asked for. Raises MalformedRequest where the app has none."""
        exchange.tags = {**self._request.metadata, **exchange.tags}  # headers first, as everywhere
        if exchange.session is None:
            exchange.session = self._session
        search = self._before.search
        if search is not None:
            if not any(entry.step.name == "documents" for entry in app.steps):
                raise MalformedRequest(
                    f"'file_search' needs the step 'documents', which the app '{app.name}' does not have.",
                    "tools",
                )
            if wants_search(self._request):
                exchange.context["file_search"] = search
        # What was said is kept with the response, and goes when that is deleted.
        keeps_elsewhere = self._has_session or exchange.user is not None
        return app if keeps_elsewhere else app._replace(remember=None)

    # whole

    async def whole(self, exchange: Exchange, body: bytes) -> bytes:
        """The response that a whole chat answer stands for, kept."""
        found = whole_answer(
            self._draft, body, int(time.time()), searched=self._searched(exchange),
            is_refusal=_is_refusal(exchange),
        )  # fmt: skip
        self._keep(exchange)
        if self._is_kept:
            try:
                await asyncio.to_thread(self._desk.file.flush)
            except StoreError as error:  # it is paid for, and written when that is possible again
                log.error("response not stored yet", extra={"error": str(error)})  # noqa: TRY400  # no stack wanted
        return openai.encode(found)

    def _searched(self, exchange: Exchange) -> list[Item]:
        """The search that was done, as an item of the answer."""
        if "file_search" not in exchange.context or not wants_search(self._request):
            return []
        queries = [
            record.notes["query"] for record in exchange.steps
            if record.step == "documents" and "query" in record.notes
        ]  # fmt: skip
        call: Item = {"type": "file_search_call", "status": "completed", "queries": queries}
        if self._request.includes(RESULTS):
            call["results"] = _results(exchange)
        return [call]

    # streams

    def events(self, exchange: Exchange) -> Events:
        """What writes the stream."""
        self._events = _TurnEvents(self, exchange, ResponseStream(self._draft))
        return self._events

    def end(self, exchange: Exchange) -> None:
        """A client that left cancelled what was said so far."""
        events = self._events
        if events is not None and events.has_begun and not self._draft.has_ended:
            events.stream.cancel()
            self._keep(exchange)

    # in the background

    async def leave(self, exchange: Exchange, app: App, grant: Grant, began_ns: int) -> bytes | Follow:
        """Start it: the queued response, or what follows its events."""
        stream = ResponseStream(self._draft, queued=True)
        events = _TurnEvents(self, exchange, stream)
        work = partial(self._work, exchange, app, grant, began_ns, events)

        def cut_off() -> bytes:
            if not self._draft.has_ended:
                if not events.is_at_work:
                    grant.release(0)
                if live.is_cancelled:
                    stream.cancel()
                else:
                    stream.fail(STOPPED["message"], "server_error", "server_stopped")
                self._keep(exchange, is_update=True)
            return stream.events()

        def snapshot() -> Item:
            response = self._draft.response
            is_waiting = not events.is_at_work and not self._draft.has_ended
            return {**response, "status": "queued"} if is_waiting else response

        live = Live(work, cut_off, snapshot)
        queued = {**self._draft.response, "status": "queued"}
        self._desk.responses.keep(self._kept(exchange, queued, "queued", is_update=False))
        try:
            await asyncio.to_thread(self._desk.file.flush)
        except BaseException:  # the client is gone, or nothing can be written: nobody would find it
            live.is_cancelled = True
            cut_off()
            raise
        live.add(stream.events())
        self._background.start(self._id, live)
        return Followed(live) if self._request.stream else openai.encode(queued)

    async def _work(
        self,
        exchange: Exchange,
        app: App,
        grant: Grant,
        began_ns: int,
        events: "_TurnEvents",
        live: Live,
    ) -> None:
        events.is_at_work = True
        self._desk.responses.begin(self._id)
        events.stream.work()
        live.add(events.stream.events())
        running = None
        try:
            running = await self._desk.gateway.begin_stream(exchange, app, grant, began_ns)
            await running.run(Translated(_Sink(live), events))
        except GreenroomError as error:
            _, kind, code, param = openai.error_of(error)
            live.add(events.feed(openai.error_body(str(error), kind, code, param)))
        finally:
            if running is not None:
                running.finish()

    # keeping

    def keep_ended(self, exchange: Exchange) -> None:
        """Keep the whole of it."""
        self._keep(exchange, is_update=self.is_background)

    def _keep(self, exchange: Exchange, *, is_update: bool = False) -> None:
        if self._is_kept:
            response = self._draft.response
            kept = self._kept(exchange, response, response["status"], is_update=is_update)
            self._desk.responses.keep(kept)

    def _kept(self, exchange: Exchange, response: Item, status: str, *, is_update: bool) -> Kept:
        redactor = redactor_of(exchange) if self._desk.capture == "redacted" else None
        output = [_with_results(item, exchange) for item in response["output"]]
        body = {name: value for name, value in response.items() if name != "output"}
        was_looked_over = _was_looked_over(exchange)
        if not was_looked_over:
            body["instructions"] = None
        return Kept(
            id=self._id,
            project=self._caller.project,
            key=self._caller.key_id,
            session=exchange.session or self._id,
            status=status,
            created_at=self._created_at,
            body=body if redactor is None else redactor.walk(body, KEPT),
            output=hidden(redactor, output),
            input=hidden(redactor, self._input) if was_looked_over else [],
            user=_user(exchange.user, redactor),
            conversation=self._request.conversation,
            previous=self._request.previous,
            queued=self.is_background,
            cuts=self._draft.cuts,
            is_update=is_update,
        )


class _TurnEvents:
    """`Events` of one turn: chat pieces in, the dialect's events out, the response kept at the end."""

    keep_alive = COMMENT

    def __init__(self, turn: ResponsesTurn, exchange: Exchange, stream: ResponseStream) -> None:
        self.stream = stream
        self.has_begun = False
        self.is_at_work = False
        self._turn = turn
        self._exchange = exchange

    def feed(self, payload: bytes) -> bytes:
        """The events of one piece."""
        stream, exchange = self.stream, self._exchange
        if not self.has_begun:
            self.has_begun = True
            stream.searched(self._turn._searched(exchange))  # noqa: SLF001  # same module
        if payload == b"[DONE]":
            stream.end(int(time.time()), is_refusal=_is_refusal(exchange))
        elif stream.draft.has_ended:
            return b""
        else:
            stream.take(payload)
        if stream.draft.has_ended:
            self._turn.keep_ended(exchange)
        return stream.events()


class _Sink:
    """An outlet into a live response: never full."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def send(self, data: bytes) -> None:
        self._live.add(data)

    async def drained(self) -> None:
        return

    def writer(self) -> Any:  # Any: never asked for behind `Translated`
        return self.send

    def throttle(self, source: Source | None) -> None:
        return


def _is_refusal(exchange: Exchange) -> bool:
    """Whether a check answered, and no model was asked."""
    return exchange.outcome == "refused" and not exchange.attempts


def _was_looked_over(exchange: Exchange) -> bool:
    """Whether the checks have seen what was asked; before that it is not known what must be masked."""
    return bool(exchange.attempts) or exchange.finish_reason is not None


def _results(exchange: Exchange) -> list[Item]:
    """What a search found, as far as the model was shown it."""
    placed = exchange.context.get("documents")
    files: Mapping[str, str] = placed.files if isinstance(placed, Placed) else {}
    return [
        {
            "file_id": files.get(one.id, ""), "filename": one.document, "score": one.score, "text": one.text,
            "attributes": None,
        }
        for one in exchange.passages
    ]  # fmt: skip


def _with_results(item: Item, exchange: Exchange) -> Item:
    if item["type"] != "file_search_call" or "results" in item:
        return item
    return {**item, "results": _results(exchange)}


def _user(user: str | None, redactor: Redactor | None) -> str | None:
    """Whose it is, by a pseudonym where the name itself is personal data."""
    if user is None or redactor is None or redactor.text(user) == user:
        return user
    return pseudonym(user)
