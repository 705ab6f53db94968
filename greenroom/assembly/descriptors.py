"""What the system lets the process open, and how many connections that carries."""

import contextlib
import resource
from pathlib import Path

from greenroom.config import ServerConfig
from greenroom.server.head import Limits

KEPT = 18
"""Descriptors that are never given to connections: lexica and readers of stores that the first requests open
(8 where this was counted), and a spare few.
"""
FEW = 16
"""Connections, of which clients beyond the limit would take too large a share."""
MOST = 65_536
FORM_BYTES = 64 * 1024
"""What a form adds to the file in it."""


def raise_limit() -> None:
    """Take all descriptors that the system allows this process; many systems give a process 1024 at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_within(configured: int) -> int:
    """How many clients may be connected: as configured, or fewer where descriptors are short.

    A client's request takes a connection to a provider, so clients get half of what is free now.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return configured
    return max(2, min(configured, (soft - _open_now() - KEPT) // 2))


def limits_of(table: ServerConfig) -> Limits:
    """What a connection may take, and how many there may be."""
    body_bytes = table.body_limit_mb * 1024 * 1024
    connections = connections_within(table.connections)
    return Limits(
        body_bytes=body_bytes,
        header_s=table.header_timeout_s,
        body_s=table.body_timeout_s,
        idle_s=table.idle_timeout_s,
        write_s=table.write_timeout_s,
        connections=connections,
        spare=Limits().spare if connections >= FEW else 1,
        bodies_bytes=max(Limits().bodies_bytes, 2 * body_bytes),
        file_bytes=table.file_limit_mb * 1024 * 1024 + FORM_BYTES,
    )


def _open_now() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        if Path(folder).is_dir():
            return len(list(Path(folder).iterdir()))
    return 64
