"""Vectors for documents, made in the background: a thread that looks for passages without one.

Passages of any process that writes the same file are found. Works at the lowest priority the system gives a
thread, a few passages at a time, so that questions go first; the index answers by words meanwhile. Knows an
encoder by contract.
"""

import logging
import os
import sqlite3
import sys
import threading
from collections.abc import Sequence

from greenroom.contracts import Encoder
from greenroom.grounding.index import DocumentIndex

log = logging.getLogger("greenroom.embedding")

POLL_S = 0.5
"""How often a changed index is looked for. A look costs 10 µs."""
PAUSE_S = 30.0
"""After the file could not be written."""
BATCH = 8
"""Vectors in one transaction: a quarter of a second of work."""
_NICE = 19


class Embedding:
    """Keeps the vectors of an index complete, in the encoder's languages.

    Collections in `spared` get theirs only once others do.
    """

    def __init__(self, index: DocumentIndex, encoder: Encoder, spared: Sequence[str] = ()) -> None:
        self._index = index
        self._encoder = encoder
        self._spared = tuple(spared)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="greenroom-embedding", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at work; what is missing is made after the next start. Safe to call twice."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def catch_up(self) -> int:
        """Make what is missing now; how many vectors that were. Ends early on `stop`."""
        made = self._make(self._spared)
        return made + self._make(()) if made and self._spared else made

    def _make(self, spared: Sequence[str]) -> int:
        encoder, made, last = self._encoder, 0, 0
        languages = sorted(encoder.languages)
        while not self._stopping.is_set():
            missing = self._index.without_vector(
                encoder.name, languages, spared=spared, after=last, limit=BATCH
            )
            if not missing:
                break
            vectors = encoder.encode([text for _, text in missing]).astype("<f2")
            ready = [(*one, vector.tobytes()) for one, vector in zip(missing, vectors, strict=True)]
            self._index.put_vectors(encoder.name, ready)
            made += len(ready)
            last = missing[-1][0]
        return made

    def _run(self) -> None:
        if sys.platform == "linux":  # elsewhere a thread has no priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        done = -1
        while not self._stopping.wait(POLL_S):
            try:
                now = self._index.generation()
                if now != done:
                    made = self.catch_up()
                    done = now
                    if made:
                        log.info("documents embedded", extra={"passages": made})
            except sqlite3.Error as error:  # locked, or no room: later
                log.error("documents not embedded", extra={"reason": str(error)})  # noqa: TRY400  # no stack
                self._stopping.wait(PAUSE_S)
            except Exception as error:  # the edge of the thread: words still find what has no vector
                log.exception("documents not embedded", extra={"reason": type(error).__name__})
                return
