"""What the gate of training rows is made of: the detectors of the check stage, and the kept evaluations."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from msgspec.json import Decoder

from greenroom.assembly.house import House
from greenroom.contracts import Detector, mask
from greenroom.offline.evals.leaks import texts_in
from greenroom.offline.evals.sample import Sample
from greenroom.offline.finetune.rows.prepare import Held, Means
from greenroom.stages.check.candidate import join
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.secrets import SecretDetector
from greenroom.store.data_sets import DataSets

_sample = Decoder(Sample).decode
_TRAIN = "-train"
"""What `eval data split` calls the part that may be learnt from."""


def means_of(house: House, project: str = "default", files: Sequence[Held] = ()) -> Means:
    """What rows of a project are cleaned with. `files` are evaluations that are not kept."""
    detectors: tuple[Detector, ...] = (SecretDetector(), PiiDetector())
    return Means(masks=lambda: RowMasks(detectors), evaluation=(*_kept(house, project), *files))


def _kept(house: House, project: str) -> list[Held]:
    """All versions of all data sets, but for parts that were split off to learn from."""
    sets = DataSets(house.evals)
    kept = sets.list(project)
    free: dict[str, set[tuple[str, ...]]] = {}
    for one in kept:
        if one.name.endswith(_TRAIN):
            whole = one.name.removesuffix(_TRAIN)
            free.setdefault(whole, set()).update(turns(_sample(row)) for row in sets.rows(one))
    return [
        Held(
            f"{one.name}@{one.version}",
            [said for row in sets.rows(one) if (said := turns(_sample(row))) not in free.get(one.name, ())],
        )
        for one in kept
        if not one.name.endswith(_TRAIN)
    ]


def turns(sample: Sample) -> tuple[str, ...]:
    """What the user says in a sample, turn by turn; its variables where it has no messages."""
    if not sample.messages:
        return (" ".join(texts_in(sample.variables)),)
    return tuple(
        " ".join(texts_in(one.get("content"))) for one in sample.messages if one.get("role") == "user"
    )


class RowMasks:
    """Puts masks for personal data and secrets, the same one for the same value throughout a row."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = detectors
        self._numbers: Counter[str] = Counter()
        self._known: dict[tuple[str, str], str] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """How many different values were hidden, by kind."""
        return self._numbers

    def __call__(self, text: str) -> str:
        for detector in self._detectors:
            text = "".join(self._pieces(text, detector))
        return text

    def _pieces(self, text: str, detector: Detector) -> Iterator[str]:
        at = 0
        for one in join(detector.find(text), text):
            yield text[at : one.start]
            yield self._mask(one.label, text[one.start : one.end])
            at = one.end
        yield text[at:]

    def _mask(self, label: str, value: str) -> str:
        known = self._known.get((label, value))
        if known is None:
            self._numbers[label] += 1
            known = self._known[label, value] = mask(label, self._numbers[label])
        return known
