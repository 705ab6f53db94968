"""Who is at the browser: sessions kept here under random ids, and the brake on guessing.

Everything lives in this process, or with several in what they share, and ends with them; nobody but
`verify_key` knows what a good key is.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol

import msgspec

from greenroom.errors import Forbidden
from greenroom.server.pages.access import Person, Role

IDLE_S = 12 * 3600.0
MOST_SESSIONS = 1_000
_SHARE_SEEN_S = 60.0
"""How seldom other processes are told that a session is in use."""
_FREE_TRIES = 5
_LONGEST_WAIT_S = 300.0
_FORGET_S = 3600.0
MOST_ADDRESSES = 10_000


class Shelf(Protocol):
    """Where several processes keep small secrets together. Raises: StoreError when it can't be used."""

    def held(self) -> AbstractContextManager[None]: ...
    def name(self, *parts: str) -> bytes: ...
    def get(self, name: bytes) -> str | None: ...
    def put(self, name: bytes, text: str, at_s: float) -> None: ...
    def drop(self, name: bytes) -> None: ...


class Shelves(NamedTuple):
    """What the processes of a server share of who is at the browser."""

    sessions: Shelf
    tries: Shelf
    secret: bytes
    """Of the login form's tokens."""


class Session:
    """One signed-in browser. Keeps the key so that a revoked one ends the session; never prints it."""

    __slots__ = ("checked_at", "csrf", "key", "person", "seen_at")

    def __init__(self, key: str, person: Person, now: float) -> None:
        self.key = key
        self.person = person
        self.csrf = secrets.token_urlsafe(24)
        self.seen_at = now
        self.checked_at = now

    @property
    def role(self) -> Role:
        """What this browser may do."""
        return self.person.role

    @property
    def who(self) -> str:
        """Who changes something, as the audit log writes it: the id of the key."""
        return self.person.key

    @property
    def may_write(self) -> bool:
        """Whether this role may do more than look."""
        return self.role in {"admin", "operator"}

    @property
    def is_admin(self) -> bool:
        """Whether this role may do everything."""
        return self.role == "admin"

    def require(self, role: Literal["admin", "operator"]) -> None:
        """Raise Forbidden unless this session's role may do what `role` may: call it before every change."""
        if not (self.is_admin or (role == "operator" and self.may_write)):
            least = "an admin key" if role == "admin" else "an admin or operator key"
            raise Forbidden(f"Your key is for a {self.role}, who may not do this. Sign in with {least}.")


class Sessions:
    """Sessions by the digest of their id, the least lately used first to go; idle ones end after 12 hours.

    With a shelf, what other processes opened and closed counts here too.
    """

    def __init__(self, now: Callable[[], float], shelf: Shelf | None = None) -> None:
        self._now = now
        self._shelf = shelf
        self._kept: OrderedDict[bytes, Session] = OrderedDict()

    def open(self, key: str, person: Person) -> tuple[str, Session]:
        """Return a fresh random id and its session."""
        fresh = secrets.token_urlsafe(32)
        session = Session(key, person, self._now())
        self._kept[_digest(fresh)] = session
        self._share(_digest(fresh), session)
        while len(self._kept) > MOST_SESSIONS:
            self._kept.popitem(last=False)
        return fresh, session

    def get(self, id: str | None, *, is_seen: bool = True) -> Session | None:
        """Return the session of an id, if it was seen in the last 12 hours, and note that it was seen.

        What asks by itself, with nobody at the keys, says `is_seen=False`, and keeps no session alive.
        """
        if not id:
            return None
        digest = _digest(id)
        session = self._kept.get(digest) if self._shelf is None else self._fetch(digest, self._shelf)
        if session is None:
            return None
        if self._now() - session.seen_at > IDLE_S:
            self._drop(digest)
            return None
        if not is_seen:
            return session
        is_long_ago = self._now() - session.seen_at > _SHARE_SEEN_S
        session.seen_at = self._now()
        self._kept.move_to_end(digest)
        if is_long_ago:
            self._share(digest, session)
        return session

    def _fetch(self, digest: bytes, shelf: Shelf) -> Session | None:
        text = shelf.get(digest)
        if text is None:
            self._kept.pop(digest, None)
            return None
        key, person, csrf, seen_at = msgspec.json.decode(text, type=tuple[str, Person, str, float])
        session = self._kept.get(digest)
        if session is None:
            session = self._kept[digest] = Session(key, person, seen_at)
            session.csrf = csrf
            session.checked_at = float("-inf")
        session.seen_at = max(seen_at, session.seen_at)
        return session

    def _share(self, digest: bytes, session: Session) -> None:
        if self._shelf is not None:
            told = (session.key, session.person, session.csrf, session.seen_at)
            self._shelf.put(digest, msgspec.json.encode(told).decode(), session.seen_at)

    def _drop(self, digest: bytes) -> None:
        self._kept.pop(digest, None)
        if self._shelf is not None:
            self._shelf.drop(digest)

    def close(self, id: str | None) -> None:
        """End a session; an id without one is fine."""
        if id:
            self._drop(_digest(id))


