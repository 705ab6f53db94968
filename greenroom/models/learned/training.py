"""How a router is fitted: a Gaussian process over prompts; noise and chances are found by leaving groups out.

For every target the score of an answer is what likeness to other prompts tells of it (`kernel`), and noise.
What a prompt would be given had it and its group not been seen follows from one inverse, without fitting
again; from these values the noise is chosen and guesses are turned into chances.
Sources: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equations 2.25 and 5.12
(leave-one-out; here for groups); Platt, "Probabilistic outputs", 1999, for the chances.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from greenroom.models.learned.examples import Examples
from greenroom.models.learned.features import BUCKETS, TOPICS, form, sketch, words_of
from greenroom.models.learned.file import MOST_PROMPTS, Calibration, Header, TargetFacts, Trained
from greenroom.models.learned.kernel import Points, alike, cosines
from greenroom.models.learned.predictor import Glance, scaled

if TYPE_CHECKING:
    from numpy import bool_, float32, float64, intp
    from numpy.typing import NDArray

    Floats = NDArray[float64]
    Array = NDArray[float32]

FEWEST_LABELS = 50
"""Scored answers from which on a target may be asked."""
OWN_LABELS = 250
"""Scored answers from which on guesses of a target are its own, where other targets have as many."""
NOISES = (2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
MEANING = 128
"""Dimensions that vectors are turned to: those in which prompts of training differ most."""
_TRIAL = 1_500
"""Prompts on which the noise is chosen."""
_FOLDS = 5
_LEAST_IN_LANGUAGE = 20
_UNLIKE = 0.005
"""The share of prompts of training that would count as unfamiliar."""

Tell = Callable[[str], None]


class Prepared(NamedTuple):
    """Examples with what is seen of them."""

    examples: Examples
    forms: "Array"
    words: "list[NDArray[intp]]"
    vectors: "Array | None"
    languages: tuple[str, ...]

    def some(self, rows: "NDArray[intp]") -> "Prepared":
        """Those of the given rows."""
        return Prepared(
            self.examples.some(rows), self.forms[rows], [self.words[row] for row in rows],
            None if self.vectors is None else self.vectors[rows], tuple(self.languages[row] for row in rows),
        )  # fmt: skip


class Fitted(NamedTuple):
    """A router, and the chances it gives to the prompts it was fitted on, each left out with its group."""

    trained: Trained
    chances: "Floats"
    """`(prompts, targets)`, by the best of what the router has: with vectors where there are some. The curve
    from guess to chance is that of the other four fifths of the groups.
    """


class _Head(NamedTuple):
    weights: "Array"
    shift: "Array"
    raw: "Floats"
    calibrations: list[Calibration]


def prepare(
    examples: Examples, glance: Glance | None, language_of: Callable[[str], str], tell: Tell = lambda _: None
) -> Prepared:
    """Look at every prompt: 0.3 ms each, and 4 ms where vectors are made. The newest 8,000 count."""
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    if len(examples.prompts) > MOST_PROMPTS:
        tell(f"Of {len(examples.prompts):,} prompts the last {MOST_PROMPTS:,} count.")
        total = len(examples.prompts)
        examples = examples.some(np.arange(total - MOST_PROMPTS, total))
    vectors = None
    if glance is not None:
        tell(f"Making vectors of {len(examples.prompts):,} prompts.")
        vectors = np.stack([glance(one) for one in examples.prompts])
    prompts = examples.prompts
    return Prepared(
        examples, np.stack([form(one) for one in prompts]), [words_of(one) for one in prompts],
        vectors, tuple(language_of(one) for one in examples.prompts),
    )  # fmt: skip


def fit(seen: Prepared, *, source: str = "", tell: Tell = lambda _: None) -> Fitted:
    """Fit a router. About 1 s for 1,000 prompts, 2 minutes for 8,000."""
    import numpy as np  # noqa: PLC0415 - as above

    counted = np.zeros(BUCKETS)
    for one in seen.words:
        counted[one] += 1
    total = len(seen.words)
    rarity = np.where(counted > 1, np.log((1 + total) / (1 + counted)) + 1, 0).astype(np.float32)
    mean, scale = seen.forms.mean(0), np.maximum(seen.forms.std(0), 1e-3)
    sketches = np.stack([sketch(one, rarity) for one in seen.words])
    forms = scaled(seen.forms, mean, scale)
    arrays = {"rarity": rarity, "form_mean": mean, "form_scale": scale, "form": forms}
    words_turn = _directions(sketches, TOPICS)
    topics = sketches @ words_turn
    arrays |= {"words_turn": words_turn, "words": topics}
    words = _head(seen.examples, Points(forms, topics, None), tell, "words and form")
    best, meaning, nearest = words, None, -1.0
    if seen.vectors is not None:
        turn = _directions(seen.vectors, MEANING)
        turned = seen.vectors @ turn
        arrays |= {"meaning_turn": turn, "meaning": turned}
        points = Points(forms, topics, turned)
        best = meaning = _head(seen.examples, points, tell, "words, form and meaning")
        nearest = _nearest(points)
        arrays |= {"meaning_weights": meaning.weights, "meaning_shift": meaning.shift}
    arrays |= {"words_weights": words.weights, "words_shift": words.shift}
    known = np.array([(rarity[one] > 0).mean() if len(one) else 0.0 for one in seen.words])
    spoken = Counter(seen.languages)
    header = Header(
        targets=_facts(seen.examples, words, meaning),
        prompts=total,
        languages={code: count for code, count in spoken.items() if count >= min(_LEAST_IN_LANGUAGE, total)},
        known_share=float(np.quantile(known, _UNLIKE)),
        nearest=nearest,
        source=source,
    )
    return Fitted(Trained(header, arrays), _chances(best, seen.examples.scores, seen.examples.groups))


def _facts(examples: Examples, words: _Head, meaning: _Head | None) -> tuple[TargetFacts, ...]:
    import numpy as np  # noqa: PLC0415 - as above

    labelled = ~np.isnan(examples.scores)
    _, follows = _roles(labelled)
    return tuple(
        TargetFacts(
            name=name,
            labels=int(labelled[:, at].sum()),
            mean=float(np.nanmean(examples.scores[:, at])),
            output_tokens=None if np.isnan(examples.output_tokens[at]) else float(examples.output_tokens[at]),
            with_meaning=meaning.calibrations[at] if meaning is not None else None,
            from_words=words.calibrations[at],
            follows=bool(follows[at]),
        )
        for at, name in enumerate(examples.targets)
    )


def _roles(labelled: "NDArray[bool_]") -> "tuple[NDArray[bool_], NDArray[bool_]]":
    """Which targets have guesses of their own, and which follow those; `(targets,)` each."""
    import numpy as np  # noqa: PLC0415 - as above

    counts = labelled.sum(0)
    leads = counts >= OWN_LABELS
    if not leads.any():
        leads = np.ones(len(counts), bool)
    return leads, ~leads


def _head(examples: Examples, points: Points, tell: Tell, name: str) -> _Head:
    """Weights, and raw guesses with groups left out."""
    import numpy as np  # noqa: PLC0415 - as above

    likeness = alike(points, points)
    labelled = ~np.isnan(examples.scores)
    leads, follows = _roles(labelled)
    total, targets = examples.scores.shape
    weights, shift, raw = np.zeros((total, targets)), np.zeros(targets), np.zeros((total, targets))
    for columns in _together(labelled, leads):
        rows = np.flatnonzero(labelled[:, columns[0]])
        scores = examples.scores[np.ix_(rows, columns)]
        mean = scores.mean(0)
        noise = _noise(likeness, rows, scores - mean, examples.groups)
        tell(f"From {name}: {', '.join(examples.targets[at] for at in columns)}; noise {noise:g}.")
        part, left_out = _solve(likeness, rows, scores - mean, examples.groups, noise)
        weights[np.ix_(rows, columns)] = part
        shift[columns] = mean
        raw[:, columns] = likeness @ weights[:, columns].astype(np.float32) + mean
        raw[np.ix_(rows, columns)] = left_out + mean
    for at in np.flatnonzero(follows):
        weights[:, at], shift[at] = weights[:, leads].mean(1), shift[leads].mean()
        raw[:, at] = raw[:, leads].mean(1)
    found = [_platt(raw[labelled[:, at], at], examples.scores[labelled[:, at], at]) for at in range(targets)]
    return _Head(weights.astype(np.float32), shift.astype(np.float32), raw, found)


def _together(labelled: "NDArray[bool_]", leads: "NDArray[bool_]") -> "list[NDArray[intp]]":
    """Targets that share their prompts: one inverse does for all of them."""
    import numpy as np  # noqa: PLC0415 - as above

    found: defaultdict[bytes, list[int]] = defaultdict(list)
    for at in range(labelled.shape[1]):
        if leads[at] and labelled[:, at].any():
            found[labelled[:, at].tobytes()].append(at)
    return [np.array(one, np.intp) for one in found.values()]


def _noise(likeness: "Array", rows: "NDArray[intp]", scores: "Floats", groups: "Floats") -> float:
    """The noise with the least squared error on groups left out, tried on up to 1,500 prompts.

    Of several targets the error counts in what sets them apart: that a prompt is hard for all of them is
    told by less than that it is harder for one, and is no reason to choose.
    """
    import numpy as np  # noqa: PLC0415 - as above

    some = np.random.default_rng(1).permutation(len(rows))[:_TRIAL]
    some.sort()
    errors = []
    for noise in NOISES:
        _, left_out = _solve(likeness, rows[some], scores[some], groups, noise)
        missed = left_out - scores[some]
        if scores.shape[1] > 1:
            missed = missed - missed.mean(1, keepdims=True)
        errors.append(float((missed**2).mean()))
    return NOISES[int(np.argmin(errors))]


def _solve(
    likeness: "Array", rows: "NDArray[intp]", scores: "Floats", groups: "Floats", noise: float
) -> "tuple[Floats, Floats]":
    """Weights of the prompts, and guesses with each group left out; both `(rows, targets)`."""
    import numpy as np  # noqa: PLC0415 - as above

    system = likeness[np.ix_(rows, rows)]
    system[np.diag_indices(len(rows))] += noise
    inverse = np.linalg.inv(system)
    weights = inverse @ scores.astype(np.float32)
    left_out = scores - weights / np.diag(inverse)[:, None]
    members: defaultdict[float, list[int]] = defaultdict(list)
    for at, group in enumerate(groups[rows]):
        members[float(group)].append(at)
    for one in members.values():
        if len(one) > 1:
            left_out[one] = scores[one] - np.linalg.solve(inverse[np.ix_(one, one)], weights[one])
    return weights.astype(np.float64), left_out


def _platt(raw: "Floats", scores: "Floats") -> Calibration:
    """Slope and shift of the logistic curve from guesses to scores, by Newton's steps on the log loss.

    A weak pull towards a slope of 4, that of guesses that are true near .5, keeps it finite.
    """
    import numpy as np  # noqa: PLC0415 - as above

    middle = float(raw.mean()) if len(raw) else 0.0
    sides = np.stack([raw - middle, np.ones(len(raw))], 1)
    found = np.array([4.0, 0.0])
    prior = np.diag([0.02, 0.02])
    for _ in range(50):
        chances = 1.0 / (1.0 + np.exp(-np.clip(sides @ found, -30, 30)))
        slope = sides.T @ (chances - scores) + prior @ (found - [4.0, 0.0])
        curve = (sides * (chances * (1 - chances))[:, None]).T @ sides + prior
        step = np.linalg.solve(curve, slope)
        found -= np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-9:
            break
    steep = max(0.0, float(found[0]))
    return Calibration(steep, float(found[1]) - steep * middle)


def _chances(head: _Head, scores: "Floats", groups: "Floats") -> "Floats":
    """Chances by curves that saw neither the prompt nor its group."""
    import numpy as np  # noqa: PLC0415 - as above

    found = np.zeros(scores.shape)
    labelled = ~np.isnan(scores)
    fold = groups % _FOLDS
    for at in range(scores.shape[1]):
        for one in range(_FOLDS):
            others, here = labelled[:, at] & (fold != one), fold == one
            curve = _platt(head.raw[others, at], scores[others, at])
            found[here, at] = 1 / (
                1 + np.exp(-np.clip(curve.slope * head.raw[here, at] + curve.shift, -30, 30))
            )
    return found


def _directions(vectors: "Array", count: int) -> "Array":
    """The directions in which vectors have most of their length, `(d, count) float32`, at right angles.

    With fewer vectors or dimensions than that the rest is nought.
    Source: Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm 4.4.
    """
    import numpy as np  # noqa: PLC0415 - as above

    wide = min(count + 16, *vectors.shape)
    base = vectors @ np.random.default_rng(3).standard_normal((vectors.shape[1], wide)).astype(np.float32)
    for _ in range(3):
        base, _ = np.linalg.qr(base)
        base = vectors @ (vectors.T @ base)
    base, _ = np.linalg.qr(base)
    _, _, found = np.linalg.svd(base.T @ vectors, full_matrices=False)
    turn = np.zeros((vectors.shape[1], count), np.float32)
    turn[:, : min(count, len(found))] = found[:count].T
    return turn


def _nearest(points: Points) -> float:
    """The cosine to the nearest other prompt that all but a few prompts of training have."""
    import numpy as np  # noqa: PLC0415 - as above

    assert points.meaning is not None
    some = np.random.default_rng(2).permutation(len(points.meaning))[:1_000]
    found = cosines(Points(points.form[some], points.words[some], points.meaning[some]), points)
    found[np.arange(len(some)), some] = -1.0
    return float(np.quantile(found.max(1), _UNLIKE))
