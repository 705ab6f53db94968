"""What a model is wanted for: the task, what it must be able to do, and what it may cost."""

from typing import Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

from greenroom.models.catalogue.facts import Modality

Task = Literal["chat", "rag", "extract", "classify", "summarise", "translate", "code", "reason", "agent"]
TASKS: Final[tuple[Task, ...]] = get_args(Task)
Licence = Literal["any", "open", "permissive"]

INPUT_TOKENS: Final = 1_000
OUTPUT_TOKENS: Final = 300
REQUESTS: Final = 10_000
PRICE_OF_QUALITY: Final = 5.0
"""Points of quality that a model must bring to be ten times as dear."""

_Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$")]


class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wish. What is not said is not asked for."""

    task: Task = "chat"
    languages: Annotated[tuple[_Language, ...], Meta(max_length=20)] = ()
    """Codes of ISO 639-1; a region behind them is left out."""
    context: Annotated[int, Meta(ge=1, le=100_000_000)] = 4_096
    """Tokens of the longest prompt with its answer."""
    latency_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    """Seconds until the whole answer is there, at most."""
    budget_usd: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    """US dollars a month, at most."""
    requests: Annotated[int, Meta(ge=1, le=10**12)] = REQUESTS
    """A month."""
    input_tokens: Annotated[int, Meta(ge=1, le=100_000_000)] | None = None
    """Of a usual request; None takes what the ledger shows, else an assumption."""
    output_tokens: Annotated[int, Meta(ge=1, le=100_000_000)] | None = None
    private: bool = False
    """Whether prompts must stay on this machine."""
    tools: bool = False
    structured_output: bool = False
    input: Annotated[tuple[Modality, ...], Meta(max_length=5)] = ("text",)
    """What prompts hold."""
    licence: Licence = "any"
    """"open": weights that can be had; "permissive": under Apache-2.0 or MIT alone."""
    parallel: Annotated[int, Meta(ge=1, le=1024)] = 1
    """Answers at once of a local model."""
    quantisation: Annotated[str, Meta(max_length=16)] | None = None
    """Of local models; None takes the usual one."""
    price_of_quality: Annotated[float, Meta(ge=0, le=100)] = PRICE_OF_QUALITY

    hardware: Annotated[str, Meta(max_length=200)] = "auto"
    """This machine, `none`, or a description: see `hardware.parse_hardware`."""

    @property
    def codes(self) -> tuple[str, ...]:
        """The languages without regions."""
        return tuple(dict.fromkeys(one.partition("-")[0] for one in self.languages))

    @property
    def needs_tools(self) -> bool:
        """Whether the model must call tools."""
        return self.tools or self.task == "agent"

    @property
    def mix(self) -> tuple[int, int]:
        """Tokens of a usual request and of its answer, assumed where they were not said."""
        return self.input_tokens or INPUT_TOKENS, self.output_tokens or OUTPUT_TOKENS
