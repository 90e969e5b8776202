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
