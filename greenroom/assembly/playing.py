"""The playground: questions of who is signed in, asked as any client's are, and what is made of answers.

Each column is a request of the person's own key: its project, limits and budgets hold, and it is recorded.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

from msgspec.json import encode
from msgspec.structs import replace

from greenroom.assembly.audit import Audit
from greenroom.assembly.house import House
from greenroom.assembly.promptpages import PromptPagesDesk
from greenroom.errors import Forbidden, GreenroomError, NotFound, PromptInvalid, QuotaExceeded
from greenroom.exchange import Exchange, StepRecord
from greenroom.gateway.access import may_use
from greenroom.gateway.keys import Key
from greenroom.gateway.pipeline import App
from greenroom.gateway.relay import Outlet
from greenroom.prompts.compile import compile_prompt
from greenroom.prompts.ready import Ready
from greenroom.prompts.version import Message, PromptVersion, parse_reference
from greenroom.server.pages.access import seen
from greenroom.server.pages.event_stream import Tape
from greenroom.server.pages.playground import Column
from greenroom.stages.preprocess.template import PINNED

Record = dict[str, Any]  # Any: JSON
MOST_OF_ONE = 4
"""Columns that one person has answered at a time."""
MOST_AT_WORK = 16
"""Columns of all people that one process has answered at a time."""
TAG = "playground"
_SYSTEM = frozenset({"system", "developer"})
_NO_STORE = {b"cache-control": b"no-store"}
"""An answer that was given before says nothing of this model's time and cost."""


class PlayDesk:
    """Answers `Playing` of the pages."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._prompts = PromptPagesDesk(house)
        self._at_work: Counter[str] = Counter()

    def choices(self, key: str) -> Record:
        """Whom the person may ask, and with which prompts."""
        caller = self._key(key).caller
        names = self._house.gateway.rooms.names(caller)
        return {
            "models": [one for one in names if not caller.apps or one in caller.apps],
            "prompts": [
                {"name": one["name"], "newest": one["newest"], "labels": one["labels"]}
                for one in self._prompts.prompts()
                if not caller.apps or f"prompt:{one['name']}" in caller.apps
            ],
        }

    def prompt(self, reference: str) -> Record:
        """A version's own words for the system, and its variables. Raises: PromptNotFound, PromptInvalid."""
        ready = self._prompts.registry.ready(reference)
        place = _system_place(ready.version)
        return {
            "reference": ready.version.reference,
            "system": "" if place is None else ready.version.messages[place].text,
            "variables": {
                name: "" if ready.variables[name].is_required else ready.variables[name].default
                for name in ready.used
            },
        }

    def input_of(self, id: str) -> Record:
        """What an exchange asked, and whom. Raises: NotFound."""
        record = self._house.traces.get(seen(), id)
        if record is None:
            raise NotFound("There is no request with this id. It may have been erased, or its time is over.")
        prompt = record["prompt"]
        named = f"{prompt['name']}@{prompt['version']}" if prompt["name"] else ""
        return {**self._prompts.input_of(id), "model": record["model"]["asked"], "prompt": named}

    async def play(self, key: str, column: Column, tape: Tape) -> None:
        """Have one column answered onto a tape: `begun` with the steps before the model, pieces, `done`.

        What fails is told as `failed`. Whoever cancels it ends the call.
        """
        exchange: Exchange | None = None
        try:
            found = self._key(key)
            with self._place(found):
                exchange, app = await self._open(found, column)
                await self._answer(exchange, app, found, tape)
        except GreenroomError as error:
            tape.tell("failed", {"message": str(error), "status": error.status})
        if exchange is not None:
            tape.tell("done", told(exchange))

    async def _answer(self, exchange: Exchange, app: App, key: Key, tape: Tape) -> None:
        gateway = self._house.gateway
        outlet: Outlet = tape
        grant = gateway.access.admit(key)
        stream = await gateway.begin_stream(exchange, app, grant, perf_counter_ns())
        try:
            begun = [one for one in steps_of(exchange) if one["stage"] != "postprocess"]
            tape.tell("begun", {"id": exchange.id, "steps": begun})
            await stream.run(outlet)
        finally:
            stream.finish()

    async def _open(self, key: Key, column: Column) -> tuple[Exchange, App]:
        """The exchange of a column, and its app. Raises: RequestError."""
        gateway = self._house.gateway
        app = gateway.rooms.find(column.model, key.caller)
        self._house.refresh_prompts()
        version = self._house.prompt_shelf.registry.find(column.prompt) if column.prompt else None
        if version is not None and key.caller.apps:
            may_use(key.caller, f"prompt:{version.name}")
        draft = drafted(version, column.system)
        body = await asyncio.to_thread(self._body, app, column, version, draft)  # filling compares examples
        exchange, app = gateway.open(gateway.new_id(), key.caller, encode(body), _NO_STORE)
        if draft is None and version is not None:
            exchange.context[PINNED] = version.reference
        if draft is not None and app.is_prompted:
            steps = tuple(one for one in app.steps if one.step.name != "template")
            app = app._replace(steps=steps, is_prompted=False)
        exchange.tags[TAG] = "yes"
        return exchange, app._replace(trial=None, shadow=None)  # experiments are about live traffic

    def _body(
        self, app: App, column: Column, version: PromptVersion | None, draft: PromptVersion | None
    ) -> Record:
        """The body of the request. Raises: PromptInvalid, PromptNotFound."""
        registry = self._house.prompt_shelf.registry
        body: Record = {
            "model": column.model, "stream": True, "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": column.question}] if column.question else [],
            **column.settings,
        }  # fmt: skip
        if draft is not None:
            values = _known(Ready(draft, registry.find), column.values)
            filled = compile_prompt(draft, values, find=registry.find, model=app.model)
            return {**filled.fields, **body, "messages": [*filled.messages, *body["messages"]]}
        if version is not None:
            body["prompt"] = {"variables": _known(registry.ready(version.reference), column.values)}
            if not app.is_prompted:
                body["prompt"] |= {"id": version.name, "version": version.number}
        elif app.is_prompted:
            named = self._house.config.apps[app.name].prompt or ""
            body["prompt"] = {"variables": _known(registry.ready(named), column.values)}
        return body

    def _key(self, key: str) -> Key:
        return self._house.access.find(key.strip().encode())

    @contextmanager
    def _place(self, key: Key) -> Iterator[None]:
        """One of the places for columns. Raises: QuotaExceeded."""
        id = key.caller.key_id
        if self._at_work[id] >= MOST_OF_ONE:
            raise QuotaExceeded(f"{MOST_OF_ONE} columns of yours are being answered. Wait, or stop one.", 1.0)
        if self._at_work.total() >= MOST_AT_WORK:
            raise QuotaExceeded("Others are using the playground. Try again in a moment.", 1.0)
        self._at_work[id] += 1
        try:
            yield
        finally:
            self._at_work[id] -= 1
            self._at_work += Counter()  # lets go of zeros

    # what is made of a column

    def save(self, key: str, column: Column, name: str, address: str) -> str:
        """Store what a column's prompt says as the next version; its reference. Raises: RequestError."""
        caller = self._key(key).caller
        if caller.role != "admin":
            raise Forbidden("Only an admin key may save prompts. Sign in with one.")
        registry = self._prompts.registry
        version = registry.find(column.prompt) if column.prompt else None
        draft = drafted(version, column.system) or version
        if draft is None:
            raise NotFound("This column has no prompt to save: write a system message, or choose a prompt.")
        wanted = replace(
            draft, name=parse_name(name or draft.name), number=0, created_at="", created_by="",
            note="saved in the playground",
        )  # fmt: skip
        added = self._prompts.add(wanted, force=False, by=caller.key_id, address=address)
        return f"{added['name']}@{added['number']}"

    def keep(self, key: str, id: str, name: str, expected: str, address: str) -> Record:
        """Put what an exchange asked into a data set, as its next version. Raises: RequestError."""
        from greenroom.assembly.keeping import keep_exchange  # noqa: PLC0415  # evaluation loads when needed

        who = self._key(key).caller.key_id
        kept = keep_exchange(self._house, id, name, expected)
        Audit(self._house).note(who, "data_set.add", {**kept, "exchange": id}, address=address)
        return kept


