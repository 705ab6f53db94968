"""What the pages ask of the rest of Greenroom. Knows no store, no gateway, no key."""

from collections.abc import Sequence
from typing import Any, Protocol

from greenroom.models.catalogue.wish import Wish
from greenroom.server.pages.access import Person
from greenroom.server.pages.requests.backend import RequestsBackend
from greenroom.server.users import UserAdministration
from greenroom.store.usage import Asked, Dimension


class PagesBackend(Protocol):
    """The few questions the pages put; all but `ask` are called in a worker thread.

    They show what `access.seen()` allows. Any of them may raise `GreenroomError`: its sentence is shown with
    its status.
    """

    def list_traces(self, **filters: str | int) -> tuple[list[dict[str, Any]], str | None]:  # Any: JSON
        """Return traces, newest first, and the cursor of the next older page.

        Filters are those of `GET /api/traces` that are set: q, app, model, outcome, session, user, tag, from,
        to, limit, cursor. A row is a record without its stages and bodies (id, created_at, app, outcome,
        model, usage, cost_usd, timing_ms) with `preview`: the first words of the newest user message. A row
        without `preview` costs the HTML list one `get_trace`.
        """
        ...

    def get_trace(self, id: str, /) -> dict[str, Any] | None:  # Any: JSON
        """Return the record, or None when there is none with this id."""
        ...

    def verify_key(self, key: str, /) -> Person | None:
        """Return whose key it is, if it may use the pages, else None."""
        ...

    def list_audit(self, **filters: str) -> tuple[list[dict[str, Any]], str | None]:  # Any: JSON
        """Return lines of the audit log, newest first, and the cursor of the next older page.

        Filters are those of `GET /api/audit`. A line has `kind`: "finding" or "change".
        """
        ...

    def usage(self, asked: Asked) -> list[dict[str, Any]]:  # Any: JSON
        """Return sums of the ledger: `store.usage.usage`."""
        ...

    def usage_by(
        self, asked: Asked, bys: Sequence[tuple[Dimension, ...]], counts: Sequence[str]
    ) -> list[list[dict[str, Any]]]:  # Any: JSON
        """Return them cut up in several ways: `store.usage.usage_by`."""
        ...

    def recommend(self, wish: Wish) -> dict[str, Any]:  # Any: JSON
        """Return which model to choose: `models.catalogue.recommend.recommend`."""
        ...

    def note_login(self, key: str, address: str, /) -> None:
        """Write into the audit log that somebody signed in with a key, or tried to."""
        ...

    async def ask(self, text: str, app: str, /) -> str:
        """Send `text` through the app's pipeline; return the trace id, also when refused or failed."""
        ...

    def apps(self) -> list[str]:
        """Return the names of the apps one may ask, the default one first."""
        ...

    def about(self) -> dict[str, Any]:  # Any: JSON
        """Return `{"version": str, "model": {"name": str, "why": str}, "losses": {name: count}}`."""
        ...

    @property
    def people(self) -> UserAdministration:
        """What is remembered of users; asked in worker threads."""
        ...

    @property
    def requests(self) -> RequestsBackend:
        """What the pages of requests, sessions and users ask."""
        ...
