"""The two C programs of the bench: the load generator and the mock provider, compiled when they are needed.

Knows their command lines and the load's report; nothing of the targets.
"""

import shutil
import socket
import subprocess
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.processes import Cores, EnvironmentMissing, Running

SOURCES = Path(__file__).parent


class LoadReport(Struct, frozen=True, kw_only=True):
    """What `load` prints: latencies in microseconds, counts of whole replies."""

    requests: int
    errors: int
    non_200: int
    reconnects: int
    elapsed_s: float
    rps: float
    p50_us: int
    p90_us: int
    p99_us: int
    bytes_read: int
    events: int
    unfinished_streams: int
    first_event_p50_us: int
    first_event_p99_us: int

    @property
    def faults(self) -> int:
        """Replies that cannot be counted as work done."""
        return self.errors + self.non_200 + self.unfinished_streams


class Tools:
    """The compiled programs in a folder."""

    def __init__(self, folder: Path, cores: Cores) -> None:
        """Compile into `folder`. Raises: EnvironmentMissing without a C compiler."""
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise EnvironmentMissing(
                "No C compiler (gcc or cc): the load generator and the mock are C programs."
            )
        self.folder = folder
        self.cores = cores
        self._seed = 0
        for name in ("load", "mock"):
            subprocess.run(
                [compiler, "-O2", "-Wall", "-o", str(folder / name), str(SOURCES / f"{name}.c")], check=True
            )

    def start_mock(self, *, events: int = 100, pace_ms: int = 10) -> tuple[Running, int]:
        """Start a provider that costs nothing; returns it and its port."""
        port = free_port()
        argv = [str(self.folder / "mock"), str(port), str(events), str(pace_ms)]
        running = Running(argv, self.cores.peers, log=self.folder / "mock.log")
        return running, port

    def load(
        self,
        port: int,
        *,
        model: str = "mock",
        key: str = "none",
        path: str = "/v1/chat/completions",
        connections: int = 32,
        duration_s: float | None = None,
        requests: int | None = None,
        stream: bool = False,
        personal_percent: int = 25,
        same: bool = False,
        core: int | None = None,
        timeout_s: float | None = None,
    ) -> LoadReport:
        """Run the load to its end and return what it counted.

        Raises: EnvironmentMissing when it could not run; subprocess.TimeoutExpired.
        """
        argv = self.load_argv(
            port, model=model, key=key, path=path, connections=connections, duration_s=duration_s,
            requests=requests, stream=stream, personal_percent=personal_percent, same=same,
        )  # fmt: skip
        taskset = ["taskset", "-c", str(self.cores.peers if core is None else core)]
        done = subprocess.run(taskset + argv, capture_output=True, check=False, timeout=timeout_s)
        if done.returncode != 0:
            raise EnvironmentMissing(f"The load generator failed: {done.stderr.decode(errors='replace')}")
        report = msgspec.json.decode(done.stdout, type=LoadReport)
        if report.faults and done.stderr:
            print(done.stderr.decode(errors="replace").strip())
        return report

    def load_argv(
        self,
        port: int,
        *,
        model: str,
        key: str,
        path: str = "/v1/chat/completions",
        connections: int = 32,
        duration_s: float | None = None,
        requests: int | None = None,
        stream: bool = False,
        personal_percent: int = 25,
        same: bool = False,
        acks: Path | None = None,
    ) -> list[str]:
        """The command line of one run; each call gets a seed of its own, so no text is sent twice, but with `same`."""
        self._seed += 1
        argv = [
            str(self.folder / "load"), f"--port={port}", f"--model={model}", f"--key={key}", f"--path={path}",
            f"--connections={connections}", f"--seed={self._seed}", f"--personal={personal_percent}",
        ]  # fmt: skip
        argv.append(f"--requests={requests}" if requests is not None else f"--duration={duration_s or 3.0}")
        if stream:
            argv.append("--stream")
        if same:
            argv.append("--same")
        if acks is not None:
            argv.append(f"--acks={acks}")
        return argv


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
