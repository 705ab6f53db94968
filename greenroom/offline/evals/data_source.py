"""Data sources of runs, as OpenAI's clients describe them: which rows, and whether a model is asked for each.

Knows the forms of the dialect. Files and records of exchanges come by what is handed in.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from msgspec import DecodeError, Meta, Struct, ValidationError, convert, to_builtins
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.offline.evals.templates import Message, Reference, Row, Unfillable, messages, reference

MOST_ROWS = 10_000
MOST_BYTES = 64 * 1024 * 1024
"""Of the file that rows come from."""
USUAL_LOGS = 100
Json = dict[str, Any]  # Any: JSON
Metadata = dict[str, str]


class _Line(Struct, omit_defaults=True):
    item: Json
    sample: Json | None = None


class _Content(Struct, tag="file_content", tag_field="type"):
    content: Annotated[list[_Line], Meta(min_length=1, max_length=MOST_ROWS)]


class _File(Struct, tag="file_id", tag_field="type"):
    id: str


class Logs(Struct, tag="stored_completions", tag_field="type"):
    """Records of chat completions."""

    created_after: int | None = None
    """Unix seconds, included, as `created_before`."""
    created_before: int | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS)] | None = None
    metadata: Metadata | None = None
    model: str | None = None


class ResponseLogs(Struct, tag="responses", tag_field="type"):
    """Records of responses."""

    created_after: int | None = None
    created_before: int | None = None
    metadata: Metadata | None = None
    model: str | None = None
    users: list[str] | None = None
    instructions_search: str | None = None
    reasoning_effort: str | None = None
    temperature: float | None = None
    tools: list[str] | None = None
    top_p: float | None = None


class _Template(Struct, tag="template", tag_field="type"):
    template: list[Json]


class _ItemReference(Struct, tag="item_reference", tag_field="type"):
    item_reference: str


_Input = _Template | _ItemReference


class _Sampling(Struct, omit_defaults=True):
    """Of completions and responses alike."""

    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    reasoning_effort: str | None = None
    response_format: Json | None = None
    seed: int | None = None
    temperature: float | None = None
    text: Json | None = None
    tools: list[Json] | None = None
    top_p: float | None = None


class _Jsonl(Struct, tag="jsonl", tag_field="type"):
    source: _Content | _File


class _Completions(Struct, tag="completions", tag_field="type"):
    source: _Content | _File | Logs
    model: str | None = None
    input_messages: _Input | None = None
    sampling_params: _Sampling | None = None


class _Responses(Struct, tag="responses", tag_field="type"):
    source: _Content | _File | ResponseLogs
    model: str | None = None
    input_messages: _Input | None = None
    sampling_params: _Sampling | None = None


_Source = _Jsonl | _Completions | _Responses
_UNKEPT = ("instructions_search", "reasoning_effort", "temperature", "tools", "top_p")
_line = Decoder(_Line)


class Records(Protocol):
    """What gives the records of exchanges that a caller may see."""

    def __call__(self, wanted: Logs | ResponseLogs, limit: int) -> Iterator[Json]: ...


class Sampling(NamedTuple):
    """How a model is asked for a row."""

    model: str
    question: tuple[Message, ...] | Reference
    fields: Json

    def body(self, row: Row) -> Json:
        """The chat completion request. Raises: Unfillable."""
        if isinstance(self.question, Reference):
            found = self.question.find(row)
            if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
                raise Unfillable(f"'{self.question.text}' is no list of messages in this row.")
            filled = found
        else:
            filled = [one.fill(row) for one in self.question]
        return {"model": self.model, "messages": filled, **self.fields}


class DataSource(NamedTuple):
    """A run's source, read."""

    rows: _Content | _File | Logs | ResponseLogs
    sampling: Sampling | None
    """None where the rows bring their samples."""

    @property
    def model(self) -> str:
        """What is asked, if anything."""
        return "" if self.sampling is None else self.sampling.model


def read_source(given: object, param: str = "data_source") -> DataSource:
    """Read a data source. Raises: MalformedRequest naming the field."""
    try:
        source = convert(given, _Source)
    except ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        field = f"{param}{place.rstrip('`')}"
        raise MalformedRequest(f"'{field}': {message}.", field) from None
    if isinstance(source, _Jsonl):
        return DataSource(source.source, None)
    if isinstance(source.source, ResponseLogs):
        _check_kept(source.source, param)
    if source.input_messages is None:
        if isinstance(source.source, Logs | ResponseLogs) and source.model is None:
            return DataSource(source.source, None)
        raise MalformedRequest(
            f"'{param}.input_messages' is needed: what the model is asked for each row.",
            f"{param}.input_messages",
        )
    if not source.model:
        raise MalformedRequest(f"'{param}.model' is needed: who is asked.", f"{param}.model")
    question: tuple[Message, ...] | Reference
    place = f"{param}.input_messages"
    if isinstance(source.input_messages, _ItemReference):
        question = reference(source.input_messages.item_reference, f"{place}.item_reference", ("item",))
    else:
        question = messages(source.input_messages.template, f"{place}.template")
    fields = _fields(source.sampling_params, f"{param}.sampling_params")
    return DataSource(source.source, Sampling(source.model, question, fields))


