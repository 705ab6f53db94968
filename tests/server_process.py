"""A Greenroom of its own process, as a user starts it: real port, real files, real signals."""

import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

ADMIN = "gr-admin-key-of-the-tests-0123456789"


def environment_of(admin: str | None = None) -> dict[str, str]:
    """This process's environment without providers' keys, proxies and what else Greenroom would read."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_API_KEY")
        and not name.startswith(("GREENROOM_", "OTEL_"))
        and not name.lower().endswith("_proxy")
    }
    return kept if admin is None else {**kept, "GREENROOM_ADMIN_KEY": admin}


def greenroom(
    data: Path, *arguments: str, environment: dict[str, str] | None = None, entered: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of Greenroom's to its end, as a user would beside a running server."""
    return subprocess.run(
        [sys.executable, "-m", "greenroom", "--data", str(data), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment_of() | (environment or {}),
        cwd=data.parent,
        input=entered,
    )


class ServerProcess:
    """`greenroom serve` on a free port, stopped on leaving."""

    def __init__(
        self,
        data: Path,
        config: str | None = None,
        *,
        environment: dict[str, str] | None = None,
        admin: str | None = ADMIN,
        host: str | None = None,
        under: Sequence[str] = (),
    ) -> None:
        self.data = data
        self.config_path = data.parent / "greenroom.toml"
        self._config = config
        self._environment = environment_of(admin) | (environment or {})
        self._under = under
        """A command that runs the server, as `strace -D …`."""
        self._host = [] if host is None else ["--host", host]
        self.greeting = ""
        self.url = ""
        self.local_key = ""

    def __enter__(self) -> Self:
        self.data.mkdir(parents=True, exist_ok=True)
        arguments = [*self._under, sys.executable, "-m", "greenroom", "--data", str(self.data)]
        if self._config is not None:
            self.config_path.write_text(self._config, encoding="utf-8")
            arguments += ["--config", str(self.config_path)]
        with (self.data / "stderr.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*arguments, "serve", "--port", "0", *self._host],
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                cwd=self.data,
            )
        self._read_greeting()
        return self

    def _read_greeting(self) -> None:
        assert self.process.stdout is not None
        deadline = time.monotonic() + 60
        while "curl" not in self.greeting:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                self.process.kill()
                self.process.wait()
                self.process.stdout.close()
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

    def ask(
        self, text: str = "How do I add a provider?", *, key: str | None = None, model: str = "default"
    ) -> tuple[int, dict[str, Any]]:  # Any: JSON
        """One chat request: its status and its decoded body."""
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]})
        headers = {"Authorization": f"Bearer {key or self.local_key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

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
