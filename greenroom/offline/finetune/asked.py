"""What a client asked for, read: the plan of a job, and what stands beside it under `greenroom`."""

import re
import secrets
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import asdict, replace

from greenroom.errors import MalformedRequest
from greenroom.offline.finetune.plan import Format, Hyperparameters, Plan, Positive, Scratch, Start, Tuning
from greenroom.offline.finetune.rows.options import Options
from greenroom.wire import finetune as wire

T = TypeVar("T")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_PART = 48
REINFORCEMENT = (
    "'method.type' can't be reinforcement: it samples many answers for each row and grades them while it "
    "trains, which takes a model served beside the trainer. Use 'dpo' with pairs of answers, or 'supervised' "
    "with the answers that your grader likes best."
)


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a job may be estimated to take; above it is refused."""

    hours: Annotated[float, Meta(gt=0)] | None = None
    usd: Annotated[float, Meta(ge=0)] | None = None
    memory_mb: Annotated[float, Meta(gt=0)] | None = None


class Extra(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`greenroom` in the body of a new job."""

    start: Start = "base"
    tuning: Tuning | None = None
    """Without it lora, and full from scratch."""
    base: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    """What training starts from, where `model` is to be only a name."""
    size: Annotated[int, Meta(ge=1, le=32)] | None = None
    """Of a model from scratch: layers."""
    text_file: str | None = None
    """A file of plain text that is learned from first, from scratch or continued."""
    text_steps: Positive | None = None
    hyperparameters: Hyperparameters = Hyperparameters()
    checkpoints: Annotated[int, Meta(ge=0, le=3)] = 0
    """How many of the newest checkpoints become models of their own."""
    formats: Annotated[tuple[Format, ...], Meta(min_length=1, max_length=3)] = ("Q8_0",)
    budget: Budget = Budget()
    data: Options = Options()


def read_extra(given: dict[str, Any] | None) -> Extra:  # Any: JSON
    """Read `greenroom`. Raises: MalformedRequest that names the field."""
    try:
        extra = convert(given or {}, Extra)
    except ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        field = f"greenroom{place.rstrip('`')}"
        raise MalformedRequest(f"'{field}': {message}.", field) from None
    if extra.start != "from_scratch" and extra.size is not None:
        raise MalformedRequest("'greenroom.size' is of a model from_scratch only.", "greenroom.size")
    if extra.start == "base" and (extra.text_file or extra.text_steps):
        raise MalformedRequest(
            "'greenroom.text_file' is for start continued or from_scratch only.", "greenroom.text_file"
        )
    if extra.start == "continued" and not extra.text_file:
        raise MalformedRequest(
            "'greenroom.text_file' is needed: the plain text that start continued learns from first.",
            "greenroom.text_file",
        )
    if extra.start == "from_scratch" and (extra.base or extra.tuning == "lora"):
        raise MalformedRequest(
            "A model from_scratch has no 'base', and no 'tuning' but full.", "greenroom.start"
        )
    return extra


def plan_of(wanted: wire.NewJob, extra: Extra, name: str, seed: int) -> Plan:
    """The plan so far: base, files and data are found while the job is prepared. Raises: MalformedRequest."""
    method = "supervised" if wanted.method is None else wanted.method.type
    if method == "reinforcement":
        raise MalformedRequest(REINFORCEMENT, "method.type")
    if method == "dpo" and extra.start != "base":
        raise MalformedRequest(
            "'method.type' dpo needs a base that answers already: train it by 'supervised' first, then start "
            "from that model.",
            "method.type",
        )
    from_scratch = extra.start == "from_scratch"
    scratch = None
    if extra.start != "base":
        scratch = Scratch(size=extra.size or Scratch().size, steps=extra.text_steps)
    return Plan(
        name=name,
        start=extra.start,
        method=method,
        tuning=extra.tuning or ("full" if from_scratch else "lora"),
        base_name="" if from_scratch else extra.base or wanted.model,
        scratch=scratch,
        hyperparameters=_joined(_asked(wanted), extra.hyperparameters),
        seed=seed,
        formats=extra.formats,
    )


def new_seed() -> int:
    """A seed for who gave none."""
    return secrets.randbits(31)


def name_of(model: str, project: str, suffix: str | None, id: str) -> str:
    """`ft:BASE:PROJECT:SUFFIX:ID`, of characters that names may have."""
    base = model.removeprefix("ft:").partition(":")[0].rstrip("/").rpartition("/")[2]
    parts = (_part(base) or "model", _part(project) or "default", _part(suffix or ""), id[-8:])
    return f"ft:{':'.join(parts)}"


def _part(text: str) -> str:
    return _NOT_IN_NAMES.sub("-", text).strip("-.")[:_LONGEST_PART]


def _asked(wanted: wire.NewJob) -> wire.Hyperparameters:
    """Those of the method, or those that older clients send beside it."""
    method = wanted.method
    settings = None if method is None else method.dpo if method.type == "dpo" else method.supervised
    own = None if settings is None else settings.hyperparameters
    return own or wanted.hyperparameters or wire.Hyperparameters()


def _joined(asked: wire.Hyperparameters, ours: Hyperparameters) -> Hyperparameters:
    found = {
        "epochs": _number(asked.n_epochs),
        "batch_size": _number(asked.batch_size),
        "learning_rate_multiplier": _number(asked.learning_rate_multiplier),
        "beta": _number(asked.beta),
    }
    set_ = {name: value for name, value in asdict(ours).items() if value is not None}
    return replace(Hyperparameters(), **{**found, **set_})


def _number(value: float | str | None) -> Any:  # Any: a number of the field's own kind, or None
    return None if isinstance(value, str) else value
