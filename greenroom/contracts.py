"""The seams: what a step, a filter, a detector, an index and a sink promise each other.

Knows the waist and nothing else.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from msgspec import Struct

from greenroom.errors import GreenroomError
from greenroom.exchange import Action, Edit, Exchange, Passage, Reply, Stage, Verdict, Where
from greenroom.wire.openai import ReplyChoice

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

Mode = Literal["off", "observe", "suggest", "apply"]


class StepConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What every step's table may say; a step's own Config adds to it.

    The pipeline leaves "off" steps out and obeys `on_error`; a step that edits text sets `applied` of its
    edits by `mode == "apply"`.
    """

    mode: Mode = "apply"
    on_error: Literal["allow", "refuse"] = "allow"


class Step(Protocol):
    """One named part of preprocess, ground or check.

    Called once per exchange. Reads and changes the exchange, notes what it did in `exchange.steps[-1]`
    (the pipeline puts a fresh `StepRecord` there before the call and fills stage, step, ns itself; the
    outcome turns to "changed" when `changes` holds an applied edit). Returns None to go on, a `Reply`
    with `refusal` set to answer now. May raise: the pipeline decides by the step's `on_error`.
    A check may have an attribute `output_detector: Detector`, whose findings `guard` acts on in answers.
    """

    name: str
    stage: Stage

    async def __call__(self, exchange: Exchange) -> Reply | None: ...


PLAIN_NOT = "[^a-zß-öø-ÿ ,.;]"
"""A pattern (re2 and re alike) for what plain words do not have: they are small letters of western Europe."""
PLAIN_WORD = 24
"""The longest word, with its blank, that counts as plain."""


class Ease(NamedTuple):
    """A filter's leave to send plain words before it has seen them.

    Plain words hold no character of `PLAIN_NOT`, but the first letter may be a capital; what stands between
    two blanks is at most `PLAIN_WORD` long. A lone x, y or z is none.
    """

    room: int
    """Up to how many characters: it must see the one that makes it this many."""
    held: str
    """All that it holds back now. Of plain words it would hold no more than the last, with its blank."""
    before: str | None = None
    """Set by a filter that must see words said twice, two blanks, and marks that do not end a word: the word
    before what it holds, in small letters, with its marks.
    """


class TextFilter(Protocol):
    """Rewrites answer text that arrives in pieces.

    `feed` returns what is final and keeps back what later text could still change, never more than
    `lookback` characters. `flush` returns the rest. However the text is cut, the joined output is the same.
    A filter may have a method `ease() -> Ease | None`: whether plain words may go ahead of it now.
    """

    lookback: int
    edits: list[Edit]
    """What was changed, counted in the text this filter was fed."""
    verdicts: list[Verdict]
    notes: dict[str, object]
    rejected: str | None
    """Set to a rule's name when nothing more may be released; what is held is then dropped."""

    def feed(self, text: str) -> str: ...
    def flush(self) -> str: ...


class PostStep(Protocol):
    """One named part of postprocess: opens a filter for each text of the answer.

    `where` is "content" for the answer's prose and "arguments" for the JSON text of a tool call.
    """

    name: str

    def open(self, exchange: Exchange, where: str) -> TextFilter | None:
        """The filter; None means this exchange gives it nothing to do."""
        ...

    def leaves(self, exchange: Exchange, where: str, text: str) -> bool:
        """Whether a filter would give this whole text back as it is and have nothing to say of it.

        Told without opening one, in a few looks; False when that is not sure.
        """
        ...


class Again(NamedTuple):
    """What a `Reviewer` finds wrong with a whole answer, and what is to be done."""

    reason: str
    """For the record: names places and rules, never a value of the answer."""
    faults: int
    """How wrong the answer is: of several wrong ones the least wrong is kept."""
    messages: Sequence[dict[str, object]] = ()
    """Put behind the conversation when the model is asked again; without any it is not."""
    error: GreenroomError | None = None
    """Raised when the model is not asked again; without it the answer goes on as it is."""


class Reviewer(Protocol):
    """A `PostStep` that may have the model asked again, before any filter sees the answer."""

    name: str

    def awaits(self, exchange: Exchange, *, calls_tool: bool) -> bool:
        """Whether this answer must be reviewed: a streamed one is then held to its end.

        `calls_tool` says that a stream begins with a tool call. Raises RequestError for a request that no
        answer can satisfy.
        """
        ...

    async def review(
        self, exchange: Exchange, choices: Sequence[ReplyChoice], asked_again: int
    ) -> Again | None:
        """What is wrong with the answer; None when nothing is. `asked_again` counts from 0."""
        ...


