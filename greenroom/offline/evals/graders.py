"""Graders as OpenAI's clients describe them, made into scorers.

`string_check`, `text_similarity`, `label_model`, `score_model` and `multi`. A grader of the type `python` is
refused: no code of a client runs here. Knows the forms of the dialect, and asks models by what is handed in.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct, ValidationError, convert

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.formula import Formula
from greenroom.offline.evals.meaning import Meaning
from greenroom.offline.evals.model_graders import LabelModel, ScoreModel, Settings
from greenroom.offline.evals.row import Graded, Grader, Means, row_of
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.similarity import Metric, TooLong, metric
from greenroom.offline.evals.templates import Row, Template, Unfillable, messages, role_of

MOST_GRADERS = 32
MIDDLE = 0.5
"""What a multi grader must reach where it says nothing else."""
Json = dict[str, Any]  # Any: JSON
_Name = Annotated[str, Meta(min_length=1, max_length=256)]
_Labels = Annotated[list[_Name], Meta(min_length=1, max_length=100)]
_Metric = Literal[
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5",
    "rouge_l",
]  # fmt: skip


class _StringCheck(Struct, tag="string_check", tag_field="type"):
    name: _Name
    input: str
    reference: str
    operation: Literal["eq", "ne", "like", "ilike"]


class _Similarity(Struct, tag="text_similarity", tag_field="type"):
    name: _Name
    input: str
    reference: str
    evaluation_metric: _Metric
    pass_threshold: float | None = None


class _LabelModel(Struct, tag="label_model", tag_field="type"):
    name: _Name
    model: _Name
    input: list[Json]
    labels: _Labels
    passing_labels: _Labels
    sampling_params: Settings | None = None


class _ScoreModel(Struct, tag="score_model", tag_field="type"):
    name: _Name
    model: _Name
    input: list[Json]
    range: tuple[float, float] | None = None
    pass_threshold: float | None = None
    sampling_params: Settings | None = None


class _Multi(Struct, tag="multi", tag_field="type"):
    name: _Name
    graders: dict[_Name, Json] | list[Json]
    calculate_output: str
    pass_threshold: float = MIDDLE


_Spec = _StringCheck | _Similarity | _LabelModel | _ScoreModel | _Multi


class StringCheck:
    """Whether two texts are equal, differ, or one holds the other (`like`; `ilike` in any case)."""

    def __init__(self, spec: _StringCheck, param: str) -> None:
        self.name = spec.name
        self._input = Template(spec.input, f"{param}.input")
        self._reference = Template(spec.reference, f"{param}.reference")
        self._operation = spec.operation

    async def grade(self, row: Row) -> Graded:
        """1 or 0."""
        text, reference = self._input.fill(row), self._reference.fill(row)
        match self._operation:
            case "eq":
                passed = text == reference
            case "ne":
                passed = text != reference
            case "like":
                passed = reference in text
            case "ilike":
                passed = reference.casefold() in text.casefold()
        return Graded(float(passed), passed)


class Similarity:
    """How like two texts are, by one metric."""

    def __init__(self, spec: _Similarity, param: str, compare: Metric) -> None:
        self.name = spec.name
        self._input = Template(spec.input, f"{param}.input")
        self._reference = Template(spec.reference, f"{param}.reference")
        self._compare = compare
        self._threshold = _threshold(spec.pass_threshold, param)

    async def grade(self, row: Row) -> Graded:
        """0 to 1."""
        try:
            value = self._compare(self._input.fill(row), self._reference.fill(row))
        except TooLong as error:
            return Graded(error=str(error))
        return Graded(value, value >= self._threshold)


class Multi:
    """Several graders of one row, and one number worked out from their scores."""

    def __init__(self, spec: _Multi, param: str, means: Means) -> None:
        self.name = spec.name
        parts = spec.graders
        named = parts if isinstance(parts, dict) else {str(one.get("name")): one for one in parts}
        if not named or len(named) > MOST_GRADERS:
            raise MalformedRequest(f"'{param}.graders' must hold 1 to {MOST_GRADERS} graders.", param)
        self._graders = {
            name: _made({"name": name, **one}, f"{param}.graders.{name}", means, inner=True)
            for name, one in named.items()
        }
        self._formula = Formula(spec.calculate_output, frozenset(named), f"{param}.calculate_output")
        self._threshold = _threshold(spec.pass_threshold, param)

    async def grade(self, row: Row) -> Graded:
        """What the formula gives; an error where one of its graders has one."""
        scores: dict[str, float] = {}
        cost = 0
        for name, grader in self._graders.items():
            graded = await grader.grade(row)
            cost += graded.cost_nano_usd
            if graded.value is None:
                return Graded(error=f"{name}: {graded.error or 'no score'}", cost_nano_usd=cost)
            scores[name] = graded.value
        value = self._formula.value(scores)
        if value is None:
            return Graded(error="The formula has no result for these scores.", cost_nano_usd=cost)
        reason = ", ".join(f"{name} {score:.3g}" for name, score in scores.items())
        return Graded(value, value >= self._threshold, reason, cost_nano_usd=cost)


class GraderScorer:
    """A grader as a `Scorer`."""

    higher_is_better = True

    def __init__(self, grader: Grader) -> None:
        self.name = grader.name
        self._grader = grader

    async def score(self, sample: Sample, output: Output) -> Score:
        """Fill the grader's templates from the row and what came out, and grade that."""
        try:
            graded = await self._grader.grade(row_of(sample, output))
        except Unfillable as error:
            graded = Graded(error=str(error))
        return Score(
            name=self.name, value=graded.value, passed=graded.passed, reason=graded.reason,
            error=graded.error, cost_nano_usd=graded.cost_nano_usd,
        )  # fmt: skip


