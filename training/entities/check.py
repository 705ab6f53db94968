"""Check the marked sentences: brackets, labels, blank and repeated lines; print the counts."""

import re
import sys
from collections import Counter
from pathlib import Path

LABELS = ("PER", "LOC", "ORG")
ENTITY = re.compile(r"\[(\w+) ([^\[\]]+)\]")


def faults(lines: list[str]) -> list[str]:
    """What is wrong in the lines, one message a fault with its line number."""
    found: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line != line.strip():
            found.append(f"{number}: blank line or space at an end")
        found += [f"{number}: label {e[1]}" for e in ENTITY.finditer(line) if e[1] not in LABELS]
        found += [
            f"{number}: space at an end of {e[0]}" for e in ENTITY.finditer(line) if e[2] != e[2].strip()
        ]
        plain = ENTITY.sub(r"\2", line)
        if "[" in plain or "]" in plain:
            found.append(f"{number}: bracket outside an entity")
        if plain in seen:
            found.append(f"{number}: the same as line {seen[plain]}")
        seen.setdefault(plain, number)
    return found


def main() -> int:
    """Check every list beside this file; 1 if a fault was found."""
    bad = 0
    for path in sorted(Path(__file__).parent.glob("*.txt")):
        lines = path.read_text("utf-8").splitlines()
        counts = Counter(e[1] for line in lines for e in ENTITY.finditer(line))
        bare = sum(not ENTITY.search(line) for line in lines)
        labels = ", ".join(f"{label} {counts[label]}" for label in LABELS)
        print(f"{path.name}: {len(lines)} sentences, {bare} without an entity; {labels}")
        for fault in faults(lines):
            print(f"{path.name}:{fault}")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
