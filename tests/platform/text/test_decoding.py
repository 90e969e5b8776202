import pytest

from zhiku_platform.text.decoding import UndecodableTextError, decode

SIMPLIFIED = "第一条　为了规范公司的管理制度，保护员工的合法权益，制定本规定。\n第二条 本规定适用于全体员工。"
TRADITIONAL = "第一條　為了規範公司的管理制度，保護員工的合法權益，制定本規定。\n第二條 本規定適用於全體員工。"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_simplified_chinese_comes_back_whole(encoding: str) -> None:
    assert decode(SIMPLIFIED.encode(encoding)).text == SIMPLIFIED


@pytest.mark.parametrize("encoding", ["utf-8", "big5", "big5hkscs", "gb18030", "utf-16-le"])
def test_traditional_chinese_comes_back_whole(encoding: str) -> None:
    assert decode(TRADITIONAL.encode(encoding)).text == TRADITIONAL


@pytest.mark.parametrize("text", ["姓名,部门,金额\n张三,财务部,12.50\n", "价格：100元", "公司名称"])
def test_a_few_chinese_words_in_gb18030_are_recognised(text: str) -> None:
    assert decode(text.encode("gb18030")).text == text


def test_a_rare_character_of_four_bytes_survives() -> None:
    text = SIMPLIFIED + "𠮷野家㐂"
    assert decode(text.encode("gb18030")).text == text


def test_western_text_is_read_as_windows_1252() -> None:
    text = "Café à la crème, déjà vu, naïve façade – “quoted” for 5 €"
    assert decode(text.encode("cp1252")).text == text


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UndecodableTextError) as caught:
        decode(bytes(range(256)) * 8)
    assert caught.value.code == "undecodable_text"
    assert "UTF-8" in caught.value.remedy


def test_a_mark_that_lies_is_refused() -> None:
    with pytest.raises(UndecodableTextError):
        decode(b"\xef\xbb\xbf\xff\xff\xff")


FRENCH = "Le café est fermé, la réunion aura lieu à l’été. "


@pytest.mark.parametrize("text", [FRENCH, SIMPLIFIED], ids=["french", "chinese"])
def test_one_bad_byte_does_not_make_utf8_another_encoding(text: str) -> None:
    data = (text * 5).encode() + b"\xff" + (text * 5).encode()
    assert decode(data) == (text * 5 + "\ufffd" + text * 5, "utf-8")


@pytest.mark.parametrize("cut", [1, 2])
def test_a_file_that_begins_and_ends_amid_a_character_is_read(cut: int) -> None:
    data = SIMPLIFIED.replace("\n", "").removesuffix("。").encode()
    found = decode(data[cut:-cut])
    assert found.encoding == "utf-8"
    assert found.text.strip("\ufffd") == SIMPLIFIED.replace("\n", "").removesuffix("。")[1:-1]


@pytest.mark.parametrize("encoding", ["gb18030", "big5"])
def test_a_chinese_file_that_breaks_off_is_read(encoding: str) -> None:
    text = {"gb18030": SIMPLIFIED, "big5": TRADITIONAL}[encoding]
    found = decode(text.encode(encoding)[:-1])
    assert found == (text[:-1] + "\ufffd", encoding if encoding == "gb18030" else "big5hkscs")


def test_a_mark_holds_for_a_file_that_breaks_off() -> None:
    assert decode((SIMPLIFIED + "度").encode("utf-8-sig")[:-1]) == (SIMPLIFIED + "\ufffd", "utf-8")
    assert decode((SIMPLIFIED + "度").encode("utf-16")[:-1]).text.startswith(SIMPLIFIED)


@pytest.mark.parametrize(
    "text", ["Hello world, this is a test. " * 20 + "café", "Grüße aus Köln, schöne Öfen für größere Räume"]
)
def test_western_text_is_not_taken_for_damaged_utf8(text: str) -> None:
    assert decode(text.encode("cp1252")) == (text, "cp1252")
