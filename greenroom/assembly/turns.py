"""The store's turns in the shape that the history step reads and writes."""

from collections.abc import Sequence
from datetime import UTC, datetime

from greenroom.stages.ground.history import SaidTurn, Turn
from greenroom.store.said import Turn as StoredTurn
from greenroom.store.turns import StoredTurns


class KeptTurns:
    """`Turns` of the history step over the store's file."""

    def __init__(self, store: StoredTurns) -> None:
        self._store = store

    def recent(self, project: str, session: str, user: str | None, limit: int) -> list[SaidTurn]:
        """The newest turns of this user, oldest first."""
        return [
            SaidTurn(
                "assistant" if one.role == "assistant" else "user",
                one.text,
                datetime.fromisoformat(one.at).timestamp(),
                one.turn,
                one.user,
            )
            for one in self._store.recent(project, session, user, limit)
        ]

    def append(self, project: str, session: str, user: str | None, turns: Sequence[Turn]) -> None:
        """Add turns at the end; the store numbers them."""
        self._store.append(
            project,
            session,
            user,
            [
                StoredTurn(
                    session=session,
                    turn=0,
                    role=one.role,
                    text=one.text,
                    at=datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds"),
                    user=user,
                )
                for one in turns
            ],
        )
