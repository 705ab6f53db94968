"""What every page that changes something asks first: who may, who it was, and from where."""

from starlette.requests import Request

from greenroom.errors import Forbidden
from greenroom.server.pages.sessions import Session


def require_operator(session: Session) -> None:
    """Raise Forbidden for who may only look."""
    if not session.may_write:
        raise Forbidden("This key may look, but not change anything. Sign in with an admin or operator key.")


def require_admin(session: Session) -> None:
    """Raise Forbidden for all but admins, as the API does for what spans projects."""
    if session.role != "admin":
        raise Forbidden("This spans all projects, so only admins may do it. Sign in with an admin key.")


def who(session: Session) -> str:
    """What the audit log calls who is at the browser."""
    return f"{session.role} on the pages"


def address_of(request: Request) -> str:
    """Where a request came from, for the audit log."""
    return request.client.host if request.client is not None else ""
