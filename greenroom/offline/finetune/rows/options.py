"""What the gate of training rows is told, and what it works with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, Protocol
from unicodedata import combining, normalize

from msgspec import Meta, Struct

from greenroom.prompts.tokens import estimate

Consent = Literal["stated", "not_refused", "any"]
LEAST_ROWS = 10
"""As OpenAI's fine-tuning asks for."""
YES = frozenset(
    (
        "true", "yes", "granted", "1", "training", "agreed", "sim", "verdadeiro", "concedido", "concedida",
        "si", "verdadero", "otorgado", "otorgada",
    )
)  # fmt: skip
"""What says that somebody agreed, in three languages, without case and accents; any other word says no."""


class Masks(Protocol):
    """Hides personal data and secrets in the texts of one row: the same mask for the same value."""

    def __call__(self, text: str) -> str: ...

    def known(self, text: str) -> str:
        """The text with what was found in another text of the row hidden, too."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """How many different values were hidden so far, by kind."""
        ...


class Asked(NamedTuple):
    """One row of an evaluation."""

    turns: Sequence[str]
    """What the user says in it, turn by turn."""
    expected: str = ""
    """What the answer should be, where that is a text."""


class Held(NamedTuple):
    """Questions that must not be trained on."""

    name: str
    rows: Iterable[Asked]


class Means(NamedTuple):
    """What the gate works with; assembly knows where it comes from."""

    masks: Callable[[str], Masks]
    """Called for each row with all of it as JSON: masks that stand there already are not given again."""
    evaluation: Sequence[Held] = ()
    tokens: Callable[[str], int] = estimate
    """About how many tokens a text is."""


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate does."""

    mask: bool = True
    duplicates: bool = True
    """Remove equal rows, and those that are nearly equal."""
    evaluation: bool = True
    """Keep rows of evaluations out."""
    consent: Consent = "not_refused"
    """stated: only rows whose metadata say `"consent": "true"` (or another word of `YES`); not_refused: those
    that say nothing of it as well; any: whatever they say."""
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Rows with more are left out."""
    least_rows: Annotated[int, Meta(ge=1)] = LEAST_ROWS

    def loosened(self) -> str | None:
        """The first setting that protects people or evaluations less than it does by itself."""
        if not self.mask:
            return "mask"
        if not self.evaluation:
            return "evaluation"
        return "consent" if self.consent == "any" else None


def has_consent(said: object, wanted: Consent) -> bool:
    """Whether what a row or a trace says of consent is enough; None where it says nothing."""
    word = normalize("NFD", str(said).strip().casefold()) if said is not None else ""
    word = "".join(one for one in word if not combining(one))
    if wanted == "any":
        return True
    return word in YES or (wanted == "not_refused" and not word)
