"""A large file brought over HTTPS: resumed where it was left, checked, and put in its place at once.

Half a file is `NAME.gguf.part`, beside it `NAME.part.json` says which version of the file it is of. Knows
HTTPS, checksums and the head of a GGUF; nothing of what it is for. Blocks: for commands, never for the event
loop.
"""

import fcntl
import hashlib
import http.client
import os
import shutil
import ssl
import time
from collections.abc import Callable
from io import BufferedRandom
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder, encode

from greenroom.errors import (
    Conflict,
    RequestError,
    StoreError,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamTLS,
    UpstreamUnreachable,
)
from greenroom.models import gguf
from greenroom.models.origin import Origin
from greenroom.models.proxies import Proxies

CHUNK_BYTES = 1 << 20
REDIRECTS = 5
TRIES = 4
"""In a row that brought less than a chunk."""
FIRST_PAUSE_S = 1.0
"""Before the second try; twice as long before each that follows."""
SILENCE_S = 30.0
SPARE_BYTES = 64 << 20
"""What is left free on the disk."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Fetched(NamedTuple):
    """What came."""

    head: gguf.Head
    sha256: str
    checked_against: str | None
    """Who said beforehand what the checksum is; None when nobody did."""
    resumed_from: int


class _Version(Struct, frozen=True):
    """Which file half of it is here."""

    url: str = ""
    etag: str = ""


class _Answer(NamedTuple):
    connection: http.client.HTTPSConnection
    response: http.client.HTTPResponse
    linked: str
    """The SHA-256 that the hub names on its way to the file, or nothing."""


_version = Decoder(_Version)


class Download:
    """One file from one address."""

    def __init__(
        self, url: str, path: Path, *, sha256: str | None = None, size_bytes: int | None = None,
        proxies: Proxies | None = None, context: ssl.SSLContext | None = None,
        tell: Callable[[int, int | None], None] = lambda _, __: None, first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:  # fmt: skip
        """`tell` is called with the bytes that are here and those there are in all, or None.

        Raises: RequestError for an address that is not https, or a checksum that is none.
        """
        check_address(url)
        self._url = url
        self._path = path
        self._part = path.with_suffix(".gguf.part")
        self._note = path.with_suffix(".part.json")
        self._expected = sha256.lower() if sha256 else None
        if self._expected is not None and not _is_sha256(self._expected):
            raise RequestError("The SHA-256 must be 64 hexadecimal digits.", "sha256")
        self._by = "what was given" if self._expected else None
        self._size = size_bytes
        self._proxies = proxies or Proxies({})
        self._context = context or ssl.create_default_context()
        self._tell = tell
        self._pause_s = first_pause_s
        self._resumed_from = 0

    def run(self) -> Fetched:
        """Bring it. What came stays where it can be gone on with.

        Raises: UpstreamError for the network and what it brings, Conflict while another command brings the
        same, StoreError for the disk.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(self._part) as file:
                self._resumed_from = self._usable(file)
                self._fetch(file)
                return self._accept(file)
        except OSError as error:
            raise StoreError(f"{self._part} can't be written: {error.strerror or error}.") from None

    def _usable(self, file: BufferedRandom) -> int:
        """How much of what is here belongs to this address; all else is dropped."""
        size = file.seek(0, os.SEEK_END)
        version = self._kept_version()
        if size and version.url == self._url and _is_strong(version.etag):
            return size
        file.truncate(0)
        return 0

    def _fetch(self, file: BufferedRandom) -> None:
        tries = 0
        while True:
            before = file.seek(0, os.SEEK_END)
            try:
                self._once(file, before)
                return
            except (UpstreamDisconnected, UpstreamTimeout, UpstreamUnreachable, UpstreamRefused) as error:
                if isinstance(error, UpstreamRefused) and error.upstream_status not in _PASSING:
                    raise
                tries = 1 if file.seek(0, os.SEEK_END) - before >= CHUNK_BYTES else tries + 1
                if tries >= TRIES:
                    error.args = (f"{error} {self._left(file)}",)
                    raise
            time.sleep(self._pause_s * 2 ** (tries - 1))

    def _once(self, file: BufferedRandom, have: int) -> None:
        """One request, to its end. Raises UpstreamError, or OSError of the disk."""
        answer = self._ask(have)
        try:
            response = answer.response
            if answer.linked and self._expected is None:
                self._expected, self._by = answer.linked, "what the hub says"
            if have and response.status == 416 and response.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it is here already
            goes_on = have > 0 and self._goes_on(response, have)
            if response.status == 416 or (response.status == 206 and not goes_on):
                self._begin_again(file)
                raise UpstreamDisconnected("The file there is another one by now.")
            if response.status not in {200, 206}:
                raise _refusal(response.status)
            if response.headers.get_content_type() == "text/html":
                raise UpstreamProtocol("What comes is a web page. Give the address of the file itself.")
            start = have if goes_on else 0
            total = self._total(response, start)
            self._room_for(total - have if total is not None else 0)
            if not goes_on:
                self._begin_again(file)
            self._note.write_bytes(encode(_Version(self._url, response.headers.get("ETag", ""))))
            self._take(file, response, start, total)
        finally:
            answer.connection.close()

    def _begin_again(self, file: BufferedRandom) -> None:
        file.truncate(0)
        self._resumed_from = 0

    def _goes_on(self, response: http.client.HTTPResponse, have: int) -> bool:
        etag = response.headers.get("ETag", "")
        return (
            response.status == 206
            and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            and etag == self._kept_version().etag
        )

    def _total(self, response: http.client.HTTPResponse, have: int) -> int | None:
        """The size of the whole file, where it is said. Raises UpstreamProtocol when it can't be right."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise UpstreamProtocol("The file was sent compressed, although that was not asked for.")
        length = response.headers.get("Content-Length", "")
        is_number = length.isascii() and length.isdigit() and len(length) < 20
        total = have + int(length) if is_number else None
        if total is not None and self._size is not None and total != self._size:
            raise UpstreamProtocol(
                f"The file has {total:,} bytes, but {self._size:,} were expected. It is another one by now; "
                "pull it by its address, with --sha256, if you trust it."
            )
        return total

    def _take(
        self, file: BufferedRandom, response: http.client.HTTPResponse, have: int, total: int | None
    ) -> None:
        file.seek(have)
        self._tell(have, total)
        while True:
            try:
                data = response.read1(CHUNK_BYTES)
            except TimeoutError:
                raise UpstreamTimeout(f"Nothing came for {SILENCE_S:.0f} s.") from None
            except (http.client.HTTPException, OSError):  # of the network; the disk is written below
                raise UpstreamDisconnected("The connection was closed in the middle of the file.") from None
            if not data:
                break
            if have == 0:
                _check_beginning(data, file)
            file.write(data)
            file.flush()  # a command that is killed leaves what came
            have += len(data)
            self._tell(have, total)
        if total is not None and have != total:
            raise UpstreamDisconnected("The connection was closed in the middle of the file.")

    def _ask(self, have: int) -> _Answer:
        """Send the request, and go where it leads. Raises UpstreamError."""
        headers = {"User-Agent": "greenroom", "Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self._kept_version().etag}
        url = self._url
        linked = ""
        for _ in range(REDIRECTS + 1):
            connection = self._connection(url)
            parts = urlsplit(url)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            try:
                connection.request("GET", target, headers=headers)
                response = connection.getresponse()
            except (OSError, http.client.HTTPException, UnicodeError) as error:
                connection.close()
                raise _translated(error) from None
            named = response.headers.get("X-Linked-ETag", "").strip('"').lower()
            linked = named if _is_sha256(named) else linked
            if response.status not in {301, 302, 303, 307, 308}:
                return _Answer(connection, response, linked)
            connection.close()
            url = urljoin(url, response.headers.get("Location", ""))
            try:
                check_address(url)
            except RequestError:
                raise UpstreamProtocol("The address leads on to one that is not https.") from None
        raise UpstreamProtocol(f"The address leads on more than {REDIRECTS} times.")

    def _connection(self, url: str) -> http.client.HTTPSConnection:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        proxy = self._proxies.choose(Origin("https", host, port, ""))
        if proxy is None:
            return http.client.HTTPSConnection(host, port, timeout=SILENCE_S, context=self._context)
        connection = http.client.HTTPSConnection(
            proxy.host, proxy.port, timeout=SILENCE_S, context=self._context
        )
        headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
        connection.set_tunnel(host, port, headers)
        return connection

    def _accept(self, file: BufferedRandom) -> Fetched:
        """Check what came, and put it in its place."""
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if self._expected is not None and found != self._expected:
            self._drop(file)
            raise UpstreamProtocol(
                f"The file's SHA-256 is {found}, but by {self._by} it is {self._expected}. "
                "What came was deleted."
            )
        try:
            head = gguf.read_head(self._part)
        except gguf.NotGGUF as error:
            self._drop(file)
            raise UpstreamProtocol(f"What came {error}. It was deleted.") from None
        os.fsync(file.fileno())
        self._part.replace(self._path)
        self._note.unlink(missing_ok=True)
        return Fetched(head, found, self._by, self._resumed_from)

    def _drop(self, file: BufferedRandom) -> None:
        file.truncate(0)
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _kept_version(self) -> _Version:
        try:
            return _version.decode(self._note.read_bytes())
        except (OSError, DecodeError, ValidationError, UnicodeDecodeError):
            return _Version()

    def _room_for(self, size: int) -> None:
        free = shutil.disk_usage(self._path.parent).free
        if size + SPARE_BYTES > free:
            raise StoreError(
                f"{size / 1e9:.1f} GB are to come, and {free / 1e9:.1f} GB are free in {self._path.parent}. "
                "Make room, or choose another folder with --data."
            )

    def _left(self, file: BufferedRandom) -> str:
        have = file.seek(0, os.SEEK_END)
        return (
            f"{have:,} bytes are here; the same command goes on from there." if have else "Try again later."
        )


def check_address(url: str) -> None:
    """Raise RequestError unless a file may be brought from there."""
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        is_fine = False
    if not is_fine or parts.username is not None or not url.isascii() or any(one <= " " for one in url):
        raise RequestError("The address must be a plain https:// one, without credentials.", "url")


class _locked:  # noqa: N801  # used like a function
    """The half file, opened for nobody else. Raises Conflict."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> BufferedRandom:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino != self._path.stat().st_ino:
                raise BlockingIOError  # the other command put it in its place in between
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            raise Conflict(
                f"Another command is bringing '{self._path.name.removesuffix('.gguf.part')}' at the moment."
            ) from None
        self._file = os.fdopen(descriptor, "r+b")
        return self._file

    def __exit__(self, *_: object) -> None:
        with self._file as file:
            if file.seek(0, os.SEEK_END) == 0 and self._path.exists():
                self._path.unlink()


