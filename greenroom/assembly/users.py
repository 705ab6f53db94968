"""What the API, the pages and the command line ask about users, answered from the house's stores."""

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from greenroom.assembly.audit import Audit
from greenroom.assembly.erasing import erase_traces
from greenroom.assembly.house import House
from greenroom.assembly.memories import moment
from greenroom.contracts import Detector, mask
from greenroom.errors import Conflict, Forbidden, MalformedRequest
from greenroom.server.users import NewSession, NewTurn
from greenroom.stages.check.candidate import join
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.secrets import SecretDetector
from greenroom.store.material import pseudonym
from greenroom.store.responses import StoredResponses
from greenroom.store.said import Turn

Record = dict[str, Any]  # Any: JSON
_MOST_TURNS = 1_000_000
_LAST_SECOND = 253_402_300_799.0
"""The year 9999 ends."""


class UserDesk:
    """Answers `UserAdministration`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._importing = threading.Lock()
        """A conversation sent twice at once is taken in once."""

    def users(self, project: str | None) -> list[Record]:
        """Who is remembered, the newest first; None is every project."""
        return self._house.memories.users(project)

    def import_session(self, project: str, wanted: NewSession) -> Record:
        """Take in a conversation. Sent again it changes nothing; sent longer, its end is added.

        Personal data and secrets become masks first, unless everything is captured.
        Raises: Conflict where the session holds other turns; Forbidden where no texts are kept.
        """
        capture = self._house.config.store.capture
        if capture == "off":
            raise Forbidden("This server keeps no texts: store.capture is 'off'.")
        said = [(one.role, one.text) for one in wanted.turns]
        if capture == "redacted":
            hide = Masks()
            said = [(role, hide(text)) for role, text in said]
        times = list(_times(wanted.turns))
        with self._importing:
            return self._import(project, wanted, said, times)

    def _import(
        self, project: str, wanted: NewSession, said: Sequence[tuple[str, str]], times: list[str]
    ) -> Record:
        store = self._house.turns
        known = store.recent(project, wanted.session, wanted.user, _MOST_TURNS)
        for number, (old, new) in enumerate(zip(known, said, strict=False), 1):
            if (old.role, old.text) != new:
                raise Conflict(
                    f"Session '{wanted.session}' holds another turn {number}. Send the conversation under "
                    f"another name, or with the turns it began with.",
                    "session",
                )
        turns = [
            Turn(session=wanted.session, turn=0, role=role, text=text, at=at, user=wanted.user)
            for (role, text), at in list(zip(said, times, strict=True))[len(known) :]
        ]
        store.append(project, wanted.session, wanted.user, turns, remember=True)
        store.flush()
        return {
            "id": wanted.session,
            "user": wanted.user,
            "turns": max(len(known), len(said)),
            "added": len(turns),
        }

    def memory(self, project: str, user: str) -> Record:
        """The facts of a user, superseded ones too, and how many turns can be found."""
        memories = self._house.memories
        facts = memories.facts(project, user)
        return {"user": user, "turns": memories.count(project, user), "facts": [_shown(one) for one in facts]}

    def add_fact(self, project: str, user: str, text: str) -> Record:
        """Write a fact down."""
        return _shown(self._house.memories.add_fact(project, user, self._kept(text)))

    def edit_fact(self, project: str, user: str, id: int, text: str) -> Record:
        """Put a fact in the place of another."""
        return _shown(self._house.memories.edit_fact(project, user, id, self._kept(text)))

    def forget_fact(self, project: str, user: str, id: int) -> None:
        """Erase one fact and its sentence in the turns that say it."""
        self._house.memories.forget_fact(project, user, id)

    def forget_memory(self, project: str, user: str) -> dict[str, int]:
        """Erase a user's facts and turns; how many of each."""
        facts, turns = self._house.memories.forget(project, user)
        return {"facts": facts, "turns": turns}

    def forget(self, project: str, user: str) -> dict[str, int]:
        """Erase all there is of a user: facts, turns, responses, traces, what was made of them; how many."""
        gone = self.forget_memory(project, user)
        gone["responses"] = StoredResponses(self._house.responses).forget(project, user)
        return {**gone, **erase_traces(self._house, project, user)}

    def note(self, what: str, project: str, user: str, by: str, address: str) -> None:
        """Write down that somebody changed what is kept of a user, who is not named."""
        about = {"project": project, "user": pseudonym(user)}
        Audit(self._house).note(by, what, about, address=address)

    def _kept(self, text: str) -> str:
        """A fact must hold no secret and no personal data, even when a person writes it down."""
        if self._house.config.store.capture != "full" and Masks()(text) != text:
            raise MalformedRequest("This holds personal data or a secret, which is not remembered.", "text")
        return text


class Masks:
    """Puts masks for personal data and secrets, the same one for the same value throughout a conversation."""

    def __init__(self) -> None:
        self._detectors: tuple[Detector, ...] = (SecretDetector(), PiiDetector())
        self._numbers: dict[str, int] = {}
        self._known: dict[tuple[str, str], str] = {}

    def __call__(self, text: str) -> str:
        for detector in self._detectors:
            found = join(detector.find(text), text)
            for one in reversed(found):
                text = text[: one.start] + self._mask(one.label, text[one.start : one.end]) + text[one.end :]
        return text

    def _mask(self, label: str, value: str) -> str:
        known = self._known.get((label, value))
        if known is None:
            number = self._numbers[label] = self._numbers.get(label, 0) + 1
            known = self._known[label, value] = mask(label, number)
        return known


def _times(turns: list[NewTurn]) -> Iterator[str]:
    """When each was said, ISO 8601. Raises MalformedRequest naming the turn."""
    last = time.time()
    for number, turn in enumerate(turns):
        if turn.time is not None:
            try:
                last = _seconds(turn.time)
            except (ValueError, OverflowError):
                raise MalformedRequest(
                    "A turn's time must look like 2026-01-31T12:00:00Z, or be seconds since 1970.",
                    f"turns[{number}].time",
                ) from None
        yield moment(last)


def _seconds(when: str | float) -> float:
    if isinstance(when, str):
        found = datetime.fromisoformat(when)
        when = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if not 0 <= when <= _LAST_SECOND:
        raise ValueError(when)
    return when


def _shown(fact: object) -> Record:
    shown = msgspec.to_builtins(fact)
    assert isinstance(shown, dict)
    return shown
