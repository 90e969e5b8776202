"""Nothing is lost on the way from a format into an example and back, and what is wrong is named with its place."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from zhiku_platform.errors import UnprocessableError
from zhiku_services.finetune.datasets.examples import Example, Provenance
from zhiku_services.finetune.datasets.files import MAX_CHARS, load, save
from zhiku_services.finetune.datasets.formats import BadRecordError, Format, detect, from_example, to_example
from zhiku_services.finetune.errors import NotExpressibleError, UnknownFormatError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.lists(texts, max_size=2)


def fields() -> st.SearchStrategy[dict[str, Any]]:
    """Fields that no format knows anything of."""
    return st.dictionaries(st.text("abcxyz_", min_size=1, max_size=8), values, max_size=3)


def maybe(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


@st.composite
def alpaca(draw: st.DrawFn) -> dict[str, Any]:
    record = draw(fields()) | draw(st.fixed_dictionaries({"instruction": texts}))
    record |= draw(maybe(input=texts | st.none(), system=texts | st.none(), kto_tag=st.booleans()))
    record |= draw(maybe(history=st.lists(st.lists(texts, min_size=2, max_size=2), max_size=2)))
    if draw(st.booleans()):
        return record | draw(st.fixed_dictionaries({"output": texts}))
    return record | draw(st.fixed_dictionaries({"chosen": texts, "rejected": texts})) | draw(maybe(output=texts))


@st.composite
def sharegpt(draw: st.DrawFn) -> dict[str, Any]:
    names = st.sampled_from(["human", "gpt", "user", "assistant", "system", "observation", "function_call", "bot"])
    turn = st.builds(lambda name, value, more: more | {"from": name, "value": value}, names, texts, fields())
    record = draw(fields()) | {"conversations": draw(st.lists(turn, min_size=1, max_size=4))}
    record |= draw(maybe(system=texts, tools=texts, label=st.booleans()))
    return record | (draw(st.fixed_dictionaries({"chosen": turn, "rejected": turn})) if draw(st.booleans()) else {})


@st.composite
def openai(draw: st.DrawFn) -> dict[str, Any]:
    roles = st.sampled_from(["system", "developer", "user", "assistant", "tool"])
    said = st.builds(lambda role, content, more: more | {"role": role, "content": content}, roles, texts, fields())
    calls = st.lists(st.fixed_dictionaries({"id": texts, "type": st.just("function")}), min_size=1, max_size=2)
    called = st.builds(lambda tools, more: more | {"role": "assistant", "tool_calls": tools}, calls, fields())
    silent = called.map(lambda message: message | {"content": None})
    messages = st.lists(said | called | silent, min_size=1, max_size=4)
    return draw(fields()) | {"messages": draw(messages)}


qa = st.builds(
    lambda more, question, answer, system: more | {"question": question, "answer": answer} | system,
    fields(), texts, texts, maybe(system=texts),
)  # fmt: skip

RECORDS = {Format.ALPACA: alpaca(), Format.SHAREGPT: sharegpt(), Format.OPENAI: openai(), Format.QA: qa}
any_record = st.sampled_from(Format).flatmap(lambda form: st.tuples(st.just(form), RECORDS[form]))


@given(any_record)
def test_a_record_comes_back_as_it_was(case: tuple[Format, dict[str, Any]]) -> None:
    form, record = case
    assert detect(record) == form
    example = to_example(record, form)
    assert from_example(example, form) == record
    # What is stored is JSON: nothing is lost there either.
    stored = Example.model_validate_json(example.canonical())
    assert from_example(stored, form) == record


@given(any_record, st.sampled_from(Format))
def test_another_format_keeps_what_is_learnt_or_says_that_it_cannot(
    case: tuple[Format, dict[str, Any]], other: Format
) -> None:
    form, record = case
    example = to_example(record, form)
    try:
        written = from_example(example, other)
    except NotExpressibleError:
        reject()
    again = to_example(written, other)
    assert [(turn.role, turn.content) for turn in again.messages] == [
        (turn.role, turn.content) for turn in example.messages
    ]
    assert again.is_good == example.is_good
    assert (again.rejected and again.rejected.content) == (example.rejected and example.rejected.content)


@pytest.mark.parametrize(
    ("record", "form", "field"),
    [
        ({"instruction": 1, "output": "a"}, Format.ALPACA, "instruction"),
        ({"instruction": "a"}, Format.ALPACA, "output"),
        ({"instruction": "a", "output": "b", "history": [["x"]]}, Format.ALPACA, "history[0]"),
        ({"instruction": "a", "chosen": "b"}, Format.ALPACA, "rejected"),
        ({"conversations": []}, Format.SHAREGPT, "conversations"),
        ({"conversations": [{"from": "narrator", "value": "x"}]}, Format.SHAREGPT, "conversations[0].from"),
        ({"conversations": [{"from": "human"}]}, Format.SHAREGPT, "conversations[0].value"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, Format.OPENAI, "messages[0].content"),
        ({"question": "a", "answer": None}, Format.QA, "answer"),
    ],
)
def test_what_is_wrong_is_named(record: dict[str, Any], form: Format, field: str) -> None:
    with pytest.raises(BadRecordError) as caught:
        to_example(record, form)
    assert caught.value.field == field


def line(question: str) -> bytes:
    return json.dumps({"question": question, "answer": "好的"}, ensure_ascii=False).encode()


def test_bad_lines_cost_themselves_and_are_told_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    gbk = json.dumps({"question": "年假有几天？", "answer": "员工的年假是十天。"}, ensure_ascii=False).encode("gb18030")
    long = line("长" * (MAX_CHARS + 1))
    broken, no_object, no_json = b'{"question": "a", "answer"', b'["no object"]', b'{"question": NaN}'
    half, binary = b'{"question": "only"}', b"\x81\xfe\x00\x02\xff\xff\x81"
    marked = b"\xef\xbb\xbf" + line("一")
    lines = [marked, broken, gbk, b"", no_object, no_json, line("二"), long, half, binary, line("三")]
    path.write_bytes(b"\r\n".join(lines))
    found = load(path)
    assert [example.messages[0].content for example in found.examples] == ["一", "年假有几天？", "二", "三"]
    assert [example.provenance.line for example in found.examples] == [1, 3, 7, 11]
    assert [(each.line, each.code) for each in found.refused] == [
        (2, "not_json"), (5, "not_json"), (6, "not_json"), (8, "bad_record"), (9, "bad_record"), (10, "undecodable"),
    ]  # fmt: skip
    assert found.encodings == ("utf-8", "gb18030")
    assert str(MAX_CHARS) in found.refused[3].problem


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_an_array_may_be_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "array.json"
    records = [{"instruction": "公司的年假有几天？", "input": "", "output": "员工的年假是十天。"}, 7]
    path.write_bytes(json.dumps(records, ensure_ascii=False).encode(encoding))
    found = load(path)
    assert (found.format, len(found.examples), found.refused[0].line) == (Format.ALPACA, 1, 2)


def test_an_array_that_breaks_off_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    path.write_text('[{"question": "a", "answer": "b"},\n{"question": ', encoding="utf-8")
    with pytest.raises(UnprocessableError, match="line 2"):
        load(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"text": "x"}\n', encoding="utf-8")
    with pytest.raises(UnknownFormatError):
        load(path)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    examples = [to_example({"question": str(n), "answer": "a"}, Format.QA) for n in range(3)]
    assert save(examples, path, Format.SHAREGPT) == 3
    again = load(path, licence="CC-BY-4.0").examples
    assert [example.messages[0].content for example in again] == ["0", "1", "2"]
    assert again[2].provenance == Provenance(source="out.jsonl", line=3, licence="CC-BY-4.0")


def test_an_export_that_cannot_be_whole_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    good = to_example({"question": "a", "answer": "b"}, Format.QA)
    rated = to_example({"instruction": "a", "output": "b", "kto_tag": True}, Format.ALPACA)
    with pytest.raises(NotExpressibleError):
        save([good, rated], path, Format.QA)
    assert not path.exists()
