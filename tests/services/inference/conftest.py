"""The real bundled models, fetched once per machine."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from zhiku_platform.settings import Settings
from zhiku_services.inference.batching import EmbeddingBatcher
from zhiku_services.inference.catalogue import CHAT, EMBEDDING, ResolvedModel, resolve_bundle
from zhiku_services.inference.chat_embedded import LlamaServer, run_llama_server
from zhiku_services.inference.embedding import Backend, Embedder, load_embedder
from zhiku_services.inference.fetch import fetch


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """Where the bundled models lie: `ZHIKU_MODELS`, or where a laptop keeps them; fetched if they are not there."""
    folder = Path(os.environ.get("ZHIKU_MODELS", "~/.zhiku/models")).expanduser()
    fetch(folder, report=lambda _: None)
    return folder


@pytest.fixture(scope="session")
def embedding_model(models_folder: Path) -> ResolvedModel:
    return resolve_bundle(EMBEDDING, models_folder)


@pytest.fixture(scope="session")
def embedder(embedding_model: ResolvedModel) -> Embedder:
    """The default embedder on one thread."""
    return load_embedder(embedding_model, backend=Backend.ONNX_INT8, threads=1)


@pytest.fixture
def batcher(embedder: Embedder) -> Iterator[EmbeddingBatcher]:
    """A queue of its own in front of the real model."""
    made = EmbeddingBatcher(lambda: embedder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for a module, as a process has one."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def settings(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), models_dir=models_folder)


@pytest.fixture(scope="session")
def llama_server(models_folder: Path) -> LlamaServer:
    """A real OpenAI-compatible server on a loopback port."""
    model = resolve_bundle(CHAT, models_folder).folder / "model.gguf"
    return run_llama_server(model, alias=CHAT.id, context_tokens=4096, slots=1, threads=1)
