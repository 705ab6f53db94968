"""What every page that changes something tells the audit log beside who it was."""

from starlette.requests import Request


def address_of(request: Request) -> str:
    """Where a request came from."""
    return request.client.host if request.client is not None else ""
