"""Reading what was attached, in the background: a few threads that take one waiting document each.

What waits stands in the database, so that a restart goes on where the process before was ended; a document
that ended it three times is given up. Expired files and what crashes left are taken away here too.
"""

import logging
import sqlite3
import threading
import time

from greenroom.errors import GreenroomError, MalformedRequest, NotFound, TooLarge
from greenroom.grounding.cutting import cut_document
from greenroom.grounding.index import DocumentIndex, Unread
from greenroom.grounding.text import MAX_BYTES, Unsupported

log = logging.getLogger("greenroom.ingestion")

THREADS = 2
"""Documents read at once."""
TRIES = 3
POLL_S = 0.5
"""How soon what another process attached is noticed; what this one attached is told by `wake`."""
TIDY_S = 60.0
FAREWELL_S = 5.0


class Ingestion:
    """Reads the waiting documents of an index, from `start` to `stop`."""

    def __init__(self, index: DocumentIndex) -> None:
        self._index = index
        self._stopping = threading.Event()
        self._waiting = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        for number in range(THREADS):
            thread = threading.Thread(
                target=self._run, args=(number == 0,), name=f"greenroom-ingestion-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def wake(self) -> None:
        """Say that something was attached."""
        self._waiting.set()

    def stop(self) -> None:
        """End after the documents at work, if they take no longer than `FAREWELL_S`. Safe to call twice.

        What was not read is read after the next start.
        """
        self._stopping.set()
        self.wake()
        deadline = time.monotonic() + FAREWELL_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads.clear()

    def read_next(self) -> bool:
        """Read one waiting document; False when none waits."""
        unread = self._index.claim()
        if unread is None:
            return False
        try:
            self._read(unread)
        finally:
            self._index.release(unread)
        return True

    def _read(self, unread: Unread) -> None:
        if unread.attempts >= TRIES:
            self._index.fail(
                unread, "server_error", "Reading the file failed several times. Attach it again."
            )
            return
        try:
            file = self._index.files.get(unread.project, unread.id)
            if file is None:
                self._index.fail(unread, "invalid_file", "The file was deleted or has expired.")
                return
            if file.bytes > MAX_BYTES:
                raise TooLarge(f"The document is larger than {MAX_BYTES // 1048576} MB. Split it.", "file")
            data = self._index.files.path(file).read_bytes()
            self._index.fill(unread, cut_document(unread.filename, data, unread.chunking))
        except Unsupported as error:
            self._index.fail(unread, "unsupported_file", str(error))
        except (MalformedRequest, TooLarge, NotFound) as error:
            self._index.fail(unread, "invalid_file", str(error))
        except sqlite3.Error:  # locked, or no room: it waits on, and counts as a try
            raise
        except GreenroomError as error:
            self._index.fail(unread, "server_error", str(error))
        except Exception as error:  # the edge of the thread: one document must not end the others
            log.exception("document not read", extra={"file": unread.id, "reason": type(error).__name__})
            self._index.fail(unread, "server_error", "Reading the file failed. The server's log says why.")

    def _run(self, tidies: bool) -> None:
        tidied_at = -TIDY_S
        while not self._stopping.is_set():
            try:
                if tidies and time.monotonic() - tidied_at >= TIDY_S:
                    tidied_at = time.monotonic()
                    self._index.tidy()
                while not self._stopping.is_set() and self.read_next():
                    pass
            except (sqlite3.Error, OSError) as error:
                log.error("documents not read yet", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
                self._stopping.wait(POLL_S)
            self._waiting.wait(POLL_S)
            self._waiting.clear()
