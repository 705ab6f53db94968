"""`greenroom doctor`: what is wrong here, and the command that mends it."""

import fcntl
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from greenroom.assembly.llama import is_for_trained
from greenroom.cli.config import check_all
from greenroom.cli.output import print_json, print_table
from greenroom.cli.place import ENVIRONMENT, FINE, Here, Place
from greenroom.config import Config
from greenroom.errors import ConfigError
from greenroom.models.encoder import INSTALL, is_installed
from greenroom.models.engine import INSTALL as INSTALL_ENGINE
from greenroom.models.engine import is_installed as is_engine_installed
from greenroom.models.gguf import NotGGUF, read_head
from greenroom.models.pulled import all_pulled, path_of
from greenroom.offline.otel.settings import plan_of
from greenroom.store import database
from greenroom.store import trained as trained_models
from greenroom.store.backups import stores

_NEWEST_TESTED = (3, 13)
_LITTLE_BYTES = 1_000_000_000
_TOO_LITTLE_BYTES = 100_000_000


class Finding(NamedTuple):
    """One thing that was looked at. `mend` is the command that helps."""

    what: str
    state: Literal["fine", "warning", "wrong"]
    said: str
    mend: str = ""


def doctor(*, json: bool = False, place: Here) -> int:
    """Say what is wrong here, and the command that mends it: exit 0, or 3 when something is wrong.

    Looks at Python, the configuration, the data folder and its lock, the port, the providers' keys, models of
    this machine, the disk and the stores. Changes nothing and calls nobody.

    Parameters
    ----------
    json
        Print the findings as JSON.
    """
    findings = list(examine(place))
    if json:
        print_json([one._asdict() for one in findings])
    else:
        print_table(("what", "state", "", "mend it with"), findings)
    return ENVIRONMENT if any(one.state == "wrong" for one in findings) else FINE


def examine(place: Place) -> Iterator[Finding]:
    """All findings, in the order in which they should be mended."""
    yield _python()
    try:
        path = place.config_path()
        check_all(place)
        config = place.load()
        yield Finding("configuration", "fine", str(path) if path else "no file; the defaults hold")
    except ConfigError as error:
        config = Config()
        named = f"--config {place.config} " if place.config else ""
        yield Finding("configuration", "wrong", str(error), f"greenroom {named}config check")
    folder = place.data_folder(config)
    yield _folder(folder)
    holder = lock_holder(folder)
    yield Finding(
        "server",
        "fine",
        f"running with process id {holder}" if holder else "none is running on this data folder",
    )
    yield _port(config, is_running=holder is not None)
    yield from _provider_keys(place, config)
    yield _telemetry(place, config)
    yield _encoder()
    yield from _local_models(config, folder)
    yield _disk(folder)
    yield from _stores(folder)


