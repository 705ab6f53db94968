"""What is past its time, let go of: traces, responses and spans by project, findings and alerts for all."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from greenroom.assembly.audit import Audit
from greenroom.assembly.last_look import look
from greenroom.errors import GreenroomError, MalformedRequest, StoreError
from greenroom.store import drift, spans
from greenroom.store.erasure import project_names
from greenroom.store.responses import StoredResponses
from greenroom.store.retention import DAY_NS, FILE, HOUR_NS, days_of

if TYPE_CHECKING:
    from greenroom.assembly.house import House

log = logging.getLogger("greenroom")


def days_by_project(house: "House") -> dict[str, int]:
    """Days by project, for those that have their own. Makes no store. Raises: StoreError."""
    own = days_of(house.config.projects)
    return {**own, **house.project_days.all()} if (house.data / FILE).exists() else own


class RetentionDesk:
    """Answers `RetentionAdministration`."""

    def __init__(self, house: "House") -> None:
        self._house = house

    def set_days(self, project: str, days: int | None, by: str, address: str) -> dict[str, object]:
        """Set the days of a project; what is older goes at the next daily look. Raises: MalformedRequest."""
        if not 0 < len(project) <= 128 or not project.isprintable():
            raise MalformedRequest("A project's name has 1 to 128 printable characters.")
        house, default = self._house, self._house.config.store.retention_days
        before = days_by_project(house).get(project, default)
        house.project_days.put(project, days)
        now = days_by_project(house).get(project, default)
        house.keys.audit(
            by, "project.retention", {"project": project, "retention_days": before},
            {"project": project, "retention_days": now}, address=address,
        )  # fmt: skip
        return {"id": project, "object": "project", "retention_days": now}


def let_go_in_time(house: "House", now_ns: int) -> bool:
    """`let_go`, unless the clock may be wrong; whether it was done. Never raises."""
    try:
        found = look(house.folder(), now_ns)
    except StoreError as error:
        log.error("nothing is erased", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
        return False
    if found.doubted_ns is None:
        let_go(house)
    return found.doubted_ns is None


def let_go(house: "House") -> None:
    """Erase everything that is past its time. Never raises: what can't be erased is logged, the rest goes."""
    for what, erase in (
        ("traces", _traces), ("responses", _responses), ("spans", _spans), ("findings", _findings),
        ("alerts", _alerts), ("readings of drift", _readings),
    ):  # fmt: skip
        _try(house, what, erase)


def _try(house: "House", what: str, erase: "Callable[[House], int]") -> None:
    try:
        erased = erase(house)
    except GreenroomError as error:
        log.error("not erased though its time is over", extra={"what": what, "reason": str(error)})  # noqa: TRY400  # no stack wanted
    else:
        if erased:
            log.info("erased, its time was over", extra={"what": what, "count": erased})


def _traces(house: "House") -> int:
    """By project: a global bound would take what another project is to keep for longer."""
    own, days, now = days_by_project(house), house.config.store.retention_days, time.time_ns()
    if not own:
        return house.traces.purge(days)
    traces = house.traces  # makes the file
    names = project_names(house.folder() / "traces.db")
    return sum(traces.delete(name, before_ns=now - own.get(name, days) * DAY_NS) for name in names)


def _responses(house: "House") -> int:
    stored = StoredResponses(house.responses)
    return stored.purge(house.config.store.retention_days, days_by_project(house))


def _spans(house: "House") -> int:
    if not (house.data / spans.FILE).exists():
        return 0
    own, days, now = days_by_project(house), house.config.store.retention_days, time.time_ns()
    if not own:
        return house.spans.purge(now - days * DAY_NS)
    gone = sum(
        house.spans.erase_before(name, now - own.get(name, days) * DAY_NS) for name in house.spans.projects()
    )
    return gone + house.spans.purge(now - max(days, *own.values()) * DAY_NS)  # and origins nobody names


def _readings(house: "House") -> int:
    """Those of projects with days of their own; others go by drift's own weeks."""
    if not (house.data / drift.FILE).exists():
        return 0
    hour = time.time_ns() // HOUR_NS
    return sum(
        house.drift.purge_readings(name, hour - days * 24) for name, days in days_by_project(house).items()
    )


def _findings(house: "House") -> int:
    Audit(house).cut(time.time_ns() - house.config.store.audit_days * DAY_NS)
    return 0


def _alerts(house: "House") -> int:
    return house.alerts.purge(house.config.alerts.kept_days) if house.has_alerts else 0
