"""JSON values written as TOML, so that reading it back gives the same. The standard library only reads."""

import json
import math
import re

from greenroom.prompts.version import Json

JSON = "$json"
"""A table with this key alone holds, as JSON, what TOML can't say: null, or a number beyond 64 bits."""
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_ESCAPED = re.compile(r'\\|"(?="")|[\x00-\x08\x0b-\x1f\x7f]')
_LARGEST = 2**63


def table(values: Json, *, path: str = "") -> str:
    """A table: plain values first, then tables and lists of tables under their own headings."""
    plain = [key for key, value in values.items() if not _has_heading(value)]
    lines = [f"{_key(key)} = {value(values[key])}" for key in plain]
    for key, one in values.items():
        if key in plain:
            continue
        below = f"{path}.{_key(key)}" if path else _key(key)
        for each in one if isinstance(one, list) else [one]:
            mark = f"[[{below}]]" if isinstance(one, list) else f"[{below}]"
            inner = table(each, path=below)
            needs_mark = isinstance(one, list) or not each or not all(map(_has_heading, each.values()))
            lines.append(f"\n{mark}\n{inner}".rstrip() if needs_mark else inner)
    return "\n".join(lines)


def value(one: object) -> str:
    """One value on the right of an equals sign."""
    if not _is_sayable(one):
        return f"{{ {_string(JSON)} = {_string(json.dumps(one, ensure_ascii=False))} }}"
    return _value(one)


def _value(one: object) -> str:
    if isinstance(one, bool):
        return "true" if one else "false"
    if isinstance(one, str):
        return _string(one)
    if isinstance(one, list | tuple):
        return "[" + ", ".join(_value(each) for each in one) + "]"
    if isinstance(one, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in one.items()) + " }"
    return repr(one)


def plain(one: object) -> object:
    """What was read, with what stood as JSON read too. Raises: ValueError."""
    if isinstance(one, dict):
        if one.keys() == {JSON}:
            return json.loads(one[JSON])
        return {key: plain(each) for key, each in one.items()}
    if isinstance(one, list):
        return [plain(each) for each in one]
    return one


def _has_heading(one: object) -> bool:
    if isinstance(one, dict):
        return JSON not in one
    return isinstance(one, list) and bool(one) and all(isinstance(each, dict) for each in one) and (
        not any(JSON in each for each in one)
    )  # fmt: skip


def _is_sayable(one: object) -> bool:
    if isinstance(one, dict):
        return JSON not in one and all(map(_is_sayable, one.values()))
    if isinstance(one, list | tuple):
        return all(map(_is_sayable, one))
    if isinstance(one, bool | str):
        return True
    if isinstance(one, int):
        return -_LARGEST <= one < _LARGEST
    return isinstance(one, float) and math.isfinite(one)


def _key(name: str) -> str:
    return name if _BARE.match(name) else _string(name, one_line=True)


def _string(text: str, *, one_line: bool = False) -> str:
    if "\n" not in text or one_line:
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    escaped = _ESCAPED.sub(_escape, text)
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    return f'"""\n{escaped}"""'


def _escape(found: re.Match[str]) -> str:
    one = found[0]
    return "\\" + one if one in {"\\", '"'} else f"\\u{ord(one):04x}"
