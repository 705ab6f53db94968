"""What clients send to `/v1/fine_tuning`: a job, permissions, a grader, and which part of a list.

What stands under `greenroom`, and in a grader, is read where it is used, so that the message names its field.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct

from greenroom.errors import MalformedRequest
from greenroom.wire.digits import number_in
from greenroom.wire.evals import MOST_LISTED, Metadata

Json = dict[str, Any]  # Any: JSON
Text = Annotated[str, Meta(min_length=1, max_length=256)]
Project = Annotated[str, Meta(min_length=1, max_length=128)]
_Auto = Literal["auto"]
_Epochs = Annotated[int, Meta(ge=1, le=1000)] | _Auto | None
_Rows = Annotated[int, Meta(ge=1, le=4096)] | _Auto | None
_Factor = Annotated[float, Meta(gt=0, le=1000)] | _Auto | None


class Hyperparameters(Struct, kw_only=True, frozen=True):
    """What OpenAI's clients may set. "auto" leaves the choice to the trainer."""

    n_epochs: _Epochs = None
    batch_size: _Rows = None
    learning_rate_multiplier: _Factor = None
    beta: Annotated[float, Meta(gt=0, le=10)] | _Auto | None = None


class MethodSettings(Struct, kw_only=True, frozen=True):
    """What belongs to one method."""

    hyperparameters: Hyperparameters | None = None


class Method(Struct, kw_only=True, frozen=True):
    """How it is trained. Of the settings those of `type` count."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: MethodSettings | None = None
    dpo: MethodSettings | None = None


class NewJob(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/fine_tuning/jobs`."""

    model: Text
    training_file: Text
    validation_file: Text | None = None
    suffix: Annotated[str, Meta(max_length=64)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2_147_483_647)] | None = None
    metadata: Metadata | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    integrations: list[Json] | None = None
    greenroom: Json | None = None
    """Our extensions: start, tuning, base, size, text_file, hyperparameters, checkpoints, formats, budget,
    data."""


class NewPermissions(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/fine_tuning/checkpoints/{model}/permissions`."""

    project_ids: Annotated[list[Project], Meta(min_length=1, max_length=100)]


class GraderRun(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/fine_tuning/alpha/graders/run`."""

    grader: Json
    model_sample: Annotated[str, Meta(max_length=1_000_000)]
    item: Json | None = None


class GraderToValidate(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/fine_tuning/alpha/graders/validate`."""

    grader: Json


class JobQuery(NamedTuple):
    """Which rows of a list are wanted, newest first unless said otherwise."""

    limit: int = 20
    after: str | None = None
    metadata: dict[str, str] = {}  # noqa: RUF012  # nobody changes it
    without_metadata: bool = False
    oldest_first: bool = False
    project: str | None = None


def read_job_query(query: Mapping[str, str]) -> JobQuery:
    """`limit`, `after`, `metadata[k]`, `order` and `project_id`. Raises: MalformedRequest."""
    limit = number_in(query.get("limit") or "20", 0, MOST_LISTED)
    if limit is None:
        raise MalformedRequest(f"'limit' must be a number from 0 to {MOST_LISTED}.", "limit")
    order = query.get("order") or "descending"
    if order not in {"ascending", "descending"}:
        raise MalformedRequest("'order' must be ascending or descending.", "order")
    pairs = {
        name.removeprefix("metadata[")[:-1]: value
        for name, value in query.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    if len(pairs) > 16:
        raise MalformedRequest("At most 16 pairs of 'metadata' can be asked for.", "metadata")
    return JobQuery(
        limit, query.get("after") or None, pairs, query.get("metadata") == "null",
        order == "ascending", query.get("project_id") or None,
    )  # fmt: skip
