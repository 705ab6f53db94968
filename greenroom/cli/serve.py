"""`greenroom serve`."""

from greenroom.assembly import serve as server
from greenroom.cli.output import fail
from greenroom.cli.place import USAGE, Here


def serve(*, host: str | None = None, port: int | None = None, place: Here) -> int:
    """Start Greenroom and keep it running until it is told to stop.

    Prints the address, the admin key on the first start, which model answers and why, and a curl line that
    works as printed.

    Parameters
    ----------
    host
        Address to listen on, instead of the configured one.
    port
        Port to listen on, instead of the configured one.
    """
    if port is not None and not 0 <= port <= 65535:
        return fail("A port is a number from 0 to 65535.", USAGE)
    return server.serve(place.config, place.data, host, port)
