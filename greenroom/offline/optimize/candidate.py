"""Candidates of one run: versions of a prompt, where they come from, and how they did. All are kept."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Literal

from msgspec import Struct
from msgspec.json import Encoder
from msgspec.structs import replace

from greenroom.offline.bench import Trial
from greenroom.offline.evals.sample import Sample
from greenroom.offline.optimize.front import Standing, front
from greenroom.prompts.version import PromptVersion
from greenroom.store.trials import Trials

Json = dict[str, Any]  # Any: JSON
Origin = Literal["current", "rewrite", "examples"]
Diff = Callable[[PromptVersion, PromptVersion], Json]
"""What the second changes in the first, word by word."""
_encode = Encoder(order="deterministic").encode


class Candidate(Struct, kw_only=True):
    """What a run knows of one version."""

    number: int
    """0 is the prompt as it is."""
    parent: int | None
    origin: Origin
    version: PromptVersion
    diff: Json
    """Against its parent."""
    faults: tuple[str, ...] = ()
    """Why it was rejected before it was tried."""
    train: float | None = None
    """Mean quality on the training samples it met."""
    dev: Standing | None = None
    """On the whole dev part; None where it was not good enough to be measured there, or money ended."""
    is_front: bool = False
    """Whether no other candidate beats it in quality, cost and tokens at once."""


def digest_of(version: PromptVersion) -> str:
    """Equal for versions that ask the same, whatever their number, note and date."""
    plain = replace(version, number=0, note="", created_at="", created_by="", description="")
    return sha256(repr(plain).encode()).hexdigest()  # JSON leaves out what is the very default, not its equal


class Candidates:
    """All candidates of a run, and every trial that it has seen, kept by number."""

    def __init__(
        self, store: Trials, run: str, diff: Diff, quality: Callable[[Trial], float], base: PromptVersion
    ) -> None:
        self.all: list[Candidate] = []
        self._store = store
        self._run = run
        self._diff = diff
        self._quality = quality
        self._by_digest: dict[str, Candidate] = {}
        self._trials: dict[tuple[int, str], Trial] = {}
        self.add(base, None, "current")

    @property
    def met(self) -> int:
        """How many trials there are; grows while a search finds anything new."""
        return len(self._trials)

    def find(self, version: PromptVersion) -> Candidate | None:
        """The candidate that asks the same as this version."""
        return self._by_digest.get(digest_of(version))

    def add(
        self, version: PromptVersion, parent: Candidate | None, origin: Origin, faults: Sequence[str] = ()
    ) -> Candidate:
        """Take in a version; the same one again is the candidate it was."""
        known = self.find(version)
        if known is not None:
            return known
        made = Candidate(
            number=len(self.all),
            parent=None if parent is None else parent.number,
            origin=origin,
            version=version,
            diff={} if parent is None else self._diff(parent.version, version),
            faults=tuple(faults),
        )
        self.all.append(made)
        self._by_digest[digest_of(version)] = made
        self.keep(made)
        return made

    def keep(self, candidate: Candidate) -> None:
        """Write down what is known now."""
        self._store.keep_candidate(self._run, candidate.number, _encode(candidate))

    def note(self, candidate: Candidate, trials: Sequence[Trial]) -> None:
        """Remember trials of a candidate."""
        for trial in trials:
            self._trials[candidate.number, trial.sample.id] = trial.without_record()

    def trials(self, candidate: Candidate, samples: Sequence[Sample]) -> list[Trial]:
        """Those of the samples that the candidate has met."""
        found = (self._trials.get((candidate.number, sample.id)) for sample in samples)
        return [one for one in found if one is not None]

    def stand(self, train: Sequence[Sample], dev: Sequence[Sample]) -> None:
        """Work out how all of them do, and which are on the front."""
        for one in self.all:
            met = self.trials(one, train)
            one.train = sum(map(self._quality, met)) / len(met) if met else None
            met = self.trials(one, dev)
            one.dev = self._standing(met) if len(met) == len(dev) else None
        measured = [one for one in self.all if one.dev is not None]
        best = {measured[at].number for at in front([one.dev for one in measured if one.dev is not None])}
        for one in self.all:
            one.is_front = one.number in best
            self.keep(one)

    def _standing(self, trials: Sequence[Trial]) -> Standing:
        costs = [one.output.cost_nano_usd for one in trials]
        known = [cost for cost in costs if cost is not None]
        tokens = sum(one.output.input_tokens + one.output.output_tokens for one in trials)
        return Standing(
            sum(map(self._quality, trials)) / len(trials),
            sum(known) / len(known) if len(known) == len(costs) else None,
            tokens / len(trials),
        )
