"""A process that works on one job's folder: started, found again after its parent died, signalled, ended.

It holds the folder's file `lock` for as long as it or anything it started lives, whoever its parent is; so no
folder ever has two. Its id counts only together with the moment it began, since ids are given out again.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import DecodeError, Struct
from msgspec.json import decode, encode

from greenroom.store.presence import is_locked

NICE = 10
"""How far a child steps back behind whatever else this machine does."""
WHO = "child.json"
LOCK = "lock"
LOG_BYTES = 1_000_000
"""What a child said is begun anew from this size on."""
_PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    "CUDA_HOME", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
)  # fmt: skip
"""What of the environment a child gets: no key, no proxy, no home."""
_OFFLINE = {
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1",
}  # fmt: skip

_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}
"""Of glibc: what is larger than so many bytes goes back to the system when it is freed. By itself it raises
the bound with what is freed, and peaks depend on the moment: a run took 900 to 1,070 MB, now 870 to 890."""


class _Who(Struct):
    pid: int
    began: str
    module: str


class Child:
    """One process of a folder. Made by `start` or `find`."""

    def __init__(self, folder: Path, who: _Who, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self.folder = folder
        self.pid = who.pid
        self.module = who.module
        self._began = who.began
        self._process = process

    @property
    def is_alive(self) -> bool:
        """Whether it works. What it left behind when it died is ended by `kill`."""
        if self._process is not None:
            return self._process.poll() is None
        return self._is_it() and is_held(self.folder)

    @property
    def code(self) -> int | None:
        """How it ended, negative for a signal; None while it lives, and where another started it."""
        return None if self._process is None else self._process.poll()

    def ask_to_end(self) -> None:
        """SIGTERM: it writes a checkpoint and ends."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it and all it started, at once. Safe to call again."""
        if self.is_alive or is_held(self.folder):  # else its id may be another's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def leave(self) -> None:
        """Let it work on without us."""
        if self._process is not None:
            threading.Thread(target=self._process.wait, daemon=True).start()  # or it stays a zombie
            self._process = None

    def memory_mb(self) -> float | None:
        """What it has in memory; None where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1])
        except (OSError, ValueError, IndexError):
            return None
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def _is_it(self) -> bool:
        began = _began(self.pid)
        return began == self._began if began is not None else is_held(self.folder)


def start(
    module: str, folder: Path, environment: Mapping[str, str], threads: int | None, *more: str
) -> Child:
    """Start `python -m MODULE FOLDER MORE`. Raises: BlockingIOError where one works there; OSError."""
    lock = _open_lock(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / WHO).unlink(missing_ok=True)
        with _log(folder).open("ab") as said:
            process = subprocess.Popen(  # noqa: S603  # our own module
                [*command(module), str(folder), *more],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=surroundings(environment, folder, threads),
                cwd="/",
                start_new_session=True,
                pass_fds=(lock,),
            )
    finally:
        os.close(lock)
    with contextlib.suppress(OSError):  # it ended already, or may not be changed
        os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
    who = _Who(process.pid, _began(process.pid) or "", module)
    beside = folder / f".{WHO}"
    beside.write_bytes(encode(who))
    beside.replace(folder / WHO)
    return Child(folder, who, process)


def command(module: str) -> tuple[str, ...]:
    """How a module of ours is run: what lies in the working folder is never taken for one."""
    return sys.executable, "-P", "-m", module


def surroundings(environment: Mapping[str, str], home: Path, threads: int | None) -> dict[str, str]:
    """The environment of such a process: no key, no proxy, no network."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    kept = {name: environment[name] for name in _PASSED_ON if name in environment}
    names = () if threads is None else ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    counts = {name: str(threads) for name in names}
    return {**kept, **_OFFLINE, **_ALLOCATOR, **counts, "HOME": str(home), "PYTHONPATH": path}


def find(folder: Path) -> Child | None:
    """The child that an earlier process started here and that still works.

    None also where one works whose starter died before it wrote down who that is: see `is_held`.
    """
    if not is_held(folder):
        return None
    try:
        who = decode((folder / WHO).read_bytes(), type=_Who)
    except (OSError, DecodeError):
        return None
    found = Child(folder, who)
    return found if found.is_alive else None


def end_left_over(folder: Path) -> None:
    """End what a child started and left behind when it died, where its parent had died before it."""
    try:
        who = decode((folder / WHO).read_bytes(), type=_Who)
        os.kill(who.pid, 0)
    except ProcessLookupError:  # no process has its id: a group of that id can only be its own
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(who.pid, signal.SIGKILL)
    except (OSError, DecodeError):
        return


def is_held(folder: Path) -> bool:
    """Whether a process works in a folder."""
    return is_locked(folder / LOCK)


def last_words(folder: Path, lines: int = 5) -> str:
    """The end of what the child said, for the operator; it may name folders."""
    try:
        with (folder / "log").open("rb") as said:
            said.seek(max(0, said.seek(0, os.SEEK_END) - 4096))
            text = said.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])


def how(code: int | None) -> str:
    """The end of a process in words."""
    if code is None:
        return "unseen"
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"


def _open_lock(folder: Path) -> int:
    return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _log(folder: Path) -> Path:
    path = folder / "log"
    with contextlib.suppress(OSError):
        if path.stat().st_size > LOG_BYTES:
            path.unlink()
    return path


def _began(pid: int) -> str | None:
    """When a living process began, in the system's own words; None where there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return _told_by_ps(pid) if sys.platform == "darwin" else None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()  # state, and start in clock ticks


def _told_by_ps(pid: int) -> str | None:
    line: Sequence[str] = ("/bin/ps", "-o", "lstart=", "-p", str(pid))
    told = subprocess.run(line, capture_output=True, check=False, text=True)  # noqa: S603  # fixed words
    return told.stdout.strip() or None