def _check_kept(wanted: ResponseLogs, param: str) -> None:
    for name in _UNKEPT:
        if getattr(wanted, name) is not None:
            field = f"{param}.source.{name}"
            raise MalformedRequest(
                f"'{field}': records can't be chosen by this here. Use created_after, created_before, model, "
                f"metadata or users.",
                field,
            )
    if wanted.users is not None and len(wanted.users) > 1:
        raise MalformedRequest(f"'{param}.source.users' may name one user.", f"{param}.source.users")


def _fields(given: _Sampling | None, param: str) -> Json:
    """Sampling as chat completions take it."""
    if given is None:
        return {}
    fields: Json = {name: value for name, value in to_builtins(given).items() if value is not None}
    text = fields.pop("text", None)
    if text is not None and isinstance(text.get("format"), dict):
        fields["response_format"] = _format(text["format"])
    if "tools" in fields:
        fields["tools"] = [_tool(one, f"{param}.tools") for one in fields["tools"]]
    return fields


def _format(given: Json) -> Json:
    """`text.format` of responses as `response_format` of chat."""
    if given.get("type") != "json_schema":
        return given
    return {"type": "json_schema", "json_schema": {k: v for k, v in given.items() if k != "type"}}


def _tool(given: Json, param: str) -> Json:
    if given.get("type") != "function":
        raise MalformedRequest(f"'{param}': only functions are tools here.", param)
    if isinstance(given.get("function"), dict):
        return given
    return {"type": "function", "function": {k: v for k, v in given.items() if k != "type"}}


def rows_of(
    source: DataSource, file: Callable[[str], Path], records: Records, param: str = "data_source.source"
) -> list[Json]:
    """The rows: `{"item": …, "sample": …}`. Blocks.

    Raises: MalformedRequest naming the line; TooLarge; what `file` and `records` raise.
    """
    rows = source.rows
    if isinstance(rows, _Content):
        return [to_builtins(one) for one in rows.content]
    if isinstance(rows, _File):
        return list(_lines(file(rows.id), param))
    limit = getattr(rows, "limit", None) or USUAL_LOGS
    found = [_logged(one) for one in records(rows, limit)]
    if not found:
        raise MalformedRequest(f"'{param}': no record fits this.", param)
    return found


def _lines(path: Path, param: str) -> Iterator[Json]:
    if path.stat().st_size > MOST_BYTES:
        raise TooLarge(f"The file is larger than {MOST_BYTES // 1048576} MB, the most for an eval.", param)
    count = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            count += 1
            if count > MOST_ROWS:
                raise TooLarge(f"The file has more than {MOST_ROWS:,} rows, the most for an eval.", param)
            try:
                yield to_builtins(_line.decode(line.removeprefix(b"\xef\xbb\xbf")))
            except (DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise MalformedRequest(
                    f'Line {number} of the file is not a row like {{"item": {{…}}}}: {error}.', param
                ) from None
    if not count:
        raise MalformedRequest("The file has no rows.", param)


def _logged(record: Json) -> Json:
    """A row from the record of an exchange, with the texts as they are kept."""
    return {
        "item": {
            "input": record["request"]["messages"],
            "metadata": record["tags"],
            "model": record["model"]["asked"],
            "trace_id": record["id"],
        },
        "sample": {
            "output_text": record["reply"]["text"],
            "model": record["model"]["used"] or record["model"]["asked"],
            "finish_reason": record["finish_reason"] or "",
        },
    }


Kind = Literal["custom", "logs", "stored_completions"]


def read_config(given: Json, param: str = "data_source_config") -> tuple[Kind, Json]:
    """An eval's data source config as it is kept: its kind, and what is told of it again.

    Raises: MalformedRequest naming the field.
    """
    kind = given.get("type")
    if kind == "custom":
        item = given.get("item_schema")
        if not isinstance(item, dict):
            raise MalformedRequest(f"'{param}.item_schema' must be a JSON Schema.", f"{param}.item_schema")
        schema: Json = {"type": "object", "properties": {"item": item}, "required": ["item"]}
        if given.get("include_sample_schema"):
            schema["properties"]["sample"] = _SAMPLE
            schema["required"] = ["item", "sample"]
        return "custom", {"type": "custom", "schema": schema}
    if kind in ("logs", "stored_completions"):
        metadata = given.get("metadata") or {}
        if not isinstance(metadata, dict) or not all(isinstance(one, str) for one in metadata.values()):
            raise MalformedRequest(f"'{param}.metadata' must be texts by name.", f"{param}.metadata")
        item = {"type": "object", "properties": {"input": {"type": "array"}, "trace_id": {"type": "string"}}}
        schema = {"type": "object", "properties": {"item": item, "sample": _SAMPLE}, "required": ["item"]}
        return kind, {"type": kind, "schema": schema, "metadata": metadata}
    raise MalformedRequest(f"'{param}.type' must be custom, logs or stored_completions.", f"{param}.type")


_SAMPLE: Json = {
    "type": "object",
    "properties": {
        "output_text": {"type": "string"},
        "output_json": {"type": "object"},
        "output_tools": {"type": "array"},
        "model": {"type": "string"},
        "finish_reason": {"type": "string"},
    },
}
