"""A trained model as a folder that anybody can check: what it is, what it came of, and the SHA-256 of every file.

Its name is its content, `family@sha8`, after the digest of `bundle.json`; so two models never share a name, and what
was measured, approved and served under a name stays what it was. Beside `bundle.json` lie

- of an `adapter`: `adapter_model.safetensors` and `adapter_config.json` for vLLM and Transformers, `adapter.gguf` for
  the embedded engine;
- of a `merged` model: `model.safetensors` and `config.json`;
- of a `gguf` one: `model.gguf`;

and in each `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja` and `training.json`, the run's manifest.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, ValidationError

from zhiku_platform.contracts.wire import Message
from zhiku_platform.errors import ConflictError

MANIFEST = "bundle.json"
ENGINE_ADAPTER = "adapter.gguf"
ENGINE_MODEL = "model.gguf"

_NAME_DIGITS = 8

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BundleForm(StrEnum):
    ADAPTER = "adapter"
    MERGED = "merged"
    GGUF = "gguf"


class BundleManifest(Message):
    """What a bundle is and what it came of.

    `base` is the SHA-256 of each file that was trained on, `engine_base` that of the GGUF file which the embedded
    engine needs under an adapter. `run` and `recipe` are digests of the run's manifest and of its recipe, `dataset`
    the root of what was learnt, and `held_out` the run's own score. `licence` is that of the base, `data_licences` are
    those of what was learnt.
    """

    version: Literal[1] = 1
    family: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    form: BundleForm
    method: str
    dtype: Literal["float32", "float16", "q8_0"]
    rank: int | None
    base: dict[str, Sha256]
    engine_base: Sha256 | None
    tokenizer: Sha256
    chat_template: Sha256
    licence: str
    data_licences: list[str]
    dataset: Sha256
    recipe: Sha256
    run: Sha256
    libraries: dict[str, str]
    held_out: dict[str, Any] | None
    files: dict[str, Sha256]


class BundleChangedError(ConflictError):
    """A bundle is not what its name says."""

    code = "bundle_changed"

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(f"The bundle `{folder.name}` was changed: {what}.", remedy="Export it anew from its run.")


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files were checked. `digest` is the SHA-256 of its manifest, which names every file."""

    folder: Path
    manifest: BundleManifest
    digest: str

    @property
    def name(self) -> str:
        return name_of(self.manifest.family, self.digest)


def name_of(family: str, digest: str) -> str:
    """The name of a model release."""
    return f"{family}@{digest[:_NAME_DIGITS]}"


def seal_bundle(folder: Path, manifest: BundleManifest) -> Bundle:
    """Write the manifest of a folder, and move the folder to its name beside it; one that is there already stays."""
    content = orjson.dumps(manifest.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    (folder / MANIFEST).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    target = folder.parent / name_of(manifest.family, digest)
    if not target.is_dir():
        folder.rename(target)
    return Bundle(target, manifest, digest)


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle, and see that it is the one that its folder's name says.

    Raises:
        BundleChangedError: a file was changed, added or removed, or it is no bundle.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
        manifest = BundleManifest.model_validate_json(content)
    except (OSError, ValidationError) as error:
        raise BundleChangedError(folder, f"`{MANIFEST}` is not there, or not readable") from error
    bundle = Bundle(folder, manifest, hashlib.sha256(content).hexdigest())
    if folder.name != bundle.name:
        raise BundleChangedError(folder, f"its content is `{bundle.name}`")
    if digests_in(folder) != manifest.files:
        raise BundleChangedError(folder, "its files are others than the manifest says")
    return bundle


def digests_in(folder: Path) -> dict[str, str]:
    """The SHA-256, in hex, of every file but the manifest, by name.

    Raises:
        BundleChangedError: there is something else than files in it.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.name == MANIFEST:
            continue
        if path.is_symlink() or not path.is_file():
            raise BundleChangedError(folder, f"`{path.name}` is no file")
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