def _check_beginning(data: bytes, file: BufferedRandom) -> None:
    try:
        gguf.check_beginning(data[:64])
    except gguf.NotGGUF as error:
        file.truncate(0)
        raise UpstreamProtocol(f"What comes {error}. Give the address of the file itself.") from None


def _refusal(status: int) -> UpstreamError:
    if status in {401, 403}:
        said = "The file is not open to everybody: bring it with the hub's own program, and use model_path."
    elif status in {404, 410}:
        said = "There is no such file at that address."
    else:
        said = f"The address answers with status {status}."
    return UpstreamRefused(said, upstream_status=status)


def _translated(error: Exception) -> UpstreamError:
    """What a failure of the network is called here."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return UpstreamTLS(f"The certificate there is not to be trusted: {error.verify_message}.")
    if isinstance(error, ssl.SSLError):
        return UpstreamTLS("The TLS handshake failed.")
    if isinstance(error, TimeoutError):
        return UpstreamTimeout(f"No answer came for {SILENCE_S:.0f} s.")
    if isinstance(error, (http.client.HTTPException, ConnectionResetError, BrokenPipeError)):
        return UpstreamDisconnected("The connection was closed before there was an answer.")
    return UpstreamUnreachable("The address can't be reached.")


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(one in "0123456789abcdef" for one in text)


def _is_strong(etag: str) -> bool:
    return etag.startswith('"') and len(etag) > 2
