"""`[experiments.NAME]`: which arms answer an app's traffic, by what they are compared, and when it ends."""

from hashlib import sha256
from math import isfinite
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct
from msgspec.json import encode
from msgspec.structs import replace

from greenroom.prompts.version import parse_reference
from greenroom.store.observations import Unit
from greenroom.store.scores import MEASURED, NAME

CONTROL = "control"
"""The arm that always is there: the app as it is configured."""
ARM_NAME = r"^[a-z][a-z0-9_-]{0,39}\Z"
T = TypeVar("T", bound=Struct)
Side = Literal["higher", "lower"]
Metric = Annotated[str, Meta(pattern=NAME)]
ArmName = Annotated[str, Meta(pattern=ARM_NAME)]


class _Table(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    pass


class ArmConfig(_Table, kw_only=True, frozen=True):
    """[experiments.NAME.arms.ARM]: what answers instead of the app as it is."""

    share: Annotated[float, Meta(gt=0, le=1)]
    """Of the units; what all arms leave is the control's, the app as it is. For a shadow: of the exchanges.
    """
    model: str | None = None
    """A configured model or `provider/model`; without it the app's."""
    prompt: str | None = None
    """A version of a prompt by its number, as `support@12`; without it the app's."""
    shadow: bool = False
    """Its model gets a copy, costs money and is recorded, and its answer goes to nobody."""

    def changed(self, table: T) -> T:
        """An app's table as this arm has it."""
        own = {"model": self.model, "prompt": self.prompt}
        return replace(table, **{name: one for name, one in own.items() if one is not None})

    def __post_init__(self) -> None:
        if self.model is None and self.prompt is None:
            raise ValueError("the arm differs in nothing from the app: give it a 'model' or a 'prompt'")
        if self.shadow and self.prompt is not None:
            raise ValueError("a shadow gets what the app's model gets: it takes a 'model' and no 'prompt'")
        if self.prompt is not None and not isinstance(parse_reference(self.prompt).selector, int):
            raise ValueError(
                f"the prompt '{self.prompt}' may change while the experiment runs: name a version by its "
                f"number, as {parse_reference(self.prompt).name}@1"
            )


class GuardConfig(_Table, kw_only=True, frozen=True):
    """One of `guards`: it stops the experiment once an arm surely is worse than the control by the limit."""

    metric: Metric
    """`refused`, `failed`, `cost`, `latency`, `tokens`, or the name of a score."""
    limit: Annotated[float, Meta(ge=0)] = 0.0
    """How much worse it may be: a share for refused and failed (0.02), US dollars, milliseconds, tokens, or
    the score's own measure."""
    low: float = 0.0
    high: float | None = None
    """The bounds: 1 for scores without it. With it, cost, latency and tokens are compared at any size."""
    better: Side | None = None
    """Which side is good; without it higher for scores and lower for the others."""

    def __post_init__(self) -> None:
        check_bounds(self.metric, self.low, self.high)


class ExperimentConfig(_Table, kw_only=True, frozen=True):
    """[experiments.NAME]: prompts or models against each other in an app's live traffic."""

    app: str
    arms: Annotated[dict[ArmName, ArmConfig], Meta(min_length=1, max_length=20)]
    metric: Metric
    """What decides: the name of a score, or `refused`, `failed`, `cost`, `latency` (ms) or `tokens`."""
    unit: Unit = "user"
    """What keeps its arm. Exchanges that name no user or session, where that is the unit, take no part."""
    low: float = 0.0
    high: float | None = None
    """The bounds of the metric; values beyond are taken for the bound. 1 for scores without it; cost, latency
    and tokens have none without it, and intervals that hold only as numbers grow.
    """
    better: Side | None = None
    """Which side is good; without it higher for scores and lower for the others."""
    guards: Annotated[tuple[GuardConfig, ...], Meta(max_length=20)] = ()
    decide: Literal["tell", "stop", "promote"] = "tell"
    """What is done when it is certain: only tell; stop once every arm is surely worse; or also promote the
    arm that surely is better."""
    confidence: Annotated[float, Meta(ge=0.5, le=0.9999)] = 0.95
    """The chance that all intervals of the metric hold, at every moment at once; for the guards once more."""

    def __post_init__(self) -> None:
        check_bounds(self.metric, self.low, self.high)
        if CONTROL in self.arms:
            raise ValueError(f"the arm '{CONTROL}' is the app as it is, and always there")
        if sum(one.share for one in self.arms.values() if not one.shadow) >= 1:
            raise ValueError("the shares of the arms must leave something for the control, which is the rest")

    @property
    def shares(self) -> dict[str, float]:
        """The control's share and that of every arm that answers."""
        answering = {name: one.share for name, one in self.arms.items() if not one.shadow}
        return {CONTROL: 1 - sum(answering.values()), **answering}

    @property
    def shadows(self) -> dict[str, float]:
        """The share of every shadow."""
        return {name: one.share for name, one in self.arms.items() if one.shadow}

    @property
    def edition(self) -> str:
        """A digest of what makes it this experiment; with another one counting begins anew."""
        return sha256(encode([self.app, self.unit, sorted(self.arms.items())])).hexdigest()[:16]


def check_bounds(metric: str, low: float, high: float | None) -> None:
    """Raise ValueError for bounds that are none, or of what has its own."""
    if not low < (1.0 if high is None else high) or (high is not None and not isfinite(high)):
        raise ValueError("'low' must be less than 'high'")
    if metric in ("refused", "failed") and (low, high) != (0.0, None):
        raise ValueError(f"'{metric}' takes no bounds: it is 0 or 1")


def higher_is_better(metric: str, better: Side | None) -> bool:
    """Which side of a metric is good."""
    return better == "higher" if better is not None else metric not in MEASURED
