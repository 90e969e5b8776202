"""What becomes of a run in each of its forms: the same tokens, how many of the same answers, how fast, how large.

The measure of all is Transformers with the adapter as it was trained. It stands with the commands, since it holds what
one service makes against what another serves.
"""

import csv
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from zhiku_platform.bundles import ENGINE_ADAPTER, ENGINE_MODEL, BundleForm
from zhiku_services.finetune.datasets.freezing import thaw
from zhiku_services.finetune.exporting import export
from zhiku_services.finetune.gguf_files import DTYPES
from zhiku_services.finetune.recipe import RECIPE
from zhiku_services.finetune.rewards import same_words
from zhiku_services.inference.chat_embedded import run_llama_server

_WORDS = 16
_CONTEXT_TOKENS = 1024

Write = Callable[[str], str]


@dataclass(frozen=True)
class Question:
    text: str
    answer: str


@dataclass(frozen=True)
class Form:
    """One form of a run: `same` of its answers are those of the measure, `right` those that are known to be so."""

    name: str
    size_bytes: int
    seconds: float
    tokens: int | None
    same: int
    right: int


def intents(data: Path, run: Path, count: int) -> list[Question]:
    """Questions of Banking77 that the run has not seen, in an order of no meaning."""
    seen = {example.prompt for example in thaw(RECIPE.validate_json((run / "recipe.json").read_bytes()).dataset)[1]}
    with (data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = [Question(row["text"], row["category"].replace("_", " ")) for row in csv.DictReader(file)]
    unseen = [each for each in rows if each.text not in seen]
    return sorted(unseen, key=lambda each: hashlib.sha256(each.text.encode()).digest())[:count]


def bench_bundles(
    run: Path,
    folder: Path,
    questions: Sequence[Question],
    *,
    base: Path,
    engine_base: Path,
    licence: str,
    threads: int,
    report: Callable[[str], None],
) -> Iterator[Form]:
    """Export a run in every form, and ask each the same questions."""
    made = partial(export, run, folder, base=base, engine_base=engine_base, licence=licence)
    adapter = made(form=BundleForm.ADAPTER, dtype="float32")
    measured = _Measured(base, questions, threads)
    wanted = measured.answers(adapter.folder)
    yield measured.form("adapter, Transformers", _size(adapter.folder / "adapter_model.safetensors"), wanted)
    merged = made(form=BundleForm.MERGED, dtype="float32")
    report("merged")
    answers = measured.answers(None, merged.folder)
    yield measured.form("merged, Transformers", _size(merged.folder / "model.safetensors"), answers)
    with _served(engine_base, threads, adapter.folder / ENGINE_ADAPTER) as http:
        report("adapter, engine")
        tokens = measured.tokens(http)
        answers = measured.ask(partial(_answer, http, lora=1.0))
        yield measured.form("adapter, engine", _size(adapter.folder / ENGINE_ADAPTER), answers, tokens)
        answers = measured.ask(partial(_answer, http, lora=0.0))
        yield measured.form("base alone, engine", _size(engine_base), answers, tokens)
    for dtype in DTYPES.values():
        report(f"GGUF, {dtype}")
        bundle = made(form=BundleForm.GGUF, dtype=dtype)
        file = bundle.folder / ENGINE_MODEL
        with _served(file, threads) as http:
            tokens = measured.tokens(http)
            answers = measured.ask(partial(_answer, http))
            yield measured.form(f"GGUF {dtype}, engine", _size(file), answers, tokens)


def as_markdown(forms: Sequence[Form], count: int) -> str:
    """One row a form."""
    head = ("form", "MB", "ms an answer", f"same tokens of {count}", f"same answers of {count}", f"right of {count}")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for each in forms:
        tokens = "" if each.tokens is None else str(each.tokens)
        size, speed = f"{each.size_bytes / 1e6:,.0f}", f"{1000 * each.seconds / count:.0f}"
        lines.append(f"| {each.name} | {size} | {speed} | {tokens} | {each.same} | {each.right} |")
    return "\n".join(lines)


class _Measured:
    """Asks, and holds what is answered against what was answered first."""

    def __init__(self, base: Path, questions: Sequence[Question], threads: int) -> None:
        import torch
        from transformers import AutoTokenizer

        torch.set_num_threads(threads)
        self._base = base
        self._questions = questions
        self._tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
        self._first: list[str] | None = None
        self._seconds = 0.0

    def answers(self, adapter: Path | None, whole: Path | None = None) -> list[str]:
        """By Transformers, in float32."""
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        model: Any = AutoModelForCausalLM.from_pretrained(
            whole or self._base, dtype=torch.float32, local_files_only=True
        )
        if adapter is not None:
            model = PeftModel.from_pretrained(model, str(adapter))

        def write(text: str) -> str:
            turns = [{"role": "user", "content": text}]
            asked = self._tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            written = model.generate(**asked, max_new_tokens=_WORDS, do_sample=False)
            new = written[0, asked["input_ids"].shape[1] :]
            return str(self._tokenizer.decode(new, skip_special_tokens=True))

        return self.ask(write)

    def ask(self, write: Write) -> list[str]:
        began = time.monotonic()
        answers = [write(question.text) for question in self._questions]
        self._seconds = time.monotonic() - began
        self._first = self._first or answers
        return answers

    def form(self, name: str, size_bytes: int, answers: Sequence[str], tokens: int | None = None) -> Form:
        assert self._first is not None
        same = sum(one == other for one, other in zip(answers, self._first, strict=True))
        right = sum(same_words(answer, each.answer) for answer, each in zip(answers, self._questions, strict=True))
        return Form(name, size_bytes, self._seconds, tokens, same, int(right))

    def tokens(self, http: httpx2.Client) -> int:
        """Of how many prompts the engine reads the very tokens that were trained on."""
        same = 0
        for question in self._questions:
            turns = [{"role": "user", "content": question.text}]
            text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            templated = http.post("/apply-template", json={"messages": turns}).json()["prompt"]
            asked = {"content": text, "add_special": False, "parse_special": True}
            read = http.post("/tokenize", json=asked).json()["tokens"]
            same += templated == text and read == self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return same


@contextmanager
def _served(model: Path, threads: int, *adapters: Path) -> Iterator[httpx2.Client]:
    server = run_llama_server(
        model, alias="chat", context_tokens=_CONTEXT_TOKENS, slots=1, threads=threads, adapters=adapters
    )
    headers = {"Authorization": f"Bearer {server.api_key}"}
    with httpx2.Client(base_url=server.base_url.removesuffix("/v1"), headers=headers, timeout=120) as client:
        yield client


def _answer(http: httpx2.Client, text: str, *, lora: float | None = None) -> str:
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": _WORDS,
        "lora": [] if lora is None else [{"id": 0, "scale": lora}],
    }
    response = http.post("/v1/chat/completions", json=body)
    response.raise_for_status()
    return str(response.json()["choices"][0]["message"]["content"])


def _size(path: Path) -> int:
    return path.stat().st_size
