"""The chat model as trainers load it: the same tokens as the engine, and mostly the same words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from zhiku_platform.settings import Settings
from zhiku_services.inference.bundles.chat_folder import chat_folder
from zhiku_services.inference.catalogue import CHAT
from zhiku_services.inference.chat_embedded import run_llama_server

pytestmark = pytest.mark.slow

QUESTIONS = (
    "List three colours.",
    "年假有多少天？ 2026年12月1日起，100元",
    "What does HTTP 404 mean?",
    "  spaces   and\n\nlines\t!",
    "What is 17 + 25?",
    "emoji 😀 and café naïve",
    "Translate 'good morning' to French.",
    "Give me the opposite of hot.",
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return chat_folder(Settings().models_folder)


@pytest.fixture(scope="module")
def engine() -> Iterator[httpx2.Client]:
    model = CHAT.folder(Settings().models_folder) / "model.gguf"
    server = run_llama_server(model, alias="chat", context_tokens=1024, slots=1, threads=1)
    address = server.base_url.removesuffix("/v1")
    with httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {server.api_key}"}, timeout=60) as client:
        yield client


def test_the_engine_reads_the_same_tokens(folder: Path, engine: httpx2.Client) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    for question in QUESTIONS:
        turns = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert engine.post("/apply-template", json={"messages": turns}).json()["prompt"] == text
        read = engine.post("/tokenize", json={"content": text, "add_special": False, "parse_special": True}).json()
        assert read["tokens"] == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_folder_answers_like_the_engine(folder: Path, engine: httpx2.Client) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    same = 0
    for question in QUESTIONS:
        turns = [{"role": "user", "content": question}]
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        written = model.generate(**ids, max_new_tokens=8, do_sample=False)[0][ids["input_ids"].shape[1] :]
        asked = {"messages": turns, "temperature": 0, "max_tokens": 8}
        told = engine.post("/v1/chat/completions", json=asked).json()["choices"][0]["message"]["content"]
        same += tokenizer.decode(written, skip_special_tokens=True) == told
    # The engine multiplies in eight bits, which tips the scale where two words are nearly as likely.
    assert same >= len(QUESTIONS) - 2
