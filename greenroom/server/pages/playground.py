"""The playground: one question to up to four models or versions of a prompt, side by side.

Answers come as streams where the browser has scripts, and whole where it has none. Asking is for admins and
operators; each column is a request of the key that is signed in.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, GreenroomError, MalformedRequest
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.event_stream import EventStream, Tape
from greenroom.server.pages.prompt_editor import read_values
from greenroom.server.pages.prompts import address_of
from greenroom.server.pages.rendering import json_answer
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
MOST_COLUMNS = 4
_LONGEST = 100_000
_NOT_YOURS = "This key may look, but not ask. Sign in with an admin or operator key."


class Column(Struct, frozen=True):
    """Who is asked, and with which prompt."""

    model: str
    prompt: str = ""
    """A version, as `name@3` or `name@label`; empty for none, or the app's own."""
    system: str = ""
    """Words for the system, in the place of the version's own; empty for these."""
    question: str = ""
    values: Json = {}
    settings: Json = {}
    """Fields of the request: temperature, max_tokens."""


class Playing(Protocol):
    """What the playground asks; all but `play` runs in worker threads. Raises: GreenroomError."""

    def choices(self, key: str) -> Json:
        """`models` (apps first) and `prompts` (name, newest, labels)."""
        ...

    def prompt(self, reference: str) -> Json:
        """A version's `reference`, `system` and `variables` with their defaults."""
        ...

    def input_of(self, id: str) -> Json:
        """What an exchange asked: `question`, `values`, `model`, `prompt`."""
        ...

    async def play(self, key: str, column: Column, tape: Tape) -> None:
        """Have a column answered onto a tape, as events."""
        ...

    def save(self, key: str, column: Column, name: str, address: str) -> str:
        """Store a column's prompt as the next version; its reference."""
        ...

    def keep(self, key: str, id: str, name: str, expected: str, address: str) -> Json:
        """Put what an exchange asked into a data set; its name, version and rows."""
        ...


class Answered(NamedTuple):
    """What a column came to, for a page without scripts."""

    text: str
    trouble: str
    facts: Json


class Playground:
    """`/playground`, what its columns ask, and its twin."""

    def __init__(self, playing: Playing) -> None:
        self._playing = playing
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/playground", doors.page(self._show), methods=["GET", "POST"]),
            Route("/playground.json", doors.twin(self._show_json)),
            Route("/playground/prompt.json", doors.twin(self._prompt_json)),
            Route("/playground/run", doors.twin(self._run), methods=["POST"]),
            Route("/playground/save", doors.twin(self._save), methods=["POST"]),
            Route("/playground/keep", doors.twin(self._keep), methods=["POST"]),
        ]

    async def _show(self, request: Request, session: Session) -> Response:
        if request.method != "POST":
            columns = await run_in_threadpool(self._begun, request, session)
            return await run_in_threadpool(self._page, session, columns, [])
        form = await self._doors.posted(request, session)
        _check_may_ask(session)
        count = min(MOST_COLUMNS, max(1, sum(f"model-{place}" in form for place in range(MOST_COLUMNS))))
        columns = [Column(form.get(f"model-{at}", "")) for at in range(count)]
        try:
            columns = [read_column(form, at) for at in range(count)]
            answers = await asyncio.gather(*(self._whole(session.key, one) for one in columns))
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, columns, [], str(error), error.status)
        return await run_in_threadpool(self._page, session, columns, answers)

    def _show_json(self, request: Request, session: Session) -> Response:
        return json_answer(self._playing.choices(session.key))

    def _prompt_json(self, request: Request, session: Session) -> Response:
        reference = request.query_params.get("reference", "")
        return json_answer(self._playing.prompt(reference))

    async def _run(self, request: Request, session: Session) -> Response:
        column = read_column(await self._asked(request, session))
        return EventStream(lambda tape: self._playing.play(session.key, column, tape))

    async def _save(self, request: Request, session: Session) -> Response:
        form = await self._asked(request, session)
        column, name, client = read_column(form), form.get("name", "").strip(), client_address(request)
        saved = await run_in_threadpool(self._playing.save, session.key, column, name, client)
        stored, _, number = saved.partition("@")
        return json_answer({"reference": saved, "address": address_of(stored, number)})

    async def _keep(self, request: Request, session: Session) -> Response:
        form = await self._asked(request, session)
        name, id, expected = form.get("name", "").strip(), form.get("id", ""), form.get("expected", "")
        client = client_address(request)
        return json_answer(
            await run_in_threadpool(self._playing.keep, session.key, id, name, expected, client)
        )

    async def _asked(self, request: Request, session: Session) -> dict[str, str]:
        form = await self._doors.posted(request, session)
        _check_may_ask(session)
        return form

    async def _whole(self, key: str, column: Column) -> Answered:
        tape = Tape()
        pieces = []

        async def fill() -> None:
            try:
                await self._playing.play(key, column, tape)
            finally:
                tape.end()

        async with asyncio.TaskGroup() as group:
            group.create_task(fill())
            while piece := await tape.take():
                pieces.append(piece)
        return read_answer(b"".join(pieces))

    def _begun(self, request: Request, session: Session) -> list[Column]:
        """The columns that the address names, or one of the default app."""
        query = request.query_params
        question, values, model, prompt = query.get("question", "")[:_LONGEST], Json(), "", ""
        if query.get("trace"):
            past = self._playing.input_of(query["trace"])
            question, values = past["question"], past["values"]
            model, prompt = past["model"], past["prompt"]
        named = [one.partition("|")[::2] for one in query.getlist("column")[:MOST_COLUMNS]]
        named = named or [(model, one) for one in query.getlist("prompt")[:MOST_COLUMNS]] or [(model, prompt)]
        for _, reference in named:
            if reference and not values:
                values = self._playing.prompt(reference)["variables"]
        first = next(iter(self._playing.choices(session.key)["models"]), "")
        return [Column(model or first, prompt, "", question, values) for model, prompt in named]

    def _page(
        self,
        session: Session,
        columns: list[Column],
        answers: list[Answered],
        trouble: str = "",
        status: int = 200,
    ) -> Response:
        choices = self._playing.choices(session.key)
        first = columns[0]
        return self._doors.render.html(
            "playground.html",
            status=status,
            session=session,
            choices=choices,
            references=_references(choices),
            columns=columns,
            answers=[*answers, *[None] * (MOST_COLUMNS - len(answers))],
            most=MOST_COLUMNS,
            question=first.question,
            values=json.dumps(first.values, ensure_ascii=False, indent=2) if first.values else "",
            settings=first.settings,
            trouble=trouble,
            here_address="/playground?"
            + urlencode([("column", f"{one.model}|{one.prompt}") for one in columns]),
        )


