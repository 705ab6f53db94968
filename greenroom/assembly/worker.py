"""One of several processes of a server: `python -m greenroom.assembly.worker`, started by the parent alone.

Reads from stdin who it is. When stdin ends, the parent is gone, and the worker drains and ends too.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import msgspec
import uvloop

from greenroom.assembly.house import House
from greenroom.assembly.listening import ENVIRONMENT
from greenroom.assembly.serve import FAREWELL_S, run
from greenroom.assembly.workers import Worker, told
from greenroom.errors import GreenroomError
from greenroom.logs import set_up

_STDIN = 0
_LONGEST_BYTES = 65_536
_PATIENCE_S = 5.0


def main() -> int:
    """Serve until told to stop. Returns the exit code: 0 fine, 3 the environment is at fault."""
    set_up()
    try:
        worker = told(_first_line())
    except msgspec.MsgspecError:
        print(
            "Workers are started by `greenroom serve`, with server.workers in greenroom.toml.",
            file=sys.stderr,
        )
        return ENVIRONMENT
    try:
        config = Path(worker.config) if worker.config is not None else None
        house = House.open(config, Path(worker.data), os.environ, worker)
        threading.Thread(target=_end_with_parent, args=(house.config.server.drain_s,), daemon=True).start()
        with socket.socket(fileno=worker.listener) as listener:
            listener.setblocking(False)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(run(house, listener, lambda: _announce(house, worker)))
    except GreenroomError as error:
        print(error, file=sys.stderr)
        return ENVIRONMENT


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST_BYTES:
        found = os.read(_STDIN, _LONGEST_BYTES)
        if not found:
            break
        line += found
    return line


def _announce(house: House, worker: Worker) -> None:
    os.write(worker.ready, msgspec.json.encode((house.default_target, house.why)) + b"\n")
    os.close(worker.ready)


def _end_with_parent(drain_s: float) -> None:
    """Wait for the parent's end; then drain, and end in any case."""
    while os.read(_STDIN, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(drain_s + FAREWELL_S + _PATIENCE_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
