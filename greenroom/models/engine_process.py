"""One run of the embedded engine: a child process, its pipes on the event loop, and its end.

Knows the process and what it reports; nothing of requests, nor of what is to follow its end.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import DecodeError, ValidationError
from msgspec.json import Decoder, encode

from greenroom.models.llama_engine import Report, Settings
from greenroom.models.pulse import Pulse

_SAID_BYTES = 4096
_LINES = 3
"""Of what it said first, for the log."""
_PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES",
)  # fmt: skip
"""What of the environment the engine gets: no key, no proxy."""

_report = Decoder(Report)


class EngineProcess:
    """A child that loads a model and serves it. Made running; `end` kills it and what it started."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        loop: asyncio.AbstractEventLoop,
        on_ready: Callable[[str], None],
        on_end: Callable[[], None],
        on_over: Callable[[str], None],
    ) -> None:
        """`on_ready` is called with the address, `on_end` when it ends by itself, `on_over` with what it says
        when it takes more memory than it may. Raises OSError.
        """
        self.said = ""
        """Why it ends, in its own words, where it says so."""
        self._loop = loop
        self._on_ready = on_ready
        self._on_end = on_end
        self._on_over = on_over
        self.pulse = Pulse(loop.time())
        self._is_ready = False
        self._stdout = self._stderr = b""
        path = os.pathsep.join(entry for entry in sys.path if entry)
        kept = {name: environment[name] for name in _PASSED_ON if name in environment}
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "greenroom.models.llama_engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "PYTHONPATH": path},
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        stdin, stdout, stderr = self._child.stdin, self._child.stdout, self._child.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        self._pipes = (stdin, stdout, stderr)
        with contextlib.suppress(BrokenPipeError):  # it ended at once; the end of its pipe says so
            stdin.write(encode(settings) + b"\n")
        for pipe, take in ((stdout, self._take_report), (stderr, self._take_said)):
            os.set_blocking(pipe.fileno(), False)
            loop.add_reader(pipe.fileno(), take, pipe.fileno())

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._child.pid

    @property
    def is_over(self) -> bool:
        """Whether it has ended, noticed or not."""
        return self._child.poll() is not None

    @property
    def detail(self) -> str:
        """What llama.cpp said before it was ready, for people who look after it; it may name folders."""
        lines = self._stderr.decode("utf-8", "replace").strip().splitlines()
        return " ".join(line.strip() for line in lines[:_LINES])

    def memory_mb(self) -> float | None:
        """What it has in memory; None where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1])
        except (OSError, ValueError, IndexError):
            return None
        return round(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1)

    def computed_s(self) -> float | None:
        """The processor time it has used; None where nobody says, or while it waits for a disk."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
            if fields[0] == b"D":
                return None
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return None

    def end(self) -> str:
        """Kill what is left of it and its group; how it ended, in words. Safe after the loop was closed."""
        if not self._loop.is_closed():
            for pipe in self._pipes:
                self._loop.remove_reader(pipe.fileno())
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone; macOS says it otherwise
            os.killpg(self.pid, signal.SIGKILL)
        for pipe in self._pipes:
            pipe.close()
        return _how(self._child.wait())

    def _take_report(self, pipe: int) -> None:
        data = _read(pipe)
        if data is None:
            return
        if not data:
            self._on_end()
            return
        *lines, self._stdout = (self._stdout + data).split(b"\n")
        self._stdout = self._stdout[-_SAID_BYTES:]
        for line in lines:
            try:
                report = _report.decode(line)
            except (DecodeError, ValidationError):
                continue
            self.said = report.error or self.said
            if report.beat is not None:
                self.pulse.took(report.beat, self._loop.time())
            elif report.url and not self._is_ready:
                self._is_ready, self._stderr = True, b""
                self.pulse = Pulse(self._loop.time())
                self._on_ready(report.url)
            elif report.over:
                self.said = report.over
                self._on_over(report.over)

    def _take_said(self, pipe: int) -> None:
        data = _read(pipe)
        if data is None:
            return
        if not data:
            self._loop.remove_reader(pipe)
        elif not self._is_ready:  # while it answers, what it says may hold prompts
            self._stderr = (self._stderr + data)[:_SAID_BYTES]


def _read(pipe: int) -> bytes | None:
    """What there is; empty at the end, None for nothing yet."""
    try:
        return os.read(pipe, 65_536)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
