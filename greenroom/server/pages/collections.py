"""The pages of collections: what is in them, what became of it, and a search to try.

Knows the index through the desk that the API uses too; sessions and forms are the other pages' own.
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, GreenroomError, MalformedRequest, NotFound
from greenroom.grounding.attachments import Wanted
from greenroom.grounding.stores import StoreRow
from greenroom.server.knowledge.collections import collection_shown, document_shown
from greenroom.server.knowledge.desk import Desk
from greenroom.server.knowledge.upload import Form
from greenroom.server.pages.access import own_project, seen
from greenroom.server.pages.documents import DocumentPages, Result, found_in, passage_address
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.forms import require_same_origin
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.sessions import Session, is_same

RESULTS = 10
MOST_SHOWN = 500
"""Documents on one page; the JSON twin has them all."""
UNREAD = 50
"""Documents that could not be read, on the page of all collections."""
_MAY_NOT = "This key may look, but not change anything. Sign in with an admin or operator key."
_LONGEST_QUERY = 1_000


class CollectionPages:
    """`/collections` and what is below."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._index = desk.index
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        page, twin = doors.page, doors.twin
        return [
            Route("/collections", page(self._list), methods=["GET", "POST"]),
            Route("/collections.json", twin(self._list_json)),
            Route("/collections/{id}.json", twin(self._show_json)),
            Route("/collections/{id}", page(self._show)),
            Route("/collections/{id}/documents", page(self._upload), methods=["POST"]),
            Route("/collections/{id}/delete", page(self._delete), methods=["POST"]),
            Route("/collections/{id}/documents/{document}/delete", page(self._remove), methods=["POST"]),
            *DocumentPages(self._desk).routes(doors),
        ]

    # all of them

    async def _list(self, request: Request, session: Session) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(self._list_page, session)
        form = await self._doors.posted(request, session)
        _require_writer(session)
        name, project = form.get("name", "").strip(), form.get("project", "").strip()
        project = own_project(project) or "default"
        if not name or len(name) > 256 or len(project) > 128:
            trouble = MalformedRequest("A collection needs a name of at most 256 characters.")
            return await run_in_threadpool(self._list_page, session, trouble)
        made = await run_in_threadpool(lambda: self._index.stores.create(project, name=name))
        await self._desk.noted(request, session.who, "collection.create", id=made.id, project=project)
        return redirect("/collections/" + segment(made.id))

    def _list_page(self, session: Session, trouble: GreenroomError | None = None) -> Response:
        return self._doors.render.html(
            "collections.html",
            status=trouble.status if trouble else 200,
            session=session,
            rows=self._index.stores.all(seen()),
            unread=self._index.attachments.unread(UNREAD, seen()),
            trouble=str(trouble or ""),
        )

    def _list_json(self, request: Request, session: Session) -> Response:
        rows = self._index.stores.all(seen())
        unread = self._index.attachments.unread(UNREAD, seen())
        failed = [
            {"id": one.id, "collection": one.store, "project": one.project, "filename": one.filename,
             "code": one.error_code, "error": one.error}
            for one in unread
        ]  # fmt: skip
        return json_answer({"data": [collection_shown(row) for row in rows], "unread": failed})

    # one

    def _show(self, request: Request, session: Session) -> Response:
        return self._page(request, session)

    def _page(self, request: Request, session: Session, trouble: GreenroomError | None = None) -> Response:
        query = request.query_params.get("q", "").strip()[:_LONGEST_QUERY]
        row = self._row(request)
        documents = self._index.list(row.project, row.id)
        return self._doors.render.html(
            "collection.html",
            status=trouble.status if trouble else 200,
            session=session,
            row=row,
            documents=documents[:MOST_SHOWN],
            left_out=max(0, len(documents) - MOST_SHOWN),
            query=query,
            results=[(one, passage_address(row.id, one.passage.id)) for one in self._results(row, query)],
            trouble=str(trouble or ""),
        )

    def _show_json(self, request: Request, session: Session) -> Response:
        query = request.query_params.get("q", "").strip()[:_LONGEST_QUERY]
        row = self._row(request)
        documents = [document_shown(one) for one in self._index.list(row.project, row.id)]
        found = [
            {"id": one.passage.id, "document": one.passage.document, "title": one.passage.title,
             "score": one.passage.score, "text": one.passage.text}
            for one in self._results(row, query)
        ]  # fmt: skip
        return json_answer({**collection_shown(row), "documents": documents, "results": found})

    def _results(self, row: StoreRow, query: str) -> list[Result]:
        if not query or row.is_expired:
            return []
        return found_in(self._desk, row, query, RESULTS)

    async def _upload(self, request: Request, session: Session) -> Response:
        require_same_origin(request)
        _require_writer(session)
        row = await run_in_threadpool(self._row, request)
        files = self._index.files
        try:
            async with Form(files, self._desk.file_bytes) as form:
                await form.read(request)
                if not is_same(form.fields.get("csrf", ""), session.csrf):
                    raise Forbidden("This form is no longer valid. Open the page again and retry.")
                upload, filename = form.upload, form.filename
                if upload is None or not upload.size_bytes:
                    raise MalformedRequest("Choose a file that is not empty.")
                kept = await run_in_threadpool(
                    lambda: files.keep(
                        upload, project=row.project, filename=filename, purpose="user_data", stays=False
                    )
                )
        except GreenroomError as error:
            return await run_in_threadpool(self._page, request, session, error)
        attach = self._index.attachments.attach
        await run_in_threadpool(attach, row.project, row.id, [Wanted(file_id=kept.id)])
        self._desk.wake()
        await self._desk.noted(request, session.who, "document.create", id=kept.id, collection=row.id)
        return redirect("/collections/" + segment(row.id))

    async def _delete(self, request: Request, session: Session) -> Response:
        row = await self._posted_to(request, session)
        await run_in_threadpool(self._index.remove_collection, row.project, row.id)
        await self._desk.noted(request, session.who, "collection.delete", id=row.id, project=row.project)
        return redirect("/collections")

    async def _remove(self, request: Request, session: Session) -> Response:
        row = await self._posted_to(request, session)
        document = request.path_params["document"]
        await run_in_threadpool(self._index.remove, row.project, document, row.id)
        await self._desk.noted(request, session.who, "document.delete", id=document, collection=row.id)
        return redirect("/collections/" + segment(row.id))

    async def _posted_to(self, request: Request, session: Session) -> StoreRow:
        await self._doors.posted(request, session)
        _require_writer(session)
        return await run_in_threadpool(self._row, request)

    def _row(self, request: Request) -> StoreRow:
        row = self._index.stores.get(seen(), request.path_params["id"])
        if row is None:
            raise NotFound("There is no collection with this id. It may have been removed.")
        return row


def _require_writer(session: Session) -> None:
    if not session.may_write:
        raise Forbidden(_MAY_NOT)
