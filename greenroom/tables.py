"""Tables of a TOML file turned into their Structs; mistakes are told by file, line and nearest known key."""

import re
from typing import TypeVar

import msgspec

from greenroom.errors import ConfigError, nearest

T = TypeVar("T")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")


def decode_table(tables: object, kind: type[T], source: str, text: str = "", prefix: str = "") -> T:
    """Turn a TOML table into its Struct. Raises ConfigError naming `source`, the line and the key."""
    try:
        return msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        path = _with_name(tables, kind, path.rstrip("`").lstrip("."))
        place = prefix + path
        unknown = _UNKNOWN.search(message)
        hint = ""
        if unknown is not None:
            name = unknown[1]
            message = f"unknown key '{name}'"
            close = nearest(name, _known_keys(kind, path))
            hint = f"; did you mean '{close}'?" if close else ""
            place = f"{place.rstrip('.')}.{name}".lstrip(".")
        raise ConfigError(
            f"{source}{at_line(text, place)}: {message}{hint} (at '{place or 'the top'}')."
        ) from None


def at_line(text: str, place: str) -> str:
    """Say ", line 12" where the key of this dotted name stands in the text; empty where that is not sure."""
    line = _line_of(text, place)
    return f", line {line}" if line else ""


def _with_name(tables: object, kind: object, path: str) -> str:
    """The path of a mistake with the name of its table, where msgspec says `[...]`."""
    head, mark, rest = path.partition("[...]")
    named = tables.get(head) if mark and isinstance(tables, dict) else None
    if isinstance(named, dict):
        for name, table in named.items():
            try:
                msgspec.convert({head: {name: table}}, kind)
            except msgspec.ValidationError as error:
                if str(error).partition(" - at `$")[2].rstrip("`").lstrip(".") == path:
                    return f"{head}.{name}{rest}"
    return path


def _known_keys(kind: object, path: str) -> list[str]:
    """Field names of the Struct that `path` leads to."""
    info = msgspec.inspect.type_info(kind)
    for step in [part for part in re.split(r"[.\[\]]", path) if part]:
        if isinstance(info, msgspec.inspect.StructType):
            found = next((field.type for field in info.fields if field.encode_name == step), None)
            if found is None:
                return []
            info = found
        elif isinstance(info, msgspec.inspect.DictType):
            info = info.value_type
    if isinstance(info, msgspec.inspect.StructType):
        return [field.encode_name for field in info.fields]
    return []


def _line_of(text: str, place: str) -> int | None:
    """The line where a key stands: by its last name, under its table's heading where there is one."""
    names = [name for name in re.split(r"[.\[\]]", place) if name and name != "..." and not name.isdigit()]
    if not names or not text:
        return None
    table = ".".join(names[:-1])
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            current = stripped.strip("[] ").replace('"', "")
            if current == ".".join(names):
                return number
        elif re.match(rf"\"?{re.escape(names[-1])}\"?\s*=", stripped) and (
            not table or current == table or "..." in place
        ):
            return number
    return None
