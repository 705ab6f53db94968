"""The vectors of passages, in memory: which are nearest to the question's.

Exact: every vector of a collection is multiplied with the question's, 1 ms for 10,000. Past `EXACT` passages
only those that words propose are looked at, by their rows in the file. Knows no words and no encoder.
"""

import threading
from collections.abc import Collection, Sequence
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from msgspec.json import Encoder

from greenroom.grounding.database import Database

if TYPE_CHECKING:
    from numpy import bool_, float32, int64
    from numpy.typing import NDArray

EXACT = 20_000
"""Passages that a search compares its vector with; 31 MB in memory."""
_KEPT = 4 * EXACT
"""Vectors kept in memory, of all collections."""
_STALE_S = 1.0
"""For so long new vectors of old documents may wait to be seen: many come by the second while some do."""
_VECTORS = """
    SELECT v.passage, p.document, v.vector
    FROM documents d JOIN passages p ON p.document = d.number JOIN vectors v ON v.passage = p.id
    WHERE d.collection = ? AND v.encoder = ? ORDER BY v.passage
"""
_encode = Encoder().encode


class Asked(NamedTuple):
    """The vector of a question, and whose it is."""

    encoder: str
    vector: "NDArray[float32]"


class _Matrix(NamedTuple):
    state: tuple[int, int]
    read_at: float
    passages: "NDArray[int64]"
    """Sorted."""
    documents: "NDArray[int64]"
    vectors: "NDArray[float32]"


class Vectors:
    """Cosines of passages. Any thread may call."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._guard = threading.Lock()
        """Protects `_kept`."""
        self._kept: dict[tuple[int, str], _Matrix] = {}

    def nearest(
        self,
        asked: Asked,
        homes: Sequence[int],
        *,
        limit: int,
        proposed: Collection[int],
        documents: Sequence[int] | None,
    ) -> dict[int, float]:
        """Passage → cosine: the `limit` nearest, and the `proposed` ones that have a vector.

        `homes` are numbers of collections, `documents` of those that alone count, if given.
        """
        import numpy as np  # noqa: PLC0415 - 20 MiB that searches without vectors can do without

        found: dict[int, float] = {}
        for home in homes:
            matrix = self._matrix(home, asked.encoder)
            if not len(matrix.passages):
                continue
            cosines = matrix.vectors @ asked.vector
            wanted = cosines
            if documents is not None:
                seen: NDArray[bool_] = np.isin(matrix.documents, documents)
                wanted = np.where(seen, cosines, -1.0)
            best = np.argpartition(-wanted, limit)[:limit] if len(wanted) > limit else np.arange(len(wanted))
            found.update((int(matrix.passages[at]), float(cosines[at])) for at in best if wanted[at] > -1)
            known = np.searchsorted(matrix.passages, list(proposed))
            for passage, at in zip(proposed, known, strict=True):
                if at < len(matrix.passages) and matrix.passages[at] == passage:
                    found[passage] = float(cosines[at])
        near = sorted(found, key=found.__getitem__, reverse=True)[:limit]
        return {passage: found[passage] for passage in {*near, *(found.keys() & set(proposed))}}

    def of(self, asked: Asked, proposed: Collection[int]) -> dict[int, float]:
        """Passage → cosine, of these alone, read from the file."""
        import numpy as np  # noqa: PLC0415 - as above

        rows = self._db.connection().execute(
            "SELECT passage, vector FROM vectors"
            " WHERE encoder = ? AND passage IN (SELECT value FROM json_each(?))",
            (asked.encoder, _encode(list(proposed)).decode()),
        )
        return {passage: float(np.frombuffer(blob, "<f2") @ asked.vector) for passage, blob in rows}

    def _matrix(self, home: int, encoder: str) -> _Matrix:
        state, now = self._db.state(), monotonic()
        with self._guard:
            kept = self._kept.get((home, encoder))
        if kept is not None and (
            kept.state == state or (kept.state[0] == state[0] and now - kept.read_at < _STALE_S)
        ):
            return kept
        read = self._read(home, encoder, state, now)
        with self._guard:
            self._kept.pop((home, encoder), None)
            while self._kept and sum(len(one.passages) for one in self._kept.values()) > _KEPT - EXACT:
                del self._kept[next(iter(self._kept))]
            self._kept[home, encoder] = read
        return read

    def _read(self, home: int, encoder: str, state: tuple[int, int], now: float) -> _Matrix:
        import numpy as np  # noqa: PLC0415 - as above

        rows = self._db.connection().execute(_VECTORS, (home, encoder)).fetchall()
        blob = b"".join(row[2] for row in rows)
        return _Matrix(
            state,
            now,
            np.array([row[0] for row in rows], np.int64),
            np.array([row[1] for row in rows], np.int64),
            np.frombuffer(blob, "<f2").reshape(len(rows), -1 if rows else 0).astype(np.float32),
        )
