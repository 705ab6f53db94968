"""GGUF files in the data folder: those that were pulled, and any put there by hand.

A model is `NAME.gguf`; where it came from stands in `NAME.json` beside it. Knows the folder, and no network.
"""

import re
from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder, encode

from greenroom.errors import RequestError

FOLDER = "models"
"""Of the data folder."""
_SUFFIX = ".gguf"
LEFTOVERS = (".gguf.part", ".part.json")
"""Of an interrupted download: what came, and of which version of the file it is."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Source(Struct, frozen=True):
    """Where a file came from."""

    url: str = ""
    sha256: str = ""
    licence: str | None = None
    checked: bool = False
    """Whether the checksum was known beforehand, not only computed from what came."""


class Pulled(Struct, frozen=True):
    """One model on this machine."""

    name: str
    path: Path
    size_bytes: int
    changed_at: float
    source: Source


_source = Decoder(Source)


def models_folder(data: Path) -> Path:
    """Where the files lie."""
    return data / FOLDER


def is_name(text: str) -> bool:
    """Whether a text may be the name of a model: letters, digits, '.', '_' and '-'."""
    return _NAME.fullmatch(text) is not None and not text.endswith(_SUFFIX)


def path_of(data: Path, name: str) -> Path:
    """Where the file of a model is, or would be. Raises RequestError for what is no name."""
    if not is_name(name):
        raise RequestError(f"'{name}' is not a name: letters, digits, '.', '_' and '-', at most 100.")
    return models_folder(data) / f"{name}{_SUFFIX}"


def all_pulled(data: Path) -> list[Pulled]:
    """All models in the folder, the newest first."""
    found = []
    for path in models_folder(data).glob(f"*{_SUFFIX}"):
        name = path.name.removesuffix(_SUFFIX)
        try:
            about = path.stat()
        except OSError:  # removed meanwhile
            continue
        if is_name(name) and path.is_file():
            found.append(Pulled(name, path, about.st_size, about.st_mtime, _source_of(path)))
    return sorted(found, key=lambda one: (-one.changed_at, one.name))


def keep_source(path: Path, source: Source) -> None:
    """Write down where the file at `path` came from."""
    half = path.with_suffix(".json.part")
    half.write_bytes(encode(source))
    half.replace(path.with_suffix(".json"))


def remove(data: Path, name: str) -> int:
    """Delete a model and what an interrupted download left of it; the bytes that are free now.

    Raises: RequestError when there is none of that name.
    """
    path = path_of(data, name)
    freed = 0
    for suffix in (_SUFFIX, *LEFTOVERS, ".json"):
        one = path.with_suffix(suffix)
        try:
            freed += one.stat().st_size
            one.unlink()
        except FileNotFoundError:
            continue
    if not freed:
        raise RequestError(f"There is no model '{name}' in {path.parent}. 'greenroom models list' shows all.")
    return freed


def _source_of(path: Path) -> Source:
    try:
        return _source.decode(path.with_suffix(".json").read_bytes())
    except (OSError, DecodeError, ValidationError, UnicodeDecodeError):
        return Source()
