"""One POST to an address that somebody wrote down: resolved once, judged, never redirected.

The name is looked up here, every address it has is judged, and one that was judged is connected to: a name
that changes in between leads nowhere else. What comes back is read as far as the status, within a size and a
time, and is never told to anybody. Goes past configured proxies, which would look the name up anew. Blocks:
for threads of their own.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from greenroom.errors import InfrastructureError, MalformedRequest
from greenroom.models.names import Lookup, look_up

TIME_S = 10.0
"""For all of one call: the name, the connection, the request, the status."""
_HEAD_BYTES = 16_384
_NEVER = frozenset(
    map(
        ipaddress.ip_address,
        ("168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254"),
    )
)
"""Where Azure, Oracle, Alibaba, Amazon and Google hand out credentials, besides link-local addresses."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Answered(NamedTuple):
    """What the other side said."""

    status: int
    retry_after_s: float | None


class Place(NamedTuple):
    """Where a POST goes, taken apart."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, as they stand in the request line."""

    @property
    def netloc(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def place_of(url: str) -> Place:
    """Take an address apart. Raises: MalformedRequest that does not say it: it may be secret."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
    except ValueError:  # UnicodeError among them
        raise MalformedRequest("The address is no URL.") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise MalformedRequest("The address must be an http:// or https:// one without a user name.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or any(one <= " " or one == "\x7f" for one in target + host):
        raise MalformedRequest("The address holds characters that no URL has.")
    return Place(parts.scheme, host, port, target)


def may_reach(address: str, *, is_private_meant: bool) -> bool:
    """Whether an address is one of the internet's; or, where that is meant, of this machine or its networks.

    Link-local addresses, where clouds hand out credentials, are never reached, nor is what is no host's. An
    IPv4 address inside an IPv6 one (mapped, 6to4, NAT64, Teredo) is judged as itself.
    """
    try:
        ip: _Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inside = _inside(ip)
    if inside is not None:
        return may_reach(str(inside), is_private_meant=is_private_meant)
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local or str(ip) == "255.255.255.255":
        return False
    if ip in _NEVER or (isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local):
        return False
    if is_private_meant and (ip.is_private or ip.is_loopback):
        return True
    return ip.is_global and not (ip.is_private or ip.is_loopback or ip.is_reserved)


def _inside(ip: _Address) -> ipaddress.IPv4Address | None:
    if isinstance(ip, ipaddress.IPv4Address):
        return None
    if ip in _NAT64 or (int(ip) >> 32 == 0 and int(ip) > 1):  # the latter: "IPv4-compatible", long given up
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, is_private_meant: bool = False,
    lookup: Lookup = look_up, time_s: float = TIME_S,
) -> Answered:  # fmt: skip
    """Send `body`; the status of what comes back, whatever it is. Redirects are told as they come.

    Without `is_private_meant` only https is spoken, and only with the internet.
    Raises: MalformedRequest for an address that may not be called; InfrastructureError where nobody answers,
    in constant words.
    """
    place = place_of(url)
    if place.scheme == "http" and not is_private_meant:
        raise MalformedRequest("The address must be an https:// one.")
    deadline = time.monotonic() + time_s
    try:
        found = lookup(place.host)
    except (OSError, UnicodeError):
        raise InfrastructureError("The name of the receiver has no address.") from None
    if not found or not all(may_reach(one, is_private_meant=is_private_meant) for one in found):
        raise MalformedRequest(
            "The address leads to a network that may not be called from here."
            if is_private_meant
            else "The address leads into a private network, which this channel may not call."
        )
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = (
        f"POST {place.target} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\nUser-Agent: greenroom\r\n{head}\r\n"
    ).encode("ascii") + body
    try:
        with _connected(found, place.port, deadline) as plain:
            if place.scheme == "http":
                return _exchange(plain, request, deadline)
            plain.settimeout(_left(deadline))
            with _tls().wrap_socket(plain, server_hostname=place.host) as encrypted:
                return _exchange(encrypted, request, deadline)
    except ssl.SSLError:
        raise InfrastructureError("The receiver's certificate was not accepted.") from None
    except OSError:
        raise InfrastructureError("The receiver did not answer.") from None


def _connected(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    """A connection to the first that takes one: a name may have an address that is not reached from here.

    Each but the last has half of the time that is left. Raises: OSError.
    """
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, port), _left(deadline) / 2)
        except OSError:
            continue
    return socket.create_connection((addresses[-1], port), _left(deadline))


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _exchange(connection: socket.socket, request: bytes, deadline: float) -> Answered:
    connection.settimeout(_left(deadline))
    connection.sendall(request)
    head = b""
    while True:
        while b"\r\n\r\n" not in head:
            if len(head) > _HEAD_BYTES:
                raise OSError
            connection.settimeout(_left(deadline))
            piece = connection.recv(4096)
            if not piece:
                raise OSError
            head += piece
        found = _read_head(head.partition(b"\r\n\r\n")[0])
        if found.status >= 200:
            return found
        head = head.partition(b"\r\n\r\n")[2]  # 1xx: the answer follows


def _read_head(head: bytes) -> Answered:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit() and len(status) == 3):
        raise OSError
    for line in lines:
        name, _, value = line.partition(":")
        value = value.strip()
        if name.lower() == "retry-after" and value.isascii() and value.isdigit() and len(value) < 9:
            return Answered(int(status), float(value))
    return Answered(int(status), None)
