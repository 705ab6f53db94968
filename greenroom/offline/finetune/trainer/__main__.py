"""`python -m greenroom.offline.finetune.trainer FOLDER`: train as the plan in the folder says."""

import errno
import fcntl
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from types import FrameType

from greenroom.errors import GreenroomError
from greenroom.offline.finetune.plan import EXIT_FAILED, EXIT_PAUSED, Plan
from greenroom.offline.finetune.trainer.folder import Folder
from greenroom.offline.finetune.trainer.heartbeat import Heartbeat

USAGE = "Usage: python -m greenroom.offline.finetune.trainer FOLDER"
EXIT_USAGE = 64
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}
"""No hub is asked, nothing is reported, nothing loads code."""


def main(arguments: list[str]) -> int:
    """Train; the exit code says how it ended, see `plan.py`."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(USAGE, file=sys.stdout if arguments in (["-h"], ["--help"]) else sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else EXIT_USAGE
    path = Path(arguments[0])
    if not path.is_dir():
        print(f"{path} is no folder. {USAGE}", file=sys.stderr)
        return EXIT_USAGE
    os.environ.update(QUIET)
    signal.signal(signal.SIGTERM, _nothing_to_keep)
    if "RANK" in os.environ:  # one of several, started by a process that has the lock
        return _begin(path, is_alone=False)
    lock = os.open(path / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a trainer that lives on after its starter died is waited for
        return _begin(path, is_alone=True)
    finally:
        os.close(lock)


def _begin(path: Path, *, is_alone: bool) -> int:
    is_first = os.environ.get("RANK", "0") == "0"
    folder = Folder(path, writes=is_first)
    if folder.result() is not None:
        return 0
    try:
        return _train(folder, folder.plan(), is_alone=is_alone)
    except GreenroomError as error:  # TrainingRefused, and what the exporter refuses
        folder.tell(str(error), "error")
        return EXIT_FAILED
    except MemoryError:
        folder.tell("Memory ran out. Set batch_size or max_length lower, or take a smaller base.", "error")
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the edge of the process: told, then a crash like any other
        if _is_disk_full(error):
            folder.tell(f"The disk of {path} is full. Make room, then resume; nothing is lost.", "error")
            return EXIT_FAILED
        folder.tell(f"Training broke off: {type(error).__name__}: {error}", "warn")
        traceback.print_exc()
        return 1


def _train(folder: Folder, plan: Plan, *, is_alone: bool) -> int:
    if plan.threads is not None:
        os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(plan.threads)
    with Heartbeat(folder, starter=None if is_alone else os.getppid()) as heartbeat:
        from greenroom.offline.finetune.trainer import ranks  # noqa: PLC0415 - torch: after the environment is set

        wanted = ranks.needed() if is_alone else 1
        if wanted == 1:
            return _train_here(folder, plan, heartbeat)
    several = ranks.Ranks(folder.path, wanted)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, several.stop)
    return several.wait()


def _train_here(folder: Folder, plan: Plan, heartbeat: Heartbeat) -> int:
    import torch  # noqa: PLC0415 - the same
    from transformers.utils import logging  # noqa: PLC0415 - the same

    from greenroom.offline.finetune.trainer import ranks  # noqa: PLC0415 - the same
    from greenroom.offline.finetune.trainer.finish import finish  # noqa: PLC0415 - the same
    from greenroom.offline.finetune.trainer.process import train  # noqa: PLC0415 - the same
    from greenroom.offline.finetune.trainer.run import Paused, Run  # noqa: PLC0415 - the same

    logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)  # TRL still uses names that Transformers is leaving
    ranks.join()
    if plan.threads is not None:
        torch.set_num_threads(plan.threads)
    run = Run(folder, plan, heartbeat, writes=ranks.rank() == 0)
    run.heed_signals()
    if run.writes:
        run.checkpoints.tidy()
    try:
        trained = train(run)
        if run.writes:
            finish(run, trained)
    except Paused:
        folder.tell("Paused; a checkpoint is written.")
        return EXIT_PAUSED
    except torch.OutOfMemoryError as error:
        raise MemoryError from error
    return 0


def _is_disk_full(error: Exception) -> bool:
    """Also when safetensors says it, which is no OSError then."""
    codes = (errno.ENOSPC, errno.EDQUOT)
    said = any(f"os error {code}" in str(error) for code in codes)
    return said or (isinstance(error, OSError) and error.errno in codes)


def _nothing_to_keep(number: int, frame: FrameType | None) -> None:
    """SIGTERM before training goes on: everything lies in the folder already."""
    os._exit(EXIT_PAUSED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
