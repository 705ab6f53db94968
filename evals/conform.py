"""`conform`: broken JSON against the value it was meant to be."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from evals.figures import Row, cpu, read_rows, share
from greenroom.stages.postprocess import json_text

_ROWS = 100
_WORDS = (
    "São Paulo", "it's", "price: 3, or 4", "a, b", "{x}", "[1]", "http://a.b/c?d=1#e", 'he said "no"', "ação",
    "50%",
    "line\nbreak", "C:\\dir\\new", "true", "null", "", "d'água", "um 'dois' três", "# tag", "O'Brien", "x: y",
)  # fmt: skip


def measure(data: Path) -> Iterator[Row]:
    """The set of the project, and own breakages of other kinds, made here of the same seed each time."""
    rows = read_rows(data / "text" / "json_repair_dev.jsonl")
    hits = sum(meant(row["text"]) == row["gold"] for row in rows)
    yield share("conform", "JSON as it was meant", "json_repair_dev", "all", hits, len(rows), (">=", 0.99))
    yield from cpu("conform", "json_repair_dev", "all", [row["text"] for row in rows], meant)
    chance = random.Random(5)
    total = 0
    for name, breaks in _BREAKAGES.items():
        values = [_value(chance) for _ in range(_ROWS)]
        hits = sum(meant(breaks(value, chance)) == value for value in values)
        total += hits
        yield share("conform", "JSON as it was meant", f"own, {name}", "all", hits, _ROWS)
    count = _ROWS * len(_BREAKAGES)
    yield share("conform", "JSON as it was meant", "own, all kinds", "all", total, count, (">=", 0.99))


def meant(text: str) -> Any:  # Any: JSON
    """The value that `conform` takes a text for."""
    try:
        return json_text.read(text.strip())
    except ValueError:
        found = json_text.find(text)
        return found[0].value if found else None


def _value(chance: random.Random) -> dict[str, Any]:
    keys = ("name", "ítem", "k", "user id", "preço")
    return {f"{chance.choice(keys)}{at}": _part(chance, 0) for at in range(chance.randint(1, 5))}


def _part(chance: random.Random, depth: int) -> Any:  # Any: JSON
    drawn = chance.random()
    if depth < 3 and drawn < 0.25:
        return _value(chance) if depth < 2 else {}
    if depth < 3 and drawn < 0.4:
        return [_part(chance, depth + 1) for _ in range(chance.randint(0, 4))]
    number = chance.choice([chance.randint(-999, 9999), round(chance.random() * 100, 2)])
    return chance.choice([chance.choice(_WORDS), number, True, False, None])


def _dump(value: Any, chance: random.Random) -> str:  # Any: JSON
    return json.dumps(value, ensure_ascii=False, indent=chance.choice([None, 2]))


def _closed_too_early(value: Any, chance: random.Random) -> str:  # Any: JSON
    text = _dump(value, chance)
    for _ in range(chance.randint(1, 2)):
        text = text[:-1].rstrip() if text.endswith(("}", "]")) else text
    return text


def _quoted(value: Any, opening: str, closing: str) -> str:  # Any: JSON
    out: list[str] = []
    text, at, is_open = json.dumps(value, ensure_ascii=False), 0, False
    while at < len(text):
        size = 2 if text[at] == "\\" else 1
        piece = text[at : at + size]
        if piece == '"':
            is_open = not is_open
            piece = opening if is_open else closing
        elif closing == "'":
            piece = {'\\"': '"', "'": "\\'"}.get(piece, piece)
        out.append(piece)
        at += size
    return "".join(out)


def _commented(value: Any, chance: random.Random) -> str:  # Any: JSON
    lines = json.dumps(value, ensure_ascii=False, indent=2).split("\n")
    lines[chance.randrange(len(lines) - 1)] += chance.choice([" // a note", " /* a, b: {c} */", " # nota"])
    return "\n".join(lines)


def _without_comma(value: Any, chance: random.Random) -> str:  # Any: JSON
    lines = json.dumps(value, ensure_ascii=False, indent=2).split("\n")
    ends = [at for at, line in enumerate(lines) if line.endswith(",")]
    if ends:
        at = chance.choice(ends)
        lines[at] = lines[at][:-1]
    return "\n".join(lines)


_BREAKAGES: dict[str, Callable[[Any, random.Random], str]] = {
    "Python": lambda value, _: f"Result: {value!r}",
    "one comma more": lambda value, chance: _dump(value, chance)[:-1].rstrip() + ",}",
    "brackets missing": _closed_too_early,
    "curly quotes": lambda value, _: _quoted(value, "“", "”"),
    "single quotes": lambda value, _: _quoted(value, "'", "'"),
    "quotes not escaped": lambda value, _: json.dumps(value, ensure_ascii=False).replace('\\"', '"'),
    "escaped wrongly": lambda value, _: json.dumps(value, ensure_ascii=False).replace("'", "\\'"),
    "comments": _commented,
    "a comma missing": _without_comma,
    "words and fence": lambda value, chance: (
        f"Segue [1]:\n```json\n{_dump(value, chance)}\n```\nAlgo {{mais}}?"
    ),
    "an example first": lambda value, chance: f'Such as {{"x": 1}}. Here: {_dump(value, chance)}',
}
