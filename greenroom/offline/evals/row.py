"""What a grader is given, and what it gives back."""

from typing import Any, NamedTuple, Protocol

from greenroom.contracts import Encoder
from greenroom.offline.evals.asking import Ask, read
from greenroom.offline.evals.sample import Output, Sample
from greenroom.offline.evals.templates import Row


class Means(NamedTuple):
    """What graders need from the rest."""

    ask: Ask
    """How a model is asked."""
    encoder: Encoder | None
    """What makes vectors, where it is installed."""


class Graded(NamedTuple):
    """What a grader says of a row: a value, or why there is none."""

    value: float | None = None
    passed: bool | None = None
    reason: str = ""
    error: str | None = None
    cost_nano_usd: int = 0


class Grader(Protocol):
    """Grades rows."""

    name: str

    async def grade(self, row: Row) -> Graded:
        """Raises: Unfillable where a template refers to what the row lacks."""
        ...


def row_of(sample: Sample, output: Output) -> Row:
    """The namespaces `item` and `sample` of one row.

    `sample` is what the model said (`output_text`, `output_json`, `output_tools`, `model`,
    `finish_reason`), or the one that came with the row where no model was asked.
    """
    given: dict[str, Any] = dict(sample.item.get("sample") or {})  # Any: JSON
    if output.body:
        choice = (output.body.get("choices") or [{}])[0]
        message = choice.get("message") or {}
        given |= {
            "output_text": output.text,
            "output_tools": message.get("tool_calls") or [],
            "model": output.body.get("model") or "",
            "finish_reason": choice.get("finish_reason") or "",
        }
        given.pop("output_json", None)
    text = given.get("output_text")
    if "output_json" not in given and isinstance(text, str):
        found = read(text)
        if found is not None:
            given["output_json"] = found
    return {"item": sample.item.get("item") or {}, "sample": given}