def read_column(form: Mapping[str, str], place: int | None = None) -> Column:
    """One column as it was sent: its own fields end in its place, where there are several.

    Raises: MalformedRequest naming the field.
    """
    end = "" if place is None else f"-{place}"
    question = form.get("question", "").replace("\r\n", "\n").strip()
    if len(question) > _LONGEST:
        raise MalformedRequest(
            f"This is longer than {_LONGEST:,} characters; use the API for it.", "question"
        )
    settings: Json = {}
    for name, kind in (("temperature", float), ("max_tokens", int)):
        said = form.get(name, "").strip()
        if said:
            try:
                settings[name] = kind(said)
            except ValueError:
                raise MalformedRequest(f"'{name}' must be a number.", name) from None
    column = Column(
        form.get(f"model{end}", "").strip(),
        form.get(f"prompt{end}", "").strip(),
        form.get(f"system{end}", "").replace("\r\n", "\n"),
        question,
        read_values(form.get("values", "")),
        settings,
    )
    if not column.model:
        raise MalformedRequest("Choose whom to ask.", "model")
    return column


def read_answer(stream: bytes) -> Answered:
    """What the events of a column amount to."""
    trouble, facts = "", Json()
    for event in stream.decode("utf-8", "replace").split("\n\n"):
        name, _, data = event.partition("\ndata: ")
        if name == "event: failed":
            trouble = json.loads(data)["message"]
        elif name == "event: done":
            facts = json.loads(data)
        elif event.startswith('data: {"error"'):
            trouble = json.loads(event[6:])["error"]["message"]
    return Answered(facts.get("text", ""), trouble, facts)


def _references(choices: Json) -> list[tuple[str, list[str]]]:
    """Each prompt, with what may stand behind its name: its labels, and its newest versions."""
    found = []
    for one in choices["prompts"]:
        newest = range(one["newest"], max(0, one["newest"] - 8), -1)
        found.append((one["name"], [f"{one['name']}@{each}" for each in (*one["labels"], *newest)]))
    return found


def _check_may_ask(session: Session) -> None:
    if not session.may_write:
        raise Forbidden(_NOT_YOURS)
