"""The adapters that the embedded engine may put beside its base: bundles in a folder, checked before they are used."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zhiku_platform.bundles import ENGINE_ADAPTER, BundleForm, open_bundle
from zhiku_services.inference.errors import ModelCorruptError, UnknownModelError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}@[0-9a-f]{8}")
"""What can be a release's name; no other reaches the file system."""


@dataclass(frozen=True)
class Adapter:
    """An adapter's file for the engine; `digest` is its bundle's."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True)
class AdapterFolder:
    """Bundles that were put where the engine finds them."""

    folder: Path

    def find(self, name: str, base_sha256: str | None) -> Adapter:
        """Check a bundle, and that it was trained beside the very file that is served.

        Raises:
            UnknownModelError: none has this name, or it is of another base, or has no form for this engine.
            BundleChangedError: it is not what its name says.
        """
        folder = self.folder / name
        if not _NAME.fullmatch(name) or not folder.is_dir():
            raise _unknown(name, "none is installed here")
        bundle = open_bundle(folder)
        if bundle.manifest.form is not BundleForm.ADAPTER or ENGINE_ADAPTER not in bundle.manifest.files:
            raise _unknown(name, "it has no adapter for the embedded engine")
        if base_sha256 is None or bundle.manifest.engine_base != base_sha256:
            raise _unknown(name, "it was trained beside another base")
        return Adapter(name, folder / ENGINE_ADAPTER, bundle.digest)


def not_loadable(name: str) -> ModelCorruptError:
    """What is said of an adapter that the engine does not take."""
    return ModelCorruptError(f"The engine cannot load the adapter `{name}`.", remedy="Export it anew from its run.")


def _unknown(name: str, why: str) -> UnknownModelError:
    return UnknownModelError(
        f"No model named `{name}` is served here: {why}.", remedy="Ask for none, or install its bundle."
    )
