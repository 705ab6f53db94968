"""`/v1/vector_stores`: made, filled, searched."""

from functools import partial

from msgspec import UNSET
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import MalformedRequest, NotFound, RequestError
from greenroom.exchange import Caller
from greenroom.grounding.attachments import AttachedRow, BatchRow
from greenroom.grounding.stores import StoreRow
from greenroom.server.knowledge.desk import Desk, cursor_of, listed, project_of
from greenroom.server.knowledge.shapes import (
    ExpiresAfter,
    FileAttributes,
    NewFileBatch,
    NewVectorStore,
    NewVectorStoreFile,
    VectorStoreChange,
    VectorStoreSearch,
    attached_shown,
    batch_shown,
    store_shown,
    wanted,
    wanted_by,
)
from greenroom.server.routing import Doc, json_answer, read_body

_STATUSES = ("in_progress", "completed", "failed", "cancelled")
_new_store = Decoder(NewVectorStore)
_change = Decoder(VectorStoreChange)
_new_file = Decoder(NewVectorStoreFile)
_new_batch = Decoder(NewFileBatch)
_attributes = Decoder(FileAttributes)
_search = Decoder(VectorStoreSearch)
_LIST = ("limit", "order", "after", "before")
_STORES = "/v1/vector_stores"
_STORE = "/v1/vector_stores/{vector_store_id}"
_FILE = _STORE + "/files/{file_id}"
_BATCH = _STORE + "/file_batches/{batch_id}"