class Stretch(Protocol):
    """A part of a text, and what it is: a sentence, a table, the name of a person."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def kind(self) -> str: ...


class Finding(Struct, kw_only=True, frozen=True):
    """Something a detector saw in a text; offsets count in that text."""

    start: int
    end: int
    rule: str
    """For instance "br.cpf" or "secret.aws_access_key"."""
    label: str
    """What stands in the mask: "CPF" makes `<CPF_1>`."""
    category: str
    """"personal_data" or "secret"."""
    score: float = 1.0
    severity: int = 2
    action: Action | None = None
    """What is usually done about it, where the list that it stands in says so; else what the step says."""


class Detector(Protocol):
    """Finds things in text, in linear time; used on prompts, passages and reply windows alike."""

    passes_words: bool
    """Whether no finding can begin in a plain word (see `Ease`) that a blank has ended, whatever follows."""

    def find(self, text: str) -> list[Finding]:
        """All findings, sorted, not overlapping. What decides on a span is at most 64 characters from it."""
        ...

    def safe_end(self, text: str) -> int:
        """The largest position such that no finding that starts before it could still grow or appear,
        whatever text follows. Never more than 256 characters before the end.
        """
        ...


class Decision(NamedTuple):
    """What is done about one finding, and who said so."""

    action: Action
    policy: str = ""
    """The policy that decided; empty where the step's own settings did."""
    shadow: str = ""
    """The first policy in shadow mode that fits the finding, and would have done `would`."""
    would: Action | None = None


class Decide(Protocol):
    """What is done about one finding: a step's `usual` action, or what a policy says instead.

    `value` is what was found, where the step knows it: a policy's `allow` is held against it.
    """

    def __call__(
        self, exchange: Exchange, step: str, finding: Finding, where: Where, usual: Action, value: str = ""
    ) -> Decision: ...


def as_usual(
    exchange: Exchange, step: str, finding: Finding, where: Where, usual: Action, value: str = ""
) -> Decision:
    """`Decide` where there is no policy."""
    return Decision(usual)


def verdict_of(
    step: str, finding: Finding, decision: Decision, where: Where, start: int, end: int, index: int = -1
) -> Verdict:
    """A finding and what was decided about it; `start` and `end` count in the original text."""
    return Verdict(
        step=step, rule=finding.rule, category=finding.category, severity=finding.severity,
        score=finding.score, start=start, end=end, where=where, action=decision.action, index=index,
        policy=decision.policy, shadow=decision.shadow, would=decision.would,
    )  # fmt: skip


class Searcher(Protocol):
    """Finds passages in collections a project may see.

    `wordings` are the query in other words (its spelling corrected, say), `names` what it names, `vector`
    gives its vector when it is of use; `documents` are the only ones that count, where given.
    """

    async def search(
        self,
        query: str,
        *,
        project: str,
        collections: Sequence[str],
        limit: int,
        wordings: Sequence[str] = (),
        names: Sequence[str] = (),
        vector: "Callable[[], Awaitable[NDArray[float32]]] | None" = None,
        documents: Sequence[str] | None = None,
    ) -> list[Passage]: ...


class FileSearch(Struct, kw_only=True, frozen=True):
    """A search in vector stores that a request asks for, instead of the one its app would do.

    Stands in `exchange.context["file_search"]`; step `documents` does it.
    """

    within: tuple[tuple[tuple[str, ...], tuple[str, ...] | None], ...]
    """Ids of vector stores that are searched together, and the documents of them that count; None is all."""
    limit: int
    min_score: float
    stores: tuple[tuple[str, str], ...] = ()
    """Id and name of each vector store: an app may be allowed it by either."""


class Encoder(Protocol):
    """Texts to unit vectors: texts of like meaning are near. Blocks for milliseconds; any thread may call.

    Loaded on first use. Nothing else is told by the vectors of a text in none of `languages`: leave them out
    of a ranking then.
    """

    name: str
    """What clients call it, for instance "greenroom/minilm"; vectors of another name can't be compared."""
    dimensions: int
    languages: frozenset[str]

    def encode(self, texts: Sequence[str]) -> "NDArray[float32]":
        """`(n, d) float32`, rows of length 1, in order. What is past a model's limit does not count."""
        ...

    def is_known(self, text: str) -> bool:
        """Whether the vector of this text, encoded alone, is remembered and costs nothing."""
        ...


class NewestVector(Protocol):
    """The newest user text as a vector: what step `embed` leaves in `exchange.context["embed"]`."""

    encoder: Encoder

    async def vector(self) -> "NDArray[float32]":
        """`(d,) float32` of length 1. Made when first asked for, in a thread; the same one every time."""
        ...

    async def of(self, text: str) -> "NDArray[float32]":
        """The vector of another text that is searched with (the question before, say), in a thread."""
        ...


class Sink(Protocol):
    """Takes finished exchanges; never waits, never raises."""

    def put(self, exchange: Exchange) -> None: ...


class Upstream(Protocol):
    """Something that answers. Raises `UpstreamError`."""

    async def __call__(self, exchange: Exchange) -> Reply: ...


def mask(label: str, number: int) -> str:
    """What stands for a sensitive value: `<CPF_1>`."""
    return f"<{label}_{number}>"
