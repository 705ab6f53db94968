"""`/v1/responses` and `/v1/conversations`, as OpenAI's clients speak them.

A response or a conversation belongs to the project of the key that made it; another project's key finds none.
"""

from greenroom.gateway.access import Access
from greenroom.server.responses.background import Background
from greenroom.server.responses.conversations import ConversationRoutes
from greenroom.server.responses.desk import STOPPED, Desk
from greenroom.server.responses.front import ResponsesFront
from greenroom.server.responses.routes import ResponseRoutes
from greenroom.server.routing import Doc

__all__ = ["STOPPED", "Background", "Desk", "ResponsesFront", "docs"]

PATH = b"/v1/responses"


def docs(desk: Desk, background: Background, access: Access) -> tuple[Doc, ...]:
    """The routes behind the front, for `Api` to serve and to describe."""
    return (*ResponseRoutes(desk, background, access).docs(), *ConversationRoutes(desk).docs())
