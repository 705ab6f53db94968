"""The pages of prompts: all of them; one with its versions, labels, findings and figures; two side by side.

Knows the backend by its protocol alone. Writing a new version is `prompt_editor.py`.
"""

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode

from msgspec import to_builtins
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, GreenroomError, MalformedRequest
from greenroom.prompts.version import PRODUCTION, PromptVersion
from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

if TYPE_CHECKING:
    from greenroom.prompts.lint import Finding

Json = dict[str, Any]  # Any: what JSON holds
ADMINS_ONLY = "Prompts are what apps say to everybody: only an admin key may change them. Sign in with one."
_MOVES = 20
_LONGEST_NOTE = 500


class Prompts(Protocol):
    """What the pages ask; all of it runs in worker threads. Raises: GreenroomError."""

    def prompts(self) -> list[Json]: ...
    def show(self, name: str, selector: str | None) -> Json: ...
    def figures(self, name: str) -> list[Json]: ...
    def uses(self, name: str) -> Json: ...
    def diff(self, name: str, before: str, after: str) -> Json: ...
    def lint_stored(self, reference: str) -> "tuple[PromptVersion, list[Finding]]": ...
    def promote(
        self, name: str, selector: str | int, label: str, *, by: str, address: str = "", note: str = ""
    ) -> Json: ...
    def unlabel(self, name: str, label: str, *, by: str, address: str = "") -> Json: ...
    def rollback(self, name: str, label: str, *, by: str, address: str = "", note: str = "") -> Json: ...


class VersionLine(NamedTuple):
    """One version in the list of its prompt's."""

    number: int
    labels: list[str]
    note: str
    at: str
    who: str
    exchanges: str
    answered: str
    refused: str
    failed: str
    median: str
    each: str
    scores: list[tuple[str, str, str]]
    """Name, mean and how many."""
    requests: str
    """Where its requests are listed."""
    is_shown: bool


