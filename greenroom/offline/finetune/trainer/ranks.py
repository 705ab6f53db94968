"""Several cards: a process for each, all from the same folder; the first one writes.

Without several, and on processors, everything here is a matter of course: one process, which is the first.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")
POLL_S = 0.2


def rank() -> int:
    """Which process this is."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """How many there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join() -> None:
    """Meet the other processes, before anything is shared."""
    if count() > 1 and not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def share(things: Sequence[T]) -> Sequence[T]:
    """Those of this process."""
    return things[rank() :: count()]


def add_up(tensors: Sequence[torch.Tensor]) -> None:
    """Replace each tensor by its sum over all processes."""
    if count() > 1:
        for tensor in tensors:
            distributed.all_reduce(tensor)


def any_of(fact: bool) -> bool:
    """Whether it holds in any process: all hear the same, so that all stop at the same step."""
    if count() == 1:
        return fact
    told = torch.tensor(float(fact), device="cuda" if torch.cuda.is_available() else "cpu")
    distributed.all_reduce(told)
    return bool(told > 0)


def wait() -> None:
    """Until all are here."""
    if count() > 1:
        distributed.barrier()


def needed() -> int:
    """Processes to start: one for each card, when there are several and none was started yet."""
    wanted = int(os.environ.get("GREENROOM_RANKS", "0")) or torch.cuda.device_count()
    return wanted if count() == 1 and wanted > 1 and "RANK" not in os.environ else 1


class Ranks:
    """The processes of several cards, started by the one that the job knows, which only hands on signals."""

    def __init__(self, folder: Path, wanted: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._processes = [
            subprocess.Popen(  # noqa: S603 - this program, on the folder that it was given
                [sys.executable, "-m", "greenroom.offline.finetune.trainer", str(folder)],
                env={
                    **os.environ,
                    "RANK": str(number),
                    "LOCAL_RANK": str(number),
                    "WORLD_SIZE": str(wanted),
                    "LOCAL_WORLD_SIZE": str(wanted),
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(port),
                },
            )
            for number in range(wanted)
        ]

    def stop(self, number: int, frame: FrameType | None) -> None:
        """A handler of signals: ask all for a checkpoint and an end."""
        for process in self._processes:
            process.terminate()

    def wait(self) -> int:
        """The exit code of the first that ended badly, after which the others are killed; or 0."""
        while True:
            codes = [process.poll() for process in self._processes]
            bad = next((code for code in codes if code), None)
            if bad is not None:
                time.sleep(POLL_S * 10)  # a pause or an error is met by all at the same step
                for process in self._processes:
                    process.kill()
                return bad
            if all(code == 0 for code in codes):
                return 0
            time.sleep(POLL_S)
