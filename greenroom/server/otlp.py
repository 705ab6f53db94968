"""`POST /v1/traces` and `/v1/logs`: what applications tell by OTLP/HTTP, as JSON or protobuf, packed or not.

Answers in the protocol's own words and in the form that came: how many records were not taken, and why.
One message is read at a time, in a thread beside the loop; a few may wait, the rest are told to come back.
"""

import zlib
from asyncio import Semaphore
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import GreenroomError, MalformedRequest, NotFound, Overloaded, TooLarge
from greenroom.exchange import Caller
from greenroom.server.routing import Doc, json_answer
from greenroom.wire import openai
from greenroom.wire.otlp import json as as_json
from greenroom.wire.otlp import protobuf

Json = dict[str, Any]  # Any: JSON
MOST_BYTES = 16 * 1024 * 1024
"""Of one message, unpacked."""
MOST_WAITING = 8
PROTOBUF, JSON = "application/x-protobuf", "application/json"
_ACCEPTED = f"Send content-type {PROTOBUF} or {JSON}."
_SCHEMA: dict[str, object] = {"type": "object", "additionalProperties": True}
_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 429: 8, 503: 14}
"""HTTP status → code of google.rpc.Status; 2 (unknown) for others."""


class Told(NamedTuple):
    """What became of a message: how many records were not taken, and why the first was not."""

    refused: int
    why: str


class TelemetryAdministration(Protocol):
    """What the routes need; runs in a worker thread. Raises: MalformedRequest, TooLarge, StoreError."""

    def take_spans(self, caller: Caller, body: bytes, *, is_json: bool) -> Told: ...
    def take_logs(self, caller: Caller, body: bytes, *, is_json: bool) -> Told: ...
    def spans(self, project: str | None, id: str) -> Json | None: ...
    def document(self, project: str | None, id: str) -> Json | None: ...


class OtlpApi:
    """Telemetry in, and what there is of one exchange out."""

    def __init__(self, administration: TelemetryAdministration) -> None:
        self._admin = administration
        self._turn = Semaphore(1)
        self._waiting = 0

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/v1/traces", "POST", "app", "Take in spans by OTLP, as JSON or protobuf.",
                self._spans, (), _SCHEMA),
            Doc("/v1/logs", "POST", "app", "Take in scores by OTLP: gen_ai.evaluation.result events.",
                self._logs, (), _SCHEMA),
            Doc("/api/traces/{id}/spans", "GET", "viewer",
                "Read what applications told of the trace that an exchange belongs to.", self._around),
            Doc("/api/traces/{id}/otlp", "GET", "viewer",
                "Read one exchange as OTLP in JSON, without its texts.", self._document),
        )  # fmt: skip

    async def _spans(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        admin = self._admin
        return await self._take(
            request, "rejectedSpans", lambda body, form: admin.take_spans(caller, body, is_json=form)
        )

    async def _logs(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        admin = self._admin
        return await self._take(
            request, "rejectedLogRecords", lambda body, form: admin.take_logs(caller, body, is_json=form)
        )

    async def _around(self, request: Request, caller: Caller | None) -> Response:
        return await self._read(request, caller, self._admin.spans)

    async def _document(self, request: Request, caller: Caller | None) -> Response:
        return await self._read(request, caller, self._admin.document)

    async def _read(
        self, request: Request, caller: Caller | None, read: Callable[[str | None, str], Json | None]
    ) -> Response:
        assert caller is not None
        project = None if caller.role == "admin" else caller.project
        found = await run_in_threadpool(read, project, request.path_params["id"])
        if found is None:
            raise NotFound("There is no trace with this id.")
        return json_answer(found)

    async def _take(self, request: Request, counted: str, take: Callable[[bytes, bool], Told]) -> Response:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in (PROTOBUF, JSON):
            return _failure(415, f"OTLP can't come as '{media[:60]}'. {_ACCEPTED}", is_json=True)
        is_json = media == JSON
        try:
            packed = request.headers.get("content-encoding", "identity").strip().lower()
            told = await self._in_turn(await request.body(), packed, is_json, take)
        except GreenroomError as error:
            status = openai.error_of(error)[0]
            answer = _failure(status, str(error), is_json=is_json)
            if isinstance(error, Overloaded):
                answer.headers["retry-after"] = "1"
            return answer
        if is_json:
            return Response(as_json.partial_success(counted, told.refused, told.why), media_type=JSON)
        return Response(protobuf.partial_success(told.refused, told.why), media_type=PROTOBUF)

    async def _in_turn(
        self, body: bytes, packed: str, is_json: bool, take: Callable[[bytes, bool], Told]
    ) -> Told:
        if self._waiting >= MOST_WAITING:
            raise Overloaded("Too much telemetry is coming in. Send it again in a second.")
        self._waiting += 1
        try:
            async with self._turn:
                return await run_in_threadpool(lambda: take(unpacked(body, packed), is_json))
        finally:
            self._waiting -= 1


def unpacked(body: bytes, packed: str, limit_bytes: int = MOST_BYTES) -> bytes:
    """A body without its content coding, of at most so many bytes. Raises: MalformedRequest, TooLarge."""
    if packed in ("", "identity"):
        found, rest = body, b""
    elif packed == "gzip":
        unpacker = zlib.decompressobj(31)
        try:
            found = unpacker.decompress(body, limit_bytes + 1)
        except zlib.error:
            raise MalformedRequest("The body says it is gzip and is not.") from None
        rest = unpacker.unconsumed_tail
        if not rest and not unpacker.eof and len(found) <= limit_bytes:
            raise MalformedRequest("The body's gzip packing ends too early.")
    else:
        raise MalformedRequest(f"The body is packed as '{packed[:40]}'. Send it as gzip, or not packed.")
    if rest or len(found) > limit_bytes:
        raise TooLarge(
            f"The message is larger than {limit_bytes // 1_048_576} MB, unpacked. Send fewer spans at once."
        )
    return found


def _failure(status: int, message: str, *, is_json: bool) -> Response:
    code = _CODES.get(status, 2)
    if is_json:
        return Response(as_json.failure(code, message), status, media_type=JSON)
    return Response(protobuf.failure(code, message), status, media_type=PROTOBUF)
