"""Keys of providers, sealed with AES-256-GCM under a master key that lies elsewhere.

A name is bound to its value: what was sealed for one provider can't be put under another. The master key
comes from the environment, or is made once and kept beside the store, readable by its owner only. Values are
never listed, logged or shown again.
"""

import base64
import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from greenroom.errors import NotFound, RequestError, StoreError
from greenroom.store.counted import CountedStore

VARIABLE = "GREENROOM_MASTER_KEY"
FILE_NAME = "master.key"
"""Where the master key lies that no environment gives; `greenroom db backup` leaves it out."""
SHORTEST = 16
"""Characters of a master key from the environment."""
LONGEST = 16_384
"""Characters of a provider's key."""
_NONCE_BYTES = 12
_TAG_BYTES = 16
_MIGRATIONS = (
    """
CREATE TABLE sealed (name TEXT PRIMARY KEY, box BLOB NOT NULL, set_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
""",
)


class SealedName(Struct, frozen=True):
    """For whom a key is sealed, and since when."""

    name: str
    set_ns: int


def master_key(folder: Path, environment: Mapping[str, str]) -> bytes:
    """32 bytes: from the environment by scrypt, else from the file in the data folder, made if need be.

    Raises: StoreError for a value too short, or a file that can't be read.
    """
    given = environment.get(VARIABLE, "").strip()
    if given:
        if len(given) < SHORTEST:
            raise StoreError(f"{VARIABLE} is too short to be a secret: give at least {SHORTEST} characters.")
        # scrypt with the parameters of RFC 7914, section 2, for interactive use.
        return hashlib.scrypt(given.encode(), salt=b"greenroom master key", n=2**14, r=8, p=1, dklen=32)
    path = folder / FILE_NAME
    try:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(secrets.token_bytes(32)))
        found = base64.b64decode(path.read_bytes(), validate=True)
    except (OSError, ValueError):
        found = b""
    if len(found) != 32:
        raise StoreError(
            f"'{FILE_NAME}' in the data folder is not a master key. Put it back, or move it away and set the "
            "providers' keys again with 'greenroom providers set-key'."
        )
    return found


class SealedKeys(CountedStore):
    """Providers' keys in one SQLite file. Raises: StoreError when the file cannot be used."""

    def __init__(self, path: Path, master: bytes) -> None:
        super().__init__(path, _MIGRATIONS)
        self._master = master

    def put(self, name: str, value: str) -> None:
        """Seal a provider's key; an earlier one is replaced. Raises: RequestError for what is no key."""
        if not value or len(value) > LONGEST or not value.isascii() or not value.isprintable():
            raise RequestError("A provider's key is one line of plain characters.", "key")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._cipher(name, nonce)
        text, tag = cipher.encrypt_and_digest(value.encode())
        with self._changing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO sealed VALUES (?, ?, ?)", (name, nonce + tag + text, time.time_ns())
            )

    def get(self, name: str) -> str | None:
        """A provider's key, or None. Raises: StoreError when it was sealed under another master key."""
        with self._reading() as connection:
            found = connection.execute("SELECT box FROM sealed WHERE name = ?", (name,)).fetchone()
        if found is None:
            return None
        box: bytes = found[0]
        nonce, tag, text = (
            box[:_NONCE_BYTES],
            box[_NONCE_BYTES : _NONCE_BYTES + _TAG_BYTES],
            box[_NONCE_BYTES + _TAG_BYTES :],
        )
        try:
            return bytes(self._cipher(name, nonce).decrypt_and_verify(text, tag)).decode()
        except ValueError:
            raise StoreError(
                f"The key of provider '{name}' was sealed under another master key. Give that one as "
                f"{VARIABLE}, or set the key again with 'greenroom providers set-key {name}'."
            ) from None

    def names(self) -> tuple[SealedName, ...]:
        """For whom keys are sealed."""
        with self._reading() as connection:
            return tuple(
                SealedName(*one) for one in connection.execute("SELECT name, set_ns FROM sealed ORDER BY 1")
            )

    def remove(self, name: str) -> None:
        """Forget a key. Raises: NotFound."""
        with self._changing() as connection:
            if not connection.execute("DELETE FROM sealed WHERE name = ?", (name,)).rowcount:
                raise NotFound(f"No key is kept for the provider '{name}'.")

    def _cipher(self, name: str, nonce: bytes) -> Any:  # Any: the library names the type in a private module
        from Crypto.Cipher import AES  # noqa: PLC0415  # 10 ms at import, and most stores hold no key

        cipher = AES.new(self._master, AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
        cipher.update(name.encode())
        return cipher
