"""`history`: earlier turns of a conversation that the server kept, put before the newest message.

Turns are kept with masks instead of personal data. Knows nothing of meaning: the newest turns that fit the
budget are taken, always in pairs of question and answer.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import time
from typing import Annotated, Literal, NamedTuple, Protocol

from msgspec import Meta

from greenroom.contracts import StepConfig
from greenroom.exchange import Exchange, Reply, Stage

_TOKEN = 4
"""Characters a token, on average."""


class Turn(Protocol):
    """Something said in a conversation, as a store gives it back."""

    @property
    def role(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def at(self) -> float:
        """Seconds since 1970."""
        ...

    @property
    def number(self) -> int:
        """Its place in the conversation, as the store counts."""
        ...

    @property
    def user(self) -> str | None:
        """In whose request it was said."""
        ...


class SaidTurn(NamedTuple):
    """A turn as `History` writes it. The store counts: `number` is what it gives back, not what it gets."""

    role: Literal["user", "assistant"]
    text: str
    at: float
    number: int = -1
    user: str | None = None


class Turns(Protocol):
    """Keeps the conversations of each project. Both methods answer from memory: the event loop calls them."""

    def recent(self, project: str, session: str, user: str | None, limit: int) -> Sequence[Turn]:
        """The newest turns of this user, oldest first."""
        ...

    def append(self, project: str, session: str, user: str | None, turns: Sequence[Turn]) -> None:
        """Add turns at the end."""
        ...


class HistoryConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.history]: how much of the conversation is brought back."""

    turns: Annotated[int, Meta(ge=2, le=1000)] = 20
    """Messages, answers included."""
    budget_tokens: Annotated[int, Meta(ge=64, le=1_000_000)] = 2000


class History:
    """Puts kept turns before the first user message of a request that names a session and brings none.

    Turns said for another user are never brought, whatever session is named.
    """

    name = "history"
    stage: Stage = "ground"

    def __init__(self, config: HistoryConfig, turns: Turns, now: Callable[[], float] = time) -> None:
        self._limit = config.turns
        self._room = config.budget_tokens * _TOKEN
        self._applies = config.mode == "apply"
        self._turns = turns
        self._now = now

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Fills `exchange.recalled`; what was brought stands in `exchange.request.added`."""
        session = exchange.session
        if session is None:
            return None
        notes = exchange.steps[-1].notes
        roles = exchange.request.roles
        if "assistant" in roles or "tool" in roles:
            notes["reason"] = "the request carries its own history"
            return None
        if "user" not in roles:
            return None
        kept = self._turns.recent(exchange.caller.project, session, exchange.user, self._limit)
        if not kept:
            return None
        carried = {text.value for text in exchange.request.texts[:-1] if text.role == "user"}
        taken = self._newest_pairs(kept, carried)
        if not taken:
            return None
        place = roles.index("user")
        for turn in taken:
            exchange.recalled.append(
                {
                    "session": session,
                    "turn": turn.number,
                    "at": datetime.fromtimestamp(turn.at, UTC).isoformat(timespec="seconds"),
                    "text": turn.text,
                    "score": 1.0,
                }
            )
            if self._applies:
                exchange.request.added.append((place, {"role": turn.role, "content": turn.text}))
        exchange.context["history"] = next(turn.text for turn in reversed(taken) if turn.role == "user")
        notes["turns"] = len(taken)
        notes["tokens"] = sum(len(turn.text) // _TOKEN + 1 for turn in taken)
        return None

    def remember(self, exchange: Exchange) -> None:
        """Keep the newest question and its answer, with masks and redactions; for answered exchanges."""
        session = exchange.session
        pair = said(exchange, self._now()) if session is not None else None
        if session is not None and pair is not None:
            self._turns.append(exchange.caller.project, session, exchange.user, pair)

    def _newest_pairs(self, kept: Sequence[Turn], carried: set[str]) -> list[Turn]:
        """Whole pairs from the end, while they fit; ends at the first that does not. Oldest first."""
        room = self._room
        count = self._limit
        taken: list[Turn] = []
        at = len(kept) - 1
        while at > 0 and count >= 2:
            question, answer = kept[at - 1], kept[at]
            if question.role != "user" or answer.role != "assistant":
                at -= 1
                continue
            room -= len(question.text) + len(answer.text)
            if room < 0:
                break
            if question.text not in carried:
                taken += (answer, question)
                count -= 2
            at -= 2
        taken.reverse()
        return taken


def said(exchange: Exchange, now: float) -> tuple[SaidTurn, SaidTurn] | None:
    """The newest question and its answer, with masks and redactions; None where one of them is missing."""
    newest = exchange.request.newest_user
    if newest is None or not exchange.reply_raw or not exchange.reply_raw[0]:
        return None
    asked = "\n\n".join(
        text.value
        for text in exchange.request.texts
        if text.index == newest.index and text.kind == "content" and text.value
    )
    if not asked:
        return None
    return (
        SaidTurn("user", _redacted(asked, exchange), now, user=exchange.user),
        SaidTurn("assistant", _redacted(exchange.reply_raw[0], exchange), now, user=exchange.user),
    )


def _redacted(text: str, exchange: Exchange) -> str:
    for value, shown in exchange.redactions.items():
        if value and value in text:
            text = text.replace(value, shown)
    return text
