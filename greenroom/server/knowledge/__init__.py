"""`/v1/files` and `/v1/vector_stores`, as OpenAI's clients speak them, and `/api/collections`.

A vector store is a collection, a file of it a document. Everything belongs to the project of the key.
"""

from greenroom.server.knowledge.collections import CollectionRoutes
from greenroom.server.knowledge.desk import Desk
from greenroom.server.knowledge.files import FileRoutes
from greenroom.server.knowledge.stores import StoreRoutes
from greenroom.server.knowledge.uploads import UploadRoutes
from greenroom.server.routing import Doc

__all__ = ["Desk", "docs"]


def docs(desk: Desk) -> tuple[Doc, ...]:
    """The routes, for `Api` to serve and to describe."""
    return (
        *FileRoutes(desk).docs(),
        *UploadRoutes(desk).docs(),
        *StoreRoutes(desk).docs(),
        *CollectionRoutes(desk).docs(),
    )
