"""What came of a run of `/v1/evals`, in numbers and row by row, as OpenAI's clients are told it."""

from collections.abc import Iterable
from typing import Any, Literal

from msgspec.json import Decoder, decode

from greenroom.offline.evals.asking import Asked
from greenroom.offline.evals.sample import Output, Score
from greenroom.store.openai_evals import AT_WORK, EvalRow, HostedRun, ItemRow, OpenAIEvals

Json = dict[str, Any]  # Any: JSON
ItemStatus = Literal["pass", "fail", "error"]
NO_ERROR: Json = {"code": "", "message": ""}
"""Stands where nothing went wrong: the client's types want an object there."""
_scores = Decoder(tuple[Score, ...]).decode
_output = Decoder(Output).decode
_asked = Decoder(Asked).decode


def status_of(scores: Iterable[Score]) -> ItemStatus:
    """A row is an "error" where a grader has no score, a "pass" where all passed."""
    passed = True
    for one in scores:
        if one.value is None:
            return "error"
        passed = passed and bool(one.passed)
    return "pass" if passed else "fail"


def statuses(kept: OpenAIEvals, run: str) -> list[tuple[int, ItemStatus]]:
    """Place and status of each row that is graded, in order."""
    return [(place, status_of(_scores(scores))) for place, scores in kept.scores(run)]


def summary_of(kept: OpenAIEvals, run: str) -> Json:
    """`result_counts`, `per_testing_criteria_results` and `per_model_usage`. Blocks."""
    counts = {"total": 0, "passed": 0, "failed": 0, "errored": 0}
    criteria: dict[str, Json] = {}
    for _, body in kept.scores(run):
        scores = _scores(body)
        counts["total"] += 1
        counts[{"pass": "passed", "fail": "failed", "error": "errored"}[status_of(scores)]] += 1
        for one in scores:
            row = criteria.setdefault(one.name, {"testing_criteria": one.name, "passed": 0, "failed": 0})
            if one.value is not None:
                row["passed" if one.passed else "failed"] += 1
    return {
        "result_counts": counts,
        "per_testing_criteria_results": list(criteria.values()),
        "per_model_usage": _usage(kept, run),
    }


def _usage(kept: OpenAIEvals, run: str) -> list[Json]:
    """Tokens by model, graders' models among them."""
    found: dict[str, Json] = {}

    def add(model: str, given: int, cached: int, made: int) -> None:
        row = found.setdefault(
            model,
            {
                "model_name": model, "invocation_count": 0, "prompt_tokens": 0, "completion_tokens": 0,
                "total_tokens": 0, "cached_tokens": 0,
            },
        )  # fmt: skip
        row["invocation_count"] += 1
        row["prompt_tokens"] += given
        row["completion_tokens"] += made
        row["total_tokens"] += given + made
        row["cached_tokens"] += cached

    answers, judged = kept.calls(run)
    for output in map(_output, answers):
        if output.model:
            cached = output.body.get("cached_tokens", 0)
            add(output.model, output.input_tokens, cached, output.output_tokens)
    for asked in map(_asked, judged):
        if asked.model:
            add(asked.model, asked.input_tokens, asked.cached_tokens, asked.output_tokens)
    return list(found.values())


def told_eval(row: EvalRow) -> Json:
    """An eval."""
    return {
        "id": row.id,
        "object": "eval",
        "created_at": row.created_ns // 1_000_000_000,
        "name": row.name,
        "data_source_config": decode(row.config),
        "testing_criteria": decode(row.criteria),
        "metadata": decode(row.metadata),
    }


def told_run(kept: OpenAIEvals, row: HostedRun, base_url: str) -> Json:
    """A run; while it is at work with what is graded so far. Blocks."""
    summary: Json = (
        summary_of(kept, row.id) if row.status in AT_WORK or not row.summary else decode(row.summary)
    )
    return {
        "id": row.id,
        "object": "eval.run",
        "eval_id": row.eval,
        "created_at": row.created_ns // 1_000_000_000,
        "status": row.status,
        "name": row.name,
        "model": row.model,
        "data_source": decode(row.source),
        "error": {"code": row.error_code, "message": row.error},
        "metadata": decode(row.metadata),
        "report_url": f"{base_url}/v1/evals/{row.eval}/runs/{row.id}/output_items",
        **summary,
    }


def item_id(run: str, place: int) -> str:
    """The id of a graded row: the run's, and its place."""
    return f"outputitem_{run.removeprefix('evalrun_')}_{place}"


def place_of(run: str, id: str) -> int | None:
    """The place in an id; None for one that is no row's of this run."""
    head, _, place = id.rpartition("_")
    is_one = head == item_id(run, 0)[:-2] and place.isascii() and place.isdigit() and len(place) < 9
    return int(place) if is_one else None


def told_item(run: HostedRun, item: ItemRow, kinds: dict[str, str], sampling: Json) -> Json:
    """A graded row. `kinds` are the graders' types by name, `sampling` the run's sampling_params."""
    scores, output, row = _scores(item.scores), _output(item.output), decode(item.body)
    return {
        "id": item_id(run.id, item.place),
        "object": "eval.run.output_item",
        "eval_id": run.eval,
        "run_id": run.id,
        "created_at": item.answered_ns // 1_000_000_000,
        "status": status_of(scores),
        "datasource_item_id": item.place,
        "datasource_item": row["item"],
        "results": [_result(one, kinds) for one in scores],
        "sample": _sample(output, row, sampling),
    }


def _result(score: Score, kinds: dict[str, str]) -> Json:
    told: Json = {
        "name": score.name,
        "type": kinds.get(score.name, ""),
        "passed": bool(score.passed),
        "score": score.value,
    }
    if score.reason:
        told["reason"] = score.reason
    if score.error is not None:
        told["error"] = score.error
    return told


def _sample(output: Output, row: Json, sampling: Json) -> Json:
    given = row.get("sample") or {}
    choice = (output.body.get("choices") or [{}])[0]
    is_failed = output.outcome != "answered" and not output.body
    logged = row["item"].get("input")
    messages = output.messages or (logged if isinstance(logged, list) else ())
    cached = output.body.get("cached_tokens", 0)
    return {
        "input": [_message(one) for one in messages if isinstance(one, dict)],
        "output": [] if is_failed else [{"role": "assistant", "content": output.text}],
        "finish_reason": choice.get("finish_reason") or given.get("finish_reason") or "",
        "model": output.model or given.get("model") or "",
        "usage": {
            "prompt_tokens": output.input_tokens,
            "completion_tokens": output.output_tokens,
            "total_tokens": output.input_tokens + output.output_tokens,
            "cached_tokens": cached,
        },
        "error": {"code": output.outcome, "message": output.error or ""} if is_failed else NO_ERROR,
        "temperature": sampling.get("temperature", 1.0),
        "top_p": sampling.get("top_p", 1.0),
        "seed": sampling.get("seed", 0),
        "max_completion_tokens": sampling.get("max_completion_tokens", 0),
        "trace_id": output.trace_id,
    }


def _message(given: Json) -> Json:
    content = given.get("content")
    if isinstance(content, list):
        parts = [one.get("text", "") for one in content if isinstance(one, dict)]
        content = "\n".join(one for one in parts if isinstance(one, str) and one)
    return {"role": str(given.get("role", "user")), "content": content if isinstance(content, str) else ""}
