"""Write an E5S1 container as an ONNX graph that computes in 8 bits.

The word table keeps its 4-bit blocks, exactly, and so do the matrices that lead out of the feed-forward layers:
what comes in there has outliers, and wants a scale per 32 values and not one per text (with one per text,
cosines to float32 fell from .9992 to .9968, at no gain in speed). Every other matrix becomes int8 with a scale
per output column, and its activations are quantised per text while it runs. Those weights use 7 of the 8 bits
(-64 to 64): without VNNI a processor sums 8-bit products in pairs in 16 bits, which full-range weights would
overflow, so that the same text would get different vectors on different machines.

Built node by node, in ONNX Runtime's fused operators, because a traced export has some 1,300 nodes that the
runtime's optimiser does not fuse back, and because the same container then always gives the same file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from zhiku_services.inference.bundles.e5_container import E5Container, Float32, Int8

_FUSED = "com.microsoft"
_TOP = 64
_INT8_ACTIVATIONS = 4


def write_graph(container: E5Container, path: Path) -> None:
    """Write the graph: `input_ids` and `attention_mask`, int64 (texts, tokens) → `sentence_embedding`, unit vectors.

    Pooling stands in the graph, so that what serves it needs neither torch nor sentence-transformers.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_Builder(container).build(), str(path))


