"""Prompts as files: TOML or JSON, one version a file, in a folder that git can keep.

Reading what was written gives the same version, whatever its texts hold. A folder has `NAME/vNUMBER.toml` for
each version and `NAME/labels.toml` for its labels; files written by hand may lie anywhere in it, without a
number.
"""

import json
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from greenroom.errors import PromptInvalid
from greenroom.prompts import toml
from greenroom.prompts.version import Json, LabelName, PromptVersion

Form = Literal["toml", "json"]
LABELS = "labels.toml"
MOST_BYTES = 4 * 1024 * 1024
"""Of one file."""
_Labels = dict[LabelName, int]


class Folder(NamedTuple):
    """What a folder holds."""

    versions: list[tuple[Path, PromptVersion]]
    labels: dict[str, dict[str, int]]
    """Prompt → label → number."""


def dumps(version: PromptVersion, form: Form = "toml", leave_out: Collection[str] = ()) -> str:
    """A version as the text of a file, without the fields that are left out."""
    values: Json = msgspec.json.decode(msgspec.json.encode(version))
    values = {name: one for name, one in values.items() if name not in leave_out}
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(values), indent=2).decode() + "\n"
    output = values.get("output")
    if output is not None:
        output["schema"] = json.dumps(output["schema"], ensure_ascii=False, indent=2)
    return toml.table(values).lstrip("\n") + "\n"


def loads(text: str, form: Form, source: str) -> PromptVersion:
    """A version from the text of a file. Raises: PromptInvalid naming `source` and the key."""
    try:
        values: Any = tomllib.loads(text) if form == "toml" else json.loads(text)  # Any: not looked at yet
        if form == "toml":
            values = toml.plain(values)
            output = values.get("output") if isinstance(values, dict) else None
            if isinstance(output, dict) and isinstance(output.get("schema"), str):
                output["schema"] = json.loads(output["schema"])
        version = msgspec.convert(values, PromptVersion)
        if msgspec.json.decode(msgspec.json.encode(version), type=PromptVersion) != version:
            raise PromptInvalid(f"{source}: a value is no JSON (a date, nan or inf). Write it as a string.")
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`").lstrip(".")
        raise PromptInvalid(
            f"{source}: {message}{f' (at {place})' if place else ''}.", place or None
        ) from None
    except (ValueError, RecursionError) as error:
        raise PromptInvalid(f"{source}: this is no {form.upper()}: {error}.") from None
    return version


def form_of(path: Path) -> Form | None:
    """The form a file's name says; None for what holds no prompt."""
    forms: dict[str, Form] = {".toml": "toml", ".json": "json"}
    return forms.get(path.suffix)


def read_file(path: Path | str) -> PromptVersion:
    """The version in one file. Raises: PromptInvalid."""
    path = Path(path)
    form = form_of(path)
    if form is None:
        raise PromptInvalid(f"{path}: a prompt's file ends in .toml or .json.")
    return loads(_text(path), form, str(path))


def read_folder(folder: Path | str) -> Folder:
    """All versions and labels in a folder and those below it, by path. Raises: PromptInvalid."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PromptInvalid(f"{folder} is no folder.")
    versions: list[tuple[Path, PromptVersion]] = []
    labels: dict[str, dict[str, int]] = {}
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        if path.name == LABELS:
            labels[path.parent.relative_to(folder).as_posix()] = _labels(path)
        elif form_of(path) is not None:
            versions.append((path, read_file(path)))
    seen: dict[tuple[str, int], Path] = {}
    for path, version in versions:
        if version.number and seen.setdefault((version.name, version.number), path) is not path:
            other = seen[version.name, version.number]
            raise PromptInvalid(f"{path} and {other} both say that they are '{version.reference}'.")
    return Folder(versions, labels)


def write_folder(
    folder: Path | str,
    versions: Iterable[PromptVersion],
    labels: Mapping[str, Mapping[str, int]],
    form: Form = "toml",
) -> list[Path]:
    """Write versions and labels; the files that were written, in order. Raises: PromptInvalid."""
    folder, written = Path(folder), list[Path]()
    try:
        for version in versions:
            path = folder / version.name / f"v{version.number}.{form}"
            _put(path, dumps(version, form))
            written.append(path)
        for name, known in labels.items():
            if known:
                path = folder / name / LABELS
                _put(path, toml.table(dict(sorted(known.items()))) + "\n")
                written.append(path)
    except OSError as error:
        raise PromptInvalid(f"{folder} can't be written: {error.strerror or error}.") from None
    return written


def _put(path: Path, text: str) -> None:
    """All of it or nothing: a file that is half written would be read as another prompt."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)


def _labels(path: Path) -> dict[str, int]:
    try:
        return msgspec.convert(tomllib.loads(_text(path)), _Labels)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise PromptInvalid(f"{path}: {error}. Labels are lines like: production = 3") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PromptInvalid(f"{path} is larger than {MOST_BYTES >> 20} MB.")
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise PromptInvalid(f"{path} is not UTF-8 text (at byte {error.start}). Save it as UTF-8.") from None
    except OSError as error:
        raise PromptInvalid(f"{path} can't be read: {error.strerror or error}.") from None
