"""The catalogue of models: shipped with the package, replaced by command only. Read when it is first asked.

A newer one lies in the data folder as `catalogue.json`, put there by `greenroom models update`, and counts
from then on. Nothing here uses the network.
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Final

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.errors import RequestError, StoreError
from greenroom.models.catalogue.facts import Model, Source

SHIPPED: Final = Path(__file__).resolve().parents[2] / "data" / "models" / "models.json"
REPLACEMENT: Final = "catalogue.json"
"""In the data folder."""
LIMIT_BYTES: Final = 16 << 20
MOST_MODELS: Final = 20_000


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    edition: str
    """The day on which it was compiled."""
    notice: str
    sources: dict[str, Source]
    models: list[Model]


_decoder = Decoder(_File)


class Catalogue:
    """Models by name."""

    def __init__(self, data: bytes, origin: str) -> None:
        """Raises RequestError when the bytes are no catalogue. `origin` is how messages call it."""
        try:
            file = _decoder.decode(data)
        except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError(f"{origin} is no catalogue of models: {error}.") from None
        self.edition = file.edition
        self.notice = file.notice
        self.sources = file.sources
        self.models = {one.name: one for one in file.models}
        self.sha256 = hashlib.sha256(data).hexdigest()
        if not self.models or len(file.models) > MOST_MODELS:
            raise RequestError(f"{origin} holds no models, or more than {MOST_MODELS:,}.")
        if len(self.models) < len(file.models):
            raise RequestError(f"{origin} names a model twice.")
        for model in file.models:
            for name, fact in model.facts():
                if fact is not None and fact.source not in file.sources:
                    raise RequestError(
                        f"{origin}: the fact '{name}' of '{model.name}' names the source '{fact.source}', "
                        f"which it does not have."
                    )

    def find(self, name: str) -> Model | None:
        """A model by its name, in any case; `llama/NAME` finds the open weights NAME."""
        wanted = name.removeprefix("llama/")
        found = self.models.get(wanted)
        if found is None:
            lower = wanted.lower()
            found = next((one for key, one in self.models.items() if key.lower() == lower), None)
        return found


def open_catalogue(data: Path | None = None) -> Catalogue:
    """The catalogue that counts: the data folder's own, else the shipped one.

    Raises: RequestError when the data folder's is broken; `greenroom models update` mends that.
    """
    path = SHIPPED if data is None or not (data / REPLACEMENT).exists() else data / REPLACEMENT
    try:
        about = path.stat()
        return _open(path, about.st_mtime_ns, about.st_size)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}.") from None


@lru_cache(2)
def _open(path: Path, changed_ns: int, size: int) -> Catalogue:
    if size > LIMIT_BYTES:
        raise RequestError(f"{path} is larger than {LIMIT_BYTES >> 20} MB.")
    return Catalogue(path.read_bytes(), str(path))


def replace_catalogue(data: Path, content: bytes, sha256: str, origin: str) -> Catalogue:
    """Put another catalogue into the data folder, once its bytes and its checksum are right.

    Raises: RequestError where they are not, StoreError for the disk. Nothing is changed then.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.lower():
        raise RequestError(f"{origin} has the SHA-256 {found}, not {sha256.lower()}. Nothing was changed.")
    catalogue = Catalogue(content, origin)
    half = data / f"{REPLACEMENT}.{os.getpid()}.part"
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with half.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(data / REPLACEMENT)
    except OSError as error:
        raise StoreError(f"{half} can't be written: {error.strerror or error}.") from None
    return catalogue
