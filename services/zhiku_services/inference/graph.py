"""Embedding by a graph that takes tokens and gives sentence vectors: neither torch nor transformers is loaded.

sentence-transformers runs graphs itself, through optimum; its releases for ONNX (0.1.0) and OpenVINO (2.2.0)
demand transformers below 4.58 and 5.6, and we run 5.23. Importing sentence-transformers also costs more time
and memory than the model does, which a process that only serves need not pay.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

Tokens = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Graph = Callable[[Tokens, Tokens], Vectors]
"""Ids and mask of shape (texts, tokens) → unit vectors of shape (texts, dimensions)."""

ONNX_INT8 = "onnx/sentence_embedding_int8.onnx"


def graph_encoder(graph: Graph, folder: Path, *, max_tokens: int) -> Callable[[Sequence[str]], Vectors]:
    """Tokenise with the folder's tokenizer and run the graph; what lies beyond `max_tokens` is cut off.

    One text at a time: on a processor a batch gains nothing over a single long text and pays for padding, and
    8-bit activations are then scaled to that text alone, so its vector does not depend on its neighbours.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()

    def encode(texts: Sequence[str]) -> Vectors:
        found = tokenizer.encode_batch_fast(list(texts))
        return np.concatenate([graph(*_one_row(text.ids)) for text in found])

    return encode


def onnx_graph(path: Path, *, threads: int) -> Graph:
    """Open an ONNX file with ONNX Runtime on `threads` threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # A spinning pool burns a core between batches that parsing needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(ids: Tokens, mask: Tokens) -> Vectors:
        return np.asarray(session.run(None, {"input_ids": ids, "attention_mask": mask})[0], dtype=np.float32)

    return run


def _one_row(ids: Sequence[int]) -> tuple[Tokens, Tokens]:
    row = np.array([ids], dtype=np.int64)
    return row, np.ones_like(row)
