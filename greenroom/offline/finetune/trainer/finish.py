"""After training: the whole model, the adapter, GGUF files, the card, and last of all the result."""

import importlib.metadata
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import asdict
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from greenroom.offline.finetune.plan import Format, Result
from greenroom.offline.finetune.trainer.folder import sync_folder
from greenroom.offline.finetune.trainer.process import Trained
from greenroom.offline.finetune.trainer.run import Run
from greenroom.offline.finetune.trainer.weights import ADAPTER, MODEL, Model, merged, save_adapter, save_model

LIBRARIES = ("torch", "transformers", "trl", "peft", "tokenizers", "safetensors")


def finish(run: Run, trained: Trained) -> Result:
    """Write everything that comes out. Done again from the start when it is interrupted.

    Raises: what the exporter raises for a model that it can't write.
    """
    run.heartbeat.enter("exporting")
    plan, path = run.plan, run.folder.path
    base = Path(plan.base) if plan.base and plan.start != "from_scratch" else None
    adapter = adapter_gguf = None
    if isinstance(trained.model, PeftModel):
        adapter = ADAPTER
        _placed(path / ADAPTER, lambda to: save_adapter(trained.model, trained.tokenizer, to))
    gguf = write_whole_model(trained.model, trained.tokenizer, base, path, plan.formats)
    if adapter is not None and base is not None and plan.formats:
        from greenroom.offline.finetune.export import adapter_to_gguf  # noqa: PLC0415 - only at the end

        adapter_gguf = "adapter.gguf"
        adapter_to_gguf(path / ADAPTER, base, path / adapter_gguf)
    result = Result(
        at=time.time(),
        model=MODEL,
        adapter=adapter,
        adapter_gguf=adapter_gguf,
        card="card.json",
        gguf=gguf,
        steps=run.spent.step,
        trained_tokens=run.spent.tokens,
        metrics=run.spent.metrics,
        chosen=plan.hyperparameters,
        parameters=trained.parameters,
        trained_parameters=trained.trained_parameters,
        wall_s=round(run.wall_s, 2),
        cpu_s=round(run.heartbeat.cpu_s, 2),
        peak_memory_mb=round(run.heartbeat.peak_memory_mb, 1),
        versions={name: importlib.metadata.version(name) for name in LIBRARIES},
    )
    card = _card(run, trained, result)
    run.folder.write_json("card.json", card)
    (path / MODEL / "README.md").write_text(_readme(card), encoding="utf-8")
    run.folder.write_json("result.json", result)
    run.heartbeat.enter("done")
    run.folder.tell("The model is ready.", parameters=result.parameters)
    return result


def write_whole_model(
    model: Model,
    tokenizer: PreTrainedTokenizerBase,
    base: Path | None,
    folder: Path,
    formats: tuple[Format, ...],
) -> dict[Format, str]:
    """`model/` and a GGUF file for each format, in `folder`; an adapter is merged into the model.

    Raises: what the exporter raises for a model that it can't write.
    """
    from greenroom.offline.finetune.export import to_gguf  # noqa: PLC0415 - only at the end

    whole = merged(model, base)
    _placed(folder / MODEL, lambda to: save_model(whole, tokenizer, to))
    gguf: dict[Format, str] = {}
    for kind in formats:
        gguf[kind] = f"model-{kind}.gguf"
        to_gguf(folder / MODEL, folder / gguf[kind], kind)
    return gguf


def _placed(place: Path, fill: Callable[[Path], None]) -> None:
    """A folder written beside its place, then moved there."""
    beside = place.with_name(f".{place.name}")
    shutil.rmtree(beside, ignore_errors=True)
    fill(beside)
    shutil.rmtree(place, ignore_errors=True)
    beside.rename(place)
    sync_folder(place.parent)


def _card(run: Run, trained: Trained, result: Result) -> dict[str, Any]:  # Any: JSON
    plan = run.plan
    return {
        "name": plan.name,
        "start": plan.start,
        "method": plan.method,
        "tuning": "full" if plan.start == "from_scratch" else plan.tuning,
        "base": None if plan.start == "from_scratch" else plan.base_name or plan.base,
        "scratch": plan.scratch,
        "seed": plan.seed,
        "data": plan.data,
        "rows": trained.choices.rows,
        "settings": {
            name: value for name, value in asdict(plan.hyperparameters).items() if value is not None
        },
        "reasons": trained.choices.reasons,
        "curves": run.folder.curves(),
        "figures": {
            "parameters": result.parameters,
            "trained_parameters": result.trained_parameters,
            "steps": result.steps,
            "trained_tokens": result.trained_tokens,
            "wall_s": result.wall_s,
            "cpu_s": result.cpu_s,
            "peak_memory_mb": result.peak_memory_mb,
            **result.metrics,
        },
        "versions": result.versions,
    }


def _readme(card: dict[str, Any]) -> str:  # Any: JSON
    """The card for people."""
    begun = f"from {card['base']}" if card["base"] else "from nothing"
    lines = [
        f"# {card['name']}",
        "",
        f"Trained {begun}: {card['method']}, {card['tuning']}, {card['rows']} rows, seed {card['seed']}.",
    ]
    for title, part in (
        ("Data", "data"),
        ("Settings", "settings"),
        ("Figures", "figures"),
        ("Versions", "versions"),
    ):
        if card[part]:
            lines += ["", f"## {title}", "", *(f"- {name}: {value}" for name, value in card[part].items())]
    return "\n".join(lines) + "\n"
