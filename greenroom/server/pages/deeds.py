"""What every page that changes something tells the audit log: who it was, and from where."""

from starlette.requests import Request

from greenroom.server.pages.sessions import Session


def who(session: Session) -> str:
    """What the audit log calls who is at the browser."""
    return f"{session.role} on the pages"


def address_of(request: Request) -> str:
    """Where a request came from."""
    return request.client.host if request.client is not None else ""
