"""A checkpoint as a model by itself: `python -m greenroom.offline.finetune.trainer.checkpoint FOLDER N`.

Writes `models/N/model/` and a GGUF file for each of the plan's formats beside it, and prints their paths,
relative to the folder, as JSON. The job may be running, or done; its files stay as they are.
"""

import os
import sys
from pathlib import Path

import msgspec

from greenroom.errors import GreenroomError
from greenroom.offline.finetune.plan import EXIT_FAILED
from greenroom.offline.finetune.trainer.__main__ import EXIT_USAGE, QUIET
from greenroom.offline.finetune.trainer.checkpoints import Checkpoints
from greenroom.offline.finetune.trainer.folder import Folder, TrainingRefused

USAGE = "Usage: python -m greenroom.offline.finetune.trainer.checkpoint FOLDER N"


def main(arguments: list[str]) -> int:
    """Write the model of a checkpoint. What is wrong goes to stderr, with EXIT_FAILED."""
    if len(arguments) != 2 or not arguments[1].isdecimal() or not Path(arguments[0]).is_dir():
        print(USAGE, file=sys.stderr)
        return EXIT_USAGE
    os.environ.update(QUIET)
    try:
        print(
            msgspec.json.encode(
                write_checkpoint(Folder(Path(arguments[0]), writes=False), int(arguments[1]))
            ).decode()
        )
    except GreenroomError as error:  # TrainingRefused, and what the exporter refuses
        print(error, file=sys.stderr)
        return EXIT_FAILED
    return 0


def write_checkpoint(folder: Folder, number: int) -> dict[str, str]:
    """The paths of what was written: `model`, and each format. Raises: TrainingRefused."""
    kept = next(
        (kept for kept in Checkpoints(folder.checkpoints).all() if kept.path.name == str(number)), None
    )
    if kept is None:
        raise TrainingRefused(
            f"There is no checkpoint {number} in {folder.path}; the newest and the best are kept."
        )
    from greenroom.offline.finetune.trainer.finish import write_whole_model  # noqa: PLC0415 - loads torch
    from greenroom.offline.finetune.trainer.weights import of_checkpoint  # noqa: PLC0415 - the same

    plan = folder.plan()
    base = Path(plan.base) if plan.base and plan.start != "from_scratch" else None
    model, tokenizer = of_checkpoint(kept, base, folder)
    to = folder.path / "models" / str(number)
    to.mkdir(parents=True, exist_ok=True)
    gguf = write_whole_model(model, tokenizer, base, to, plan.formats)
    place = f"models/{number}"
    return {"model": f"{place}/model", **{kind: f"{place}/{name}" for kind, name in gguf.items()}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
