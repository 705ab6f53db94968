"""What the gate of training rows is made of: the detectors of the check stage, and the kept evaluations."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any

from msgspec.json import Decoder, decode

from greenroom.assembly.house import House
from greenroom.contracts import Detector, mask
from greenroom.offline.evals.data_source import DataSource, Logs, ResponseLogs, read_source
from greenroom.offline.evals.leaks import texts_in
from greenroom.offline.evals.sample import Sample
from greenroom.offline.evals.templates import Unfillable
from greenroom.offline.finetune.rows.form import said
from greenroom.offline.finetune.rows.options import Asked, Held, Means
from greenroom.stages.check.candidate import join
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.secrets import SecretDetector
from greenroom.store.data_sets import DataSets
from greenroom.store.openai_evals import OpenAIEvals

_sample = Decoder(Sample).decode
_MASK = re.compile(r"<[A-Z_]{2,40}_\d{1,9}>")
_START, _INSIDE = re.compile(r"(?<!\w)(?=\S)"), re.compile(r"\w")
"""Where a value may begin, and what may not follow it."""
_LEAST = 3
"""Characters of a value that is hidden wherever it stands."""
_LONGER = 20
"""Characters from which a text of a row is taken for a question where nothing says which one is."""
_TRAIN = "-train"
"""What `eval data split` calls the part that may be learnt from."""


def means_of(house: House, project: str = "default", files: Sequence[Held] = ()) -> Means:
    """What rows of a project are cleaned with. `files` are evaluations that are not kept."""
    evaluation = (*_kept(house, project), *_hosted(house, project), *files)
    return Means(masks=masks, evaluation=evaluation)


def masks(row: str) -> "RowMasks":
    """What hides personal data and secrets in one row."""
    return RowMasks(_detectors(), row)


@lru_cache(1)
def _detectors() -> tuple[Detector, ...]:
    return (SecretDetector(), PiiDetector())


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
        held(f"{one.name}@{one.version}", map(_sample, sets.rows(one)), free.get(one.name, frozenset()))
        for one in kept
        if not one.name.endswith(_TRAIN)
    ]


def _hosted(house: House, project: str) -> list[Held]:
    """What runs of `/v1/evals` ask whose rows a client sent; those over traffic hold nothing out of it."""
    kept = OpenAIEvals(house.evals)
    found = []
    for run in kept.of_project(project):
        source = read_source(decode(run.source))
        if not isinstance(source.rows, Logs | ResponseLogs):
            rows = map(decode, kept.rows(run.id))
            found.append(Held(f"{run.name or run.id} of /v1/evals", list(_asked(source, rows))))
    return found


def _asked(
    source: DataSource,
    rows: Iterable[dict[str, Any]],  # Any: JSON
) -> Iterator[Asked]:
    """The questions of rows: what the model was told, or where the rows bring answers, their longer texts."""
    for row in rows:
        if source.sampling is None:
            yield from (Asked((text,), "") for text in texts_in(row["item"]) if len(text) >= _LONGER)
            continue
        try:
            messages = source.sampling.body(row)["messages"]
        except Unfillable:
            continue
        yield Asked(tuple(said(one.get("content")) for one in messages if one.get("role") == "user"), "")


def held(name: str, samples: Iterable[Sample], free: AbstractSet[tuple[str, ...]] = frozenset()) -> Held:
    """What a data set asks, but for what is `free` to be learnt."""
    rows = ((turns(one), one.expected) for one in samples)
    return Held(
        name,
        [
            Asked(said, expected if isinstance(expected, str) else "")
            for said, expected in rows
            if said not in free
        ],
    )


def turns(sample: Sample) -> tuple[str, ...]:
    """What the user says in a sample, turn by turn; its variables where it has no messages."""
    if not sample.messages:
        return (" ".join(texts_in(sample.variables)),)
    return tuple(said(one.get("content")) for one in sample.messages if one.get("role") == "user")


class RowMasks:
    """Puts masks for personal data and secrets, the same one for the same value throughout a row."""

    def __init__(self, detectors: Sequence[Detector], row: str = "") -> None:
        """`row` is all of it: masks that stand there, as in recorded exchanges, are not given again."""
        self._detectors = detectors
        self._taken = frozenset(_MASK.findall(row)) if "_" in row else frozenset()
        self._last: Counter[str] = Counter()
        self._known: dict[tuple[str, str], str] = {}
        self._everywhere: tuple[int, dict[str, str], list[int]] | None = None
        """How many values were known, masks by value, and how long values are, the longest first."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many different values were hidden, by kind."""
        return Counter(label for label, _ in self._known)

    def __call__(self, text: str) -> str:
        for detector in self._detectors:
            text = "".join(self._pieces(text, detector))
        return text

    def known(self, text: str) -> str:
        """The text with what was found in another text of the row hidden, too: not every place gives a value
        away.
        """
        if self._everywhere is None or self._everywhere[0] != len(self._known):
            by_value = {value: hidden for (_, value), hidden in self._known.items() if len(value) >= _LEAST}
            self._everywhere = len(self._known), by_value, sorted(set(map(len, by_value)), reverse=True)
        _, by_value, lengths = self._everywhere
        return "".join(_replaced(text, by_value, lengths)) if by_value else text

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
            number = self._last[label] + 1
            while mask(label, number) in self._taken:
                number += 1
            self._last[label] = number
            known = self._known[label, value] = mask(label, number)
        return known


def _replaced(text: str, by_value: Mapping[str, str], lengths: Sequence[int]) -> Iterator[str]:
    """Pieces of a text with whole values replaced, longer ones first. However many values there are, each
    place is looked up once for each length.
    """
    at = 0
    for found in _START.finditer(text):
        start = found.start()
        if start < at:
            continue
        for length in lengths:
            hidden = by_value.get(text[start : start + length])
            if hidden is not None and not _INSIDE.match(text, start + length):
                yield text[at:start]
                yield hidden
                at = start + length
                break
    yield text[at:]
