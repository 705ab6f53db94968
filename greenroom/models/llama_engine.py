"""The embedded engine's own process: one GGUF file behind an OpenAI server on a loopback port.

Run as `python -m greenroom.models.llama_engine` by `models.engine`, never by hand. Its settings come as one
line of JSON on stdin, which stays open: the end of it means that the parent is gone, and this process ends
too. What it tells the parent goes to stdout as lines of JSON: the address once the model is loaded, or why it
ended.
Knows llama.cpp through `xllamacpp`; nothing of Greenroom's requests.
"""

import ctypes
import os
import resource
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

from msgspec import Struct
from msgspec.json import Decoder, encode

from greenroom.models.gguf import NotGGUF, read_head

HTTP_THREADS = 32
"""Connections at once: those that answer, and those that wait for a slot."""
PROMPT_CACHE_MB = 256
"""Of earlier prompts whose state is kept, at most; llama.cpp would take 8 GB."""
LOOK_S = 0.25
"""How often the memory is looked at."""
TOO_LARGE = 77
"""The exit code when the memory limit is passed."""
_USUAL_STACK_BYTES = 8 << 20
_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux."""
_ERRORS_ONLY = 1
"""The engine's log level: what it says at higher ones holds parts of prompts."""


class Settings(Struct, frozen=True):
    """What one engine runs, and with how much."""

    model_path: str
    model: str
    """What it calls its model."""
    key: str
    """What its clients must show."""
    parent: int
    """The process that starts it."""
    context: int
    """Tokens of one request and its answer."""
    parallel: int
    """Answers at once."""
    threads: int | None = None
    gpu_layers: int | None = None
    memory_mb: int | None = None


class Report(Struct, frozen=True, omit_defaults=True):
    """A line to the parent."""

    url: str = ""
    error: str = ""


def main() -> int:
    """Load, say where, and serve until killed. Returns the exit code."""
    reports = os.dup(1)
    os.dup2(2, 1)  # whatever the engine prints is no report

    def tell(report: Report) -> None:
        os.write(reports, encode(report) + b"\n")

    settings = Decoder(Settings).decode(sys.stdin.buffer.readline())
    _die_with(settings.parent)
    threading.Thread(target=_wait_for_the_end, daemon=True).start()
    try:
        head = read_head(Path(settings.model_path))
    except NotGGUF as error:
        tell(Report(error=f"the file '{Path(settings.model_path).name}' {error}"))
        return 1
    if settings.memory_mb is not None:
        if head.size_bytes > settings.memory_mb << 20:
            size = f"the file alone takes {head.size_bytes / (1 << 20):.0f} MB"
            tell(Report(error=f"{size}, more than memory_mb = {settings.memory_mb}"))
            return TOO_LARGE
        _bound(settings.memory_mb)
    try:
        library = import_module("xllamacpp")  # an extra, and only this process loads it
        server = library.Server(_parameters(library, settings))
    except (ImportError, RuntimeError, MemoryError, ValueError) as error:
        limit = f" within memory_mb = {settings.memory_mb}" if settings.memory_mb is not None else ""
        tell(Report(error=f"the model can't be loaded{limit} ({str(error) or type(error).__name__})"))
        return 1
    tell(Report(url=server.listening_address))
    while True:
        time.sleep(LOOK_S)
        if settings.memory_mb is not None and peak_bytes() > settings.memory_mb << 20:
            tell(Report(error=f"it took more memory than memory_mb = {settings.memory_mb}"))
            os._exit(TOO_LARGE)  # the engine's threads would be waited for


def peak_bytes() -> int:
    """The most memory that this process had at once, the pages of the model's file among it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _parameters(library: ModuleType, settings: Settings) -> object:
    chosen = library.CommonParams()
    chosen.model.path = settings.model_path
    chosen.model_alias = {settings.model}
    chosen.n_ctx = settings.context * settings.parallel
    chosen.n_parallel = settings.parallel
    chosen.hostnames = ["127.0.0.1"]
    chosen.port = 0
    chosen.api_keys = [settings.key]
    chosen.n_threads_http = max(HTTP_THREADS, 2 * settings.parallel)
    chosen.cache_ram_mib = PROMPT_CACHE_MB
    chosen.verbosity = _ERRORS_ONLY
    chosen.offline = True
    chosen.ui = chosen.endpoint_slots = chosen.endpoint_props = chosen.warmup = False
    chosen.cors_origins = ""
    if settings.threads is not None:
        chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = settings.threads
    if settings.gpu_layers is not None:
        chosen.n_gpu_layers = settings.gpu_layers
    return chosen


def _die_with(parent: int) -> None:
    """End when the parent does, also while the model is being loaded (where the system can)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that was set
        os._exit(0)


def _wait_for_the_end() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _bound(memory_mb: int) -> None:
    """Have the system refuse what would pass the limit by far, as while loading, when nobody can look.

    It counts what the stacks of threads set aside, too, which is not used: that comes on top.
    """
    if sys.platform == "linux":
        stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
        stack = _USUAL_STACK_BYTES if stack in {resource.RLIM_INFINITY, -1} else stack
        most = (memory_mb << 20) + stack * (HTTP_THREADS + 2 * (os.cpu_count() or 1) + 16)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    raise SystemExit(main())
