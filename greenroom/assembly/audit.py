"""The audit log as it is asked for: findings and changes in one list, both chains in one look.

Findings lie with the traces they are of, changes with the keys they are of, each written in the same
transaction; here they meet.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from greenroom.assembly.house import House
from greenroom.errors import MalformedRequest
from greenroom.store.audit import AuditFilter

Record = dict[str, Any]  # Any: JSON
Kind = Literal["finding", "change"]

_PAGE = 200
_OF_FINDINGS = ("project", "app", "key", "exchange", "step", "rule", "category", "action", "policy")


class Wanted(Struct, kw_only=True, frozen=True):
    """Which lines: both kinds or one, those of findings narrowed, and where to go on."""

    kind: Kind | None = None
    findings: AuditFilter = AuditFilter()
    cursor: str | None = None


class Health(NamedTuple):
    """What a look at both chains showed; `trouble` says what does not hold, and is empty when all does."""

    findings: int
    changes: int
    cut: int
    last: str
    trouble: str


class Audit:
    """The audit log of a house."""

    def __init__(self, house: House) -> None:
        self._house = house

    def page(self, wanted: Wanted) -> tuple[list[Record], str | None]:
        """Lines, newest first, and the cursor of the next page. Raises: MalformedRequest for a wrong one."""
        first, second = _positions(wanted.cursor)
        limit = wanted.findings.limit
        findings: list[Record] = []
        changes: list[Record] = []
        if wanted.kind != "change":
            findings = self._house.traces.audit.list(msgspec.structs.replace(wanted.findings, before=first))
        if self._wants_changes(wanted):
            changes = self._changes(wanted.findings, second)
        page = _merged(findings, changes)[:limit]
        if len(page) < limit:
            return page, None
        for row in page:
            if row["kind"] == "finding":
                first = row["number"]
            else:
                second = row["number"]
        return page, f"{first or ''}.{second or ''}"

    def _wants_changes(self, wanted: Wanted) -> bool:
        return wanted.kind != "finding" and not any(
            getattr(wanted.findings, name) is not None for name in _OF_FINDINGS
        )

    def _changes(self, wanted: AuditFilter, before: int | None) -> list[Record]:
        bounds: dict[str, int] = {}
        if wanted.since_ns is not None:
            bounds["since_ns"] = wanted.since_ns
        if wanted.until_ns is not None:
            bounds["until_ns"] = wanted.until_ns
        found = self._house.keys.audit_log(wanted.limit, before=before, **bounds)
        return [{"kind": "change", **msgspec.to_builtins(one)} for one in found]

    def walk(self, wanted: Wanted, limit: int | None = None) -> Iterator[Record]:
        """All lines, newest first, page by page."""
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            findings = msgspec.structs.replace(wanted.findings, limit=size)
            rows, cursor = self.page(msgspec.structs.replace(wanted, findings=findings))
            yield from rows
            if cursor is None:
                return
            left = None if left is None else left - len(rows)
            wanted = msgspec.structs.replace(wanted, cursor=cursor)

    def verify(self, noted: str | None = None) -> Health:
        """Look at every line of both chains. Raises: MalformedRequest when `noted` is in none."""
        state = self._house.traces.audit.verify(noted)
        broken = self._house.keys.broken_audit()
        newest = self._house.keys.audit_log(1)
        trouble = ""
        if state.broken is not None:
            trouble = _said("finding", state.broken)
        elif broken is not None:
            trouble = _said("change", broken)
        changes = newest[0].number if newest else 0
        return Health(state.lines, changes, state.cut, state.last, trouble)

    def note(self, who: str, what: str, after: object, *, address: str = "") -> None:
        """Write down something that somebody did. Never hand it a secret."""
        self._house.keys.audit(who, what, None, after, address=address)

    def cut(self, before_ns: int) -> int:
        """Let go of findings from before a moment, and write down that it was done; how many."""
        gone = self._house.traces.audit.cut(before_ns)
        if gone:
            self.note("retention", "audit.cut", {"findings": gone})
        return gone


def _merged(findings: list[Record], changes: list[Record]) -> list[Record]:
    """Both, the later first, each kind in the order of its own numbers."""
    merged: list[Record] = []
    place = 0
    for one in findings:
        while place < len(changes) and changes[place]["at"] > one["at"]:
            merged.append(changes[place])
            place += 1
        merged.append(one)
    return [*merged, *changes[place:]]


def _positions(cursor: str | None) -> tuple[int | None, int | None]:
    if cursor is None:
        return None, None
    first, point, second = cursor.partition(".")
    if not point or not all(one == "" or (one.isascii() and one.isdigit()) for one in (first, second)):
        raise MalformedRequest("This cursor is not one of ours.", "cursor")
    return int(first[:18]) if first else None, int(second[:18]) if second else None


def _said(kind: str, number: int) -> str:
    return (
        f"The log does not hold at {kind} {number}: this line was changed or taken out, or another was put "
        "in before it. What stands before it holds."
    )
