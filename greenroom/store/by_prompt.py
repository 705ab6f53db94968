"""What traces say of each version of a prompt: how its exchanges ended, what they cost, how they are scored.

A version's exchanges are known by a tag that the recorder adds for lists; it stands in no record.
"""

import sqlite3
from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

from greenroom.store.erasure import all_projects
from greenroom.store.material import OUTCOMES
from greenroom.store.scores import COUNTING

PROMPT_TAG: Final = "@prompt"
"""The tag that says which version was filled, as `NAME@NUMBER`; a client's own is dropped."""
LATEST: Final = 1_000
"""Exchanges of a version that are looked at, the newest first."""


class Mean(NamedTuple):
    """A score over the exchanges that have it."""

    name: str
    value: float
    of: int
    """Exchanges that have it."""


class OfVersion(NamedTuple):
    """The newest exchanges of one version, at most `LATEST` a project."""

    number: int
    exchanges: int
    is_capped: bool
    """Whether there are more."""
    answered: int
    """Cached answers among them."""
    refused: int
    failed: int
    cost_nano: int
    """Nano-USD of the exchanges whose cost is known, `priced` of them."""
    priced: int
    median_us: float | None
    """Of whole answers."""
    tokens: int
    """In and out."""
    scores: list[Mean]


def tag_of(name: str, number: int) -> str:
    """The tag of a version's exchanges, as lists are filtered by it."""
    return f"{PROMPT_TAG}={name}@{number}"


def read(
    connection: sqlite3.Connection, name: str, numbers: Sequence[int], project: str | None = None
) -> list[OfVersion]:
    """One for each number, of one project or over all. About 5 µs an exchange."""
    projects = all_projects(connection)
    if project is not None:
        found = connection.execute("SELECT number FROM names WHERE name = ?", (project,)).fetchone()
        projects = [] if found is None else [found[0]]
    return [_read(connection, projects, name, number) for number in numbers]


def _read(connection: sqlite3.Connection, projects: Sequence[int], name: str, number: int) -> OfVersion:
    outcomes = dict.fromkeys(OUTCOMES, 0)
    times: list[int] = []
    cost = priced = tokens = exchanges = 0
    is_capped = False
    sums: dict[str, tuple[int, float]] = {}
    for project in projects:
        bound = (project, tag_of(name, number), LATEST)
        rows = connection.execute(
            "SELECT t.outcome, t.cost_nano, t.total_us,"
            " ifnull(t.input_tokens, 0) + ifnull(t.output_tokens, 0)"
            " FROM tags g CROSS JOIN traces t ON t.seq = g.seq WHERE g.project = ? AND g.tag = ?"
            " ORDER BY g.seq DESC LIMIT ?",
            bound,
        ).fetchall()
        exchanges += len(rows)
        is_capped = is_capped or len(rows) == LATEST
        for outcome, nano, total_us, used in rows:
            outcomes[OUTCOMES[outcome]] += 1
            tokens += used
            if nano is not None:
                cost, priced = cost + nano, priced + 1
            if OUTCOMES[outcome] == "answered":
                times.append(total_us)
        for score, count, value in connection.execute(
            "SELECT s.name, count(*), total(s.value) FROM scores s WHERE s.seq IN (SELECT g.seq FROM tags g"  # noqa: S608  # a constant
            f" WHERE g.project = ? AND g.tag = ? ORDER BY g.seq DESC LIMIT ?) AND {COUNTING} GROUP BY s.name",
            bound,
        ):
            known, total = sums.get(score, (0, 0.0))
            sums[score] = known + count, total + value
    return OfVersion(
        number, exchanges, is_capped, outcomes["answered"] + outcomes["cached"], outcomes["refused"],
        outcomes["failed"], cost, priced, median(times) if times else None, tokens,
        [Mean(score, total / count, count) for score, (count, total) in sorted(sums.items())],
    )  # fmt: skip