class Criteria(NamedTuple):
    """The graders of an eval."""

    scorers: tuple[GraderScorer, ...]
    models: frozenset[str]
    """What model graders ask."""
    kept: list[Json]
    """The graders as they are told again."""


def read_criteria(given: object, means: Means, param: str = "testing_criteria") -> Criteria:
    """Read a list of graders. Raises: MalformedRequest naming the field; ExtraMissing."""
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_GRADERS:
        raise MalformedRequest(f"'{param}' must be a list of 1 to {MOST_GRADERS} graders.", param)
    graders = [_made(one, f"{param}[{place}]", means) for place, one in enumerate(given)]
    names = [one.name for one in graders]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise MalformedRequest(
            f"Two graders of '{param}' are called '{twice[:64]}'; names must differ.", param
        )
    kept = [_told(one) for one in given]
    return Criteria(tuple(map(GraderScorer, graders)), _models(kept), kept)


def _made(given: object, param: str, means: Means, *, inner: bool = False) -> Grader:
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "python":
        raise MalformedRequest(
            f"'{param}': graders of the type 'python' are refused, since Greenroom runs no code of its "
            f"clients. Use another type, or a Python function with `greenroom eval run`.",
            param,
        )
    if kind == "multi" and inner:
        raise MalformedRequest(f"'{param}': a multi grader can't hold another one.", param)
    try:
        spec: _Spec = convert(given, _Spec)
    except ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        field = f"{param}{place.rstrip('`')}"
        raise MalformedRequest(f"'{field}': {message}.", field) from None
    match spec:
        case _StringCheck():
            return StringCheck(spec, param)
        case _Similarity(evaluation_metric="cosine"):
            texts = Template(spec.input, f"{param}.input"), Template(spec.reference, f"{param}.reference")
            return Meaning(spec.name, *texts, _threshold(spec.pass_threshold, param), means.encoder, param)
        case _Similarity():
            return Similarity(spec, param, metric(spec.evaluation_metric, f"{param}.evaluation_metric"))
        case _LabelModel():
            if not set(spec.passing_labels) <= set(spec.labels):
                raise MalformedRequest(f"'{param}.passing_labels' must be among 'labels'.", param)
            return LabelModel(
                spec.name, spec.model, messages(spec.input, f"{param}.input"), spec.labels,
                spec.passing_labels, spec.sampling_params, means.ask,
            )  # fmt: skip
        case _ScoreModel():
            low, high = spec.range or (0.0, 1.0)
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise MalformedRequest(f"'{param}.range' must be two numbers, the lower one first.", param)
            middle = (low + high) / 2
            threshold = middle if spec.pass_threshold is None else _threshold(spec.pass_threshold, param)
            return ScoreModel(
                spec.name, spec.model, messages(spec.input, f"{param}.input"), (low, high), threshold,
                spec.sampling_params, means.ask,
            )  # fmt: skip
        case _Multi():
            return Multi(spec, param, means)


def _threshold(given: float | None, param: str) -> float:
    if given is None or not math.isfinite(given):
        raise MalformedRequest(
            f"'{param}.pass_threshold' is needed: the score from which on a row passes.", param
        )
    return given


def _told(given: Json) -> Json:
    """A grader as it is kept: roles as chat completions know them."""
    if given.get("type") not in {"label_model", "score_model"}:
        return given
    return {**given, "input": [{**one, "role": role_of(one.get("role"))} for one in given["input"]]}


def _models(given: Sequence[Json]) -> frozenset[str]:
    found: set[str] = set()
    for one in given:
        if one["type"] in {"label_model", "score_model"}:
            found.add(one["model"])
        elif one["type"] == "multi":
            parts = one["graders"]
            found |= _models(list(parts.values()) if isinstance(parts, dict) else parts)
    return frozenset(found)
