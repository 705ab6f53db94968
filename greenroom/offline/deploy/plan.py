"""`[deploy]`, what may be deployed onto an app, and the rules by which a canary ends."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from greenroom.stages.check.policy import PolicyConfig
from greenroom.store.scores import NAME

Kind = Literal["model", "prompt", "policy"]
KINDS: tuple[Kind, ...] = ("model", "prompt", "policy")
Part = Annotated[float, Meta(ge=0, le=1)]
Names = tuple[str, ...] | None


class _Table(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    pass


class Margins(_Table, kw_only=True, frozen=True):
    """[deploy.margins]: how much larger the canary's share of each may be and still do no harm (0.01 is one
    in a hundred). 1 turns one off.
    """

    failed: Part = 0.01
    refused: Part = 0.02
    flawed: Part = 0.02
    """Answers that are empty, cut, loops, in another language, or no JSON where that was asked."""
    slow: Part = 0.10
    dear: Part = 0.10
    short: Part = 0.10
    score: Part = 0.05
    """How much lower the mean of a score may be, of its 0 to 1."""

    def of(self, metric: str) -> float:
        """The margin of a metric; that of scores for what is none of ours."""
        return float(getattr(self, metric)) if metric in METRICS else self.score


METRICS = ("failed", "refused", "flawed", "slow", "dear", "short")
"""What every canary is compared by."""


class Rules(_Table, kw_only=True, frozen=True):
    """By what a canary is rolled back or promoted; kept with it from its start."""

    margins: Margins = Margins()
    slower: Annotated[float, Meta(ge=1, le=1e6)] = 1.5
    """An answer is slow when it takes longer than so many times what nine in ten of the current's take."""
    dearer: Annotated[float, Meta(ge=1, le=1e6)] = 2.0
    """It is dear when it costs more than so many times what nine in ten of the current's cost."""
    shorter: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """It is short when it has fewer tokens than this part of what nine in ten of the current's have."""
    confidence: Annotated[float, Meta(ge=0.9, le=0.9999)] = 0.99
    """The chance that a canary that changes nothing is never rolled back, whatever its length."""
    units: Annotated[int, Meta(ge=1)] = 200
    """So many users (sessions, requests) at least before a rule promotes."""
    promote_after_s: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    """So many seconds at least before a rule promotes; None: only a person does."""
    roll_back: bool = True
    """Whether a harm that is certain ends the canary."""
    scores: Annotated[tuple[Annotated[str, Meta(pattern=NAME)], ...], Meta(max_length=10)] = ()
    """Scores of 0 to 1 that are compared too, higher being better."""


class DeployConfig(Rules, kw_only=True, frozen=True):
    """[deploy]: what holds for deployments where their command says nothing else."""

    share: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    """The canary's part of the traffic, or a shadow's."""
    suites: dict[str, str] = {}
    """Evaluation suites by name: files beside the configuration."""

    def rules(self, **said: object) -> Rules:
        """The rules of one deployment: these, and what was said for it."""
        values = {name: getattr(self, name) for name in Rules.__struct_fields__}
        return Rules(**{**values, **{name: one for name, one in said.items() if one is not None}})


class Policy(_Table, kw_only=True, frozen=True):
    """A policy's file: what of an app's table, and which policies, it has otherwise."""

    preprocess: Names = None
    ground: Names = None
    check: Names = None
    postprocess: Names = None
    collections: Names = None
    on_block: Literal["answer", "error"] | None = None
    steps: dict[str, dict[str, Any]] = {}  # Any: each table is decoded by its step
    """As `[apps.NAME.steps]`; a key that is not here stays as it was."""
    policies: dict[str, PolicyConfig] = {}
    """As `[policies]`: before those of the file, for this app alone."""


class Candidate(_Table, kw_only=True, frozen=True, omit_defaults=True):
    """What is deployed: one of three."""

    name: str
    """What people call it."""
    model: str | None = None
    """A configured model, `provider/model`, or a model trained here."""
    prompt: str | None = None
    """A version of a prompt by its number, as `support@12`."""
    policy: Policy | None = None

    @property
    def kind(self) -> Kind:
        """Which of the three."""
        return "model" if self.model is not None else "prompt" if self.prompt is not None else "policy"


def kind_of(name: str) -> Kind:
    """What a bare name means: `support@12` is a prompt, a .toml file a policy, everything else a model."""
    if name.endswith(".toml"):
        return "policy"
    head, mark, _ = name.partition("@")
    return "prompt" if mark and "/" not in head and ":" not in head else "model"
