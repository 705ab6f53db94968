"""The lines of batches: requests in a file that clients upload, and what is told of each in another."""

from typing import NamedTuple

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder, encode

MOST_CUSTOM_ID = 512
_SHOWN = 64
_SPACES = bytes.maketrans(b"\r\n", b"  ")


class Faulty(Exception):
    """A line that can't be asked: `code` as the dialect has it, a sentence, and the field."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class Line(NamedTuple):
    """One request of a file."""

    custom_id: str
    body: bytes
    """As it stands there, byte for byte."""
    model: str | None


class _Line(Struct):
    custom_id: str
    method: str
    url: str
    body: Raw


class _Body(Struct):
    model: str | None = None
    stream: bool | None = None
    background: bool | None = None


_line, _body = Decoder(_Line).decode, Decoder(_Body).decode


def read_line(data: bytes, endpoint: str) -> Line:
    """A line of the file. Raises: Faulty."""
    try:
        found = _line(data)
    except ValidationError as error:
        message = str(error)
        missing = "missing required field" in message
        field = message.split("`")[1] if missing else message.rpartition("$.")[2].rstrip("`")
        if not missing and "$." not in message:
            raise Faulty("invalid_json_line", "The line is not a JSON object.") from None
        code = "missing_required_parameter" if missing else "invalid_type"
        raise Faulty(code, f"{message}.", field) from None
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Faulty("invalid_json_line", f"The line is not valid JSON: {_short(str(error))}.") from None
    if not 0 < len(found.custom_id) <= MOST_CUSTOM_ID:
        raise Faulty(
            "invalid_custom_id", f"'custom_id' must have 1 to {MOST_CUSTOM_ID} characters.", "custom_id"
        )
    if found.method != "POST":
        raise Faulty("invalid_method", f"'method' must be POST; it is '{_short(found.method)}'.", "method")
    if found.url != endpoint:
        raise Faulty(
            "invalid_url",
            f"'url' must be the batch's endpoint, {endpoint}; it is '{_short(found.url)}'.",
            "url",
        )
    body = bytes(found.body)
    return Line(found.custom_id, body, _checked(body))


def _checked(body: bytes) -> str | None:
    """The model that a body names. Raises: Faulty."""
    try:
        found = _body(body)
    except ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        raise Faulty(
            "invalid_body", f"'body': {message}.", ".".join(["body", place.rstrip("`")]).rstrip(".")
        ) from None
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Faulty(
            "invalid_json_line", f"'body' is not valid JSON: {_short(str(error))}.", "body"
        ) from None
    if found.stream:
        raise Faulty(
            "unsupported_value", "A line of a batch can't be streamed. Leave 'stream' out.", "body.stream"
        )
    if found.background:
        raise Faulty(
            "unsupported_value",
            "A line of a batch has no background. Leave 'background' out.",
            "body.background",
        )
    return found.model


def answered_line(id: str, custom_id: str, status: int, request_id: str, body: bytes) -> bytes:
    """What came of a line that was answered, well or not: on one line, also where the answer had several."""
    on_one_line = body.translate(_SPACES)  # JSON's texts hold no line ends as such
    response = {"status_code": status, "request_id": request_id, "body": Raw(on_one_line)}
    return encode({"id": id, "custom_id": custom_id, "response": response, "error": None})


def failed_line(id: str, custom_id: str, code: str, message: str) -> bytes:
    """What is said of a line that never got an answer."""
    return encode(
        {"id": id, "custom_id": custom_id, "response": None, "error": {"code": code, "message": message}}
    )


class Tokens(NamedTuple):
    """What an answer used."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0


class _Details(Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Answer(Struct):
    usage: _Usage | None = None


_answer = Decoder(_Answer).decode
_NO_DETAILS = _Details()


def tokens_of(body: bytes) -> Tokens:
    """The usage that an answer of any endpoint tells; nothing where it tells none."""
    try:
        usage = _answer(body).usage
    except (DecodeError, UnicodeDecodeError):  # ValidationError too: a provider's own idea of usage
        return Tokens()
    if usage is None:
        return Tokens()
    asked = usage.prompt_tokens_details or usage.input_tokens_details or _NO_DETAILS
    said = usage.completion_tokens_details or usage.output_tokens_details or _NO_DETAILS
    return Tokens(
        usage.prompt_tokens or usage.input_tokens, asked.cached_tokens or 0,
        usage.completion_tokens or usage.output_tokens, said.reasoning_tokens or 0,
    )  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
