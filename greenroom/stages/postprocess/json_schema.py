"""A caller's JSON Schema, held against values: bounded in size, depth and work, and nothing is ever fetched.

Knows jsonschema-rs, which is loaded when the first schema comes. What is said about a value names places and
rules; the values themselves do not appear.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import DecodeError
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest

MOST_BYTES = 256 * 1024
MOST_DEPTH = 96
MOST_WORK = 1_000_000
"""Rules held against one path through a value; the library does 20 million a second, without a pause."""
MOST_IN_ALL = 50_000_000
"""The same times all values there are."""
MOST_KINDS = 64
"""Schemas kept ready."""
_SAID = 5
"""Faults that are named."""
_IN_PLACE = frozenset({
    "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref", "$dynamicRef", "$recursiveRef",
    "dependentSchemas", "dependencies",
})  # fmt: skip
"""Keywords that hold a schema against the value itself, not against a part of it."""
_NO_SCHEMA = frozenset({"const", "enum", "default", "examples", "description", "title", "pattern"})

_any: Decoder[Any] = Decoder()  # Any: a schema


class _Compiled(Protocol):
    def iter_errors(self, instance: Any) -> Any: ...  # Any: JSON in, the library's errors out


class Schema:
    """One schema, ready. Raises MalformedRequest for one that can't be used, naming the field `param`."""

    def __init__(self, raw: bytes, param: str) -> None:
        self.param = param
        if len(raw) > MOST_BYTES:
            raise MalformedRequest(f"'{param}' is larger than {MOST_BYTES // 1024} KB.", param)
        try:
            schema = _any.decode(raw)
            self._work = Work(schema)
        except (DecodeError, RecursionError):
            raise MalformedRequest(f"'{param}' is nested too deeply, or no JSON.", param) from None
        if not isinstance(schema, dict | bool) or self._work.depth > MOST_DEPTH:
            raise MalformedRequest(f"'{param}' is no schema, or nested deeper than {MOST_DEPTH}.", param)
        self._compiled = _compile(schema, param)

    def faults(self, value: Any) -> list[str]:  # Any: JSON
        """What is wrong with a value, up to five sentences; empty when it conforms.

        Raises: MalformedRequest for a schema whose rules multiply past all bounds on this value.
        """
        size, depth = measure(value)
        work = self._work.along(depth)
        if work > MOST_WORK or work * size > MOST_IN_ALL:
            raise MalformedRequest(
                f"'{self.param}' takes too much work to be held against an answer.", self.param
            )
        found: list[str] = []
        for error in self._compiled.iter_errors(value):
            place = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in error.instance_path)
            found.append(f"{place.lstrip('.') or 'the whole'}: {error.message}")
            if len(found) == _SAID:
                break
        return found


def _compile(schema: Any, param: str) -> _Compiled:  # Any: JSON
    from jsonschema_rs import FancyRegexOptions, ReferencingError, ValidationError, validator_for  # noqa: PLC0415  # 9 MiB

    try:
        compiled: _Compiled = validator_for(
            schema,
            offline=True,
            mask="value",
            pattern_options=FancyRegexOptions(
                backtrack_limit=10_000, size_limit=1 << 20, dfa_size_limit=1 << 20
            ),
        )
    except (ValidationError, ReferencingError, ValueError) as error:
        reason = str(error).split("\n", 1)[0][:200]
        raise MalformedRequest(f"'{param}' can't be used as a schema: {reason}", param) from None
    return compiled


def measure(value: Any) -> tuple[int, int]:  # Any: JSON
    """How many values a value is made of, and how deep it goes."""
    count = deepest = 0
    waiting = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        count += 1
        deepest = max(deepest, depth)
        if isinstance(one, dict):
            waiting += [(part, depth + 1) for part in one.values()]
        elif isinstance(one, list):
            waiting += [(part, depth + 1) for part in one]
    return count, deepest


class Work:
    """How many rules a schema can come to hold against one path through a value, references followed.

    Counted by what each `$ref` leads to, in place or one level down the value: `allOf` of two references to
    a schema that does the same, twenty times over, is a million rules in a kilobyte.
    """

    def __init__(self, schema: Any) -> None:  # Any: JSON
        self._root = schema
        self._names: dict[str, Any] = {}
        self._parts: dict[int, tuple[int, list[Any], list[Any]]] = {}
        self.depth = self._name(schema)

    def _name(self, schema: Any) -> int:  # Any: JSON
        deepest = 0
        waiting = [(schema, 1)]
        while waiting:
            one, depth = waiting.pop()
            deepest = max(deepest, depth)
            if isinstance(one, Mapping):
                for key in ("$id", "$anchor", "$dynamicAnchor"):
                    if isinstance(one.get(key), str):
                        self._names[one[key].removeprefix("#")] = one
                waiting += [(part, depth + 1) for part in one.values()]
            elif isinstance(one, list):
                waiting += [(part, depth + 1) for part in one]
        return deepest

    def along(self, depth: int) -> int:
        """Rules along a path of `depth` values; no more than a little over `MOST_WORK` is told."""
        targets = [self._root, *self._targets()]
        below: dict[int, int] = {}
        for _ in range(min(depth, MOST_DEPTH) if len(targets) > 1 else 1):
            counted: dict[int, int] = {}
            for target in targets:
                self._count(target, below, counted, ())
            below = counted
        return below[id(self._root)]

    def _targets(self) -> list[Any]:
        found: dict[int, Any] = {}
        waiting = [self._root]
        while waiting:
            _, beside, down = self._of(waiting.pop())
            for one in (*beside, *down):
                if id(one) not in found:
                    found[id(one)] = one
                    waiting.append(one)
        return list(found.values())

    def _count(
        self, schema: Any, below: dict[int, int], counted: dict[int, int], open_: tuple[int, ...]
    ) -> int:  # Any: JSON
        own = id(schema)
        if own in counted:
            return counted[own]
        if own in open_ or len(open_) > MOST_DEPTH:
            return 0  # a circle in place: the library goes round it once
        size, beside, down = self._of(schema)
        total = size + sum(self._count(one, below, counted, (*open_, own)) for one in beside)
        total += sum(below.get(id(one), 0) for one in down)
        counted[own] = min(total, 2 * MOST_WORK)
        return counted[own]

    def _of(self, schema: Any) -> tuple[int, list[Any], list[Any]]:  # Any: JSON
        """Size of a schema without its references, and where these lead: in place, and for parts."""
        known = self._parts.get(id(schema))
        if known is not None:
            return known
        size, beside, down = 0, list[Any](), list[Any]()
        waiting = [(schema, True)]
        while waiting:
            one, is_here = waiting.pop()
            if isinstance(one, list):
                waiting += [(part, is_here) for part in one]
            if not isinstance(one, Mapping):
                continue
            size += 1
            for key, part in one.items():
                if key in {"$defs", "definitions"} or key in _NO_SCHEMA:
                    continue
                if key in {"$ref", "$dynamicRef", "$recursiveRef"} and isinstance(part, str):
                    (beside if is_here else down).append(self._led_to(part))
                else:
                    waiting.append((part, is_here and key in _IN_PLACE))
        self._parts[id(schema)] = size, beside, down
        return self._parts[id(schema)]

    def _led_to(self, reference: str) -> Any:  # Any: JSON
        path = reference.removeprefix("#")
        if path in self._names or reference in self._names:
            return self._names.get(path, self._names.get(reference))
        found = self._root
        for part in path.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~").replace("%25", "%")
            if isinstance(found, Mapping) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                return self._root
        return found
