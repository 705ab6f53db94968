"""The editor of prompts: messages as texts, all else as TOML; a preview on real past inputs; save.

A form without scripts: every button sends it, and it comes back as it was, with what was found.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, get_args

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, GreenroomError, MalformedRequest, PromptInvalid, PromptNotFound
from greenroom.prompts import toml
from greenroom.prompts.diff import diff
from greenroom.prompts.files import dumps, loads
from greenroom.prompts.version import Compiled, PromptVersion, Role
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.prompts import ADMINS_ONLY, address_of
from greenroom.server.pages.rendering import json_answer, redirect
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

if TYPE_CHECKING:
    from greenroom.prompts.lint import Finding

Json = dict[str, Any]  # Any: what JSON holds
ROLES = get_args(Role)
_ELSEWHERE = ("name", "number", "messages", "note", "created_at", "created_by")
"""What has a place of its own in the form, or is the store's to say."""
_MOST_MESSAGES = 20
_FRESH = "You are a helpful clerk.\n"
_NOTHING: Json = {"values": {}, "question": ""}


class Editing(Protocol):
    """What the editor asks; all of it runs in worker threads. Raises: GreenroomError."""

    def show(self, name: str, selector: str | None) -> Json: ...
    def lint_stored(self, reference: str) -> "tuple[PromptVersion, list[Finding]]": ...
    def lint_draft(self, version: PromptVersion) -> list[Json]: ...
    def preview(self, version: PromptVersion, values: Json, question: str) -> Compiled: ...
    def past(self, name: str) -> list[Json]: ...
    def input_of(self, id: str) -> Json: ...
    def add(
        self, version: PromptVersion, *, force: bool, by: str, address: str = "", after: int | None = None,
        label: str | None = None,
    ) -> Json: ...  # fmt: skip


class Draft(NamedTuple):
    """A version as the form holds it."""

    messages: list[tuple[str, str]]
    """Role and text."""
    rest: str
    """TOML of variables, techniques, examples, settings, output, language and description."""
    note: str = ""
    after: str = ""
    """The newest version when writing began; "" for a new prompt."""
    values: str = ""
    """JSON of what fills the variables in the preview."""
    question: str = ""


class Piece(NamedTuple):
    """A stretch of a filled message, and what it came from."""

    kind: str
    title: str
    text: str


class PromptEditor:
    """`/prompts/{name}/edit` and its twin."""

    def __init__(self, prompts: Editing) -> None:
        self._prompts = prompts
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes; to stand before those of the prompts' pages."""
        self._doors = doors
        return [
            Route("/prompts/{name}/edit.json", doors.twin(self._edit_json)),
            Route("/prompts/{name}/edit", doors.page(self._edit), methods=["GET", "POST"]),
        ]

    async def _edit(self, request: Request, session: Session) -> Response:
        name, query = request.path_params["name"], request.query_params
        if request.method != "POST":
            draft = await run_in_threadpool(self._begun, name, query.get("version"), query.get("trace"))
            return await run_in_threadpool(self._page, session, name, draft)
        form = await self._doors.posted(request, session)
        draft = read_draft(form)
        match form.get("do"):
            case "more" if len(draft.messages) < _MOST_MESSAGES:
                return await run_in_threadpool(
                    self._page, session, name, draft._replace(messages=[*draft.messages, ("user", "")])
                )
            case "save":
                return await self._save(request, session, name, draft, form)
            case "preview" if form.get("trace"):
                taken = await run_in_threadpool(self._prompts.input_of, form["trace"])
                draft = draft._replace(values=_json(taken["values"]), question=taken["question"])
        return await run_in_threadpool(self._page, session, name, draft)

    def _edit_json(self, request: Request, session: Session) -> Response:
        name, selector = request.path_params["name"], request.query_params.get("version")
        version, found = self._prompts.lint_stored(f"{name}@{selector}" if selector else name)
        return json_answer({"version": version, "findings": found, "past": self._prompts.past(name)})

    async def _save(
        self, request: Request, session: Session, name: str, draft: Draft, form: Mapping[str, str]
    ) -> Response:
        if session.role != "admin":
            raise Forbidden(ADMINS_ONLY)

        def store() -> Json:
            return self._prompts.add(
                version_of(name, draft),
                force=form.get("force") == "yes",
                by=session.who,
                address=client_address(request),
                after=int(draft.after) if re.fullmatch("[0-9]{1,15}", draft.after) else 0,
            )

        try:
            added = await run_in_threadpool(store)
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, name, draft, str(error), error.status)
        return redirect(address_of(name, str(added["number"])))

    def _begun(self, name: str, selector: str | None, trace: str | None) -> Draft:
        """What the form holds when it is opened: a stored version, or the beginning of a new prompt."""
        try:
            version, _ = self._prompts.lint_stored(f"{name}@{selector}" if selector else name)
        except PromptNotFound:
            if selector:
                raise
            return Draft([("system", _FRESH)], 'language = "en"\ndescription = ""\n')
        newest = max(one["number"] for one in self._prompts.show(name, None)["prompt"]["versions"])
        past = self._prompts.input_of(trace) if trace else next(iter(self._prompts.past(name)), _NOTHING)
        return Draft(
            [(one.role, one.text) for one in version.messages], dumps(version, leave_out=_ELSEWHERE),
            after=str(newest), values=_json(past["values"]), question=past["question"],
        )  # fmt: skip

    def _page(
        self, session: Session, name: str, draft: Draft, trouble: str = "", status: int = 200
    ) -> Response:
        said, missing, compiled, findings, changes = trouble, "", None, list[Json](), list[Any]()
        try:
            version = version_of(name, draft)
            findings = self._prompts.lint_draft(version)
            if draft.after:
                stored, _ = self._prompts.lint_stored(f"{name}@{draft.after}")
                changes = diff(stored, version)
        except GreenroomError as error:
            said = said or str(error)
        else:
            try:
                compiled = self._prompts.preview(version, read_values(draft.values), draft.question)
            except GreenroomError as error:
                missing = str(error)
        return self._doors.render.html(
            "prompt_editor.html",
            status=status,
            session=session,
            may_change=session.role == "admin",
            name=name,
            draft=draft,
            roles=ROLES,
            is_full=len(draft.messages) >= _MOST_MESSAGES,
            past=self._prompts.past(name),
            findings=findings,
            has_errors=any(one["severity"] == "error" for one in findings),
            changes=changes,
            compiled=compiled,
            filled=pieces_of(compiled) if compiled else [],
            trouble=said,
            missing=missing,
            address=f"{address_of(name)}/edit",
            up=address_of(name),
        )


