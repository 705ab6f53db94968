"""`/v1/fine_tuning/alpha/graders`: a grader read, or run over one answer."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from greenroom.errors import GreenroomError
from greenroom.offline.evals.formula import Formula
from greenroom.offline.evals.graders import MIDDLE, Criteria, read_criteria
from greenroom.offline.evals.row import Means
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.wire.finetune import GraderRun

Json = dict[str, Any]  # Any: JSON
_PARAM = "grader"
_ERRORS = (
    "formula_parse_error", "invalid_variable_error", "model_grader_parse_error", "model_grader_refusal_error",
    "model_grader_server_error", "other_error", "python_grader_runtime_error", "python_grader_server_error",
    "sample_parse_error", "truncated_observation_error", "unresponsive_reward_error",
)  # fmt: skip


class Grading:
    """Runs graders; a model's are asked as the key that runs them."""

    def __init__(self, means: Means, check_model: Callable[[str], None]) -> None:
        """`check_model` raises for a model that the key may not ask."""
        self._means = means
        self._check_model = check_model

    def validate(self, grader: Json) -> Json:
        """The grader again. Raises: MalformedRequest, ExtraMissing, ModelNotFound, Forbidden."""
        self._read([grader])
        return {"grader": grader}

    async def run(self, asked: GraderRun) -> Json:
        """What the grader gives for one answer. Raises: as `validate`."""
        began = perf_counter()
        grader = asked.grader
        self._read([grader])
        parts = _parts(grader)
        scores = {}
        for name, part in parts.items():
            scores[name] = await self._score(part, asked)
        values = {name: one.value for name, one in scores.items() if one.value is not None}
        reward: float | None
        if grader.get("type") == "multi":
            formula = Formula(grader["calculate_output"], frozenset(parts), f"{_PARAM}.calculate_output")
            reward = formula.value(values) if len(values) == len(parts) else None
        else:
            reward = next(iter(values.values()), None)
        said = next((one.error for one in scores.values() if one.error), None)
        return {
            "reward": 0.0 if reward is None else reward,
            "sub_rewards": values if grader.get("type") == "multi" else {},
            "metadata": {
                "name": str(grader.get("name") or ""),
                "type": str(grader["type"]),
                "errors": _errors(grader, said, is_without=reward is None),
                "execution_time": round(perf_counter() - began, 6),
                "scores": values,
                "sampled_model_name": grader.get("model"),
                "token_usage": None,
            },
            "model_grader_token_usage_per_model": {},
        }

    async def _score(self, grader: Json, asked: GraderRun) -> Score:
        (scorer,) = self._read([grader]).scorers
        row = {"item": asked.item or {}, "sample": {"output_text": asked.model_sample}}
        try:
            return await scorer.score(Sample(id="0", item=row), Output())
        except GreenroomError as error:
            return Score(name=scorer.name, error=str(error))

    def _read(self, graders: list[Json]) -> Criteria:
        criteria = read_criteria([_with_threshold(one) for one in graders], self._means, _PARAM)
        for model in sorted(criteria.models):
            self._check_model(model)
        return criteria


def _parts(grader: Json) -> dict[str, Json]:
    """The graders that give scores, by name."""
    if grader.get("type") != "multi":
        return {str(grader.get("name") or "score"): grader}
    inner = grader["graders"]
    named = inner if isinstance(inner, dict) else {str(one.get("name")): one for one in inner}
    return {name: {"name": name, **one} for name, one in named.items()}


def _with_threshold(grader: object) -> Any:  # Any: JSON
    """Graders of training give rewards and need no threshold, which those of evals do."""
    if not isinstance(grader, dict):
        return grader
    inner = grader.get("graders")
    if isinstance(inner, dict):
        return {**grader, "graders": {name: _with_threshold(one) for name, one in inner.items()}}
    if isinstance(inner, list):
        return {**grader, "graders": [_with_threshold(one) for one in inner]}
    return {"pass_threshold": MIDDLE, **grader} if grader.get("type") == "text_similarity" else grader


def _errors(grader: Json, said: str | None, *, is_without: bool) -> Json:
    found: Json = dict.fromkeys(_ERRORS, False)
    found |= {
        "model_grader_server_error_details": None,
        "python_grader_runtime_error_details": None,
        "python_grader_server_error_type": None,
    }
    if is_without:
        is_models = grader.get("type") in {"score_model", "label_model"}
        found["model_grader_server_error" if is_models else "other_error"] = True
        if is_models:
            found["model_grader_server_error_details"] = said
    return found
