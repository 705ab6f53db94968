"""Rows of the store as `/v1/fine_tuning` tells them; what is ours stands under `greenroom`."""

from collections.abc import Mapping
from typing import Any

from msgspec.json import decode

from greenroom.offline.finetune.job_folder import JobFolder
from greenroom.offline.finetune.plan import Plan
from greenroom.store.jobs import CheckpointRow, EventRow, JobRow
from greenroom.store.material import stamp
from greenroom.store.trained import Permission

Json = dict[str, Any]  # Any: JSON
_METRICS = (
    "full_valid_loss", "full_valid_mean_token_accuracy", "step", "train_loss", "train_mean_token_accuracy",
    "valid_loss", "valid_mean_token_accuracy",
)  # fmt: skip
_LIVING = frozenset({"running", "paused"})


def told_job(row: JobRow, folder: JobFolder, *, with_card: bool = True) -> Json:
    """A job. OpenAI's clients know no `paused`: such a job is `queued`, and `greenroom.state` says more."""
    asked = decode(row.request)
    result = decode(row.result) if row.result else {}
    method = (asked.get("method") or {}).get("type") or "supervised"
    chosen = _chosen(asked, method, result.get("chosen") or {})
    return {
        "id": row.id,
        "object": "fine_tuning.job",
        "created_at": row.created_ns // 1_000_000_000,
        "error": decode(row.error) if row.error else None,
        "fine_tuned_model": row.name if row.status == "succeeded" else None,
        "finished_at": row.ended_ns // 1_000_000_000 if row.ended_ns else None,
        "hyperparameters": {name: value for name, value in chosen.items() if name != "beta"},
        "model": asked["model"],
        "organization_id": row.project,
        "result_files": result.get("files") or [],
        "seed": asked["seed"],
        "status": "queued" if row.status == "paused" else row.status,
        "trained_tokens": result.get("trained_tokens"),
        "training_file": asked["training_file"],
        "validation_file": asked.get("validation_file"),
        "estimated_finish": _estimated_finish(row),
        "integrations": [],
        "metadata": decode(row.metadata),
        "method": {"type": method, method: {"hyperparameters": chosen}},
        "greenroom": _ours(row, folder) | (_card(row) if with_card else {}),
    }


def _ours(row: JobRow, folder: JobFolder) -> Json:
    plan = decode(row.plan, type=Plan) if row.plan else None
    progress = folder.progress() if row.status in _LIVING else None
    return {
        "state": row.status,
        "name": row.name,
        "start": None if plan is None else plan.start,
        "tuning": None if plan is None else plan.tuning,
        "base": None if plan is None else plan.base_name or None,
        "report": decode(row.report) if row.report else None,
        "estimate": decode(row.estimate) if row.estimate else None,
        "progress": None
        if progress is None
        else {
            "phase": progress.phase,
            "step": progress.step,
            "total_steps": progress.total_steps,
            "trained_tokens": progress.trained_tokens,
            "memory_mb": progress.memory_mb,
            "peak_memory_mb": progress.peak_memory_mb,
            "at": progress.at,
        },
        "starts": row.starts,
    }


def _card(row: JobRow) -> Json:
    return {"card": decode(row.card) if row.card else None}


def _chosen(asked: Json, method: str, chosen: Mapping[str, Any]) -> Json:
    """What was set or chosen; "auto" until it is."""
    own = ((asked.get("method") or {}).get(method) or {}).get("hyperparameters")
    given = own or asked.get("hyperparameters") or {}
    names = {
        "n_epochs": "epochs",
        "batch_size": "batch_size",
        "learning_rate_multiplier": "learning_rate_multiplier",
    }
    if method == "dpo":
        names["beta"] = "beta"
    told: Json = {}
    for theirs, ours in names.items():
        value = chosen.get(ours)
        told[theirs] = given.get(theirs) or "auto" if value is None else value
    if isinstance(told["n_epochs"], float):
        told["n_epochs"] = max(1, round(told["n_epochs"]))
    return told


def _estimated_finish(row: JobRow) -> int | None:
    if row.status != "running":
        return None
    if row.finish_ns:
        return row.finish_ns // 1_000_000_000
    wall_s = (decode(row.estimate).get("wall_s") or {}).get("value") if row.estimate else None
    return None if wall_s is None else int(row.started_ns / 1e9 + wall_s)


def told_event(row: EventRow) -> Json:
    """An event."""
    return {
        "id": row.id,
        "object": "fine_tuning.job.event",
        "created_at": row.at_ns // 1_000_000_000,
        "level": row.level,
        "message": row.message,
        "type": row.type,
        "data": decode(row.data),
    }


def told_checkpoint(row: CheckpointRow, job: JobRow, folder: JobFolder) -> Json:
    """A checkpoint."""
    metrics = decode(row.metrics)
    return {
        "id": row.id,
        "object": "fine_tuning.job.checkpoint",
        "created_at": row.at_ns // 1_000_000_000,
        "fine_tuned_model_checkpoint": row.model,
        "fine_tuning_job_id": job.id,
        "metrics": {name: metrics[name] for name in _METRICS if name in metrics},
        "step_number": row.step,
        "greenroom": {"is_model": job.status == "succeeded" and bool(folder.models(row.step))},
    }


def told_permission(one: Permission) -> Json:
    """A permission."""
    return {
        "id": one.id,
        "object": "checkpoint.permission",
        "created_at": one.created_ns // 1_000_000_000,
        "project_id": one.project,
    }


def summary(row: JobRow, folder: JobFolder) -> Json:
    """A job on one line, as the command line and the page list it."""
    progress = folder.progress() if row.status in _LIVING else None
    share = progress.step / progress.total_steps if progress is not None and progress.total_steps else None
    return {
        "id": row.id,
        "project": row.project,
        "model": row.name,
        "base": decode(row.request)["model"],
        "status": row.status,
        "phase": None if progress is None else progress.phase,
        "step": None if progress is None else progress.step,
        "total_steps": None if progress is None else progress.total_steps,
        "done": 1.0 if row.status == "succeeded" else share,
        "created_at": stamp(row.created_ns),
        "ended_at": stamp(row.ended_ns) if row.ended_ns else None,
        "finish_at": stamp(row.finish_ns) if row.finish_ns and row.status == "running" else None,
        "error": decode(row.error)["message"] if row.error else None,
    }
