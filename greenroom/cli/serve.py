"""`greenroom serve`."""

from greenroom.assembly import serve as server
from greenroom.cli.place import Here


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
    return server.serve(place.config, place.data, host, port)
