"""Which processes live: each holds a locked file beside the store, which the system frees when it dies."""

import fcntl
import os
from pathlib import Path


class Presence:
    """The files of one store's processes, by their numbers. Raises: OSError when the folder can't be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._number = 0

    def show(self, number: int) -> None:
        """Say that this process lives, and is this number."""
        self._descriptor = os.open(self._file(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._number = number

    def hide(self) -> None:
        """Let the file go, as the end of the process would. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def end(self) -> None:
        """Let the file go and remove it: there is nothing to be settled for this process."""
        self.hide()
        self._file(self._number).unlink(missing_ok=True)

    def is_dead(self, number: int) -> bool:
        """Whether nobody holds the file of this number; then it is removed."""
        if is_locked(self._file(number)):
            return False
        self._file(number).unlink(missing_ok=True)
        return True

    def _file(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}-process-{number}")


def is_locked(path: Path) -> bool:
    """Whether a process holds a file; False where there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