def read_draft(form: Mapping[str, str]) -> Draft:
    """What was sent. Empty messages are left out; browsers' line ends become plain ones."""
    messages = []
    for place in range(_MOST_MESSAGES):
        text = _plain(form.get(f"text-{place}", ""))
        role = form.get(f"role-{place}", "user")
        if text.strip():
            messages.append((role if role in ROLES else "user", text))
    return Draft(
        messages, _plain(form.get("rest", "")), form.get("note", "").strip(), form.get("after", ""),
        _plain(form.get("values", "")), _plain(form.get("question", "")),
    )  # fmt: skip


def version_of(name: str, draft: Draft) -> PromptVersion:
    """The version that a draft stands for. Raises: PromptInvalid."""
    if not draft.messages:
        raise PromptInvalid("A prompt needs at least one message with a text.", "messages")
    try:
        rest = tomllib.loads(draft.rest)
    except tomllib.TOMLDecodeError as error:
        raise PromptInvalid(f"The settings are no TOML: {error}.") from None
    double = [one for one in _ELSEWHERE if one in rest]
    if double:
        raise PromptInvalid(f"'{double[0]}' has no place in the settings: take it out there.", double[0])
    own: Json = {"name": name, "messages": [{"role": role, "text": text} for role, text in draft.messages]}
    if draft.note:
        own["note"] = draft.note
    head = {key: value for key, value in own.items() if key != "messages"}
    whole = f"{toml.table(head)}\n{draft.rest}\n{toml.table({'messages': own['messages']})}\n"
    return loads(whole, "toml", "The prompt")


def read_values(text: str) -> Json:
    """The values of the preview. Raises: MalformedRequest."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"The values of the preview are no JSON: {error}.", "values") from None
    if not isinstance(found, dict):
        raise MalformedRequest('The values are a JSON object, like {"city": "Leeds"}.', "values")
    return found


def pieces_of(compiled: Compiled) -> list[tuple[str, list[Piece]]]:
    """Each filled message: its role, and its text in stretches by what they came from."""
    found = []
    for place, message in enumerate(compiled.messages):
        parts = sorted((one for one in compiled.parts if one.message == place), key=lambda one: one.start)
        text, at, pieces = message["content"], 0, list[Piece]()
        for part in parts:
            if part.start > at:
                pieces.append(Piece("text", "", text[at : part.start]))
            kind = part.kind.replace("_", " ")
            title = f"{kind}{f' {part.name}' if part.name else ''}, about {part.tokens} tokens"
            pieces.append(Piece(part.kind, title, text[part.start : part.end]))
            at = part.end
        if at < len(text):
            pieces.append(Piece("text", "", text[at:]))
        found.append((message["role"], pieces))
    return found


def _json(values: Json) -> str:
    return json.dumps(values, ensure_ascii=False, indent=2) if values else ""


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")
