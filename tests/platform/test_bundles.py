"""Trained models that are named by their content, and refused where they are not what their name says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from zhiku_platform.bundles import Bundle, BundleChangedError, BundleForm, BundleManifest, digests_in, open_bundle
from zhiku_platform.bundles import seal_bundle as seal

Make = Callable[..., Bundle]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def bundle(weights: bytes = b"weights", family: str = "style") -> Bundle:
        folder = tmp_path / "incoming"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(weights)
        digest = "0" * 64
        manifest = BundleManifest(
            family=family,
            form=BundleForm.ADAPTER,
            method="lora",
            dtype="float32",
            rank=8,
            base={"model.safetensors": digest},
            engine_base=None,
            tokenizer=digest,
            chat_template=digest,
            licence="Apache-2.0",
            data_licences=["CC-BY-4.0"],
            dataset=digest,
            recipe=digest,
            run=digest,
            libraries={},
            held_out=None,
            files=digests_in(folder),
        )
        return seal(folder, manifest)

    return bundle


def test_a_bundle_is_named_by_its_content(make: Make) -> None:
    bundle = make()
    assert bundle.folder.name == bundle.name == f"style@{bundle.digest[:8]}"
    assert open_bundle(bundle.folder) == bundle


def test_other_weights_or_another_family_make_another_name(make: Make, tmp_path: Path) -> None:
    names = {make().name, make(weights=b"others").name, make(family="tone").name}
    assert len(names) == 3
    assert {path.name for path in tmp_path.iterdir()} == names


def change(folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_bytes(b"weightz")


def add(folder: Path) -> None:
    (folder / "extra.py").write_text("x")


def link(folder: Path) -> None:
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.safetensors").symlink_to("/etc/hostname")


def nest(folder: Path) -> None:
    (folder / "more").mkdir()


def rewrite_manifest(folder: Path) -> None:
    (folder / "bundle.json").write_text((folder / "bundle.json").read_text().replace("Apache-2.0", "MIT"))


def break_manifest(folder: Path) -> None:
    (folder / "bundle.json").write_text("{}")


@pytest.mark.parametrize("tamper", [change, add, link, nest, rewrite_manifest, break_manifest])
def test_a_bundle_that_was_changed_is_refused(make: Make, tamper: Callable[[Path], None]) -> None:
    bundle = make()
    tamper(bundle.folder)
    with pytest.raises(BundleChangedError):
        open_bundle(bundle.folder)


def test_a_bundle_under_another_name_is_refused(make: Make) -> None:
    bundle = make()
    with pytest.raises(BundleChangedError, match=bundle.name):
        open_bundle(bundle.folder.rename(bundle.folder.with_name("style@00000000")))
