"""OAuth tokens of Google Cloud: from a service account's key, a user's refresh token, or the metadata server.

A token lives about an hour and is asked for again before it ends; callers at the same time wait for one
request. Tokens and keys never stand in a message. Source: RFC 7523 (JWT bearer grants), RFC 7515 (RS256).
"""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Callable
from time import time
from typing import NamedTuple, Protocol
from urllib.parse import urlencode

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, encode

from greenroom.errors import UpstreamAuth
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.models.response import Limits

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
METADATA_HOST = "metadata.google.internal"
RENEW_S = 300.0
"""A token with less time left than this is asked for again."""
_LIFE_S = 3600
_WAIT = Limits(connect_s=5.0, first_byte_s=10.0, idle_s=10.0, total_s=20.0)


class _Key(Struct):
    type: str = "service_account"
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    token_uri: str = TOKEN_URI
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""


class _Answer(Struct):
    access_token: str
    expires_in: float = _LIFE_S


_key = Decoder(_Key)
_answer = Decoder(_Answer)


class Source(Protocol):
    """Where tokens come from: the request that asks for one."""

    origin: Origin

    def request(self, now_s: float) -> bytes:
        """Head and body; `now_s` in Unix seconds."""
        ...


class ServiceAccount:
    """A service account that signs for itself. Raises ValueError for a key that can't be read."""

    def __init__(self, key: _Key) -> None:
        from Crypto.PublicKey import RSA  # noqa: PLC0415 - a gateway without Vertex can do without
        from Crypto.Signature import pkcs1_15  # noqa: PLC0415 - the same

        self.origin = Origin.parse(key.token_uri)
        self._uri = key.token_uri
        self._email = key.client_email
        self._id = key.private_key_id
        self._signer = pkcs1_15.new(RSA.import_key(key.private_key))

    def assertion(self, now_s: float) -> str:
        """A JSON Web Token that asks for an access token."""
        from Crypto.Hash import SHA256  # noqa: PLC0415 - as above

        header = {"alg": "RS256", "typ": "JWT", **({"kid": self._id} if self._id else {})}
        claims = {
            "iss": self._email,
            "scope": SCOPE,
            "aud": self._uri,
            "iat": int(now_s),
            "exp": int(now_s) + _LIFE_S,
        }
        signed = f"{_part(encode(header))}.{_part(encode(claims))}"
        return f"{signed}.{_part(self._signer.sign(SHA256.new(signed.encode())))}"

    def request(self, now_s: float) -> bytes:
        """A grant by the token that we signed."""
        return _form(self.origin, {"grant_type": GRANT, "assertion": self.assertion(now_s)})


class User:
    """A person's own right, as `gcloud auth application-default login` keeps it."""

    def __init__(self, key: _Key) -> None:
        self.origin = Origin.parse(key.token_uri)
        self._fields = {
            "grant_type": "refresh_token",
            "client_id": key.client_id,
            "client_secret": key.client_secret,
            "refresh_token": key.refresh_token,
        }

    def request(self, now_s: float) -> bytes:
        """A grant by the refresh token."""
        return _form(self.origin, self._fields)


class Machine:
    """The service account of the machine this runs on, by Google's metadata server."""

    def __init__(self, host: str = METADATA_HOST) -> None:
        self.origin = Origin.parse(f"http://{host}")

    def request(self, now_s: float) -> bytes:
        """What the metadata server wants to see."""
        return (
            "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n"
            f"Host: {self.origin.netloc}\r\nMetadata-Flavor: Google\r\n\r\n"
        ).encode()


def source_of(text: str) -> Source:
    """What a key file asks with. Raises ValueError, without a word of the file, when it can't be used."""
    try:
        key = _key.decode(text)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("its key is no JSON of a Google service account") from None
    if not key.token_uri.startswith(("https://", "http://127.0.0.1:")):
        raise ValueError("its key names a token_uri that is not https")
    if key.type == "authorized_user" and key.refresh_token:
        return User(key)
    if key.type != "service_account" or not key.client_email:
        raise ValueError(f"its key is of type {key.type[:40]!r}; a service account's is needed")
    try:
        return ServiceAccount(key)
    except (ValueError, IndexError, TypeError):
        raise ValueError("the private key of its service account can't be read") from None


class _Held(NamedTuple):
    token: str
    until_s: float


class Tokens:
    """Gives the token of a source, and asks for it again before it ends."""

    def __init__(self, source: Source, pool: Pool, now: Callable[[], float] = time) -> None:
        self._source = source
        self._pool = pool
        self._now = now
        self._held: _Held | None = None
        self._asking = asyncio.Lock()
        """Protects the request for a new token: one at a time."""

    def forget(self) -> None:
        """Throw away a token that was not accepted."""
        self._held = None

    async def get(self) -> str:
        """A token that lives for some minutes more. Raises UpstreamAuth when there is none to be had."""
        held = self._held
        if held is not None and self._now() < held.until_s - RENEW_S:
            return held.token
        async with self._asking:
            held = self._held
            if held is not None and self._now() < held.until_s - RENEW_S:
                return held.token
            self._held = held = await self._ask()
            return held.token

    async def _ask(self) -> _Held:
        now_s = self._now()
        request = self._source.request(now_s)
        response = await self._pool.request(self._source.origin, request, _WAIT, whole=True)
        data = await response.read()
        if response.status != 200:
            raise UpstreamAuth(f"Google gave no token for the configured key (status {response.status}).")
        try:
            answer = _answer.decode(data)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamAuth("Google's answer to the configured key holds no token.") from None
        if not answer.access_token.isascii() or not answer.access_token.isprintable():
            raise UpstreamAuth("Google's answer to the configured key holds no token.")
        return _Held(answer.access_token, now_s + answer.expires_in)


def _part(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _form(origin: Origin, fields: dict[str, str]) -> bytes:
    body = urlencode(fields).encode()
    head = (
        f"POST {origin.path or '/'} HTTP/1.1\r\nHost: {origin.netloc}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n"
        f"User-Agent: greenroom\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
