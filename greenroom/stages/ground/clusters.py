"""Groups of words that are used alike, across English, Portuguese and Spanish.

A lookup: word, as written or else in small letters, to the numbers of a coarse and a fine group. Made by
scripts/build_entity_words.py; a word that is not in the table has no group.
"""

from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any


class WordClusters:
    """The table `words.marisa` of a folder; read when first asked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "words.marisa"

    @cached_property
    def _table(self) -> Any:  # Any: the module has no types
        table = import_module("marisa_trie").RecordTrie("<HB")
        table.load(str(self._path))  # mapped, it would keep a descriptor
        return table

    def __call__(self, word: str) -> tuple[str, ...]:
        """`("f812", "q101", "h27")`: fine group, coarse group, and how rare and how often capital it is."""
        table = self._table
        lower = word.lower()
        found = table.get(word) or (table.get(lower) if lower != word else None)
        if not found:
            return ()
        fine, habits = found[0]
        return (f"f{fine}", f"q{fine >> 3}", f"h{habits}")