class PromptPages:
    """`/prompts`, `/prompts/{name}`, `/prompts/{name}/diff`, and their twins."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/prompts", doors.page(self._list)),
            Route("/prompts.json", doors.twin(self._list_json)),
            Route("/prompts/{name}/diff.json", doors.twin(self._diff_json)),
            Route("/prompts/{name}/diff", doors.page(self._diff)),
            Route("/prompts/{name}.json", doors.twin(self._show_json)),
            Route("/prompts/{name}", doors.page(self._show), methods=["GET", "POST"]),
        ]

    def _list(self, request: Request, session: Session) -> Response:
        fresh = request.query_params.get("new", "").strip()
        if fresh:
            return redirect(f"{address_of(fresh)}/edit")

        rows = [{**one, "address": address_of(one["name"])} for one in self._prompts.prompts()]
        return self._doors.render.html("prompts.html", session=session, rows=rows)

    def _list_json(self, request: Request, session: Session) -> Response:
        return json_answer({"data": self._prompts.prompts()})

    async def _show(self, request: Request, session: Session) -> Response:
        name, selector = request.path_params["name"], request.query_params.get("version")
        if request.method != "POST":
            return await run_in_threadpool(self._page, session, name, selector)
        form = await self._doors.posted(request, session)
        if session.role != "admin":
            raise Forbidden(ADMINS_ONLY)
        try:
            await run_in_threadpool(self._change, name, form, session, client_address(request))
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, name, selector, str(error), error.status)
        return redirect(address_of(name, form.get("version") or selector))

    def _change(self, name: str, form: dict[str, str], session: Session, address: str) -> None:
        label, by = form.get("label", "").strip(), session.who
        note = form.get("note", "")[:_LONGEST_NOTE]
        if not label:
            raise MalformedRequest("Say which label shall move.", "label")
        match form.get("do"):
            case "promote":
                self._prompts.promote(name, form.get("version", ""), label, by=by, address=address, note=note)
            case "rollback":
                self._prompts.rollback(name, label, by=by, address=address, note=note)
            case "unlabel":
                self._prompts.unlabel(name, label, by=by, address=address)
            case _:
                raise MalformedRequest("This form says nothing that can be done.", "do")

    def _show_json(self, request: Request, session: Session) -> Response:
        name, selector = request.path_params["name"], request.query_params.get("version")
        version, found = self._prompts.lint_stored(f"{name}@{selector}" if selector else name)
        return json_answer({
            **self._prompts.show(version.name, str(version.number)), "findings": to_builtins(found),
            "figures": self._prompts.figures(version.name), "uses": self._prompts.uses(version.name),
        })  # fmt: skip

    def _page(
        self, session: Session, name: str, selector: str | None, trouble: str = "", status: int = 200
    ) -> Response:
        version, findings = self._prompts.lint_stored(f"{name}@{selector}" if selector else name)
        shown = self._prompts.show(name, str(version.number))
        labels: dict[str, int] = shown["prompt"]["labels"]
        return self._doors.render.html(
            "prompt.html",
            status=status,
            session=session,
            may_change=session.role == "admin",
            name=name,
            version=version,
            shown=shown,
            labels=labels,
            choices=sorted({PRODUCTION, *labels}),
            moved=[one for one in labels if _is_moved(shown["prompt"]["moves"], one)],
            findings=findings,
            lines=_lines(shown, self._prompts.figures(name), version.number),
            moves=[_move(one) for one in shown["prompt"]["moves"][:_MOVES]],
            uses=self._prompts.uses(name),
            rest=_rest(version),
            trouble=trouble,
            address=address_of(name),
            here_address=address_of(name, str(version.number)),
            twin=f"{address_of(name)}.json?version={version.number}",
        )  # fmt: skip

    def _diff(self, request: Request, session: Session) -> Response:
        name, before, after = self._sides(request)
        found = self._prompts.diff(name, before, after)
        numbers = [one["number"] for one in self._prompts.show(name, None)["prompt"]["versions"]]
        return self._doors.render.html(
            "prompt_diff.html",
            session=session,
            name=name,
            found=found,
            numbers=sorted(numbers, reverse=True),
            address=address_of(name),
            twin=f"{address_of(name)}/diff.json?" + urlencode({"from": before, "to": after}),
        )

    def _diff_json(self, request: Request, session: Session) -> Response:
        return json_answer(self._prompts.diff(*self._sides(request)))

    def _sides(self, request: Request) -> tuple[str, str, str]:
        query = request.query_params
        if not query.get("from") or not query.get("to"):
            raise MalformedRequest("Name two versions or labels: ?from=1&to=2.", "from")
        return request.path_params["name"], query["from"], query["to"]


def address_of(name: str, version: str | None = None) -> str:
    """The page of a prompt, or of one version of it."""
    found = "/prompts/" + segment(name)
    return found if version is None else f"{found}?version={quote(version)}"


def _is_moved(moves: list[Json], label: str) -> bool:
    """Whether a label stood for another version before."""
    return len([one for one in moves if one["label"] == label and one["after"] is not None]) > 1


def _lines(shown: Json, seen: list[Json], at: int) -> list[VersionLine]:
    by_number = {one["number"]: one for one in seen}
    labels: dict[int, list[str]] = {}
    for label, number in shown["prompt"]["labels"].items():
        labels.setdefault(number, []).append(label)
    return [
        _line(one, labels.get(one["number"], []), by_number.get(one["number"]), shown["name"], at)
        for one in sorted(shown["prompt"]["versions"], key=lambda one: -one["number"])
    ]


def _line(one: Json, labels: list[str], seen: Json | None, name: str, at: int) -> VersionLine:
    number = one["number"]
    asked = urlencode({"tag": f"@prompt={name}@{number}"})
    count = seen["exchanges"] if seen else 0

    def part(of: str) -> str:
        return figures.share(seen[of] / count) if seen and count else figures.NONE

    return VersionLine(
        number, labels, one["note"], one["created_at"], one["created_by"],
        figures.NONE if seen is None else figures.count(count) + ("+" if seen["is_capped"] else ""),
        part("answered"), part("refused"), part("failed"),
        figures.duration(seen["median_ms"] if seen else None),
        figures.dollars(seen["cost_usd_each"]) if seen and count else figures.NONE,
        [] if seen is None else [_mean(score) for score in seen["scores"]],
        f"/requests?{asked}", number == at,
    )  # fmt: skip


def _mean(score: Json) -> tuple[str, str, str]:
    return score["name"], figures.score(score["mean"]), figures.count(score["count"])


def _move(one: Json) -> Json:
    return {**one, "time": figures.short_clock(one["at"])}


def _rest(version: PromptVersion) -> list[tuple[str, str]]:
    """What a version has beside messages and variables, as names and words."""
    settings = to_builtins(version.settings)
    techniques = {**to_builtins(version.techniques)}
    found = [(name.replace("_", " "), _word(value)) for name, value in {**techniques, **settings}.items()]
    found += [(f"partial {name}", reference) for name, reference in version.partials.items()]
    if version.examples is not None:
        found.append(("examples", f"{len(version.examples.items)}, {version.examples.choose}"))
    if version.output is not None:
        found.append(("answer's form", f"JSON Schema '{version.output.name}'"))
    return [("language", version.language), *found]


def _word(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
