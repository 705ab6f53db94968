"""A backend of records made by hand, and a program that serves it: `python -m tests.server.pages.backend 8486`."""

import sys
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from greenroom.errors import ModelNotFound, NotFound
from greenroom.models.catalogue.candidates import Here
from greenroom.models.catalogue.catalogue import open_catalogue
from greenroom.models.catalogue.hardware import parse_hardware
from greenroom.models.catalogue.quality import Seen
from greenroom.models.catalogue.recommend import recommend
from greenroom.models.catalogue.wish import Wish
from greenroom.models.prices import PriceBook
from greenroom.server.pages.access import ROLES, Person
from greenroom.server.users import NewSession
from greenroom.store.usage import Asked, Dimension
from tests.server.pages.fake_requests import FakeRequests
from tests.server.pages.records import Json, all_records, record

ADMIN_KEY = "gr-admin-0123456789abcdef"
VIEWER_KEY = "gr-viewer-0123456789abcdef"
OPERATOR_KEY = "gr-operator-0123456789abcdef"


class FakePeople:
    """Facts of users in a dictionary; remembers what was done."""

    def __init__(self) -> None:
        self.facts: dict[str, list[Json]] = {
            "ana": [fact(1, "I live in Leeds."), fact(2, "My cat is <b>Mia</b>.")]
        }
        self.done: list[tuple[object, ...]] = []

    def users(self, project: str | None) -> list[Json]:
        return [
            {"project": "default", "user": user, "turns": 2, "facts": len(facts)}
            for user, facts in self.facts.items()
        ]

    def import_session(self, project: str, wanted: NewSession) -> Json:
        raise NotImplementedError

    def memory(self, project: str, user: str) -> Json:
        return {"user": user, "turns": 2 if user in self.facts else 0, "facts": self.facts.get(user, [])}

    def add_fact(self, project: str, user: str, text: str) -> Json:
        self.done.append(("add", project, user, text))
        return fact(9, text)

    def edit_fact(self, project: str, user: str, id: int, text: str) -> Json:
        self.done.append(("edit", project, user, id, text))
        return fact(9, text)

    def forget_fact(self, project: str, user: str, id: int) -> None:
        if id not in {one["id"] for one in self.facts.get(user, [])}:
            raise NotFound(f"There is no fact {id} of this user.")
        self.done.append(("forget-fact", project, user, id))

    def forget_memory(self, project: str, user: str) -> dict[str, int]:
        raise NotImplementedError

    def forget(self, project: str, user: str) -> dict[str, int]:
        self.done.append(("forget", project, user))
        return {"facts": 2, "turns": 2, "traces": 0}

    def note(self, what: str, project: str, user: str, by: str, address: str) -> None:
        self.done.append((what, project, user, by))


def fact(id: int, text: str) -> Json:
    """A fact that a turn says."""
    at = "2026-03-01T10:00:00.000+00:00"
    return {
        "id": id, "slot": "home", "text": text, "at": at, "superseded": id == 2,
        "superseded_by": 1 if id == 2 else None,
        "evidence": [{"session": "s1", "turn": 1, "at": at, "text": text}],
    }  # fmt: skip


COUNTS = (
    "requests", "calls", "unpriced_calls", "estimated_calls", "input_tokens", "cached_tokens", "cache_write_tokens",
    "output_tokens", "reasoning_tokens",
)  # fmt: skip


class FakeBackend:
    """Keeps records in a list; remembers what it was asked."""

    def __init__(self, records: list[Json] | None = None) -> None:
        self.records = all_records() if records is None else records
        self.roles: dict[str, str] = {ADMIN_KEY: "admin", OPERATOR_KEY: "operator", VIEWER_KEY: "viewer"}
        self.filters: list[dict[str, str | int]] = []
        self.verified: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.logins: list[tuple[str, str]] = []
        self.lines: list[Json] = []
        self.used: list[tuple[Json, Json]] = []
        """What was used: dimensions, and counts."""
        self.wishes: list[Wish] = []
        self.seen: dict[str, Seen] = {}
        """What was scored, by model."""
        self.people = FakePeople()
        self.requests = FakeRequests(self)
        self.losses = {"payload_dropped": 0, "rows_lost": 0}

    def list_traces(self, **filters: str | int) -> tuple[list[Json], str | None]:
        self.filters.append(filters)
        first = int(filters.get("cursor", 0))
        limit = int(filters["limit"])
        found = [one for one in self.records if filters.get("outcome") in {None, one.get("outcome")}]
        rows = [
            {name: one[name] for name in one if name not in {"stages", "sent"}}
            for one in found[first : first + limit]
        ]
        return rows, str(first + limit) if len(found) > first + limit else None

    def get_trace(self, id: str, /) -> Json | None:
        return next((one for one in self.records if one["id"] == id), None)

    def verify_key(self, key: str, /) -> Person | None:
        self.verified.append(key)
        role = self.roles.get(key)
        if role is None or role not in ROLES:
            return None
        return Person(role, f"key-{role}", None if role == "admin" else "default")

    def list_audit(self, **filters: str) -> tuple[list[Json], str | None]:
        first = int(filters.get("cursor", 0))
        found = [one for one in self.lines if filters.get("action") in {None, one.get("action")}]
        return found[first : first + 2], str(first + 2) if len(found) > first + 2 else None

    def usage(self, asked: Asked) -> list[Json]:
        rows: dict[tuple[Any, ...], Json] = {}
        for named, counts in self.used:
            key = tuple(named.get(one) for one in asked.by)
            row = rows.setdefault(
                key, {**dict(zip(asked.by, key, strict=True)), **dict.fromkeys(COUNTS, 0), "cost_usd": "0"}
            )
            for name in COUNTS:
                row[name] += counts.get(name, 0)
            row["cost_usd"] = str(Decimal(row["cost_usd"]) + Decimal(counts.get("cost_usd", "0")))
        return list(rows.values())

    def usage_by(
        self, asked: Asked, bys: Sequence[tuple[Dimension, ...]], counts: Sequence[str]
    ) -> list[list[Json]]:
        return [self.usage(asked._replace(by=by)) for by in bys]

    def recommend(self, wish: Wish) -> Json:
        self.wishes.append(wish)
        machine = parse_hardware(wish.hardware if wish.hardware != "auto" else "ram=16GB")
        return recommend(
            wish, open_catalogue(), Here(hardware=machine), self.seen, PriceBook.load(), date(2026, 11, 26)
        )

    def note_login(self, key: str, address: str, /) -> None:
        self.logins.append((key, address))

    async def ask(self, text: str, app: str, /) -> str:
        if app == "gone":
            raise ModelNotFound("There is no app 'gone'.")
        self.asked.append((text, app))
        id = f"asked-{len(self.asked)}"
        self.records.insert(0, record(id, app=app, request={"messages": [{"role": "user", "content": text}]}))
        return id

    def apps(self) -> list[str]:
        return ["default", "support"]

    def about(self) -> dict[str, Any]:
        return {
            "version": "0.1.0",
            "model": {
                "name": "openai/gpt-5-mini",
                "why": "OPENAI_API_KEY is set in the environment, and no model is configured.",
            },
            "losses": self.losses,
        }


def serve(port: int) -> None:
    """Serve the pages over this backend on a loopback port, until stopped."""
    import uvicorn
    from starlette.applications import Starlette

    from greenroom.server.pages.site import pages

    uvicorn.run(Starlette(routes=pages(FakeBackend())), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