class _Builder:
    def __init__(self, container: E5Container) -> None:
        self._container = container
        self._shape = container.shape
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.ModelProto:
        hidden = self._embeddings()
        mask = self._node("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
        for layer in range(self._shape.layers):
            hidden = self._layer(f"l{layer}", hidden, mask)
        self._pool(hidden)
        tokens = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        dimensions: list[str | int | None] = ["texts", self._shape.hidden]
        output = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, dimensions)
        graph = helper.make_graph(self._nodes, "multilingual-e5-small", tokens, [output], self._constants)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(_FUSED, 1)], ir_version=10
        )

    def _embeddings(self) -> str:
        shape = self._shape
        words, scales = self._container.blocks("emb.word", shape.vocabulary, shape.hidden)
        self._constants.append(_int4("word", words))
        self._node(
            "GatherBlockQuantized",
            ["word", "input_ids", self._constant("word.scale", scales)],
            "word.rows",
            domain=_FUSED,
            block_size=shape.block,
            gather_axis=0,
            quantize_axis=1,
        )
        # One kind of segment only: its vector is a part of each position's.
        segment = self._container.vector("emb.type", shape.token_types, shape.hidden)[0]
        places = self._container.vector("emb.pos", shape.positions, shape.hidden) + segment
        zero = self._constant("zero", np.array([0], np.int64))
        length = self._node("Shape", ["input_ids"], "length", start=1, end=2)
        self._node("Slice", [self._constant("place", places), zero, length, zero], "place.rows")
        self._node("Add", ["word.rows", "place.rows"], "embedded")
        norm = [self._vector("emb.ln.w"), self._vector("emb.ln.b")]
        return self._node("LayerNormalization", ["embedded", *norm], "embedded.norm", axis=-1, epsilon=shape.epsilon)

    def _layer(self, at: str, hidden: str, mask: str) -> str:
        wide, narrow = self._shape.feed_forward, self._shape.hidden
        attended = self._attention(at, hidden, mask)
        projected = self._linear(f"{at}.ao", attended, narrow, narrow, bias=True)
        middle = self._add_and_norm(f"{at}.aln", projected, hidden)
        inner = self._linear(f"{at}.fi", middle, wide, narrow, bias=False)
        active = self._node("BiasGelu", [inner, self._vector(f"{at}.fi.b", wide)], f"{at}.active", domain=_FUSED)
        outer = self._exact_linear(f"{at}.fo", active, narrow, wide)
        return self._add_and_norm(f"{at}.oln", outer, middle)

    def _attention(self, at: str, hidden: str, mask: str) -> str:
        size = self._shape.hidden
        parts = [_quantise(self._container.matrix(f"{at}.{part}.w", size, size)) for part in "qkv"]
        weight = self._constant(f"{at}.qkv", np.concatenate([whole for whole, _ in parts], axis=1))
        scale = self._constant(f"{at}.qkv.scale", np.concatenate([scale for _, scale in parts]))
        zero = self._constant(f"{at}.qkv.zero", np.zeros(3 * size, np.int8))
        bias = np.concatenate([self._container.vector(f"{at}.{part}.b", size) for part in "qkv"])
        whole, step, origin = f"{at}.in", f"{at}.in.scale", f"{at}.in.zero"
        self._nodes.append(helper.make_node("DynamicQuantizeLinear", [hidden], [whole, step, origin]))
        feeds = [whole, weight, self._constant(f"{at}.qkv.b", bias), step, scale, mask, origin, zero]
        return self._node("QAttention", feeds, f"{at}.attended", domain=_FUSED, num_heads=self._shape.heads)

    def _linear(self, name: str, feed: str, rows: int, columns: int, *, bias: bool) -> str:
        whole, scale = _quantise(self._container.matrix(f"{name}.w", rows, columns))
        feeds = [
            feed,
            self._constant(f"{name}.w", whole),
            self._constant(f"{name}.scale", scale),
            self._constant(f"{name}.zero", np.zeros(rows, np.int8)),
            *([self._vector(f"{name}.b", rows)] if bias else []),
        ]
        return self._node("DynamicQuantizeMatMul", feeds, f"{name}.out", domain=_FUSED)

    def _exact_linear(self, name: str, feed: str, rows: int, columns: int) -> str:
        whole, scale = self._container.blocks(f"{name}.w", rows, columns)
        # Unsigned, and counted from 8, which is the operator's default origin.
        packed = _pack((whole + 8).view(np.uint8)).reshape(rows, -1, self._shape.block // 2)
        weight = self._constant(f"{name}.w", packed)
        feeds = [feed, weight, self._constant(f"{name}.scale", scale.reshape(-1))]
        return self._node(
            "MatMulNBits",
            [*feeds, "", "", self._vector(f"{name}.b", rows)],
            f"{name}.out",
            domain=_FUSED,
            K=columns,
            N=rows,
            bits=4,
            block_size=self._shape.block,
            accuracy_level=_INT8_ACTIVATIONS,
        )

    def _pool(self, hidden: str) -> str:
        """The mean over the tokens that the mask keeps, brought to length 1."""
        kept = self._node("Cast", ["attention_mask"], "kept", to=TensorProto.FLOAT)
        weights = self._node("Unsqueeze", [kept, self._constant("last", np.array([2], np.int64))], "weights")
        weighted = self._node("Mul", [hidden, weights], "weighted")
        along = self._constant("along", np.array([1], np.int64))
        total = self._node("ReduceSum", [weighted, along], "total", keepdims=0)
        count = self._node("ReduceSum", [weights, along], "count", keepdims=0)
        mean = self._node("Div", [total, count], "mean")
        return self._node("LpNormalization", [mean], "sentence_embedding", axis=1, p=2)

    def _add_and_norm(self, name: str, feed: str, skip: str) -> str:
        feeds = [feed, skip, self._vector(f"{name}.w"), self._vector(f"{name}.b")]
        return self._node("SkipLayerNormalization", feeds, f"{name}.out", domain=_FUSED, epsilon=self._shape.epsilon)

    def _vector(self, name: str, size: int | None = None) -> str:
        return self._constant(name, self._container.vector(name, size or self._shape.hidden))

    def _constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, operator: str, feeds: Sequence[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, list(feeds), [output], domain=domain, **attributes))
        return output


def _quantise(matrix: Float32) -> tuple[Int8, Float32]:
    """Transpose a (rows, columns) matrix for `x @ w` and round it: int8 (columns, rows), a scale per row."""
    scale = np.abs(matrix).max(axis=1) / np.float32(_TOP)
    return np.rint(matrix.T / scale).astype(np.int8), scale


def _int4(name: str, whole: Int8) -> onnx.TensorProto:
    """Whole numbers from -8 to 7 as ONNX has INT4."""
    packed = _pack((whole.view(np.uint8) & np.uint8(15)).astype(np.uint8))
    return helper.make_tensor(name, TensorProto.INT4, whole.shape, packed.tobytes(), raw=True)


def _pack(halves: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Put numbers from 0 to 15 two to a byte along each row, the first in the low half."""
    return (halves[:, 0::2] | (halves[:, 1::2] << np.uint8(4))).astype(np.uint8)
