"""The GGUF files that are known by name: facts as data, read when they are asked for. Knows no network."""

import tomllib
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

CATALOGUE: Final = Path(__file__).parent.parent / "data" / "gguf" / "catalogue.toml"


class Pullable(Struct, frozen=True, forbid_unknown_fields=True):
    """A file that can be pulled by name."""

    url: str
    licence: str
    about: str
    size_bytes: int | None = None
    sha256: str | None = None
    """None where it is not known beforehand."""


def catalogue() -> dict[str, Pullable]:
    """All of them by name, small ones first."""
    return msgspec.convert(tomllib.loads(CATALOGUE.read_text(encoding="utf-8")), dict[str, Pullable])
