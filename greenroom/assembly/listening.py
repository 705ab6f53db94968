"""What a server stands on before it serves: its certificate, its port, its first key, and its greeting."""

import ipaddress
import socket
import ssl
import time

from greenroom import __version__
from greenroom.assembly.house import House
from greenroom.errors import ConfigError

FINE, ENVIRONMENT = 0, 3


def check_tls(house: House) -> None:
    """Load certificate and key before anything is opened, to say in one sentence that they are no pair."""
    table = house.config.server
    if table.tls_cert is None and table.tls_key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            table.tls_cert or "", table.tls_key, password=""
        )
    except OSError:  # ssl.SSLError is one
        raise ConfigError(
            f"{house.source}: server.tls_cert and server.tls_key must name a readable PEM certificate and "
            "its key, without a password."
        ) from None


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens; with `shared` others of this user may listen there too. Raises: ConfigError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError:
        raise ConfigError(f"The host '{host}' is not an address of this machine.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"Port {port} on {host} can't be used ({error.strerror}). End what uses it, or choose another "
            "with --port."
        ) from None
    listener.setblocking(False)
    return listener


def admin_key_of(house: House, listener: socket.socket) -> str | None:
    """Make the first admin key if there is none; the key itself when it was made now."""
    host = listener.getsockname()[0]
    given = house.environment.get("GREENROOM_ADMIN_KEY", "").strip()
    has_admin = any(row.role == "admin" and row.is_active(time.time_ns()) for row in house.keys.list())
    if not ipaddress.ip_address(host).is_loopback and not given and not has_admin:
        raise ConfigError(
            f"Listening on {host} opens Greenroom to the network, and there is no admin key yet. Set "
            f"GREENROOM_ADMIN_KEY, or start once on 127.0.0.1."
        )
    return house.keys.ensure_admin(given)


def greet(house: House, place: tuple[str, int], admin_key: str | None, model: str, why: str) -> None:
    """Say where the server listens, which model answers, and how to ask it."""
    host, port = place
    scheme = "https" if house.config.server.tls_cert else "http"
    shown = f"[{host}]" if ":" in host else host
    address = f"{scheme}://{shown}:{port}"
    lines = [f"Greenroom {__version__} listens on {address}"]
    if admin_key is not None:
        lines.append(f"Admin key (shown this once): {admin_key}")
    lines.append(f"Model: {model}, since {why}.")
    insecure = " -k" if scheme == "https" else ""
    question = '{"model": "default", "messages": [{"role": "user", "content": "How do I add a provider?"}]}'
    curl = (
        f"  curl{insecure} {address}/v1/chat/completions -H 'Authorization: Bearer {house.local_key}' "
        f"-H 'Content-Type: application/json' -d '{question}'"
    )
    lines += ["Try it:", curl]
    print("\n".join(lines), flush=True)
