"""A thread that sends what is due of alerts; in the one process of several that does what one alone must."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from greenroom.assembly.channels import make_channels, wants
from greenroom.assembly.looking import Looking
from greenroom.errors import GreenroomError, InfrastructureError, NotFound
from greenroom.offline.alerts.settings import AlertsConfig
from greenroom.store.alerts import Alert, Event
from greenroom.store.deliveries import Due

if TYPE_CHECKING:
    from greenroom.assembly.stores import Stores

log = logging.getLogger("greenroom.alerts")

LOOK_S = 1.0


class Delivering(Looking):
    """Sends to every channel what it wants of alerts, together what comes together."""

    def __init__(self, stores: "Stores", source: str) -> None:
        super().__init__("greenroom-deliveries")
        self._stores = stores
        self._source = source
        self._table = AlertsConfig()
        self._channels = make_channels(self._table, {}, source)

    def take(self, table: AlertsConfig) -> None:
        """Send to these from now on. Raises: ConfigError; then it goes on as before."""
        self._channels = make_channels(table, self._stores.environment, self._source)
        self._table = table

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                if self._stores.has_alerts:
                    self.look()
            except GreenroomError as error:
                log.error("alerts not sent", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # the thread goes on: whatever broke this once, the next alert must go out
                log.exception("alerts not sent")

    def look(self) -> None:
        """Send what is due now. Raises: StoreError."""
        channels, tables = self._channels, self._table.channels
        outbox = self._stores.deliveries
        outbox.dispatch({name: wants(tables[name]) for name in channels})
        if not channels:
            return
        silences = self._stores.alerts.silences()

        def is_silenced(alert: Alert) -> bool:
            return any(one.fits(alert) for one in silences)

        for name, channel in channels.items():
            table = tables[name]
            if time.time_ns() - outbox.last_ns(name) < table.wait_s * 1e9:
                continue
            if table.repeat_s:
                outbox.remind(name, table.repeat_s)
            due = outbox.due(name, is_silenced)
            if not due:
                continue
            try:
                channel.send(due)
            except GreenroomError as error:
                self._note_failure(name, due, error)
            except Exception:  # whatever broke in one channel, the others must be told
                log.exception("alerts not sent", extra={"channel": name})
                self._note_failure(name, due, InfrastructureError("The message could not be made."))
            else:
                outbox.sent([one.id for one in due])
                log.info("alerts sent", extra={"channel": name, "count": len(due)})

    def _note_failure(self, name: str, due: Sequence[Due], error: GreenroomError) -> None:
        self._stores.deliveries.failed(due, str(error), getattr(error, "retry_after_s", None))
        log.warning("alerts not taken", extra={"channel": name, "count": len(due), "reason": str(error)})

    def test(self, name: str) -> None:
        """Send a made-up alert to a channel now. Raises: NotFound; another GreenroomError if not taken."""
        channel = self._channels.get(name)
        if channel is None:
            known = ", ".join(self._channels) or "there is none; see [alerts.channels]"
            raise NotFound(f"There is no channel '{name[:100]}'. Known: {known}.")
        now = time.time_ns()
        words = "This is a test of the channel. Nothing is wrong."
        alert = Alert(
            id=0, rule="test", kind="test", project="", subject=name, severity="info", summary=words,
            figures={}, path="", opened_ns=now, told_ns=now, times=1, ended_ns=None, acknowledged_ns=None,
            acknowledged_by="",
        )  # fmt: skip
        event = Event(id=0, alert=0, at_ns=now, what="opened", severity="info", summary=words, who="", why="")
        channel.send([Due(0, alert, event, 0, 0)])
