"""`/v1/files`: uploaded, listed, fetched, deleted."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from greenroom.errors import MalformedRequest, NotFound
from greenroom.exchange import Caller
from greenroom.grounding.files import FileRow
from greenroom.server.knowledge.desk import Desk, cursor_of, listed, project_of
from greenroom.server.knowledge.upload import Form, expires_s
from greenroom.server.routing import Doc, json_answer

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
_MOST = 10_000
_FORM: dict[str, object] = {
    "type": "object",
    "required": ["purpose", "file"],
    "properties": {
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "file": {"type": "string", "format": "binary"},
        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
    },
}


class FileRoutes:
    """Answers for files; each belongs to the project of the key that uploaded it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._files = desk.index.files

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/v1/files", "POST", "app", "Upload a file.", self._create, (), _FORM),
            Doc(
                "/v1/files", "GET", "app", "List files, newest first.", self._list,
                ("purpose", "limit", "order", "after"),
            ),
            Doc("/v1/files/{file_id}", "GET", "app", "Read what is known of a file.", self._get),
            Doc(
                "/v1/files/{file_id}", "DELETE", "app", "Delete a file, in every vector store as well.",
                self._delete,
            ),
            Doc(
                "/v1/files/{file_id}/content", "GET", "app", "Fetch the bytes of a file.", self._content,
                media="application/octet-stream",
            ),
        )  # fmt: skip

    async def _create(self, request: Request, caller: Caller | None) -> Response:
        project = project_of(caller)
        async with self._desk.at_work(request), Form(self._files, self._desk.file_bytes) as form:
            await form.read(request)
            purpose = form.fields.get("purpose", "")
            if purpose not in PURPOSES:
                raise MalformedRequest(f"'purpose' must be one of {', '.join(PURPOSES)}.", "purpose")
            expires = expires_s(form.fields)
            upload = form.upload
            assert upload is not None, "a form that was read has its file"
            if not upload.size_bytes:
                raise MalformedRequest("The file is empty.", "file")
            row = await run_in_threadpool(
                lambda: self._files.keep(
                    upload, project=project, filename=form.filename, purpose=purpose, expires_s=expires
                )
            )
            await self._desk.noted(request, caller, "file.create", id=row.id, bytes=row.bytes)
        return json_answer(shown(row))

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        project = project_of(caller)
        cursor = cursor_of(request.query_params, usual=_MOST, most=_MOST)
        purpose = request.query_params.get("purpose") or None
        rows, has_more = await run_in_threadpool(self._files.list, project, cursor, purpose)
        return json_answer(listed([shown(row) for row in rows], has_more=has_more))

    async def _get(self, request: Request, caller: Caller | None) -> Response:
        return json_answer(shown(await self._row(request, caller)))

    async def _content(self, request: Request, caller: Caller | None) -> Response:
        row = await self._row(request, caller)
        path = await run_in_threadpool(self._files.path, row)
        return FileResponse(path, filename=row.filename, media_type="application/octet-stream")

    async def _delete(self, request: Request, caller: Caller | None) -> Response:
        id = request.path_params["file_id"]
        if not await run_in_threadpool(self._desk.index.remove_file, project_of(caller), id):
            raise _missing(id)
        await self._desk.noted(request, caller, "file.delete", id=id)
        return json_answer({"id": id, "object": "file", "deleted": True})

    async def _row(self, request: Request, caller: Caller | None) -> FileRow:
        id = request.path_params["file_id"]
        row = await run_in_threadpool(self._files.get, project_of(caller), id)
        if row is None:
            raise _missing(id)
        return row


def shown(row: FileRow) -> dict[str, object]:
    """A file as clients expect it."""
    return {
        "id": row.id,
        "object": "file",
        "bytes": row.bytes,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "filename": row.filename,
        "purpose": row.purpose,
        "status": "processed",
        "status_details": None,
    }


def _missing(id: str) -> NotFound:
    return NotFound(f"There is no file '{id[:64]}'.", "file_id")
