"""`greenroom/minilm`: texts to vectors in this process, by all-MiniLM-L6-v2 under ONNX Runtime.

Needs the extra `embed`; its libraries and weights are loaded when the first vector is asked for. One thread,
one text after another: a text's vector does not depend on the others. Knows English: in other languages it
tells little. The graph and the tokenizer are made by `scripts/build_encoder.py`.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from greenroom.errors import ExtraMissing

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

NAME = "greenroom/minilm"
DIMENSIONS = 384
WINDOW = 256
"""Tokens the model takes at once, [CLS] and [SEP] among them."""
MOST = 8_192
"""Tokens of a text that count; 1 s of work."""
LONGEST = 16 * MOST
"""Characters of a text that are looked at."""
GLANCE = 24
"""Tokens that a glance takes, [CLS] and [SEP] among them."""
FOLDER = Path(__file__).resolve().parent.parent / "data" / "encoder"
INSTALL = "pip install onnxruntime tokenizers"

_REMEMBERED = 1024
_SHORT = 4_000
"""Characters of a text that is worth remembering by its whole self."""
_END = 400
"""Characters at either end of a text that hold the tokens of a glance."""
_CLS, _SEP = 101, 102


def is_installed() -> bool:
    """Whether the libraries of the extra `embed` are there. Imports none of them."""
    return find_spec("onnxruntime") is not None and find_spec("tokenizers") is not None


class _Loaded(NamedTuple):
    tokenizer: Any  # Any: of an optional library
    session: Any  # Any: of an optional library


class MiniLM:
    """An `Encoder` of 384 dimensions. Any thread may call; loading happens once."""

    name = NAME
    dimensions = DIMENSIONS
    languages = frozenset({"en"})

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._guard = threading.Lock()
        """Protects what is loaded, and what is remembered."""
        self._loaded: _Loaded | None = None
        self._known: OrderedDict[str, NDArray[float32]] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> "NDArray[float32]":
        """Unit vectors `(n, 384) float32`: 4 ms for a question, 30 ms for a passage. One alone is remembered.

        A text past 256 tokens is the mean of its windows, each by its length; past 8,192 nothing counts.
        Raises: ExtraMissing without the extra `embed`.
        """
        import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

        if len(texts) == 1:
            return self._remembered(texts[0])[np.newaxis]
        found = np.empty((len(texts), DIMENSIONS), np.float32)
        for place, text in enumerate(texts):
            found[place] = self._one(text)
        return found

    def glance(self, text: str) -> "NDArray[float32]":
        """A unit vector `(384,) float32` in about 2 ms however long the text: of 24 tokens from its two ends.

        That of `encode` where the text is no longer. Raises: ExtraMissing without the extra `embed`.
        """
        import numpy as np  # noqa: PLC0415 - as above

        tokenizer, session = self._load()
        seen = text if len(text) <= 2 * _END else f"{text[:_END]} {text[-_END:]}"
        ids = tokenizer.encode(seen).ids
        if len(ids) <= GLANCE and seen is text:
            return self._remembered(text)
        if len(ids) > GLANCE:
            half = (GLANCE - 2) // 2
            ids = [*ids[: half + 1], *ids[-half - 1 :]]
        found: NDArray[float32] = session.run(None, {"ids": np.array(ids, np.int64)})[0]
        return found

    def is_known(self, text: str) -> bool:
        """Whether this text's vector is remembered."""
        return text in self._known

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, [CLS] and [SEP] among them; past `MOST` it is not counted on.

        Raises: ExtraMissing.
        """
        encode = self._load().tokenizer.encode
        return [len(encode(one).ids) if len(one) <= LONGEST else MOST + 1 for one in texts]

    def _remembered(self, text: str) -> "NDArray[float32]":
        with self._guard:
            found = self._known.get(text)
            if found is not None:
                self._known.move_to_end(text)
                return found
        found = self._one(text)
        if len(text) <= _SHORT:
            with self._guard:
                self._known[text] = found
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return found

    def _one(self, text: str) -> "NDArray[float32]":
        import numpy as np  # noqa: PLC0415 - as above

        tokenizer, session = self._load()
        ids = np.array(tokenizer.encode(text[:LONGEST]).ids[:MOST], np.int64)
        if len(ids) <= WINDOW:
            found: NDArray[float32] = session.run(None, {"ids": ids})[0]
            return found
        inner, step = ids[1:-1], WINDOW - 2  # cut short or not, the last one is no loss
        total = np.zeros(DIMENSIONS, np.float32)
        for at in range(0, len(inner), step):
            window = inner[at : at + step]
            piece = np.concatenate(([_CLS], window, [_SEP]))
            total += session.run(None, {"ids": piece})[0] * len(window)
        return total / np.linalg.norm(total)

    def _load(self) -> _Loaded:
        if self._loaded is None:
            with self._guard:
                if self._loaded is None:
                    self._loaded = _load(self._folder)
        return self._loaded


def _load(folder: Path) -> _Loaded:
    if not is_installed():
        raise ExtraMissing(f"Embeddings are not installed here. Install them with: {INSTALL}")
    runtime, tokenizers = import_module("onnxruntime"), import_module("tokenizers")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # An arena keeps what its longest text needed for ever; without one a text costs 0.1 ms more.
    options.enable_cpu_mem_arena = False
    session = runtime.InferenceSession(
        str(folder / "minilm.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return _Loaded(tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), session)