class StoreRoutes:
    """Answers for vector stores, their files and batches; each belongs to a project."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stores = desk.index.stores
        self._attached = desk.index.attachments

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        listing = (*_LIST, "filter")
        return (
            Doc(_STORES, "POST", "app", "Make a vector store.", self._create, (), NewVectorStore),
            Doc(_STORES, "GET", "app", "List vector stores, newest first.", self._list, _LIST),
            Doc(_STORE, "GET", "app", "Read a vector store.", self._get),
            Doc(_STORE, "POST", "app", "Change a vector store.", self._update, (), VectorStoreChange),
            Doc(_STORE, "DELETE", "app", "Delete a vector store; its files stay.", self._delete),
            Doc(_STORE + "/search", "POST", "app", "Find passages.", self._search, (), VectorStoreSearch),
            Doc(_STORE + "/files", "POST", "app", "Attach a file.", self._attach, (), NewVectorStoreFile),
            Doc(_STORE + "/files", "GET", "app", "List a vector store's files.", self._list_files, listing),
            Doc(_FILE, "GET", "app", "Read what became of a file.", self._get_file),
            Doc(_FILE, "POST", "app", "Set a file's attributes.", self._describe, (), FileAttributes),
            Doc(_FILE, "DELETE", "app", "Take a file out; it stays itself.", self._detach),
            Doc(_FILE + "/content", "GET", "app", "Read the passages of a file.", self._content),
            Doc(
                _STORE + "/file_batches", "POST", "app", "Attach files together.", self._attach_batch, (),
                NewFileBatch,
            ),
            Doc(_BATCH, "GET", "app", "Read what became of a batch.", self._get_batch),
            Doc(_BATCH + "/cancel", "POST", "app", "Read no more of a batch's files.", self._cancel),
            Doc(_BATCH + "/files", "GET", "app", "List the files of a batch.", self._list_batch, listing),
        )  # fmt: skip

    # stores

    async def _create(self, request: Request, caller: Caller | None) -> Response:
        project = project_of(caller)
        body = await read_body(request, _new_store)
        strategy = body.chunking_strategy
        files = [
            wanted(NewVectorStoreFile(file_id=id, chunking_strategy=strategy))
            for id in dict.fromkeys(body.file_ids or ())
        ]

        def create() -> StoreRow:
            made = self._stores.create(
                project,
                name=body.name or "",
                description=body.description or "",
                metadata=body.metadata,
                days=body.expires_after.days if body.expires_after else None,
            )
            if not files:
                return made
            try:
                self._attached.attach(project, made.id, files)
            except RequestError:
                self._desk.index.remove_collection(project, made.id)
                raise
            return self._stores.get(project, made.id) or made

        async with self._desk.at_work(request):
            row = await run_in_threadpool(create)
            await self._desk.noted(request, caller, "vector_store.create", id=row.id, files=len(files))
        self._desk.wake()
        return json_answer(store_shown(row))

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        project = project_of(caller)
        rows, has_more = await run_in_threadpool(self._stores.list, project, cursor_of(request.query_params))
        return json_answer(listed([store_shown(row) for row in rows], has_more=has_more))

    async def _get(self, request: Request, caller: Caller | None) -> Response:
        return json_answer(store_shown(await self._store(request, caller)))

    async def _update(self, request: Request, caller: Caller | None) -> Response:
        project, id = project_of(caller), request.path_params["vector_store_id"]
        body = await read_body(request, _change)
        after = body.expires_after
        change = partial(
            self._stores.update, project, id, name=body.name, metadata=body.metadata,
            days=after.days if isinstance(after, ExpiresAfter) else None, sets_days=after is not UNSET,
        )  # fmt: skip
        row = await run_in_threadpool(change)
        if row is None:
            raise _no_store(id)
        await self._desk.noted(request, caller, "vector_store.update", id=id)
        return json_answer(store_shown(row))

    async def _delete(self, request: Request, caller: Caller | None) -> Response:
        store = await self._store(request, caller)
        await run_in_threadpool(self._desk.index.remove_collection, store.project, store.id)
        await self._desk.noted(request, caller, "vector_store.delete", id=store.id)
        return json_answer({"id": store.id, "object": "vector_store.deleted", "deleted": True})

    async def _search(self, request: Request, caller: Caller | None) -> Response:
        project = project_of(caller)
        body = await read_body(request, _search)
        queries = [body.query] if isinstance(body.query, str) else body.query
        if not all(one.strip() for one in queries):
            raise MalformedRequest("'query' must hold words.", "query")
        if body.filters is not None:
            body.filters.check()
        store = await self._store(request, caller)
        if store.is_expired:
            raise MalformedRequest(
                "The vector store has expired. Set 'expires_after' anew, or make another with its files."
            )
        threshold = body.ranking_options.score_threshold if body.ranking_options else 0.0

        def search() -> list[dict[str, object]]:
            chosen = None
            if body.filters is not None:
                chosen = self._attached.chosen(project, store.id, body.filters)
            found = self._desk.search(
                queries, project=project, collection=store.id, limit=body.max_num_results, documents=chosen
            )
            found = [one for one in found if one.score >= threshold]
            ids = [one.id.rpartition("#")[0] for one in found]
            attributes = self._attached.attributes(project, store.id, ids)
            return [
                {
                    "file_id": id,
                    "filename": one.document,
                    "score": one.score,
                    "attributes": attributes.get(id, {}),
                    "content": [{"type": "text", "text": one.text}],
                }
                for id, one in zip(ids, found, strict=True)
            ]

        async with self._desk.at_work(request):
            data = await run_in_threadpool(search)
        return json_answer(
            {
                "object": "vector_store.search_results.page",
                "search_query": queries,
                "data": data,
                "has_more": False,
                "next_page": None,
            }
        )

    # files of a store

    async def _attach(self, request: Request, caller: Caller | None) -> Response:
        store = await self._store(request, caller)
        one = wanted(await read_body(request, _new_file))

        def attach() -> AttachedRow | None:
            self._attached.attach(store.project, store.id, [one])
            return self._attached.get(store.project, store.id, one.file_id)

        async with self._desk.at_work(request):
            row = await run_in_threadpool(attach)
        self._desk.wake()
        await self._desk.noted(request, caller, "vector_store.attach", id=store.id, file=one.file_id)
        return json_answer(attached_shown(_file_of(row, one.file_id)))

    async def _list_files(self, request: Request, caller: Caller | None) -> Response:
        return await self._listed(request, await self._store(request, caller), None)

    async def _listed(self, request: Request, store: StoreRow, batch: str | None) -> Response:
        status = request.query_params.get("filter") or None
        if status is not None and status not in _STATUSES:
            raise MalformedRequest(f"'filter' must be one of {', '.join(_STATUSES)}.", "filter")
        fetch = partial(self._attached.list, status=status, batch=batch)
        cursor = cursor_of(request.query_params)
        rows, has_more = await run_in_threadpool(fetch, store.project, store.id, cursor)
        return json_answer(listed([attached_shown(row) for row in rows], has_more=has_more))

    async def _get_file(self, request: Request, caller: Caller | None) -> Response:
        return json_answer(attached_shown(await self._file(request, caller)))

    async def _describe(self, request: Request, caller: Caller | None) -> Response:
        body = await read_body(request, _attributes)
        known = await self._file(request, caller)
        describe = partial(self._attached.describe, attributes=dict(body.attributes or {}))
        row = await run_in_threadpool(describe, known.project, known.store, known.id)
        await self._desk.noted(request, caller, "vector_store.describe", id=known.store, file=known.id)
        return json_answer(attached_shown(_file_of(row, known.id)))

    async def _detach(self, request: Request, caller: Caller | None) -> Response:
        row = await self._file(request, caller)
        await run_in_threadpool(self._desk.index.remove, row.project, row.id, row.store)
        await self._desk.noted(request, caller, "vector_store.detach", id=row.store, file=row.id)
        return json_answer({"id": row.id, "object": "vector_store.file.deleted", "deleted": True})

    async def _content(self, request: Request, caller: Caller | None) -> Response:
        row = await self._file(request, caller)
        passages = await run_in_threadpool(self._desk.index.passages, row.project, row.id, row.store)
        return json_answer(
            {
                "object": "vector_store.file_content.page",
                "data": [{"type": "text", "text": one.text} for one in passages],
                "has_more": False,
                "next_page": None,
            }
        )

    # batches

    async def _attach_batch(self, request: Request, caller: Caller | None) -> Response:
        store = await self._store(request, caller)
        files = wanted_by(await read_body(request, _new_batch))

        def attach() -> BatchRow | None:
            id = self._attached.attach(store.project, store.id, files, as_batch=True)
            return self._attached.batch(store.project, store.id, id or "")

        async with self._desk.at_work(request):
            row = await run_in_threadpool(attach)
        self._desk.wake()
        await self._desk.noted(request, caller, "vector_store.attach", id=store.id, files=len(files))
        return json_answer(batch_shown(_batch_of(row, "")))

    async def _get_batch(self, request: Request, caller: Caller | None) -> Response:
        return json_answer(batch_shown(await self._batch(request, caller)))

    async def _cancel(self, request: Request, caller: Caller | None) -> Response:
        project, id = project_of(caller), request.path_params["batch_id"]
        store = request.path_params["vector_store_id"]
        row = await run_in_threadpool(self._attached.cancel, project, store, id)
        await self._desk.noted(request, caller, "vector_store.cancel", id=store, batch=id)
        return json_answer(batch_shown(_batch_of(row, id)))

    async def _list_batch(self, request: Request, caller: Caller | None) -> Response:
        store = await self._store(request, caller)
        batch = await self._batch(request, caller)
        return await self._listed(request, store, batch.id)

    # looking up

    async def _store(self, request: Request, caller: Caller | None) -> StoreRow:
        id = request.path_params["vector_store_id"]
        row = await run_in_threadpool(self._stores.get, project_of(caller), id)
        if row is None:
            raise _no_store(id)
        return row

    async def _file(self, request: Request, caller: Caller | None) -> AttachedRow:
        store, id = request.path_params["vector_store_id"], request.path_params["file_id"]
        return _file_of(await run_in_threadpool(self._attached.get, project_of(caller), store, id), id)

    async def _batch(self, request: Request, caller: Caller | None) -> BatchRow:
        store, id = request.path_params["vector_store_id"], request.path_params["batch_id"]
        return _batch_of(await run_in_threadpool(self._attached.batch, project_of(caller), store, id), id)


def _no_store(id: str) -> NotFound:
    return NotFound(f"There is no vector store '{id[:64]}'.", "vector_store_id")


def _file_of(row: AttachedRow | None, id: str) -> AttachedRow:
    if row is None:
        raise NotFound(f"There is no file '{id[:64]}' in this vector store.", "file_id")
    return row


def _batch_of(row: BatchRow | None, id: str) -> BatchRow:
    if row is None:
        raise NotFound(f"There is no batch '{id[:64]}' in this vector store.", "batch_id")
    return row
