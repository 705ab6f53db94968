"""A form with a file, read as it comes: the file goes to the disk, the few fields are kept.

What is wrong with a form is said when all of it has come, since most clients look for an answer only then.
"""

from collections.abc import Mapping
from typing import Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from greenroom.errors import GreenroomError, MalformedRequest
from greenroom.grounding.files import Files, Upload
from greenroom.grounding.uploads import Uploads
from greenroom.wire.digits import number_in

PARTS = 16
FIELD_BYTES = 4096


class Form:
    """The fields of a form and its file. Use it as `async with`: what was not kept is discarded."""

    def __init__(self, files: Files | Uploads, limit_bytes: int, field: str = "file") -> None:
        self._files = files
        self._limit = limit_bytes
        self._field = field
        """Whose value is the file."""
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.upload: Upload | None = None
        self._name = b""
        self._value = bytearray()
        self._header = [bytearray(), bytearray()]
        self._disposition = b""
        self._is_file = False
        self._parts = 0
        self._is_whole = False
        self._waiting: list[bytes] = []
        """Bytes of the file that were not written yet."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.discard()

    def discard(self) -> None:
        """Leave nothing behind of a file that was not kept."""
        if self.upload is not None:
            self.upload.discard()

    async def read(self, request: Request) -> None:
        """Read the whole body. Raises MalformedRequest, TooLarge, StoreError."""
        kind, options = parse_options_header(request.headers.get("content-type"))
        trouble: GreenroomError | None = None
        parser: MultipartParser | None = None
        try:
            if kind != b"multipart/form-data" or not options.get(b"boundary"):
                raise MalformedRequest(
                    f"Send this as multipart/form-data, with the file in the field '{self._field}'."
                )
            parser = self._parser(options[b"boundary"])
        except (MalformedRequest, FormParserError) as error:
            trouble = _said(error)
        async for piece in request.stream():
            if trouble is not None or parser is None:
                continue
            try:
                parser.write(piece)
                await self._write()
            except (GreenroomError, FormParserError) as error:
                trouble = _said(error)
                self.discard()
        if trouble is None and not self._is_whole:
            trouble = MalformedRequest("The form has no end: its last boundary is missing.")
        if trouble is not None:
            raise trouble
        if self.upload is None:
            raise MalformedRequest(f"The form has no file in the field '{self._field}'.", self._field)

    async def _write(self) -> None:
        if self._waiting and self.upload is not None:
            data = b"".join(self._waiting)
            self._waiting.clear()
            await run_in_threadpool(self.upload.write, data)

    def _parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._take,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def _begin(self) -> None:
        self._disposition = b""
        self._value.clear()

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = [bytearray(), bytearray()]

    def _end_headers(self) -> None:
        self._parts += 1
        if self._parts > PARTS:
            raise MalformedRequest(f"The form has more than {PARTS} parts.")
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise MalformedRequest("A part of the form has no name.")
        self._name = options[b"name"]
        self._is_file = self._name == self._field.encode()
        if self._is_file:
            if self.upload is not None:
                raise MalformedRequest(
                    "The form has more than one file. Upload them one by one.", self._field
                )
            self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
            self.upload = self._files.begin(self._limit)
        elif b"filename" in options:
            raise MalformedRequest(f"A form takes its file in the field '{self._field}'.", self._field)

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._waiting.append(data[start:end])
        else:
            self._value += data[start:end]
            if len(self._value) > FIELD_BYTES:
                raise MalformedRequest(f"A field of the form is longer than {FIELD_BYTES} bytes.")

    def _finish(self) -> None:
        self._is_whole = True

    def _end(self) -> None:
        if not self._is_file:
            self.fields[self._name.decode("utf-8", "replace")] = self._value.decode("utf-8", "replace")


def expires_s(fields: Mapping[str, str]) -> int | None:
    """`expires_after[anchor]` and `expires_after[seconds]` of an upload. Raises MalformedRequest."""
    anchor, seconds = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise MalformedRequest("'expires_after[anchor]' must be 'created_at'.", "expires_after[anchor]")
    found = number_in(seconds or "", 3_600, 2_592_000)
    if found is None:
        raise MalformedRequest(
            "'expires_after[seconds]' must be a number from 3600 to 2592000.", "expires_after[seconds]"
        )
    return found


def _said(error: Exception) -> GreenroomError:
    if isinstance(error, GreenroomError):
        return error
    return MalformedRequest("The form is not valid multipart/form-data.")
