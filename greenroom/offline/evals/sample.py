"""What evaluation is made of: a sample of a data set, what came out for it, what a scorer thinks of that.

`compare`, `optimize` and `/v1/evals` use the same four words, so a scorer written once serves all of them.
"""

from typing import Any, Literal, Protocol

from msgspec import Struct, field

Json = dict[str, Any]  # Any: JSON, whose fields are the data set's own


class Sample(Struct, kw_only=True, frozen=True):
    """One row of a data set."""

    id: str
    """Unique within the data set, and the same every time the same file is read."""
    messages: tuple[Json, ...] = ()
    """What is sent, as chat messages; empty where a prompt makes them from `variables`."""
    variables: Json = {}
    """What fills the prompt under test."""
    expected: Any = None  # Any: JSON
    """What the answer should be, where that is known: a text, a number, or JSON."""
    group: str = ""
    """Samples of one group (a conversation, a document) are not independent: intervals are clustered by it.
    Empty where each stands for itself.
    """
    item: Json = {}
    """The whole row as it came."""


class Output(Struct, kw_only=True):
    """What a subject gave for a sample, the failure included."""

    text: str = ""
    messages: tuple[Json, ...] = ()
    """What was sent, where the subject made it (a filled prompt)."""
    outcome: Literal["answered", "refused", "failed"] = "answered"
    """"refused": a check of Greenroom or the provider's own; a model that declines in words has answered."""
    error: str | None = None
    """Why it failed, as a sentence."""
    model: str | None = None
    """The target that answered."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int | None = None
    """Billionths of a US dollar; None where the price is not known."""
    latency_ms: float = 0.0
    trace_id: str | None = None
    record: Json = field(default_factory=dict)
    """The exchange's record (SPEC 7), where the subject keeps one."""
    body: Json = field(default_factory=dict)
    """The chat completion as a client gets it."""


class Score(Struct, kw_only=True, frozen=True):
    """What one scorer says of one output. An error is a score too: never dropped, never a number."""

    name: str
    value: float | None = None
    """Higher is better for quality (mostly 0 to 1); latency in ms and cost in US dollars are better low.
    None where the scorer abstains or failed.
    """
    passed: bool | None = None
    """Against the scorer's own threshold, where it has one."""
    reason: str = ""
    """Why, for a person."""
    error: str | None = None
    """Why there is no value."""
    cost_nano_usd: int = 0
    """What judging cost, where a model judged."""


class Scorer(Protocol):
    """Judges outputs. Deterministic ones do not wait for anything."""

    name: str
    higher_is_better: bool

    async def score(self, sample: Sample, output: Output) -> Score:
        """Never raises for what the output holds: that is a `Score` with `error`."""
        ...


class Subject(Protocol):
    """What is evaluated: an app, a model, a prompt version, or a function in Python."""

    name: str

    async def answer(self, sample: Sample) -> Output:
        """One call. A failure of the model is an `Output` with outcome "failed".

        Raises: InfrastructureError where going on is of no use (no such model, no key, no money left).
        """
        ...
