"""A key as requests meet it: who it is, and what it may use."""

import msgspec
from msgspec import Struct

from greenroom.exchange import Caller
from greenroom.store.keys import KeyRow
from greenroom.store.lines import Scope


class Key(Struct, kw_only=True):
    """A key's caller and limits. None means no limit."""

    caller: Caller
    expires_at: float | None = None
    """Unix seconds."""
    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    parallel: int | None = None
    budget_nano_usd: int | None = None
    budget_period: str = "total"
    """How often the budget begins anew: `total` (never), `day`, `week` or `month`."""
    budget_scope: Scope | None = None
    """Where its spending is counted; made, not given."""
    is_limited: bool = False
    """Whether requests or tokens are counted; made, not given."""

    def __post_init__(self) -> None:
        self.is_limited = any(
            limit is not None
            for limit in (
                self.requests_per_minute,
                self.requests_per_day,
                self.tokens_per_minute,
                self.tokens_per_day,
                self.parallel,
            )
        )
        if self.budget_nano_usd is not None:
            self.budget_scope = Scope(self.budget_period, key=self.caller.key_id)


def key_of(row: KeyRow) -> Key:
    """A stored key as requests meet it."""
    caller = Caller(
        key_id=row.id, project=row.project, role=row.role, apps=row.apps, pipeline_off=row.pipeline_off,
        name=row.name,
    )  # fmt: skip
    expires_at = row.expires_ns / 1e9 if row.expires_ns is not None else None
    return Key(caller=caller, expires_at=expires_at, **msgspec.structs.asdict(row.limits))
