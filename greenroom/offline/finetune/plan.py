"""What a job and the process that trains tell each other: files in one folder, and nothing else.

    plan.json           what to train (`Plan`); written once, before the process starts
    train.jsonl         rows as `/v1/fine_tuning/jobs` takes them, checked and gated already
    valid.jsonl         the same for validation; may be missing
    events.jsonl        one `Event` a line, appended
    progress.json       `Progress`, replaced at least every HEARTBEAT_S seconds
    checkpoints/N/      the state after step N; it counts once it holds the file COMPLETE
    card.json           what the model is made of and how training went
    result.json         `Result`, written last: it is there when all is done

The process is `python -m greenroom.offline.finetune.trainer FOLDER`. Killed at any moment and started again
on the same folder it goes on from the newest checkpoint that counts. SIGTERM has it write a checkpoint and
end with EXIT_PAUSED. Other ends: 0 (done), EXIT_FAILED (the last event of level `error` says why, and
starting again would not help); anything else is a crash.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

HEARTBEAT_S = 2.0
"""A process that replaced `progress.json` last longer ago than ten of these hangs."""
COMPLETE = "COMPLETE"
EXIT_FAILED = 70
EXIT_PAUSED = 75

Start = Literal["base", "continued", "from_scratch"]
"""From a base model's weights by rows; from a base by plain text first; or from nothing: tokenizer, weights,
then rows."""
Method = Literal["supervised", "dpo"]
Tuning = Literal["lora", "full"]
Format = Literal["F16", "Q8_0", "Q4_0"]
Positive = Annotated[int, Meta(ge=1)]


class Hyperparameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be set; None is chosen from the data and the model, and written into the result."""

    epochs: Annotated[float, Meta(gt=0, le=1000)] | None = None
    batch_size: Positive | None = None
    """Rows of a step."""
    learning_rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    """The highest of the schedule."""
    learning_rate_multiplier: Annotated[float, Meta(gt=0, le=1000)] | None = None
    """Times what would have been chosen; OpenAI's clients know no other."""
    beta: Annotated[float, Meta(gt=0, le=10)] | None = None
    """Of DPO: how far from the base it may go."""
    lora_rank: Annotated[int, Meta(ge=1, le=1024)] | None = None
    max_length: Annotated[int, Meta(ge=16, le=1_000_000)] | None = None
    """Tokens of a row; longer rows are left out and counted."""
    packing: bool | None = None
    """Several short rows in one sequence."""
    max_steps: Positive | None = None
    checkpoint_every: Positive | None = None
    """Steps; the most that a crash loses."""
    evaluate_every: Positive | None = None
    """Steps between two looks at the validation rows."""
    patience: Positive | None = None
    """Looks without gain after which training stops early."""


class Scratch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model from nothing."""

    size: Annotated[int, Meta(ge=1, le=32)] = 4
    """The one dial: layers; width, heads, vocabulary and steps follow from it."""
    text: str | None = None
    """A file of plain text to learn language from before the rows; without it the rows' own text."""
    steps: Positive | None = None
    """Of this first part; None follows from size and text."""


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training run."""

    name: str
    """What the model will be called."""
    start: Start = "base"
    method: Method = "supervised"
    tuning: Tuning = "lora"
    base: str | None = None
    """The folder of the base model's safetensors, config.json and tokenizer.json; None from scratch."""
    base_name: str = ""
    """What the base is called in cards and model names."""
    scratch: Scratch | None = None
    hyperparameters: Hyperparameters = Hyperparameters()
    seed: int = 0
    formats: tuple[Format, ...] = ("Q8_0",)
    """GGUF files that are written at the end."""
    threads: Positive | None = None
    data: dict[str, Any] = {}  # Any: JSON; msgspec copies an empty default
    """What the card says of the data: digest, counts, licences, where from."""


class Event(Struct, frozen=True, kw_only=True):
    """Something to tell. `metrics` events carry numbers under the names that OpenAI's clients know."""

    at: float
    """Seconds since 1970."""
    message: str
    level: Literal["info", "warn", "error"] = "info"
    type: Literal["message", "metrics"] = "message"
    data: dict[str, Any] = {}  # Any: JSON; msgspec copies an empty default
    """step, train_loss, train_mean_token_accuracy, valid_loss, valid_mean_token_accuracy, learning_rate,
    tokens_per_second."""


class Progress(Struct, frozen=True, kw_only=True):
    """Where it is."""

    at: float
    pid: int
    phase: Literal["loading", "pretraining", "training", "exporting", "done"]
    step: int = 0
    """Of the phase."""
    total_steps: int = 0
    trained_tokens: int = 0
    memory_mb: float = 0.0
    """Resident now; `peak_memory_mb` at most so far."""
    peak_memory_mb: float = 0.0
    cpu_s: float = 0.0


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A checkpoint that counts: `checkpoint.json` in its folder."""

    at: float
    phase: Literal["pretraining", "training"]
    step: int
    metrics: dict[str, float]


class Result(Struct, frozen=True, kw_only=True):
    """What came out. Paths are relative to the folder."""

    at: float
    model: str
    """The folder of the whole model, merged where an adapter was trained: safetensors, config, tokenizer."""
    adapter: str | None
    """The folder of the adapter alone."""
    adapter_gguf: str | None = None
    """The adapter as one GGUF file, for engines that lay it over the base."""
    card: str | None = None
    """The model's card as JSON: data, base, settings with reasons, curves, figures."""
    gguf: dict[Format, str]
    steps: int
    trained_tokens: int
    metrics: dict[str, float]
    """The last of each."""
    chosen: Hyperparameters
    parameters: int
    trained_parameters: int
    wall_s: float
    cpu_s: float
    peak_memory_mb: float
    versions: dict[str, str] = {}