def lock_holder(folder: Path) -> str | None:
    """The process id of the server that holds a data folder, or None."""
    try:
        descriptor = os.open(folder / database.LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return None


def _python() -> Finding:
    said = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info[:2] > _NEWEST_TESTED:
        return Finding("python", "warning", f"{said}; tested up to {'.'.join(map(str, _NEWEST_TESTED))}")
    return Finding("python", "fine", said)


def _folder(folder: Path) -> Finding:
    if not folder.exists():
        parent = next(one for one in folder.resolve().parents if one.exists())
        if os.access(parent, os.W_OK):
            return Finding("data folder", "fine", f"{folder} is made on the first start")
        return Finding(
            "data folder", "wrong", f"{folder} can't be made in {parent}", f"sudo chown $USER {parent}"
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("data folder", "wrong", f"{folder} can't be written", f"sudo chown -R $USER {folder}")
    if folder.stat().st_mode & 0o077:
        return Finding("data folder", "warning", f"{folder} can be read by others", f"chmod 700 {folder}")
    return Finding("data folder", "fine", str(folder))


def _port(config: Config, *, is_running: bool) -> Finding:
    host, port = config.server.host, config.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if is_running:
                return Finding("port", "fine", f"{host}:{port} is in use, by the running server most likely")
            said = f"{host}:{port} can't be used: {error.strerror or error}"
            return Finding("port", "wrong", said, f"greenroom serve --port {min(port + 1, 65535)}")
    return Finding("port", "fine", f"{host}:{port} is free")


def _provider_keys(place: Place, config: Config) -> Iterator[Finding]:
    for name, provider in config.providers.items():
        what = f"key of {name}"
        if provider.api_key_env is not None:
            variable = provider.api_key_env
            if place.environment.get(variable):
                yield Finding(what, "fine", f"{variable} is set")
            else:
                yield Finding(what, "wrong", f"{variable} is not set", f"export {variable}=…")
        elif provider.api_key_file is not None:
            path = Path(provider.api_key_file)
            if path.is_file() and os.access(path, os.R_OK):
                yield Finding(what, "fine", f"{path} can be read")
            else:
                yield Finding(what, "wrong", f"{path} can't be read", f"ls -l {path}")
        elif provider.kind not in {"reader", "openai_compatible", "vertex", "bedrock", "llama"}:
            said = "none is configured"
            yield Finding(what, "wrong", said, f"greenroom config explain providers.{name}.api_key_env")


def _telemetry(place: Place, config: Config) -> Finding:
    what = "opentelemetry"
    try:
        plan = plan_of(config.otel, place.environment, "the configuration")
    except ConfigError as error:
        return Finding(what, "wrong", str(error), "greenroom config explain otel")
    told = "; providers are told ids of traces (otel.propagate)" if config.otel.propagate else ""
    if plan is None:
        said = f"nothing leaves: no otel.endpoint and no OTEL_EXPORTER_OTLP_ENDPOINT{told}"
        return Finding(what, "fine", said)
    texts = "without texts" if plan.content == "none" else f"with texts (in {plan.content})"
    said = f"leaves to {plan.place} as {plan.protocol}, {texts}{told}"
    if not plan.is_guarded and (plan.content != "none" or plan.headers):
        said += "; not encrypted on its way to another machine"
        return Finding(what, "warning", said, "greenroom config explain otel.endpoint")
    return Finding(what, "fine", said)


def _encoder() -> Finding:
    if is_installed():
        return Finding("embeddings", "fine", "installed; documents are searched by meaning too, in English")
    said = "not installed: documents are searched by words alone, and /v1/embeddings has no model of its own"
    return Finding("embeddings", "fine", said, INSTALL)


def _local_models(config: Config, folder: Path) -> Iterator[Finding]:
    """The embedded engine, and every GGUF file that is configured, was pulled, or came out of training."""
    wanted = {
        name: one
        for name, one in config.providers.items()
        if one.kind == "llama" and not is_for_trained(f"providers.{name}", one)
    }
    trained = _trained(folder)
    files = {
        f"model {one.name}": (one.path, "greenroom models remove " + one.name) for one in all_pulled(folder)
    }
    for name, one in wanted.items():
        path = path_of(folder, one.model) if one.model else Path(one.model_path or "").expanduser()
        mend = f"greenroom models pull {one.model}" if one.model else f"ls -l {path}"
        files[f"model of {name}"] = (path, mend)
    files |= {f"trained {name}": (path, f"greenroom models lineage {name}") for name, path in trained.items()}
    if is_engine_installed():
        yield Finding("embedded engine", "fine", "installed; GGUF files are run on this machine")
    else:
        said = "not installed: GGUF files can't be run"
        yield Finding("embedded engine", "wrong" if wanted or trained else "fine", said, INSTALL_ENGINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for what, (path, mend) in files.items():
        try:
            head = read_head(path)
        except NotGGUF as error:
            yield Finding(what, "wrong", f"{path} {error}", mend)
            continue
        said = f"{head.architecture}, {head.size_bytes / 1e9:.2f} GB"
        if head.size_bytes > memory:
            said += f"; more than this machine's memory ({memory / 1e9:.1f} GB): it would be very slow"
            yield Finding(what, "warning", said, "greenroom models pull")
        elif not head.has_template and path not in trained.values():  # adapters have none
            yield Finding(what, "warning", f"{said}; it holds no chat template, answers may be poor")
        else:
            yield Finding(what, "fine", said)


def _trained(folder: Path) -> dict[str, Path]:
    """The files of trained models by the models' names."""
    if not (folder / trained_models.FILE).exists():
        return {}
    store = trained_models.TrainedModels(folder / trained_models.FILE)
    try:
        return {one.name: folder / one.gguf for one in store.all()}
    finally:
        store.close()


def _disk(folder: Path) -> Finding:
    there = next(one for one in (folder.resolve(), *folder.resolve().parents) if one.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:.1f} GB free"
    if free < _TOO_LITTLE_BYTES:
        return Finding("disk", "wrong", said, f"df -h {there}")
    return Finding("disk", "warning" if free < _LITTLE_BYTES else "fine", said)


def _stores(folder: Path) -> Iterator[Finding]:
    for path in stores(folder):
        faults = database.check(path)
        if faults:
            yield Finding(path.name, "wrong", "; ".join(faults), "greenroom db check")
        else:
            yield Finding(path.name, "fine", f"sound, {path.stat().st_size / 1e6:.1f} MB")
