"""A Greenroom of its own process, as a user starts it: real port, real files, real signals."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

ADMIN = "gr-admin-key-of-the-tests-0123456789"


class ServerProcess:
    """`greenroom serve` on a free port, stopped on leaving."""

    def __init__(
        self, data: Path, config: str | None = None, *, environment: dict[str, str] | None = None
    ) -> None:
        self.data = data
        self._config = config
        self._environment = environment or {}
        self.greeting = ""
        self.url = ""
        self.local_key = ""

    def __enter__(self) -> Self:
        self.data.mkdir(parents=True, exist_ok=True)
        arguments = [sys.executable, "-m", "greenroom", "--data", str(self.data)]
        if self._config is not None:
            path = self.data.parent / "greenroom.toml"
            path.write_text(self._config, encoding="utf-8")
            arguments += ["--config", str(path)]
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        with (self.data / "stderr.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*arguments, "serve", "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**kept, "GREENROOM_ADMIN_KEY": ADMIN, **self._environment},
                cwd=self.data,
            )
        self._read_greeting()
        return self

    def _read_greeting(self) -> None:
        assert self.process.stdout is not None
        deadline = time.monotonic() + 20
        while "curl" not in self.greeting:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                self.process.kill()
                raise AssertionError(f"The server did not start: {self.greeting} {self.log()}")
            self.greeting += data.decode()
        found = re.search(r"listens on (\S+)", self.greeting)
        key = re.search(r"Bearer ([^']+)'", self.greeting)
        assert found is not None
        assert key is not None
        self.url, self.local_key = found[1], key[1]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def log(self) -> str:
        """What it wrote to stderr."""
        return (self.data / "stderr.log").read_text(encoding="utf-8", errors="replace")

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 15.0) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        if self.process.stdout is not None:
            self.process.stdout.close()
