"""The scorer of JSON: the answer is JSON, and conforms to a schema."""

from typing import Any

from msgspec import DecodeError
from msgspec.json import decode, encode

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.scorers.settings import Lent, Settings
from greenroom.offline.evals.scorers.texts import without_fence
from greenroom.stages.postprocess.json_schema import Schema


class JsonSchemaConfig(Settings, frozen=True):
    """`json_schema`: the answer is JSON that conforms to a schema."""

    schema: dict[str, Any] | None = None  # Any: JSON Schema
    """Without it and `file`, the row's `schema` is held against; without that, any JSON will do."""
    file: str | None = None
    """A JSON file in the suite's folder."""
    may_fence: bool = False
    """Whether the JSON may stand in a Markdown fence."""


class JsonSchema:
    """1 or 0; the reason names places and rules."""

    higher_is_better = True

    def __init__(self, name: str, settings: JsonSchemaConfig, lent: Lent) -> None:
        self.name = name
        self._may_fence = settings.may_fence
        raw = _from_file(lent, settings.file) if settings.file is not None else None
        if settings.schema is not None:
            raw = encode(settings.schema)
        self._schema = None if raw is None else Schema(raw, "schema")

    async def score(self, sample: Sample, output: Output) -> Score:
        """Against the schema of the settings, or of the row."""
        schema = self._schema
        if schema is None and "schema" in sample.item:
            schema = Schema(encode(sample.item["schema"]), "schema")
        try:
            value = decode(without_fence(output.text) if self._may_fence else output.text)
        except (DecodeError, RecursionError):
            return Score(name=self.name, value=0.0, passed=False, reason="The answer is no JSON.")
        faults = [] if schema is None else schema.faults(value)
        return Score(name=self.name, value=float(not faults), passed=not faults, reason="; ".join(faults))


def _from_file(lent: Lent, name: str) -> bytes:
    path = lent.folder / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedRequest(f"The schema '{path}' can't be read: {error.strerror}.", "file") from None
