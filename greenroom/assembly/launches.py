"""Optimisations begun on a page: each a process of its own, as `greenroom optimize` is, and what it said.

A launch is a file with what was asked for, a log of what the process says, and a lock that the process holds
as long as it lives, whoever started it: so every worker of a server, and the next server, knows who is at
work, and a process id is never taken for another's.
"""

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex

from msgspec import Struct
from msgspec.json import Decoder, encode
from msgspec.structs import replace

from greenroom.errors import Conflict, StoreError
from greenroom.store.presence import is_locked

_RUN = re.compile(r"^Run (opt_[0-9a-f]{16})\.$", re.MULTILINE)
_HEAD_BYTES = 4096
_TAIL_BYTES = 4096
_MOST = 200
"""Launches that are kept; the oldest that have ended go first."""


class Launch(Struct, kw_only=True, frozen=True):
    """One process that was begun."""

    id: str
    pid: int = 0
    at_ns: int
    by: str
    """The id of the key."""
    arguments: tuple[str, ...]
    """Of `greenroom optimize`."""
    run: str | None = None
    """The run that it goes on with; else it says in its first line which one it begins."""


_launch = Decoder(Launch).decode


class Launches:
    """Those of a data folder. Raises: StoreError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Launch]:
        """The newest first."""
        if not self._folder.is_dir():
            return []
        found = [_launch(path.read_bytes()) for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda one: -one.at_ns)

    def begin(
        self,
        command: Sequence[str],
        arguments: Sequence[str],
        by: str,
        env: Mapping[str, str],
        run: str | None = None,
    ) -> Launch:
        """Start one, of `run` where it goes on. Raises: Conflict while another is at work, here or beside."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            gate = os.open(self._folder / "gate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(gate, fcntl.LOCK_EX)
                return self._begin(command, arguments, by, env, run)
            finally:
                os.close(gate)
        except OSError as error:
            raise StoreError(f"The run can't be started: {error.strerror or error}.") from error

    def _begin(
        self,
        command: Sequence[str],
        arguments: Sequence[str],
        by: str,
        env: Mapping[str, str],
        run: str | None,
    ) -> Launch:
        known = self.all()
        if any(self.is_alive(one) for one in known):
            raise Conflict("Another optimisation is at work. Wait for it, or stop it.")
        for old in known[_MOST - 1 :]:
            for kind in ("json", "log", "lock"):
                self._file(old, kind).unlink(missing_ok=True)
        made = Launch(id=token_hex(8), at_ns=time.time_ns(), by=by, arguments=tuple(arguments), run=run)
        lock = os.open(self._file(made, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self._file(made, "log").open("wb") as log:
                child = subprocess.Popen(  # noqa: S603  # our own program; arguments are held to what there is
                    [*command, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(env),
                    pass_fds=(lock,),
                )  # fmt: skip
        finally:
            os.close(lock)  # the child's stays
        threading.Thread(target=child.wait, name="greenroom-launch", daemon=True).start()  # reaps it
        made = replace(made, pid=child.pid)
        part = self._file(made, "part")
        part.write_bytes(encode(made))
        part.replace(self._file(made, "json"))
        return made

    def is_alive(self, launch: Launch) -> bool:
        """Whether its process lives."""
        return is_locked(self._file(launch, "lock"))

    def end(self, launch: Launch) -> bool:
        """Tell its process to end; what was paid for is kept. Whether it lived."""
        if not self.is_alive(launch):
            return False
        os.kill(launch.pid, signal.SIGTERM)  # it holds the lock, so the number is its own
        return True

    def run_of(self, launch: Launch) -> str | None:
        """The id of its run, once that is known."""
        if launch.run is not None:
            return launch.run
        try:
            with self._file(launch, "log").open("rb") as log:
                found = _RUN.search(log.read(_HEAD_BYTES).decode("utf-8", "replace"))
        except FileNotFoundError:
            return None
        return None if found is None else found[1]

    def said(self, launch: Launch) -> list[str]:
        """The last lines of what it said."""
        try:
            whole = self._file(launch, "log").read_bytes()[-_TAIL_BYTES:]
        except FileNotFoundError:
            return []
        return [line for line in whole.decode("utf-8", "replace").splitlines() if line.strip()][-20:]

    def _file(self, launch: Launch, kind: str) -> Path:
        return self._folder / f"{launch.id}.{kind}"


def command_of(config: Path | None, data: Path) -> list[str]:
    """Greenroom itself, over the same configuration and data folder, about to optimise."""
    named = [] if config is None else ["--config", str(config.resolve())]
    return [sys.executable, "-m", "greenroom", *named, "--data", str(data.resolve()), "optimize"]
