"""Texts to unit vectors, on the fastest engine that keeps the quality of sentence-transformers in torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from zhiku_platform.contracts.inference import TextKind
from zhiku_platform.text.tokens import TokenCounter
from zhiku_services.inference.catalogue import ResolvedModel
from zhiku_services.inference.errors import ModelMissingError
from zhiku_services.inference.graph import ONNX_INT8, Graph, Vectors, graph_encoder, onnx_graph

MAX_TOKENS = 512
_SPECIAL_TOKENS = 2


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


class PrefixingEmbedder:
    """An `Embedder` that puts the model's prefix before each text and lets an engine encode it."""

    def __init__(self, model: ResolvedModel, encode: Callable[[Sequence[str]], Vectors], counter: TokenCounter) -> None:
        self.model = model
        self.dimensions = int(encode(["warm up"]).shape[1])
        self._encode = encode
        self._counter = counter

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        prefix = self.model.prefixes.get(kind, "")
        vectors = self._encode([prefix + text for text in texts])
        room = MAX_TOKENS - _SPECIAL_TOKENS - self._counter.count(prefix)
        tokens = [min(count, room) for count in self._counter.count_all(texts)]
        return Embedded(vectors, tokens)


def load_embedder(model: ResolvedModel, *, backend: Backend, threads: int) -> PrefixingEmbedder:
    """Load a model folder into an engine that runs on `threads` threads.

    Raises:
        ModelMissingError: the folder has no graph for this engine.
    """
    return PrefixingEmbedder(model, _encoder(model, backend, threads), TokenCounter(model.folder))


def _encoder(model: ResolvedModel, backend: Backend, threads: int) -> Callable[[Sequence[str]], Vectors]:
    if backend is Backend.ONNX_INT8:
        return graph_encoder(onnx_graph(_graph_path(model), threads=threads), model.folder, max_tokens=MAX_TOKENS)
    # Imported here because torch, transformers and what they import take seconds and hundreds of megabytes.
    from zhiku_services.inference.sentence_models import openvino_graph, torch_encoder

    if backend is Backend.TORCH:
        return torch_encoder(model.folder, max_tokens=MAX_TOKENS, threads=threads)
    precision: Literal["f32", "bf16"] = "bf16" if backend is Backend.OPENVINO_BF16 else "f32"
    graph: Graph = openvino_graph(model.folder, max_tokens=MAX_TOKENS, threads=threads, precision=precision)
    return graph_encoder(graph, model.folder, max_tokens=MAX_TOKENS)


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
