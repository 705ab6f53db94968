"""What is asked of alerts over HTTP, on the pages and on the command line, answered from the house."""

import time
from typing import TYPE_CHECKING, Any

from greenroom.errors import MalformedRequest, NotFound
from greenroom.offline.alerts.settings import DEFAULTS
from greenroom.server.alerts import NewSilence
from greenroom.store.alerts import Alert, Event, Silence
from greenroom.store.deliveries import Delivery
from greenroom.store.material import stamp

if TYPE_CHECKING:
    from greenroom.assembly.house import House

Record = dict[str, Any]  # Any: JSON
_S = 1_000_000_000


class AlertDesk:
    """Answers `AlertAdministration`. A `project` of None sees and may do all; another one what is its own."""

    def __init__(self, house: "House") -> None:
        self._house = house

    def standing(self, project: str | None) -> list[Record]:
        """Alerts that stand, the gravest first."""
        if not self._house.has_alerts:
            return []
        silences = self._house.alerts.silences()
        return [_shown(one, silences) for one in self._house.alerts.opened() if _is_of(one, project)]

    def past(self, project: str | None, before: int | None, limit: int) -> list[Record]:
        """Alerts that ended, newest first."""
        if not self._house.has_alerts:
            return []
        found = self._house.alerts.past(before=before, limit=limit, project=project)
        return [_shown(one, ()) for one in found]

    def show(self, id: int, project: str | None) -> Record:
        """One alert, what became of it, and how its messages went. Raises: NotFound."""
        alert, events = self._found(id, project)
        silences = self._house.alerts.silences() if alert.ended_ns is None else []
        sent = self._house.deliveries.list(alert=id)
        return {
            **_shown(alert, silences),
            "history": [_event(one) for one in events],
            "deliveries": [_delivery(one) for one in sent],
        }

    def acknowledge(self, id: int, why: str, project: str | None, by: str, address: str) -> Record:
        """Say that somebody looks after it. Raises: NotFound; Conflict when it has ended."""
        before, _ = self._found(id, project)
        self._house.alerts.acknowledge(id, by, why)
        self._note(by, "alert.acknowledge", {"alert": id, "rule": before.rule, "why": why}, address)
        return self.show(id, project)

    def silences(self, project: str | None) -> list[Record]:
        """Silences in force."""
        if not self._house.has_alerts:
            return []
        found = self._house.alerts.silences()
        return [_silence(one) for one in found if project is None or one.project == project]

    def silence(self, wanted: NewSilence, project: str | None, by: str, address: str) -> Record:
        """Deliver nothing of what fits for a while. Raises: MalformedRequest where it fits everything."""
        of = project if project is not None else wanted.project
        if not (wanted.rule or wanted.subject or of):
            raise MalformedRequest("Name a rule, a subject or a project: a silence of everything hides all.")
        until_ns = time.time_ns() + int(wanted.hours * 3600 * _S)
        made = self._house.alerts.silence(
            until_ns, by, wanted.why, rule=wanted.rule, project=of, subject=wanted.subject
        )
        self._note(by, "alert.silence", _silence(made), address)
        return _silence(made)

    def unsilence(self, id: int, project: str | None, by: str, address: str) -> None:
        """End a silence now. Raises: NotFound."""
        if not any(one["id"] == id for one in self.silences(project)):
            raise NotFound(f"There is no silence {id} in force.")
        self._house.alerts.unsilence(id)
        self._note(by, "alert.unsilence", {"silence": id}, address)

    def rules(self) -> list[Record]:
        """The rules of the configuration, and those that hold without being written."""
        table = self._house.config.alerts
        all_rules = {**DEFAULTS, **table.rules} if table.defaults else table.rules
        return [{"name": name, **one.said} for name, one in sorted(all_rules.items())]

    def channels(self) -> list[Record]:
        """The channels, without addresses and secrets, and when each last sent something."""
        return [
            {
                "name": name, "kind": one.kind, "least": one.least, "rules": one.rules,
                "projects": one.projects, "last_sent_at": self._last(name),
            }
            for name, one in sorted(self._house.config.alerts.channels.items())
        ]  # fmt: skip

    def deliveries(self, limit: int = 20) -> list[Record]:
        """How messages went, newest first."""
        return (
            [_delivery(one) for one in self._house.deliveries.list(limit=limit)]
            if self._house.has_alerts
            else []
        )

    def test(self, channel: str, by: str, address: str) -> Record:
        """Send a made-up alert. Raises: NotFound; another GreenroomError where it was not taken."""
        self._house.alerting.delivering.test(channel)
        self._note(by, "alert.test", {"channel": channel}, address)
        return {"channel": channel, "sent": True}

    def _last(self, channel: str) -> str | None:
        last_ns = self._house.deliveries.last_ns(channel, is_sent=True) if self._house.has_alerts else 0
        return stamp(last_ns) if last_ns else None

    def _found(self, id: int, project: str | None) -> tuple[Alert, list[Event]]:
        if not self._house.has_alerts:
            raise NotFound(f"There is no alert {id}.")
        alert, events = self._house.alerts.alert(id)
        if not _is_of(alert, project):
            raise NotFound(f"There is no alert {id}.")
        return alert, events

    def _note(self, by: str, what: str, about: Record, address: str) -> None:
        self._house.keys.audit(by, what, None, about, address=address)


def _is_of(alert: Alert, project: str | None) -> bool:
    return project is None or alert.project == project


def _shown(one: Alert, silences: "list[Silence] | tuple[()]") -> Record:
    silenced = next((silence for silence in silences if silence.fits(one)), None)
    state = "firing"
    if one.ended_ns is not None:
        state = "ended"
    elif silenced is not None:
        state = "silenced"
    elif one.acknowledged_ns is not None:
        state = "acknowledged"
    return {
        "id": one.id, "state": state, "rule": one.rule, "kind": one.kind, "project": one.project,
        "subject": one.subject, "severity": one.severity, "summary": one.summary, "figures": one.figures,
        "path": one.path, "times": one.times,
        "opened_at": stamp(one.opened_ns), "told_at": stamp(one.told_ns),
        "ended_at": None if one.ended_ns is None else stamp(one.ended_ns),
        "acknowledged_at": None if one.acknowledged_ns is None else stamp(one.acknowledged_ns),
        "acknowledged_by": one.acknowledged_by,
        "silenced_until": None if silenced is None else stamp(silenced.until_ns),
    }  # fmt: skip


def _event(one: Event) -> Record:
    return {
        "at": stamp(one.at_ns), "what": one.what, "severity": one.severity, "summary": one.summary,
        "who": one.who, "why": one.why,
    }  # fmt: skip


def _silence(one: Silence) -> Record:
    return {
        "id": one.id, "rule": one.rule, "project": one.project, "subject": one.subject,
        "from": stamp(one.from_ns), "until": stamp(one.until_ns), "who": one.who, "why": one.why,
    }  # fmt: skip


def _delivery(one: Delivery) -> Record:
    waits = one.state == "waiting" and one.next_ns > 0
    return {
        "alert": one.alert, "channel": one.channel, "rule": one.rule, "subject": one.subject,
        "what": one.what, "state": one.state, "tries": one.tries, "times": one.times,
        "at": stamp(one.changed_ns),
        "next_at": stamp(one.next_ns) if waits else None, "error": one.error,
    }  # fmt: skip