class LoginBrake:
    """Five wrong keys are free; after that each doubles the wait, up to five minutes, per address.

    An IPv6 caller counts by its /64. A try is counted before the key is looked at, so that many at once
    gain nothing.
    """

    def __init__(self, now: Callable[[], float], shelf: Shelf | None = None) -> None:
        self._now = now
        self._shelf = shelf
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def begin(self, address: str) -> float:
        """Count one try; return 0, or the seconds to wait when it may not be made now."""
        place = _neighbourhood(address)
        shelf = self._shelf
        if shelf is None:
            return self._count(place)
        with shelf.held():
            text = shelf.get(shelf.name(place))
            if text is None:
                self._tries.pop(place, None)
            else:
                self._tries[place] = msgspec.json.decode(text, type=tuple[int, float])
            wait_s = self._count(place)
            shelf.put(shelf.name(place), msgspec.json.encode(self._tries[place]).decode(), self._now())
            return wait_s

    def _count(self, place: str) -> float:
        now = self._now()
        tries, until = self._tries.get(place, (0, 0.0))
        if until > now:
            return until - now
        if until and now - until > _FORGET_S:
            tries = 0
        tries += 1
        wait = min(2.0 ** min(tries - _FREE_TRIES, 20), _LONGEST_WAIT_S) if tries >= _FREE_TRIES else 0.0
        self._tries[place] = (tries, now + wait)
        self._tries.move_to_end(place)
        while len(self._tries) > MOST_ADDRESSES:
            self._tries.popitem(last=False)
        return 0.0

    def succeeded(self, address: str) -> None:
        """Forget the wrong tries of an address."""
        self._tries.pop(_neighbourhood(address), None)
        if self._shelf is not None:
            self._shelf.drop(self._shelf.name(_neighbourhood(address)))


class LoginTokens:
    """Form tokens for those who have no session yet: a keyed digest of a random cookie, nothing kept."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)

    def fresh(self) -> str:
        """Return a new cookie value."""
        return secrets.token_urlsafe(18)

    def token(self, cookie: str) -> str:
        """Return the form token that goes with a cookie value."""
        return hmac.new(self._secret, cookie.encode("utf-8", "replace"), "sha256").hexdigest()

    def fits(self, cookie: str | None, token: str) -> bool:
        """Whether a form token belongs to the cookie."""
        return bool(cookie) and is_same(self.token(cookie or ""), token)


def gate_of(now: Callable[[], float], shelves: Shelves | None) -> tuple[Sessions, LoginBrake, LoginTokens]:
    """What stands between a browser and the pages; on shelves where several processes share it."""
    if shelves is None:
        return Sessions(now), LoginBrake(now), LoginTokens()
    return Sessions(now, shelves.sessions), LoginBrake(now, shelves.tries), LoginTokens(shelves.secret)


def is_same(one: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _digest(id: str) -> bytes:
    return hashlib.sha256(id.encode("utf-8", "replace")).digest()


def _neighbourhood(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
