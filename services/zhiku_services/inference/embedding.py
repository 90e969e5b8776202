"""Texts to unit vectors through sentence-transformers, on the fastest engine that keeps their quality."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from tokenizers import Tokenizer

from zhiku_platform.contracts.inference import TextKind
from zhiku_platform.text.tokens import TokenCounter
from zhiku_services.inference.catalogue import ResolvedModel
from zhiku_services.inference.errors import ModelMissingError
from zhiku_services.inference.graph_encoder import (
    ONNX_INT8,
    Graph,
    GraphEncoder,
    onnx_graph,
    openvino_graph,
)

Vectors = npt.NDArray[np.float32]

MAX_TOKENS = 512
# One text at a time: on a processor a batch gains nothing over a single long text and pays for padding, and
# 8-bit activations are then scaled to that text alone, so its vector does not depend on its neighbours.
_BATCH = 1


@dataclass(frozen=True)
class Embedded:
    """Unit vectors, float32 of shape (texts, dimensions), in the order of the texts.

    `tokens` counts what the model read of each text: no prefix, no special tokens, nothing that was cut off.
    """

    vectors: Vectors
    tokens: list[int]


class Embedder(Protocol):
    """A loaded embedding model. Safe to call from one thread at a time."""

    @property
    def model(self) -> ResolvedModel: ...

    @property
    def dimensions(self) -> int: ...

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        """Encode texts; what lies beyond the model's context is cut off."""
        ...


class Backend(StrEnum):
    TORCH = "torch"
    ONNX_INT8 = "onnx-int8"
    OPENVINO = "openvino"
    OPENVINO_BF16 = "openvino-bf16"


class SentenceEmbedder:
    """An `Embedder` around a `SentenceTransformer`, which sorts texts by length into batches."""

    def __init__(self, model: ResolvedModel, encoder: SentenceTransformer, counter: TokenCounter) -> None:
        self.model = model
        self.dimensions = encoder.get_embedding_dimension() or 0
        self._encoder = encoder
        self._counter = counter
        self._room = (encoder.max_seq_length or MAX_TOKENS) - 2

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        prefix = self.model.prefixes.get(kind, "")
        vectors = self._encoder.encode(
            list(texts),
            prompt=prefix or None,
            batch_size=_BATCH,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        room = self._room - self._counter.count(prefix)
        tokens = [min(count, room) for count in self._counter.count_all(texts)]
        return Embedded(np.asarray(vectors, dtype=np.float32), tokens)


def load_embedder(model: ResolvedModel, *, backend: Backend, threads: int) -> SentenceEmbedder:
    """Load a model folder into an engine that runs on `threads` threads.

    Raises:
        ModelMissingError: the folder has no graph for this engine.
    """
    folder = model.folder
    loaders = {
        Backend.TORCH: lambda: _torch_model(folder, threads),
        Backend.ONNX_INT8: lambda: _graph_model(folder, onnx_graph(_graph_path(model), threads=threads)),
        Backend.OPENVINO: lambda: _graph_model(folder, openvino_graph(folder, threads=threads, precision="f32")),
        Backend.OPENVINO_BF16: lambda: _graph_model(folder, openvino_graph(folder, threads=threads, precision="bf16")),
    }
    return SentenceEmbedder(model, loaders[backend](), TokenCounter(model.folder))


def choose_backend(model: ResolvedModel, wanted: str) -> Backend:
    """The engine for a setting; `auto` takes the fastest that the folder has a graph for."""
    if wanted == "auto":
        return Backend.ONNX_INT8 if (model.folder / ONNX_INT8).is_file() else Backend.TORCH
    return {"torch": Backend.TORCH, "onnx": Backend.ONNX_INT8, "openvino": Backend.OPENVINO}[wanted]


def _graph_path(model: ResolvedModel) -> Path:
    path = model.folder / ONNX_INT8
    if not path.is_file():
        raise ModelMissingError(
            f"`{model.id}` has no `{ONNX_INT8}`.",
            remedy="Run `zhiku models fetch`, or set `ZHIKU_EMBEDDING_BACKEND=torch`, which needs no graph.",
        )
    return path


def _torch_model(folder: Path, threads: int) -> SentenceTransformer:
    torch.set_num_threads(threads)
    architecture = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    # Sentence embeddings never use BERT's own pooler, and our bundle does not ship its weights.
    options: dict[str, Any] = {"add_pooling_layer": False} if architecture in {"bert", "xlm-roberta"} else {}
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs=options, local_files_only=True)
    model.max_seq_length = min(model.max_seq_length or MAX_TOKENS, MAX_TOKENS)
    return model


def _graph_model(folder: Path, graph: Graph) -> SentenceTransformer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    listed = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    encoder = GraphEncoder(graph, tokenizer, max_tokens=MAX_TOKENS)
    later = [_later_module(folder, entry) for entry in listed[1:]]
    return SentenceTransformer(modules=[encoder, *later], device="cpu")


def _later_module(folder: Path, entry: Mapping[str, str]) -> Any:
    """Load a pooling, dense or normalising module by the class that `modules.json` names."""
    package, name = entry["type"].rsplit(".", 1)
    kind = getattr(modules, name, None) if package.split(".")[0] == "sentence_transformers" else None
    if kind is None:
        raise ModelMissingError(
            f"`{folder}` names the module `{entry['type']}`, which is not one of sentence-transformers' own.",
            remedy="Use another model, or set `ZHIKU_EMBEDDING_BACKEND=torch`.",
        )
    return kind.load(str(folder), subfolder=entry["path"])
