"""`/v1/uploads`: files that come in parts, as the client sends large ones."""

import asyncio
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.exchange import Caller
from greenroom.grounding.files import FileRow
from greenroom.grounding.uploads import MOST_PARTS, PART_BYTES, UploadRow
from greenroom.server.knowledge.desk import Desk, project_of
from greenroom.server.knowledge.files import PURPOSES, shown
from greenroom.server.knowledge.upload import Form
from greenroom.server.routing import Doc, json_answer, read_body

_ONE = "/v1/uploads/{upload_id}"
_PART: dict[str, object] = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "format": "binary"}},
}


class ExpiresAfter(Struct, kw_only=True, frozen=True):
    """How long the file stays."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=3_600, le=2_592_000)]


class NewUpload(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/uploads`."""

    filename: Annotated[str, Meta(min_length=1, max_length=1_024)]
    purpose: Annotated[str, Meta(max_length=64)]
    bytes: Annotated[int, Meta(ge=0)]
    mime_type: Annotated[str, Meta(max_length=256)]
    expires_after: ExpiresAfter | None = None


class Completion(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/uploads/{upload_id}/complete`."""

    part_ids: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=MOST_PARTS)]
    md5: Annotated[str, Meta(max_length=64)] | None = None


_new, _completion = Decoder(NewUpload), Decoder(Completion)


class UploadRoutes:
    """Answers for uploads; each belongs to the project of the key that made it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._uploads = desk.index.uploads

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc(
                "/v1/uploads", "POST", "app", "Begin a file that comes in parts.", self._create, (), NewUpload
            ),
            Doc(_ONE + "/parts", "POST", "app", "Send a part of a file.", self._part, (), _PART),
            Doc(
                _ONE + "/complete",
                "POST",
                "app",
                "Join the parts into a file.",
                self._complete,
                (),
                Completion,
            ),
            Doc(_ONE + "/cancel", "POST", "app", "Let go of a file that comes in parts.", self._cancel),
        )

    async def _create(self, request: Request, caller: Caller | None) -> Response:
        project = project_of(caller)
        body = await read_body(request, _new)
        if body.purpose not in PURPOSES:
            raise MalformedRequest(f"'purpose' must be one of {', '.join(PURPOSES)}.", "purpose")
        most = self._desk.file_bytes
        if body.bytes > most:
            raise TooLarge(f"A file may have {most // 1048576} MB.", "bytes")
        expires = None if body.expires_after is None else body.expires_after.seconds
        async with self._desk.at_work(request):
            row = await run_in_threadpool(
                lambda: self._uploads.create(
                    project=project,
                    filename=body.filename,
                    purpose=body.purpose,
                    size=body.bytes,
                    expires_s=expires,
                )
            )
        return json_answer(upload_shown(row))

    async def _part(self, request: Request, caller: Caller | None) -> Response:
        project, id = project_of(caller), request.path_params["upload_id"]
        row = await run_in_threadpool(self._uploads.pending, project, id)
        async with Form(self._uploads, min(PART_BYTES, self._desk.file_bytes), "data") as form:
            await form.read(request)
            part = form.upload
            assert part is not None, "a form that was read has its file"
            kept = await run_in_threadpool(self._uploads.keep, part, row)
        return json_answer(
            {"id": kept.id, "object": "upload.part", "created_at": kept.created_at, "upload_id": kept.upload}
        )

    async def _complete(self, request: Request, caller: Caller | None) -> Response:
        project, id = project_of(caller), request.path_params["upload_id"]
        body = await read_body(request, _completion)
        row, file = await asyncio.shield(
            run_in_threadpool(self._uploads.complete, project, id, body.part_ids, body.md5)
        )
        await self._desk.noted(request, caller, "file.create", id=file.id, bytes=file.bytes)
        return json_answer(upload_shown(row, file))

    async def _cancel(self, request: Request, caller: Caller | None) -> Response:
        row = await run_in_threadpool(
            self._uploads.cancel, project_of(caller), request.path_params["upload_id"]
        )
        return json_answer(upload_shown(row))


def upload_shown(row: UploadRow, file: FileRow | None = None) -> dict[str, object]:
    """An upload as clients expect it."""
    return {
        "id": row.id,
        "object": "upload",
        "bytes": row.bytes,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "filename": row.filename,
        "purpose": row.purpose,
        "status": row.status,
        "file": None if file is None else shown(file),
    }
