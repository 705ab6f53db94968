"""What traces say of each model that answered: its scores, times, lengths of prompts and answers.

Scores from 0 to 1 count, each trace once, by the average of its scores; of one name and source the newest.
Knows the tables of `traces.db`; which model is meant by a name is the caller's to know.
"""

import sqlite3
from statistics import median
from typing import Final, NamedTuple

from greenroom.store.material import OUTCOMES

LATEST: Final = 5_000
"""Traces that are looked at for times and tokens."""
LEAST: Final = 5
"""Answers without which a time says nothing."""


class Scored(NamedTuple):
    """The scores of one model."""

    model: str
    traces: int
    total: float
    """Sum of one number from 0 to 1 for each trace."""


class Usual(NamedTuple):
    """What requests are like."""

    seconds: dict[str, float]
    """By model, the median time of a whole answer; models with fewer than `LEAST` are left out."""
    input_tokens: int | None
    output_tokens: int | None
    """Medians over all models; None where there are fewer than `LEAST` answers."""


class ByModel(NamedTuple):
    """All of it."""

    scored: list[Scored]
    usual: Usual


def read(connection: sqlite3.Connection, project: str | None) -> ByModel:
    """What the traces of a project say, or all of them."""
    return ByModel(scored(connection, project), usual(connection, project))


def scored(connection: sqlite3.Connection, project: str | None) -> list[Scored]:
    """Models with scores, by name. `project` narrows it to one."""
    rows = connection.execute(
        "SELECT n.name, count(*), sum(v) FROM (SELECT t.used AS used, avg(s.value) AS v FROM scores s"
        " JOIN traces t ON t.seq = s.seq WHERE s.value BETWEEN 0 AND 1 AND t.used IS NOT NULL"
        " AND (?1 IS NULL OR t.project = (SELECT number FROM names WHERE name = ?1))"
        " AND s.rowid = (SELECT max(o.rowid) FROM scores o WHERE o.seq = s.seq AND o.name = s.name"
        " AND o.source = s.source) GROUP BY s.seq) JOIN names n ON n.number = used GROUP BY n.name",
        (project,),
    )
    return [Scored(name, count, float(total)) for name, count, total in rows]


def usual(connection: sqlite3.Connection, project: str | None) -> Usual:
    """What the latest answered requests were like."""
    rows = connection.execute(
        "SELECT n.name, t.total_us, t.input_tokens, t.output_tokens FROM traces t"
        " JOIN names n ON n.number = t.used WHERE t.outcome = ?2"
        " AND (?1 IS NULL OR t.project = (SELECT number FROM names WHERE name = ?1))"
        " ORDER BY t.seq DESC LIMIT ?3",
        (project, OUTCOMES.index("answered"), LATEST),
    ).fetchall()
    times: dict[str, list[int]] = {}
    for name, total_us, _, _ in rows:
        times.setdefault(name, []).append(total_us)
    given = [row[2] for row in rows if row[2]]
    made = [row[3] for row in rows if row[3]]
    return Usual(
        {name: median(one) / 1e6 for name, one in times.items() if len(one) >= LEAST},
        round(median(given)) if len(given) >= LEAST else None,
        round(median(made)) if len(made) >= LEAST else None,
    )
