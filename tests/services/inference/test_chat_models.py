"""The chat model of this process is the one that the settings name, or it is said why not."""

import asyncio
from pathlib import Path

import pytest

from zhiku_platform.contracts.inference import ModelState
from zhiku_platform.settings import Settings
from zhiku_platform.testing.chat_engine import answer, ask, text_of
from zhiku_services.inference.catalogue import CHAT, sha256_of
from zhiku_services.inference.chat_embedded import EmbeddedChat
from zhiku_services.inference.chat_models import choose_chat
from zhiku_services.inference.errors import ModelCorruptError, ModelMissingError


@pytest.fixture
def own(tmp_path: Path, models_folder: Path) -> Path:
    """A GGUF file of one's own, which is the bundle's under another name."""
    path = tmp_path / "own" / "house-model.gguf"
    path.parent.mkdir()
    path.symlink_to(CHAT.folder(models_folder) / "model.gguf")
    return path


def test_a_file_of_ones_own_and_its_folder_are_the_same_model(own: Path) -> None:
    for named in (own, own.parent):
        choice = choose_chat(Settings(chat_model=str(named)))
        assert (choice.announced.origin, choice.announced.state) == ("local file", ModelState.LOADING)
        found = choice.find()
        assert found.path == own
        assert found.info.sha256 == sha256_of(own)
        assert found.info.languages == []


def test_a_model_is_given_no_more_context_than_it_was_trained_for(own: Path) -> None:
    assert choose_chat(Settings(chat_model=str(own), chat_context_tokens=100_000)).find().info.context_tokens == 8192
    assert choose_chat(Settings(chat_model=str(own))).find().info.context_tokens == 4096


def test_what_is_no_model_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("no model")
    with pytest.raises(ModelCorruptError, match="ZHIKU_CHAT_MODEL"):
        choose_chat(Settings(chat_model=str(tmp_path))).find()
    (tmp_path / "second.gguf").touch()
    with pytest.raises(ModelMissingError, match="holds 2 GGUF files"):
        choose_chat(Settings(chat_model=str(tmp_path))).find()


def test_a_hub_that_does_not_answer_falls_over_to_the_bundle_and_says_so(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    models = tmp_path / "models"
    models.mkdir()
    CHAT.folder(models).symlink_to(CHAT.folder(settings.models_folder))
    found = choose_chat(Settings(models_dir=models, chat_model="someone/some-model/small.gguf@main")).find()
    assert found.info.id == CHAT.id
    assert "someone/some-model/small.gguf" in str(found.info.problem)


@pytest.mark.slow
def test_a_model_of_ones_own_answers_under_its_name(own: Path) -> None:
    engine = EmbeddedChat(choose_chat(Settings(chat_model=str(own))))

    async def run() -> str:
        said = text_of(await answer(engine, ask("Hi", max_tokens=4).model_copy(update={"model": "house-model"})))
        await engine.close()
        return said

    assert asyncio.run(run())
