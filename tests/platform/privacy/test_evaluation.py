"""How a finder is scored."""

import json
from pathlib import Path

import pytest

from zhiku_platform.privacy.evaluation import Item, Span, UnreadableSetError, evaluate, load


def test_the_four_forms_are_read(tmp_path: Path) -> None:
    own = {"text": "李明", "language": "zh", "spans": [{"start": 0, "end": 2, "type": "PERSON"}]}
    place = {"begin": 0, "end": 2}
    cluener = {"text": "李明", "entity_list": [{"entity_type": "name", "entity": "李明", "entity_index": place}]}
    research = {"full_text": "Li", "spans": [{"entity_type": "PERSON", "start_position": 0, "end_position": 2}]}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(own)}\n{json.dumps(cluener)}\n", encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps([research]), encoding="utf-8")
    (tmp_path / "c.bmes").write_text("李 B-NAME\n明 E-NAME\n\n", encoding="utf-8")
    (tmp_path / "train.jsonl").write_text("not read", encoding="utf-8")
    assert [(item.text, [(s.start, s.end, s.type) for s in item.spans]) for item in load(tmp_path)] == [
        ("李明", [(0, 2, "PERSON")]),
        ("李明", [(0, 2, "name")]),
        ("Li", [(0, 2, "PERSON")]),
        ("李明", [(0, 2, "NAME")]),
    ]


def test_a_folder_without_a_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSetError):
        load(tmp_path)


@pytest.mark.parametrize(
    ("found", "precision", "recall"),
    [
        ([Span(0, 4, "CN_MOBILE")], 1.0, 0.5),  # a child of what is wanted, and more than half of it
        ([Span(0, 3, "PHONE_NUMBER")], 0.0, 0.0),  # just half
        ([Span(0, 6, "PERSON")], 0.0, 0.0),
        ([Span(0, 6, "PHONE_NUMBER"), Span(8, 10, "PERSON"), Span(12, 14, "EMAIL")], 1.0, 1.0),  # no e-mail is labelled
        ([Span(0, 6, "PHONE_NUMBER"), Span(12, 16, "PERSON")], 1.0, 0.5),  # its place has an ignored label
    ],
)
def test_the_score_counts_what_the_set_labels(found: list[Span], precision: float, recall: float) -> None:
    gold = (Span(0, 6, "PHONE_NUMBER"), Span(8, 10, "PERSON"), Span(12, 16, "TITLE"))
    report = evaluate([Item("x" * 20, "en", gold)], lambda texts, language: [found])
    assert (report.overall.as_json()["precision"], report.overall.as_json()["recall"]) == (precision, recall)
