"""`greenroom finetune create`: files of this machine taken in, and a job made of them."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from msgspec import ValidationError, convert

from greenroom.cli.finetune_watch import watch_job
from greenroom.cli.output import fail, print_json
from greenroom.cli.place import ENVIRONMENT, FINE, INCONCLUSIVE, USAGE, Here
from greenroom.errors import ExtraMissing, MalformedRequest, RequestError
from greenroom.exchange import Caller

if TYPE_CHECKING:
    from greenroom.grounding.files import Files

WHO = "command line"
_PIECE_BYTES = 1 << 20
_LARGEST_BYTES = 64 << 30


@Parameter(name="*")
@dataclass(frozen=True)
class Settings:
    """What may be set; the rest is chosen from the data and the model."""

    epochs: float | None = None
    """How often the rows are gone over."""
    batch_size: int | None = None
    """Rows of a step."""
    learning_rate: float | None = None
    """The highest of the schedule."""
    beta: float | None = None
    """Of dpo: how far from the base it may go."""
    lora_rank: int | None = None
    """Of the adapter."""
    max_length: int | None = None
    """Tokens of a row; longer rows are left out."""
    max_steps: int | None = None
    """At most so many steps."""
    checkpoint_every: int | None = None
    """Steps; the most that a crash loses."""
    evaluate_every: int | None = None
    """Steps between two looks at the validation rows."""
    patience: int | None = None
    """Looks without gain after which training stops."""


_NOTHING = Settings()


def create(
    train: Path,
    /,
    settings: Settings = _NOTHING,
    *,
    base: str | None = None,
    from_scratch: Annotated[bool, Parameter(negative=())] = False,
    size: int | None = None,
    text: Path | None = None,
    text_steps: int | None = None,
    valid: Path | None = None,
    method: Literal["supervised", "dpo"] = "supervised",
    tuning: Literal["lora", "full"] | None = None,
    suffix: str | None = None,
    seed: int | None = None,
    format: Annotated[list[Literal["F16", "Q8_0", "Q4_0"]] | None, Parameter(negative=())] = None,
    consent: Literal["stated", "not_refused", "any"] = "not_refused",
    mask: bool = True,
    hours: float | None = None,
    project: str = "default",
    wait: Annotated[bool, Parameter(negative=())] = False,
    json: bool = False,
    place: Here,
) -> int:
    """Train a model on a file: exit 0 when it is made (with --wait: when it is trained), 1 when that fails.

    A running server trains it. Without one, --wait does.

    Parameters
    ----------
    train
        The rows, JSONL as OpenAI's fine-tuning takes it.
    base
        What to start from: a name in [finetune.bases], a model trained here, a hub's name, or a folder.
    from_scratch
        Start from nothing.
    size
        Of a model from scratch: its layers.
    text
        A file of plain text to learn from first.
    text_steps
        Steps of that part.
    valid
        Rows for validation.
    method
        supervised, by answers; dpo, by preferences.
    tuning
        lora trains an adapter, full all weights.
    suffix
        A part of the model's name.
    seed
        The same seed, files and settings give the same model.
    format
        A GGUF file to write; may be repeated.
    consent
        Which rows are taken, by the consent in their metadata.
    mask
        Mask personal data and secrets in rows.
    hours
        Refuse the job when it is estimated to take longer.
    project
        Whose job and model it is.
    wait
        Watch it until it ends, and run it where no server does.
    json
        Print the job as JSON.
    """
    from greenroom.assembly.audit import Audit  # noqa: PLC0415  # large imports; other commands need none of it
    from greenroom.assembly.finetuning import Finetuning  # noqa: PLC0415  # as above
    from greenroom.offline.finetune.runner import is_run  # noqa: PLC0415  # as above
    from greenroom.wire.finetune import NewJob  # noqa: PLC0415  # as above

    if (base is None) == (not from_scratch):
        return fail("Say what to start from: --base, or --from-scratch.", USAGE)
    house = place.open()
    training = Finetuning(house)
    files = house.documents.files
    start = "from_scratch" if from_scratch else "continued" if text is not None else "base"
    body: dict[str, Any] = {  # Any: JSON
        "model": base or "scratch", "suffix": suffix, "seed": seed, "method": {"type": method},
        "greenroom": {
            "start": start,
            "hyperparameters": {name: value for name, value in asdict(settings).items() if value is not None},
            "formats": format or ["Q8_0"], "data": {"consent": consent, "mask": mask},
            **({} if tuning is None else {"tuning": tuning}), **({} if size is None else {"size": size}),
            **({} if text_steps is None else {"text_steps": text_steps}),
            **({} if hours is None else {"budget": {"hours": hours}}),
        },
    }  # fmt: skip
    try:
        body["training_file"] = _kept(files, train, project)
        if valid is not None:
            body["validation_file"] = _kept(files, valid, project)
        if text is not None:
            body["greenroom"]["text_file"] = _kept(files, text, project)
        caller = Caller(key_id=WHO, project=project, role="admin")
        job = training.desk.create(caller, convert(body, NewJob), may_be_folder=True)
    except ExtraMissing as error:
        return fail(str(error), ENVIRONMENT)
    except ValidationError as error:
        return fail(f"{error}.", USAGE)
    except MalformedRequest as error:
        return fail(str(error), USAGE)
    Audit(house).note(WHO, "finetune.create", {"id": job["id"], "project": project})
    code = FINE
    if wait:
        code = watched(training, job["id"], quiet=json)
        job = training.desk.get(caller, job["id"])
    if json:
        print_json(job)
    else:
        print(job["fine_tuned_model"] or job["id"])
    if not wait and not json and not is_run(training.tools):
        print("No server runs here. Start one, or: greenroom finetune watch " + job["id"], file=sys.stderr)
    return code


def watched(training: Any, id: str, *, quiet: bool) -> int:  # Any: Finetuning, which is imported late
    """`watch_job`, left by Ctrl-C."""
    try:
        return watch_job(training, id, quiet=quiet)
    except KeyboardInterrupt:
        return fail(
            f"Training goes on by itself. 'greenroom finetune watch {id}' looks again; 'pause' and 'cancel' "
            "end it.",
            INCONCLUSIVE,
        )


def _kept(files: "Files", path: Path, project: str) -> str:
    """A file of this machine among the project's files; its id. Raises: RequestError, StoreError."""
    upload = files.begin(_LARGEST_BYTES)
    try:
        with path.open("rb") as source:
            while piece := source.read(_PIECE_BYTES):
                upload.write(piece)
        return files.keep(upload, project=project, filename=path.name, purpose="fine-tune").id
    except OSError as error:
        raise RequestError(f"'{path}' can't be read: {error.strerror or error}.") from None
    finally:
        upload.discard()
