"""Write the public question sets as `zhiku eval answers` takes them.

    python tests/evaluation/answer_sets.py cmrc2018 --half report > cmrc2018.jsonl

`ZHIKU_EVAL_DATA` names the folder of the sets. The halves are cut by a hash of the id: `dev` is for tuning,
`report` for what is published.
"""

import argparse
import csv
import json
import os
import random
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Item = dict[str, Any]
SEED = 7


def _document(text: str, title: str = "") -> dict[str, str]:
    return {"title": title, "text": text}


def cmrc2018(data: Path) -> Iterator[Item]:
    """Chinese questions on encyclopedia texts, each among four other texts; every fifth without its own text."""
    rng = random.Random(SEED)
    paragraphs = [
        (entry["title"], paragraph)
        for entry in json.loads((data / "answers/cmrc2018/cmrc2018_dev.json").read_text())["data"]
        for paragraph in entry["paragraphs"]
    ]
    texts = [_document(paragraph["context"], title) for title, paragraph in paragraphs]
    number = 0
    for place, (_, paragraph) in enumerate(paragraphs):
        for question in paragraph["qas"]:
            number += 1
            answerable = number % 5 != 0
            others = rng.sample([text for index, text in enumerate(texts) if index != place], 5)
            documents = [texts[place], *others[:4]] if answerable else others
            rng.shuffle(documents)
            yield {
                "id": question["id"],
                "question": question["question"],
                "answers": sorted({answer["text"] for answer in question["answers"]}),
                "answerable": answerable,
                "documents": documents,
            }


def clapnq(data: Path) -> Iterator[Item]:
    """English questions with one text each that answers or, for half of them, only seems to."""
    for answerable, name in ((True, "answerable"), (False, "unanswerable")):
        with (data / f"answers/clapnq/clapnq_dev_{name}.jsonl").open() as lines:
            for line in lines:
                row = json.loads(line)
                yield {
                    "id": row["id"],
                    "question": row["input"],
                    "answers": [
                        text
                        for output in row["output"]
                        for text in (output["answer"], " ".join(output["selected_sentences"]))
                        if text
                    ],
                    "answerable": answerable,
                    "documents": [_document(passage["text"], passage["title"]) for passage in row["passages"]],
                }


def rgb(data: Path) -> Iterator[Item]:
    """Chinese news questions: two texts that answer among three that do not; again with only such that do not."""
    with (data / "answers/rgb/zh_refine.json").open() as lines:
        rows = [json.loads(line) for line in lines]
    for row in rows:
        answers = [answer for each in row["answer"] for answer in ([each] if isinstance(each, str) else each)]
        negative = [_document(text) for text in row["negative"]]
        positive = [_document(text) for text in row["positive"]]
        yield {
            "id": f"rgb-{row['id']}",
            "question": row["query"],
            "answers": answers,
            "answerable": True,
            "documents": [*negative[:3], *positive[:2]],
        }
        if len(negative) >= 5:
            yield {
                "id": f"rgb-{row['id']}-noise",
                "question": row["query"],
                "answers": answers,
                "answerable": False,
                "documents": negative[:5],
            }


def emanual_qa(data: Path) -> Iterator[Item]:
    """English questions on one product manual of 451 sections."""
    sections = json.loads((data / "answers/emanual_qa/s10_manual_corpus.json").read_text())
    documents = [_document("\n".join(section["text"]), section["title"]) for section in sections.values()]
    with (data / "answers/emanual_qa/s10_50_questions.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            yield {
                "id": row["question_id"],
                "question": row["question"],
                "answers": [row["answer"]],
                "answerable": True,
                "documents": documents,
            }


SETS: Mapping[str, Callable[[Path], Iterator[Item]]] = {
    "cmrc2018": cmrc2018,
    "clapnq": clapnq,
    "rgb": rgb,
    "emanual_qa": emanual_qa,
}


def half_of(item: Item) -> str:
    """The half that an item belongs to; both variants of one question lie in the same."""
    key = str(item["id"]).removesuffix("-noise")
    return "dev" if zlib.crc32(key.encode()) % 2 else "report"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=sorted(SETS))
    parser.add_argument("--half", choices=["dev", "report", "all"], default="report")
    parser.add_argument("--limit", type=int, default=0, help="at most so many items, chosen by a seed")
    arguments = parser.parse_args()
    data = Path(os.environ["ZHIKU_EVAL_DATA"])
    items = [item for item in SETS[arguments.set](data) if arguments.half in {"all", half_of(item)}]
    if arguments.limit and len(items) > arguments.limit:
        items = random.Random(SEED).sample(items, arguments.limit)
    for item in items:
        sys.stdout.write(json.dumps(item, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
