"""A language model of some 20,000 parameters as a GGUF file, made on the spot: a real engine loads and runs it.

It is a llama of one layer whose attention and feed-forward add nothing, over a vocabulary of single bytes. The
output matrix is its embedding moved on by one letter, so that with temperature 0 it says the alphabet, whatever
it is asked: "abc…z", and then that it has ended. With `ignore_eos` it goes on for ever.
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH = 32
HEADS = 2
HIDDEN = 64
TRAINED_CONTEXT = 65_536
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
ALPHABET = "abcdefghijklmnopqrstuvwxyz"

_UINT32, _FLOAT32, _BOOL, _STRING, _ARRAY, _INT32 = 4, 6, 7, 8, 9, 5
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_ALIGNMENT = 32
_SPECIAL = ("<unk>", "<s>", "</s>", "▁")
"""The last is how this kind of vocabulary writes a space."""
_END, _SPACE = 2, 3


def write(path: Path) -> Path:
    """Write the model; about 130 KB. Returns `path`."""
    path.write_bytes(content())
    return path


def content() -> bytes:
    """The bytes of the file."""
    return _file(_tensors(), _metadata())


def write_adapter(path: Path, step: int) -> Path:
    """Write a LoRA adapter over the model that has it say every `step`-th letter: -1 is "zyx…a", 2 "ace…"."""
    words = len(_SPECIAL) + 256
    tensors = _tensors()
    embedding, output = tensors["token_embd.weight"], np.zeros((words, WIDTH), np.float32)
    for one in range(words):
        output[_next(one, step)] += 4 * embedding[one]
    path.write_bytes(
        _file(
            {
                "output.weight.lora_a": np.eye(WIDTH, dtype=np.float32),
                "output.weight.lora_b": output - tensors["output.weight"],
            },
            [
                _entry("general.architecture", _STRING, _text("llama")),
                _entry("general.type", _STRING, _text("adapter")),
                _entry("adapter.type", _STRING, _text("lora")),
                _entry("adapter.lora.alpha", _FLOAT32, struct.pack("<f", float(WIDTH))),
            ],
        )
    )
    return path


def _file(tensors: dict[str, NDArray[np.float32]], metadata: list[bytes]) -> bytes:
    head = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata)), *metadata]
    offset = 0
    for name, values in tensors.items():
        shape = values.shape[::-1]
        head.append(_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset))
        offset += _padded(values.nbytes)
    joined = b"".join(head)
    data = b"".join(values.tobytes().ljust(_padded(values.nbytes), b"\0") for values in tensors.values())
    return joined.ljust(_padded(len(joined)), b"\0") + data


def parameters() -> int:
    """How many numbers the model is."""
    return sum(values.size for values in _tensors().values())


def _tensors() -> dict[str, NDArray[np.float32]]:
    words = len(_SPECIAL) + 256
    embedding = np.random.default_rng(7).standard_normal((words, WIDTH)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    output = np.zeros_like(embedding)
    for one in range(words):
        output[_next(one)] += 4 * embedding[one]
    square = np.zeros((WIDTH, WIDTH), np.float32)
    ones = np.ones(WIDTH, np.float32)
    return {
        "token_embd.weight": embedding,
        "output_norm.weight": ones,
        "output.weight": output,
        "blk.0.attn_norm.weight": ones,
        **{f"blk.0.attn_{part}.weight": square for part in ("q", "k", "v", "output")},
        "blk.0.ffn_norm.weight": ones,
        "blk.0.ffn_gate.weight": np.zeros((HIDDEN, WIDTH), np.float32),
        "blk.0.ffn_up.weight": np.zeros((HIDDEN, WIDTH), np.float32),
        "blk.0.ffn_down.weight": np.zeros((WIDTH, HIDDEN), np.float32),
    }


def _next(token: int, step: int = 1) -> int:
    """The token after this one: the next letter; past the last the end; after a space the first; else itself."""
    byte = token - len(_SPECIAL)
    if ord("a") <= byte <= ord("z"):
        return token + step if ord("a") <= byte + step <= ord("z") else _END
    return ord("a" if step > 0 else "z") + len(_SPECIAL) if token in {_SPACE, _END} else token


def _metadata() -> list[bytes]:
    tokens = [*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL, _NORMAL, *[_BYTE] * 256]
    numbers = {
        "context_length": TRAINED_CONTEXT,
        "embedding_length": WIDTH,
        "block_count": 1,
        "feed_forward_length": HIDDEN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS,
        "vocab_size": len(tokens),
    }
    return [
        _entry("general.architecture", _STRING, _text("llama")),
        _entry("general.name", _STRING, _text("Alphabet")),
        *(_entry(f"llama.{name}", _UINT32, struct.pack("<I", one)) for name, one in numbers.items()),
        _entry("llama.attention.layer_norm_rms_epsilon", _FLOAT32, struct.pack("<f", 1e-5)),
        _entry("tokenizer.ggml.model", _STRING, _text("llama")),
        _entry("tokenizer.ggml.tokens", _ARRAY, _array(_STRING, [_text(one) for one in tokens])),
        _entry("tokenizer.ggml.scores", _ARRAY, _array(_FLOAT32, [struct.pack("<f", 0.0)] * len(tokens))),
        _entry(
            "tokenizer.ggml.token_type", _ARRAY, _array(_INT32, [struct.pack("<i", one) for one in kinds])
        ),
        *(
            _entry(f"tokenizer.ggml.{name}_token_id", _UINT32, struct.pack("<I", one))
            for name, one in (("unknown", 0), ("bos", 1), ("eos", _END))
        ),
        _entry("tokenizer.ggml.add_space_prefix", _BOOL, b"\0"),
        _entry("tokenizer.chat_template", _STRING, _text(TEMPLATE)),
    ]


def _entry(key: str, kind: int, value: bytes) -> bytes:
    return _text(key) + struct.pack("<I", kind) + value


def _array(kind: int, values: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
