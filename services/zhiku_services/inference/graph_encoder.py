"""A sentence-transformers module whose transformer runs in another engine than torch.

sentence-transformers has such backends itself, through optimum; its releases for ONNX (0.1.0) and OpenVINO
(2.2.0) demand transformers below 4.58 and 5.6, and we run 5.23. Tokens in, token embeddings out is all that a
graph must do, so tokenisation, pooling and normalisation stay those of sentence-transformers.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime
import openvino
import torch
from sentence_transformers.base.modules import InputModule
from tokenizers import Tokenizer
from transformers import AutoModel

Tokens = npt.NDArray[np.int64]
TokenEmbeddings = npt.NDArray[np.float32]
Graph = Callable[[Tokens, Tokens], TokenEmbeddings]
"""Ids and mask of shape (texts, tokens) → embeddings of shape (texts, tokens, dimensions)."""

ONNX_INT8 = "onnx/model_int8.onnx"
_EXAMPLE = torch.tensor([[0, 5, 2], [0, 6, 2]])


class GraphEncoder(InputModule):
    """The first module of a `SentenceTransformer`, standing in for its `Transformer`."""

    def __init__(self, graph: Graph, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # sentence-transformers left it untyped
        self._graph = graph
        self._encode = tokenizer.encode_batch_fast
        self.tokenizer = tokenizer
        self.max_seq_length = max_tokens
        tokenizer.enable_truncation(max_tokens)
        tokenizer.enable_padding(pad_id=_pad_id(tokenizer))

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        found = self._encode([(prompt or "") + text for text in inputs])
        return {
            "input_ids": torch.tensor([text.ids for text in found], dtype=torch.int64),
            "attention_mask": torch.tensor([text.attention_mask for text in found], dtype=torch.int64),
        }

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        ids, mask = features["input_ids"], features["attention_mask"]
        features["token_embeddings"] = torch.from_numpy(self._graph(ids.numpy(), mask.numpy()))
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        raise NotImplementedError("save the torch model; a graph is derived from it")


def onnx_graph(path: Path, *, threads: int) -> Graph:
    """Open an ONNX file with ONNX Runtime on `threads` threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # A spinning pool burns a core between batches that parsing needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [feed.name for feed in session.get_inputs()]

    def run(ids: Tokens, mask: Tokens) -> TokenEmbeddings:
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        output = session.run(None, {name: feeds[name] for name in names})[0]
        return np.asarray(output, dtype=np.float32)

    return run


def openvino_graph(folder: Path, *, threads: int, precision: Literal["f32", "bf16"]) -> Graph:
    """Convert a folder's torch model to OpenVINO, in memory, computing in `precision`."""
    traced = openvino.convert_model(_TokensOnly(folder), example_input=(_EXAMPLE, torch.ones_like(_EXAMPLE)))
    traced.reshape({feed: openvino.PartialShape([-1, -1]) for feed in traced.inputs})
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.Core().compile_model(traced, "CPU", options).create_infer_request()

    def run(ids: Tokens, mask: Tokens) -> TokenEmbeddings:
        # The request owns its output buffer, and the next batch overwrites it.
        output: TokenEmbeddings = request.infer([ids, mask])[0].copy()
        return output

    return run


class _TokensOnly(torch.nn.Module):
    """A transformer whose one output is its token embeddings, as tracing wants it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        return found


def _pad_id(tokenizer: Tokenizer) -> int:
    found = (tokenizer.token_to_id(name) for name in ("<pad>", "[PAD]"))
    return next((index for index in found if index is not None), 0)
