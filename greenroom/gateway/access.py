"""Who may ask, how often, and for how much: keys by digest, limits per key, budgets.

Lives in memory; the table of keys is replaced as a whole when the store changes. Never sees a key
after hashing it.
"""

import time
from collections.abc import Callable, Mapping
from hashlib import sha256

from msgspec import Struct

from greenroom.errors import Forbidden, QuotaExceeded, Unauthorized
from greenroom.exchange import Caller

WINDOW_S = 60.0


class Key(Struct, kw_only=True):
    """A key's caller and limits. None means no limit."""

    caller: Caller
    expires_at: float | None = None
    """Unix seconds."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel: int | None = None
    budget_nano_usd: int | None = None
    is_limited: bool = False
    """Whether any limit is set; made, not given."""

    def __post_init__(self) -> None:
        limits = (self.requests_per_minute, self.tokens_per_minute, self.parallel, self.budget_nano_usd)
        self.is_limited = limits != (None, None, None, None)


class _Meter(Struct):
    """What a key has used: requests and tokens of this window, requests at work, money so far."""

    window_began: float = 0.0
    requests: int = 0
    tokens: int = 0
    at_work: int = 0
    spent_nano_usd: int = 0


class BudgetExceeded(QuotaExceeded):
    """The key's money is used up; waiting does not help."""

    code = "insufficient_quota"
    type = "insufficient_quota"


class Grant(Struct, eq=False):
    """One admitted request: release it exactly once, with what it used."""

    caller: Caller
    _meter: _Meter

    def release(self, tokens: int, cost_nano_usd: int) -> None:
        """Count what was used and free the place."""
        meter = self._meter
        meter.at_work -= 1
        meter.tokens += tokens
        meter.spent_nano_usd += cost_nano_usd


class Access:
    """Admits requests by key."""

    def __init__(
        self,
        keys: Mapping[bytes, Key],
        spent: Mapping[str, int],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._meters: dict[str, _Meter] = {
            key_id: _Meter(spent_nano_usd=amount) for key_id, amount in spent.items()
        }
        self._keys = dict(keys)

    def replace(self, keys: Mapping[bytes, Key]) -> None:
        """Take a new table of keys; what each has used stays."""
        self._keys = dict(keys)

    def identify(self, headers: Mapping[bytes, bytes]) -> Key:
        """The key of a request. Raises Unauthorized, in the same words for every reason."""
        value = headers.get(b"authorization", b"")
        if value[:7] == b"Bearer " or value[:7].lower() == b"bearer ":
            secret = value[7:].strip()
        else:
            secret = headers.get(b"x-api-key", b"").strip()
        if not secret:
            raise Unauthorized("No API key came with the request. Send it as 'Authorization: Bearer <key>'.")
        return self.find(secret)

    def find(self, secret: bytes) -> Key:
        """The key with this secret. Raises Unauthorized."""
        key = self._keys.get(sha256(secret).digest())
        if key is None or (key.expires_at is not None and key.expires_at <= time.time()):
            raise Unauthorized("The API key is not known here, or it was revoked or has expired.")
        return key

    def admit(self, key: Key) -> Grant:
        """Take a place for one request. Raises QuotaExceeded with the seconds to wait."""
        caller = key.caller
        meter = self._meters.get(caller.key_id)
        if meter is None:
            meter = self._meters[caller.key_id] = _Meter()
        now = self._now()
        if now - meter.window_began >= WINDOW_S:
            meter.window_began, meter.requests, meter.tokens = now, 0, 0
        if key.is_limited:
            _check_limits(key, meter, now)
        meter.requests += 1
        meter.at_work += 1
        return Grant(caller, meter)


def _check_limits(key: Key, meter: _Meter, now: float) -> None:
    wait = WINDOW_S - (now - meter.window_began)
    if key.requests_per_minute is not None and meter.requests >= key.requests_per_minute:
        raise QuotaExceeded(f"The key may make {key.requests_per_minute} requests a minute.", wait)
    if key.tokens_per_minute is not None and meter.tokens >= key.tokens_per_minute:
        raise QuotaExceeded(f"The key may use {key.tokens_per_minute} tokens a minute.", wait)
    if key.parallel is not None and meter.at_work >= key.parallel:
        raise QuotaExceeded(f"The key may have {key.parallel} requests at work at once.", 1.0)
    if key.budget_nano_usd is not None and meter.spent_nano_usd >= key.budget_nano_usd:
        raise BudgetExceeded("The key's budget is used up. Raise it with 'greenroom keys limit'.", 0.0)


def may_use(caller: Caller, name: str) -> None:
    """Raise Forbidden unless the caller may ask for this app or model."""
    if caller.apps and name not in caller.apps:
        raise Forbidden(f"This key may not use '{name}'.", "model")
