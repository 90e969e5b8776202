"""Embedding through sentence-transformers: in torch, or traced from it into OpenVINO."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino
import torch
from sentence_transformers import SentenceTransformer

from zhiku_services.inference.graph import Graph, Tokens, Vectors

_EXAMPLE = torch.tensor([[0, 5, 2], [0, 6, 2]])


def load_sentence_model(folder: Path, *, max_tokens: int) -> SentenceTransformer:
    """Load a folder into torch on the processor."""
    architecture = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    # Sentence embeddings never use BERT's own pooler, and our bundle does not ship its weights.
    options: dict[str, Any] = {"add_pooling_layer": False} if architecture in {"bert", "xlm-roberta"} else {}
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs=options, local_files_only=True)
    model.max_seq_length = min(model.max_seq_length or max_tokens, max_tokens)
    return model


def torch_encoder(folder: Path, *, max_tokens: int, threads: int) -> Callable[[Sequence[str]], Vectors]:
    """Encode with sentence-transformers itself, one text at a time (see `graph_encoder`)."""
    torch.set_num_threads(threads)
    model = load_sentence_model(folder, max_tokens=max_tokens)

    def encode(texts: Sequence[str]) -> Vectors:
        # An empty prompt, for the texts come with theirs, and the folder may name a default one.
        vectors = model.encode(list(texts), prompt="", batch_size=1, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(vectors, dtype=np.float32)

    return encode


def openvino_graph(folder: Path, *, max_tokens: int, threads: int, precision: Literal["f32", "bf16"]) -> Graph:
    """Convert a folder's torch model to OpenVINO, in memory, computing in `precision`."""
    model = _TokensToVectors(load_sentence_model(folder, max_tokens=max_tokens))
    traced = openvino.convert_model(model, example_input=(_EXAMPLE, torch.ones_like(_EXAMPLE)))
    traced.reshape({feed: openvino.PartialShape([-1, -1]) for feed in traced.inputs})
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.Core().compile_model(traced, "CPU", options).create_infer_request()

    def run(ids: Tokens, mask: Tokens) -> Vectors:
        # The request owns its output buffer, and the next text overwrites it.
        output: Vectors = request.infer([ids, mask])[0].copy()
        return output

    return run


class _TokensToVectors(torch.nn.Module):
    """A sentence model as tracing wants it: two tensors in, one out."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self._model = model.eval()

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
        return torch.nn.functional.normalize(found, dim=1)
