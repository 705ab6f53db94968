"""Who may ask, how often, and for how much: keys by digest, limits per key, and the ledger's budgets.

Keys live in memory; the table of keys is replaced as a whole when the store changes. Never sees a key
after hashing it.
"""

import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

from msgspec import Struct

from greenroom.errors import Forbidden, QuotaExceeded, Unauthorized
from greenroom.exchange import Caller, Exchange
from greenroom.gateway.keys import Key
from greenroom.gateway.ledger import Ledger
from greenroom.gateway.meters import DAY_S, MINUTE_S, LocalMeters, Meter, Meters, Span

CLOCK_TOLERANCE_S = 60.0
"""How long a key still counts after it has expired: the clock that set its end may be wrong by so much."""
_BYTES_A_TOKEN = 4
"""Of a prompt, mostly: what a request is counted for until it is known."""


class Standing(NamedTuple):
    """Where a key stands in the limits of requests or of tokens that is nearest to its end."""

    limit: int
    remaining: int
    reset_s: float
    """Seconds until all of it may be used again."""


class Limits(NamedTuple):
    """What the headers of an answer say; None where there is no such limit."""

    requests: Standing | None
    tokens: Standing | None


class Grant(Struct, eq=False):
    """One admitted request: release it exactly once, with the tokens it used."""

    key: Key
    _meters: Meters | None
    _expected: int = 0
    _ends: tuple[float, float] = (0.0, 0.0)

    @property
    def caller(self) -> Caller:
        """Who asked."""
        return self.key.caller

    def expect(self, exchange: Exchange) -> None:
        """Count what a request may use until that is known."""
        meters, key, request = self._meters, self.key, exchange.request
        if meters is None or (key.tokens_per_minute is None and key.tokens_per_day is None):
            return
        self._expected = len(request.raw) // _BYTES_A_TOKEN + (request.max_tokens or 0)
        meter = meters.take(key.caller.key_id)
        self._ends = meter.minute.ends, meter.day.ends
        meter.minute.tokens += self._expected
        meter.day.tokens += self._expected
        meters.put(meter)

    def release(self, tokens: int) -> None:
        """Count what was used and free the place."""
        meters = self._meters
        if meters is not None:
            meter = meters.take(self.key.caller.key_id)
            meter.at_work -= 1
            minute, day = meter.minute, meter.day
            minute.tokens += tokens - (self._expected if minute.ends == self._ends[0] else 0)
            day.tokens += tokens - (self._expected if day.ends == self._ends[1] else 0)
            meters.put(meter)


class Access:
    """Admits requests by key."""

    def __init__(
        self,
        keys: Mapping[bytes, Key],
        ledger: Ledger | None = None,
        now: Callable[[], float] = time.monotonic,
        meters: Meters | None = None,
    ) -> None:
        self.ledger = ledger
        self._now = now
        self._meters = LocalMeters() if meters is None else meters
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
        if key is None or (key.expires_at is not None and key.expires_at + CLOCK_TOLERANCE_S <= time.time()):
            raise Unauthorized("The API key is not known here, or it was revoked or has expired.")
        return key

    def find_id(self, id: str) -> Key | None:
        """The key of an id, for work that goes on without its caller; None where it is revoked or expired."""
        for key in self._keys.values():
            if key.caller.key_id == id and (key.expires_at is None or key.expires_at > time.time()):
                return key
        return None

    def admit(self, key: Key) -> Grant:
        """Take a place for one request. Raises QuotaExceeded with the seconds to wait, BudgetExceeded."""
        if key.budget_nano_usd is not None and self.ledger is not None:
            self.ledger.check(key)
        if not key.is_limited:
            return Grant(key, None)
        now = self._now()
        meter = self._take(key, now)
        try:
            minute, day = meter.minute, meter.day
            _check(minute, key.requests_per_minute, key.tokens_per_minute, "minute", now)
            _check(day, key.requests_per_day, key.tokens_per_day, "day", now)
            if key.parallel is not None and meter.at_work + meter.elsewhere >= key.parallel:
                raise QuotaExceeded(f"The key may have {key.parallel} requests at work at once.", 1.0)
            minute.requests += 1
            day.requests += 1
            meter.at_work += 1
        finally:
            self._meters.put(meter)
        return Grant(key, self._meters)

    def begin(self, grant: Grant, exchange: Exchange) -> None:
        """Have an admitted request counted for what it may use. Raises BudgetExceeded."""
        if grant.key.is_limited:
            grant.expect(exchange)
        if self.ledger is not None:
            exchange.purse = self.ledger.purse(grant.key, exchange)

    def end(self, grant: Grant, exchange: Exchange) -> None:
        """Count what a request used, and what it cost. Exactly once, however it ended."""
        if grant.key.is_limited:
            usage = exchange.usage
            grant.release(0 if usage is None else usage.input_tokens + usage.output_tokens)
        if self.ledger is not None:
            self.ledger.close(exchange)

    def limits(self, key: Key) -> Limits | None:
        """Where a key stands, for the headers of an answer; None where nothing is counted."""
        if not key.is_limited:
            return None
        now = self._now()
        meter = self._take(key, now)
        self._meters.put(meter)
        minute, day = meter.minute, meter.day
        requests = _nearest(
            _standing(key.requests_per_minute, minute.requests, minute, now),
            _standing(key.requests_per_day, day.requests, day, now),
        )
        tokens = _nearest(
            _standing(key.tokens_per_minute, minute.tokens, minute, now),
            _standing(key.tokens_per_day, day.tokens, day, now),
        )
        return None if requests is None and tokens is None else Limits(requests, tokens)

    def _take(self, key: Key, now: float) -> Meter:
        meter = self._meters.take(key.caller.key_id)
        minute, day = meter.minute, meter.day
        if now >= minute.ends:
            minute.ends, minute.requests, minute.tokens = now + MINUTE_S, 0, 0
        if now >= day.ends:
            day.ends, day.requests, day.tokens = now + DAY_S, 0, 0
        return meter


def _check(span: Span, requests: int | None, tokens: int | None, name: str, now: float) -> None:
    if requests is not None and span.requests >= requests:
        raise QuotaExceeded(f"The key may make {requests} requests a {name}.", span.ends - now)
    if tokens is not None and span.tokens >= tokens:
        raise QuotaExceeded(f"The key may use {tokens} tokens a {name}.", span.ends - now)


def _standing(limit: int | None, used: int, span: Span, now: float) -> Standing | None:
    return None if limit is None else Standing(limit, max(0, limit - used), span.ends - now)


def _nearest(minute: Standing | None, day: Standing | None) -> Standing | None:
    """The limit of which less is left."""
    if minute is None or day is None:
        return minute or day
    return minute if minute.remaining <= day.remaining else day


def may_use(caller: Caller, name: str) -> None:
    """Raise Forbidden unless the caller may ask for this app or model."""
    if caller.apps and name not in caller.apps:
        raise Forbidden(f"This key may not use '{name}'.", "model")
