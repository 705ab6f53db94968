"""A trained router as one file: what it knows in JSON, then its numbers, then a digest of both.

    GRNROUTE | version, 2 bytes | length of the header, 4 bytes | header, JSON | arrays | SHA-256, 32 bytes

All integers and numbers are little-endian; an array's kind and shape stand in the header. Nothing in it is
run: a file from a stranger can be wrong, and is then refused, but can do nothing. It holds no word of a
prompt, but vectors, from which much of what a prompt was about can be told: keep it as you keep traces.
"""

import os
from hashlib import sha256
from math import isfinite, prod
from pathlib import Path
from struct import Struct as Packed
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from greenroom.errors import ConfigError
from greenroom.models.learned.features import BUCKETS, FORMS, SKETCH, TOPICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]  # Any: of the kind that the header says

MAGIC = b"GRNROUTE"
VERSION = 1
LARGEST = 256 << 20
"""Bytes of a file that is read."""
MOST_TARGETS = 64
MOST_PROMPTS = 8_000
"""A router compares with at most so many prompts: 1 ms of work, and 1 GB while it is trained."""
_LONGEST_HEADER = 1 << 20
_START = Packed("<8sHI")
_DIGEST = 32
_KINDS = {"f2": 2, "f4": 4}

Number = Annotated[float, Meta(ge=-1e9, le=1e9)]


class Calibration(Struct, frozen=True, forbid_unknown_fields=True):
    """A guess `g` means a chance of 1 / (1 + exp(-(slope g + shift)))."""

    slope: Number
    shift: Number


