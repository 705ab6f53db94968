"""A number in a mapped file: survives the process, however it ends, and costs nothing to raise.

The recorder counts here what it accepted; the next start compares it with what was stored.
"""

import mmap
import os
from pathlib import Path

from greenroom.errors import StoreError


class Tally:
    """One 64-bit number. Raises: StoreError when its file cannot be used."""

    def __init__(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, 8)
                # Written, so that the file has its block: a mapped hole on a full disk kills its writer.
                os.pwrite(descriptor, os.pread(descriptor, 8, 0), 0)
                self._map = mmap.mmap(descriptor, 8)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"The file '{path.name}' beside the store cannot be written.") from error
        self.cells = memoryview(self._map).cast("Q")
        """The number is `cells[0]`; setting it there is the fast way."""

    @property
    def value(self) -> int:
        return self.cells[0]

    @value.setter
    def value(self, value: int) -> None:
        self.cells[0] = value

    def close(self) -> None:
        """Let the file go. `cells` must not be used after."""
        self.cells.release()
        self._map.close()
