"""The embedded engine's own process: one GGUF file behind an OpenAI server on a loopback port.

Run as `python -m greenroom.models.llama_engine` by `models.engine`, never by hand. Its settings come as one
line of JSON on stdin, which stays open: the end of it means that the parent is gone, and this process ends
too. What it tells the parent goes to stdout as lines of JSON: the address once the model is loaded, or why it
ended.
Knows llama.cpp through `xllamacpp`; nothing of Greenroom's requests.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder, encode

from greenroom.models.gguf import NotGGUF, read_head

HTTP_THREADS = 32
"""Connections at once: those that answer, and those that wait for a slot."""
PROMPT_CACHE_MB = 256
"""Of earlier prompts whose state is kept, at most; llama.cpp would take 8 GB."""
LOOK_S = 0.25
"""How often the memory is looked at."""
BEAT_S = 1.0
"""How often it says how it fares."""
FAR_TOO_LARGE = 1.25
"""Past the limit of memory it takes no new requests; past so many times the limit it ends at once."""
TOO_LARGE = 77
"""The exit code when the memory limit is passed by far."""
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
    adapters: tuple[str, ...] = ()
    """GGUF adapters that a request may be answered with, by their place here."""


class Beat(Struct, frozen=True, omit_defaults=True):
    """How it fares: numbers since its start, and what is at work now."""

    prompt_tokens: int = 0
    """Read, without those that a cache held."""
    cached_tokens: int = 0
    prompt_s: float = 0.0
    output_tokens: int = 0
    output_s: float = 0.0
    decodes: int = 0
    processing: int = 0
    """Requests that are being answered."""
    deferred: int = 0
    """Requests that wait for a slot."""
    kv_tokens: int = 0
    """Tokens whose state is kept, of `kv_limit`."""
    kv_limit: int = 0


class Report(Struct, frozen=True, omit_defaults=True):
    """A line to the parent."""

    url: str = ""
    error: str = ""
    over: str = ""
    """It has passed its limit of memory, and is to be started again once its requests are answered."""
    beat: Beat | None = None


class _Slot(Struct, frozen=True):
    n_ctx: int = 0
    n_prompt_tokens: int = 0


_slots = Decoder(list[_Slot])
_COUNTED = {
    b"llamacpp:prompt_tokens_total": "prompt_tokens",
    b"llamacpp:prompt_tokens_cached_total": "cached_tokens",
    b"llamacpp:prompt_seconds_total": "prompt_s",
    b"llamacpp:tokens_predicted_total": "output_tokens",
    b"llamacpp:tokens_predicted_seconds_total": "output_s",
    b"llamacpp:n_decode_total": "decodes",
    b"llamacpp:requests_processing": "processing",
    b"llamacpp:requests_deferred": "deferred",
}


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
    threading.Thread(target=_beat, args=(server, settings.key, tell), daemon=True).start()
    is_told = False
    while True:
        time.sleep(LOOK_S)
        if settings.memory_mb is None:
            continue
        taken_mb = peak_bytes() / (1 << 20)
        if taken_mb > settings.memory_mb:
            said = f"it took more memory than memory_mb = {settings.memory_mb}"
            if taken_mb > settings.memory_mb * FAR_TOO_LARGE:
                tell(Report(error=said))
                os._exit(TOO_LARGE)  # the engine's threads would be waited for
            if not is_told:
                is_told = True
                tell(Report(over=said))


def peak_bytes() -> int:
    """The most memory that this process had at once, the pages of the model's file among it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _beat(server: "_Server", key: str, tell: Callable[[Report], None]) -> None:
    """Say every second how it fares. An engine that does not answer is silent."""
    host, _, port = server.listening_address.removeprefix("http://").rpartition(":")
    numbers: dict[str, int] = {}
    last: bytes = b""
    while True:
        text = server.handle_metrics().encode()
        if text != last:
            last = text
            with contextlib.suppress(OSError, DecodeError, ValidationError, IndexError):  # all are answering
                slots = _slots.decode(_fetch(host, int(port), key))
                numbers = {
                    "kv_tokens": sum(one.n_prompt_tokens for one in slots),
                    "kv_limit": sum(one.n_ctx for one in slots),
                }
        tell(Report(beat=Beat(**read_metrics(text), **numbers)))  # type: ignore[arg-type]  # by name
        time.sleep(BEAT_S)


def read_metrics(text: bytes) -> dict[str, int | float]:
    """What `Beat` has of the engine's metrics, in Prometheus' text format."""
    found: dict[str, int | float] = {}
    for line in text.splitlines():
        name, _, value = line.partition(b" ")
        field = _COUNTED.get(name)
        if field is not None:
            found[field] = float(value) if field.endswith("_s") else int(float(value))
    return found


def _fetch(host: str, port: int, key: str) -> bytes:
    """What the engine says of its slots: numbers, and nothing of what is in them."""
    with socket.create_connection((host, port), timeout=BEAT_S) as connection:
        head = f"GET /slots HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n"
        connection.sendall(head.encode())
        data = b""
        while piece := connection.recv(65_536):
            data += piece
    return data.split(b"\r\n\r\n", 1)[1]


class _Server(Protocol):
    """What is used of the library's server."""

    listening_address: str

    def handle_metrics(self) -> str: ...


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
    chosen.ui = chosen.endpoint_props = chosen.warmup = False
    chosen.endpoint_slots = chosen.endpoint_metrics = True  # for who has the key: this process
    if settings.adapters:
        chosen.lora_adapters = [_adapter(library, path) for path in settings.adapters]
        chosen.cache_ram_mib = 0  # it would give the state of a prompt with one adapter to another
    chosen.cors_origins = ""
    if settings.threads is not None:
        chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = settings.threads
    if settings.gpu_layers is not None:
        chosen.n_gpu_layers = settings.gpu_layers
    return chosen


def _adapter(library: ModuleType, path: str) -> object:
    """An adapter that counts for nobody who does not name it."""
    chosen = library.CommonAdapterLoraInfo()
    chosen.path, chosen.scale = path, 0.0
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
