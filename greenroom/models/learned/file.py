"""A trained router as one file: what it knows in JSON, then its numbers, then a digest of both.

    GRNROUTE | version, 2 bytes | length of the header, 4 bytes | header, JSON | arrays | SHA-256, 32 bytes

All integers and numbers are little-endian; an array's kind and shape stand in the header. Nothing in it is
run: a file from a stranger can be wrong, and is then refused, but can do nothing. It holds neither words nor
vectors of prompts, but hashes of their words, which tell who guesses a word that it was there: keep it as you
keep traces.
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
from greenroom.models.learned.features import BUCKETS, DIMENSIONS, FORMS, MEANING, SKETCH, TOPICS
from greenroom.models.learned.forest import Forest, mistake

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]  # Any: of the kind that the header says

MAGIC = b"GRNROUTE"
VERSION = 2
LARGEST = 256 << 20
"""Bytes of a file that is read."""
MOST_TARGETS = 64
MOST_PROMPTS = 8_000
"""A router is trained on at most so many prompts: about a minute, and 400 MB meanwhile."""
_LONGEST_HEADER = 1 << 20
_START = Packed("<8sHI")
_DIGEST = 32
_KINDS = {"u1": 1, "f2": 2, "f4": 4, "i4": 4}

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
    kind: Literal["u1", "f2", "f4", "i4"]
    shape: Annotated[tuple[Annotated[int, Meta(ge=0, le=1 << 24)], ...], Meta(min_length=1, max_length=2)]


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
    known_meaning: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Of its meaning, the least part in known directions, where there are vectors."""
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
    kinds = {one.name: one.kind for one in wanted(trained.header, trained.arrays)}
    shapes = tuple(Shape(name, kinds[name], one.shape) for name, one in trained.arrays.items())
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
        found = np.frombuffer(data, f"<{one.kind}", prod(one.shape), at).reshape(one.shape)
        if one.kind == "f2":
            found = found.astype(np.float32)
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
    if "meaning_turn" in arrays and any(one.with_meaning is None for one in header.targets):
        raise ConfigError("It has vectors, and a target without a curve for them.")
    for shape in wanted(header, arrays):
        found = arrays.get(shape.name)
        if found is None or found.shape != shape.shape:
            raise ConfigError(f"Its array '{shape.name}' is not of the shape {shape.shape}.")
        if (found.dtype.kind == "f") != shape.kind.startswith("f"):
            raise ConfigError(f"Its array '{shape.name}' is not of the kind {shape.kind}.")
    for head, width in heads(arrays).items():
        wrong = mistake(forest_of(arrays, head), width)
        if wrong is not None:
            raise ConfigError(f"Its trees of '{head}' have {wrong}.")


def forest_of(arrays: "dict[str, Array]", head: str) -> Forest:
    """The trees that go by words and form, or by meaning too."""
    return Forest(*(arrays[f"{head}_{name}"] for name in Forest._fields))


def heads(arrays: "dict[str, Array]") -> dict[str, int]:
    """By what guesses are made, each with how many numbers of a prompt it goes by."""
    found = {"words": FORMS + TOPICS}
    if "meaning_turn" in arrays:
        found["meaning"] = FORMS + TOPICS + MEANING
    return found


def wanted(header: Header, arrays: "dict[str, Array]") -> list[Shape]:
    """The arrays that a router must have."""
    targets = len(header.targets)
    shapes = [Shape("rarity", "f2", (BUCKETS,)), Shape("words_turn", "f2", (SKETCH, TOPICS))]
    if "meaning_turn" in arrays:
        shapes.append(Shape("meaning_turn", "f2", (DIMENSIONS, MEANING)))
    for head in heads(arrays):
        nodes, trees, leaves = (len(arrays.get(f"{head}_{one}", ())) for one in ("child", "roots", "values"))
        shapes += [
            Shape(f"{head}_mean", "f4", (targets,)), Shape(f"{head}_asked", "u1", (nodes,)),
            Shape(f"{head}_above", "f4", (nodes,)), Shape(f"{head}_child", "i4", (nodes,)),
            Shape(f"{head}_roots", "i4", (trees,)), Shape(f"{head}_values", "f2", (leaves, targets)),
        ]  # fmt: skip
    return shapes