class TargetFacts(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is known of one target."""

    name: Annotated[str, Meta(min_length=1, max_length=300)]
    labels: Annotated[int, Meta(ge=0)]
    """Scored answers it was learned from."""
    mean: Annotated[float, Meta(ge=0, le=1)]
    """Their mean score."""
    output_tokens: Annotated[float, Meta(ge=0, le=1e7)] | None = None
    """The mean length of its answers, where the examples say."""
    with_meaning: Calibration | None = None
    from_words: Calibration
    follows: bool = False
    """It has too few labels for guesses of its own: its guess is the mean guess of the targets that have."""


class Shape(Struct, frozen=True, forbid_unknown_fields=True):
    """One array."""

    name: str
    kind: Literal["f2", "f4"]
    shape: Annotated[tuple[Annotated[int, Meta(ge=0, le=1 << 20)], ...], Meta(min_length=1, max_length=2)]


class Header(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All of a router but its numbers."""

    targets: Annotated[tuple[TargetFacts, ...], Meta(min_length=2, max_length=MOST_TARGETS)]
    prompts: Annotated[int, Meta(ge=1)]
    """Different prompts it was trained on."""
    languages: dict[str, int]
    """By code: prompts in that language."""
    dominant: str | None = None
    """The target that is better than each other one and not dearer: always asked."""
    known_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Of a prompt's words, the least share that must be known."""
    nearest: Annotated[float, Meta(ge=-1, le=1)] = -1.0
    """The least cosine to the most similar prompt, where there are vectors."""
    noise: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    """Chosen by leaving out: how little one label is believed."""
    source: Annotated[str, Meta(max_length=500)] = ""
    made_at: str = ""
    figures: dict[str, float | None] = {}
    """Measured on prompts held out of training; see `held_out.Figures`."""
    arrays: tuple[Shape, ...] = ()


class Trained:
    """A router's header and arrays. Nothing changes them."""

    def __init__(self, header: Header, arrays: "dict[str, Array]") -> None:
        self.header = header
        self.arrays = arrays


def save(trained: Trained, path: Path) -> None:
    """Write the file, whole or not at all. Raises: ConfigError where the folder can't be written."""
    short = {one.name for one in wanted(trained.header, trained.arrays) if one.kind == "f2"}
    shapes = tuple(
        Shape(name, "f2" if name in short else "f4", one.shape) for name, one in trained.arrays.items()
    )
    header = msgspec.json.encode(msgspec.structs.replace(trained.header, arrays=shapes))
    parts = [_START.pack(MAGIC, VERSION, len(header)), header]
    parts += [
        one.astype(f"<{shape.kind}").tobytes()
        for shape, one in zip(shapes, trained.arrays.values(), strict=True)
    ]
    body = b"".join(parts)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("xb") as file:
            file.write(body + sha256(body).digest())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigError(f"The router can't be written to {path}: {error.strerror or error}.") from error


def load(path: Path) -> Trained:
    """Read a router. Raises: ConfigError that says what is wrong with the file."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(
            f"The router {path} can't be read: {error.strerror or error}. "
            "Make one with: greenroom route train --from examples.jsonl --out FILE"
        ) from error
    try:
        return read(data)
    except ConfigError as error:
        raise ConfigError(f"The router {path} can't be used: {error} Train it again.") from None


def read(data: bytes) -> Trained:
    """A router from its bytes. Raises: ConfigError."""
    if len(data) > LARGEST:
        raise ConfigError(f"It is longer than {LARGEST >> 20} MiB.")
    if len(data) < _START.size + _DIGEST or not data.startswith(MAGIC):
        raise ConfigError("It is no file of greenroom route train.")
    _, version, length = _START.unpack_from(data)
    if version != VERSION:
        raise ConfigError(f"It is of version {version}, and this Greenroom reads version {VERSION}.")
    if sha256(memoryview(data)[:-_DIGEST]).digest() != data[-_DIGEST:]:
        raise ConfigError("It is cut short or was changed: its digest is wrong.")
    if length > min(_LONGEST_HEADER, len(data) - _START.size - _DIGEST):
        raise ConfigError("Its header is longer than the file.")
    at = _START.size + length
    try:
        header = msgspec.json.decode(data[_START.size : at], type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"Its header can't be read: {error}.") from None
    arrays = _arrays(data, at, header)
    _check(header, arrays)
    return Trained(header, arrays)


def _arrays(data: bytes, at: int, header: Header) -> "dict[str, Array]":
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    sizes = [prod(one.shape) * _KINDS[one.kind] for one in header.arrays]
    if at + sum(sizes) != len(data) - _DIGEST:
        raise ConfigError("Its arrays are not as long as its header says.")
    arrays: dict[str, Array] = {}
    for one, size in zip(header.arrays, sizes, strict=True):
        found = np.frombuffer(data, f"<{one.kind}", prod(one.shape), at).astype(np.float32).reshape(one.shape)
        if not isfinite(float(np.abs(found).sum(dtype=np.float64))):
            raise ConfigError(f"Its array '{one.name}' holds what is no number.")
        arrays[one.name] = found
        at += size
    return arrays


def _check(header: Header, arrays: "dict[str, Array]") -> None:
    """Raise ConfigError unless names are different and each array has its shape."""
    names = [one.name for one in header.targets]
    if len(set(names)) != len(names):
        raise ConfigError("It names a target twice.")
    if header.dominant is not None and header.dominant not in names:
        raise ConfigError("Its dominant target is none of its targets.")
    if "meaning" in arrays and any(one.with_meaning is None for one in header.targets):
        raise ConfigError("It has vectors, and a target without a curve for them.")
    for shape in wanted(header, arrays):
        found = arrays.get(shape.name)
        if found is None or found.shape != shape.shape:
            raise ConfigError(f"Its array '{shape.name}' is not of the shape {shape.shape}.")
    if not (arrays["form_scale"] > 0).all():
        raise ConfigError("Its array 'form_scale' holds what is not above 0.")


def wanted(header: Header, arrays: "dict[str, Array]") -> list[Shape]:
    """The arrays that a router must have."""
    points, targets = len(arrays.get("form", ())), len(header.targets)
    heads = ["words"]
    shapes = [
        Shape("rarity", "f2", (BUCKETS,)), Shape("form_mean", "f4", (FORMS,)),
        Shape("form_scale", "f4", (FORMS,)), Shape("form", "f4", (points, FORMS)),
        Shape("words_turn", "f2", (SKETCH, TOPICS)), Shape("words", "f2", (points, TOPICS)),
    ]  # fmt: skip
    if "meaning" in arrays:
        width = arrays["meaning"].shape[-1]
        shapes += [Shape("meaning_turn", "f4", (384, width)), Shape("meaning", "f2", (points, width))]
        heads.append("meaning")
    for head in heads:
        shapes += [
            Shape(f"{head}_weights", "f4", (points, targets)),
            Shape(f"{head}_shift", "f4", (targets,)),
        ]
    return shapes
