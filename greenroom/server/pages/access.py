"""Who may open which page, and whose things are shown there: the one table that every door asks.

A page is named by the first part of its path. One that is not listed here is for admins alone. Who lists a
page for others sees to it that its handlers show only what `seen()` allows: an admin sees all projects,
everybody else the project of their key. The roles are those of the API's routes.
"""

from contextvars import ContextVar
from typing import Literal, NamedTuple

from greenroom.errors import Forbidden, NotFound

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
"""Each may do what those before it may."""


class Person(NamedTuple):
    """Who is at the browser."""

    role: Role
    key: str
    """The id of the key that was signed in with, as the audit log writes it."""
    project: str | None
    """The project whose things are shown; None for an admin, who sees all."""


class Rule(NamedTuple):
    """The least role that may look, and the least that may change something."""

    look: Role = "admin"
    change: Role = "admin"


RULES: dict[str, Rule] = {
    "": Rule("viewer", "operator"),
    "index": Rule("viewer"),
    "ask": Rule("viewer", "operator"),
    "logout": Rule("viewer", "viewer"),
    "overview": Rule("viewer"),
    "requests": Rule("viewer", "operator"),
    "sessions": Rule("viewer"),
    "users": Rule("viewer", "operator"),
    "collections": Rule("viewer", "operator"),
    "finetuning": Rule("viewer", "operator"),
    "models": Rule("viewer"),
    "choose": Rule("viewer"),
    "usage": Rule("viewer"),
    "drift": Rule("viewer", "operator"),
    "quality": Rule("viewer", "operator"),
    "audit": Rule("viewer"),
    "batches": Rule("viewer", "operator"),
    "datasets": Rule("viewer", "operator"),
    "passages": Rule("viewer"),
    "safety": Rule("viewer", "operator"),
    "evaluations": Rule("viewer"),
    "prompts": Rule("operator", "operator"),
    "playground": Rule("operator", "operator"),
    "alerts": Rule("viewer", "operator"),
}
NOBODY_ELSE = Rule()
"""For every page that has no line above."""

_person: ContextVar[Person | None] = ContextVar("person", default=None)


def enter(person: Person, path: str, method: str) -> None:
    """Let somebody in, for this request. Raises: Forbidden when their role is too small for it."""
    rule = RULES.get(page_of(path), NOBODY_ELSE)
    least = rule.look if method in {"GET", "HEAD"} else rule.change
    if ROLES.index(person.role) < ROLES.index(least):
        deed = "open this page" if least == rule.look else "change anything here"
        raise Forbidden(
            f"A key with the role {person.role} may not {deed}. Sign in with a key that has the role {least}"
            + ("." if least == "admin" else " or admin.")
        )
    _person.set(person)


def may_look(role: str, path: str) -> bool:
    """Whether a role may open a page."""
    rule = RULES.get(page_of(path), NOBODY_ELSE)
    return role in ROLES and ROLES.index(role) >= ROLES.index(rule.look)


def page_of(path: str) -> str:
    """Return the first part of a path, which names the page."""
    return path.lstrip("/").partition("?")[0].partition("/")[0].removesuffix(".json")


def person() -> Person | None:
    """Return who asks; None where nobody is at a browser."""
    return _person.get()


def seen() -> str | None:
    """Return the project whose things may be shown; None for all: to admins, and where no browser asks."""
    at_browser = _person.get()
    return None if at_browser is None else at_browser.project


def check_project(project: str) -> None:
    """Raise NotFound unless things of this project may be shown: what is not one's own is not there."""
    if seen() not in {None, project}:
        raise NotFound("There is nothing here that your key may see.")


def own_project(wanted: str | None) -> str | None:
    """Return the project to ask for, where somebody wants one, or None for all that may be seen.

    Raises: NotFound for a project that is not theirs.
    """
    if wanted:
        check_project(wanted)
    return wanted or seen()