def drafted(version: PromptVersion | None, system: str) -> PromptVersion | None:
    """A version whose words for the system are these; None for what is stored, or for none."""
    if not system.strip():
        return None
    if version is None:
        return PromptVersion(name="draft", messages=(Message(role="system", text=system),))
    messages, place = list(version.messages), _system_place(version)
    if place is None:
        messages.insert(0, Message(role="system", text=system))
    elif messages[place].text == system:
        return None
    else:
        messages[place] = replace(messages[place], text=system)
    return replace(version, messages=tuple(messages))


def _known(ready: Ready, values: Record) -> Record:
    """The values that a prompt has variables for: others are meant for other columns."""
    return {name: one for name, one in values.items() if name in ready.variables}


def parse_name(name: str) -> str:
    """The name of a prompt. Raises: PromptInvalid."""
    try:
        found = parse_reference(name)
    except ValueError as error:
        raise PromptInvalid(f"{error}.", "name") from None
    return found.name


def steps_of(exchange: Exchange) -> list[Record]:
    """What each step did, in a line."""
    return [_step(one) for one in exchange.steps]


def _step(one: StepRecord) -> Record:
    return {
        "stage": one.stage,
        "step": one.step,
        "ms": round(one.ns / 1e6, 3),
        "outcome": one.outcome,
        "changes": len(one.changes),
        "verdicts": [f"{each.rule}: {each.action}" for each in one.verdicts],
    }


def told(exchange: Exchange) -> Record:
    """What a column shows of its exchange when it has ended."""
    usage = exchange.usage
    return {
        "id": exchange.id,
        "outcome": exchange.outcome,
        "model": exchange.target,
        "why": exchange.why,
        "finish_reason": exchange.finish_reason,
        "cost_usd": exchange.cost_usd,
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "total_ms": exchange.total_ns / 1e6,
        "first_token_ms": exchange.first_token_ns / 1e6,
        "overhead_ms": max(0, exchange.total_ns - exchange.model_ns) / 1e6,
        "text": "\n\n".join(exchange.reply_text),
        "steps": steps_of(exchange),
    }


def _system_place(version: PromptVersion) -> int | None:
    return next((at for at, one in enumerate(version.messages) if one.role in _SYSTEM), None)
