"""Imports point one way, nobody imports in a circle, and no file grows past what one can hold in mind."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "greenroom"

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "usage", "exchange", "contracts", "running", "wire"}),
    frozenset({"stages", "models", "grounding", "store", "prompts"}),
    frozenset({"gateway"}),
    frozenset({"offline", "server", "testing"}),
    frozenset({"config", "tables", "logs", "assembly"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# The waist and its dialects, and configuration and assembly, belong together; other packages of a row
# never import each other.
SIBLINGS_MAY = frozenset({0, LEVEL["assembly"]})

# Imports upwards that are meant, as "importer imported": reason.
EXCEPTIONS: dict[str, str] = {}

LONGEST_FILE = 400

# Files that may be longer, with the reason.
LONG_FILES: dict[str, str] = {}


def module_name(path: Path) -> str:
    """`greenroom/models/dispatch.py` → `greenroom.models.dispatch`; a package is named without `__init__`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_for_types(node: ast.AST) -> bool:
    """Whether this is `if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def imported_modules(name: str, path: Path) -> tuple[tuple[str, bool], ...]:
    """As `_imported_modules` says; a file is read once for all tests."""
    return tuple(_imported_modules(name, path))


def _imported_modules(name: str, path: Path) -> Iterator[tuple[str, bool]]:
    """Every module of Greenroom that a file imports, and whether it does so while it is loaded itself."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    later = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or is_for_types(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        at_once = id(node) not in later
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "greenroom":
                    yield alias.name, at_once
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            if base.partition(".")[0] != "greenroom":
                continue
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield (whole if whole in MODULES else base), at_once


def room(module: str) -> str | None:
    """The part of Greenroom a module belongs to; None for the package itself, which has no layer."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def fault(importer: str, imported: str) -> str | None:
    """What is wrong with one import, or None."""
    source, target = room(importer), room(imported)
    if source is None or target is None or source == target or f"{importer} {imported}" in EXCEPTIONS:
        return None
    if source not in LEVEL or target not in LEVEL:
        return f"{importer} imports {imported}: '{source if source not in LEVEL else target}' has no layer"
    if LEVEL[target] > LEVEL[source]:
        return f"{importer} imports {imported}, which lies above it"
    if LEVEL[target] == LEVEL[source] and LEVEL[source] not in SIBLINGS_MAY:
        return f"{importer} imports {imported}, its neighbour"
    return None


def circle(graph: dict[str, set[str]]) -> list[str] | None:
    """One circle of imports, its first module repeated at the end, or None."""
    done: set[str] = set()
    for start in graph:
        trail: list[str] = []
        branches: list[Iterator[str]] = []
        node: str | None = start
        while node is not None or branches:
            if node is not None and node in trail:
                return [*trail[trail.index(node) :], node]
            if node is not None and node not in done:
                trail.append(node)
                branches.append(iter(sorted(graph.get(node, ()))))
            node = next(branches[-1], None) if branches else None
            if node is None and branches:
                branches.pop()
                done.add(trail.pop())
    return None


def test_every_import_points_down() -> None:
    faults = [
        sentence
        for name, path in MODULES.items()
        for imported, _ in imported_modules(name, path)
        if (sentence := fault(name, imported))
    ]

    assert not faults, "\n".join(faults)


def test_nobody_imports_in_a_circle() -> None:
    graph = {
        name: {other for other, at_once in imported_modules(name, path) if at_once and other != name}
        for name, path in MODULES.items()
    }

    found = circle(graph)

    assert found is None, " → ".join(found or ())


def test_a_circle_is_found_when_there_is_one() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_no_file_grows_past_four_hundred_lines_without_a_reason() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in MODULES.values()
    }

    assert {
        name: many for name, many in lines.items() if many > LONGEST_FILE and name not in LONG_FILES
    } == {}


def test_every_reason_for_a_long_file_still_has_its_file() -> None:
    assert [name for name in LONG_FILES if not (ROOT / name).is_file()] == []
