"""`/api/collections`: the same collections for administration, of every project for an admin."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import Forbidden, NotFound
from greenroom.exchange import Caller
from greenroom.grounding.database import DocumentRow
from greenroom.grounding.stores import StoreRow
from greenroom.server.knowledge.desk import Desk
from greenroom.server.knowledge.shapes import counts_shown
from greenroom.server.routing import Doc, json_answer, read_body

_ONE = "/api/collections/{id}"


class NewCollection(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/collections`."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    description: Annotated[str, Meta(max_length=512)] = ""
    project: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


_new = Decoder(NewCollection)


class CollectionRoutes:
    """Lists, makes and removes collections and their documents."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._index = desk.index

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/api/collections", "GET", "viewer", "List collections.", self._list),
            Doc(
                "/api/collections",
                "POST",
                "operator",
                "Make a collection.",
                self._create,
                (),
                NewCollection,
                201,
            ),
            Doc(_ONE, "GET", "viewer", "Read a collection and list its documents.", self._get),
            Doc(_ONE, "DELETE", "operator", "Remove a collection and its documents.", self._delete),
            Doc(_ONE + "/documents/{document}", "DELETE", "operator", "Remove a document.", self._remove),
        )

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        rows = await run_in_threadpool(self._index.stores.all, _scope(caller))
        return json_answer({"data": [collection_shown(row) for row in rows]})

    async def _create(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _new)
        project = body.project or caller.project
        if _scope(caller) not in {None, project}:
            raise Forbidden("Only an admin key makes collections in other projects.", "project")
        create = partial(self._index.stores.create, name=body.name, description=body.description)
        row = await run_in_threadpool(create, project)
        await self._desk.noted(request, caller, "collection.create", id=row.id, project=project)
        return json_answer(collection_shown(row), 201)

    async def _get(self, request: Request, caller: Caller | None) -> Response:
        row = await self._row(request, caller)
        documents = await run_in_threadpool(self._index.list, row.project, row.id)
        return json_answer({**collection_shown(row), "documents": [document_shown(one) for one in documents]})

    async def _delete(self, request: Request, caller: Caller | None) -> Response:
        row = await self._row(request, caller)
        await run_in_threadpool(self._index.remove_collection, row.project, row.id)
        await self._desk.noted(request, caller, "collection.delete", id=row.id, project=row.project)
        return json_answer({"id": row.id, "object": "collection", "deleted": True})

    async def _remove(self, request: Request, caller: Caller | None) -> Response:
        row = await self._row(request, caller)
        document = request.path_params["document"]
        if not await run_in_threadpool(self._index.remove, row.project, document, row.id):
            raise NotFound("There is no document with this id in the collection.")
        await self._desk.noted(request, caller, "document.delete", id=document, collection=row.id)
        return json_answer({"id": document, "object": "document", "deleted": True})

    async def _row(self, request: Request, caller: Caller | None) -> StoreRow:
        row = await run_in_threadpool(self._index.stores.get, _scope(caller), request.path_params["id"])
        if row is None:
            raise NotFound("There is no collection with this id.")
        return row


def collection_shown(row: StoreRow) -> dict[str, object]:
    """A collection as administration sees it."""
    return {
        "id": row.id,
        "project": row.project,
        "name": row.name,
        "description": row.description,
        "created_at": _time(row.created_at),
        "expires_at": None if row.expires_at is None else _time(row.expires_at),
        "is_expired": row.is_expired,
        "counts": counts_shown(row.counts),
        "passages": row.passages,
        "bytes": row.bytes,
    }


def document_shown(row: DocumentRow) -> dict[str, object]:
    """A document as administration sees it."""
    return {
        "id": row.id,
        "filename": row.filename,
        "title": row.title,
        "status": row.status,
        "error": row.error,
        "language": row.language or None,
        "passages": row.passages,
        "bytes": row.bytes,
        "created_at": row.created_at,
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _scope(caller: Caller | None) -> str | None:
    assert caller is not None, "every route here has a role"
    return None if caller.role == "admin" else caller.project
