import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from zhiku_platform.contracts.knowledge import PassageDraft, PassageKind
from zhiku_platform.text.document import (
    Block,
    Box,
    Code,
    Heading,
    ListItem,
    Paragraph,
    ParsedDocument,
    Span,
    Table,
    block_text,
)
from zhiku_platform.text.passages import PassageSizes, index_text, passages

WORD = re.compile(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+")
SMALL = PassageSizes(target=40, keep_whole=50, small=12, limit=80)


def count(text: str, /) -> int:
    """Count each Chinese character and each other word as one token."""
    return len(WORD.findall(text))


def cut(*blocks: Block, title: str = "", sizes: PassageSizes | None = None) -> list[PassageDraft]:
    return passages(ParsedDocument("text/plain", blocks), count_tokens=count, title=title, sizes=sizes)


def sentences(number: int, length: int = 10) -> str:
    return " ".join(f"S{n} " + " ".join(["word"] * (length - 2)) + " end." for n in range(number))


def test_a_short_section_is_one_passage_under_its_heading_path() -> None:
    (draft,) = cut(Heading("Handbook", 1), Heading("Leave", 2), Paragraph("You have 15 days."))
    assert draft.text == "You have 15 days."
    assert draft.heading_path == ["Handbook", "Leave"]
    assert (draft.ordinal, draft.tokens, draft.language) == (0, 4, "en")


def test_a_long_section_is_cut_between_sentences_into_even_parts() -> None:
    drafts = cut(Heading("Leave", 1), Paragraph(sentences(20)), sizes=SMALL)
    assert all(draft.text.endswith("end.") and draft.text.startswith("S") for draft in drafts)
    sizes = [draft.tokens for draft in drafts]
    assert max(sizes) - min(sizes) <= 20
    assert " ".join(draft.text for draft in drafts) == sentences(20)


def test_chinese_is_cut_between_sentences_too() -> None:
    text = "".join(f"第{n}句话说明员工的休假制度和申请流程。" for n in range(1, 10))
    drafts = cut(Paragraph(text), sizes=SMALL)
    assert len(drafts) > 2
    assert all(draft.text.endswith("。") and draft.language == "zh" for draft in drafts)
    assert "".join(draft.text for draft in drafts) == text


def test_small_sections_share_a_passage_with_their_headings_as_text() -> None:
    (draft,) = cut(
        Heading("Benefits", 1),
        Heading("Gym", 2),
        Paragraph("Free."),
        Heading("Bus", 2),
        Paragraph("Half price."),
    )
    assert draft.heading_path == ["Benefits"]
    assert draft.text == "Gym\nFree.\n\nBus\nHalf price."


def test_a_heading_without_text_is_not_lost() -> None:
    (draft,) = cut(Heading("Thank you", 1))
    assert draft.text == "Thank you"


def test_a_table_that_fits_stays_whole() -> None:
    rows = (("Item", "2023", "2022"), *((f"Row {n}", str(n), str(n + 1)) for n in range(9)))
    before, table = cut(Paragraph(sentences(5)), Table(rows, title="Table 1. Revenue"), sizes=SMALL)
    assert before.kind is PassageKind.TEXT
    assert table.kind is PassageKind.TABLE
    assert table.text.splitlines()[:3] == ["Table 1. Revenue", "Item | 2023 | 2022", "Row 0 | 0 | 1"]


def test_a_long_table_repeats_title_and_header_in_each_part() -> None:
    rows = (("Item", "Value"), *((f"Row{n}", str(n)) for n in range(60)))
    drafts = cut(Table(rows, title="Prices"), sizes=SMALL)
    assert len(drafts) > 2
    assert all(draft.text.startswith("Prices\nItem | Value\nRow") for draft in drafts)
    body = [line for draft in drafts for line in draft.text.splitlines()[2:]]
    assert body == [f"Row{n} | {n}" for n in range(60)]


def test_the_sentence_that_introduces_a_table_goes_with_it() -> None:
    rows = tuple((f"Row {n}", "10") for n in range(12))
    drafts = cut(Paragraph(sentences(4)), Paragraph("Payments due by year:"), Table(rows), sizes=SMALL)
    assert drafts[-1].text.startswith("Payments due by year:\nRow 0 | 10")
    assert "Payments" not in drafts[0].text


def test_a_row_longer_than_a_passage_is_cut_but_kept() -> None:
    rows = (("Key", "Text"), ("long", " ".join(f"w{n}" for n in range(300))))
    drafts = cut(Table(rows), sizes=SMALL)
    found = {word for draft in drafts for word in draft.text.split()}
    assert {f"w{n}" for n in range(300)} <= found
    assert all(draft.tokens <= SMALL.limit for draft in drafts)


def test_regions_merge_the_lines_of_a_paragraph_but_not_two_columns() -> None:
    lines = [
        Span(0, 10, Box(1, 50, 100, 250, 110)),
        Span(10, 20, Box(1, 50, 112, 250, 122)),
        Span(20, 30, Box(1, 300, 100, 500, 110)),
        Span(30, 40, Box(2, 50, 40, 250, 50)),
    ]
    (draft,) = cut(Paragraph("x" * 40, page=1, spans=tuple(lines)))
    found = [(r.page, r.x0, r.y0, r.x1, r.y1) for r in draft.regions]
    assert found == [(1, 50, 100, 250, 122), (1, 300, 100, 500, 110), (2, 50, 40, 250, 50)]
    assert draft.page == 1


def test_a_part_of_a_paragraph_has_only_the_lines_it_stands_on() -> None:
    text = sentences(10)
    half = text.index("S5")
    spans = (Span(0, half, Box(3, 0, 0, 100, 50)), Span(half, len(text), Box(4, 0, 0, 100, 50)))
    drafts = cut(Paragraph(text, page=3, spans=spans), sizes=PassageSizes(50, 60, 10, 100))
    assert [(d.page, [r.page for r in d.regions]) for d in drafts] == [(3, [3]), (4, [4])]


def test_index_text_puts_title_and_headings_in_front_once() -> None:
    (draft,) = cut(Heading("Handbook", 1), Heading("Leave", 2), Paragraph("You have 15 days."))
    assert index_text("Handbook", draft.heading_path, draft.text) == "Handbook › Leave\nYou have 15 days."
    assert index_text("HR", draft.heading_path, draft.text) == "HR › Handbook › Leave\nYou have 15 days."


def test_a_very_long_heading_does_not_push_the_text_out() -> None:
    heading = " ".join(["heading"] * 200)
    drafts = cut(Heading(heading, 1), Paragraph(sentences(30)), title=heading)
    assert all(count(index_text(heading, draft.heading_path, draft.text)) <= PassageSizes().limit for draft in drafts)


# Shrinking documents takes minutes; the example found says enough.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
WORDS = st.text(alphabet="abc中文.。,| ", min_size=1, max_size=12).filter(str.strip)
TEXT = st.lists(WORDS, min_size=1, max_size=60).map(" ".join)
TABLE_ROWS = st.lists(st.tuples(TEXT, WORDS), min_size=1, max_size=12)
BLOCKS = st.one_of(
    st.builds(Heading, TEXT, st.integers(1, 4)),
    st.builds(Paragraph, TEXT),
    st.builds(ListItem, TEXT),
    st.builds(Code, TEXT),
    st.builds(Table, TABLE_ROWS.map(tuple), st.integers(0, 2), st.sampled_from(["", "A title"])),
)


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(st.lists(BLOCKS, max_size=12))
def test_no_word_is_lost_and_no_passage_exceeds_the_limit(blocks: list[Block]) -> None:
    drafts = cut(*blocks, title="Title", sizes=SMALL)
    assert [draft.ordinal for draft in drafts] == list(range(len(drafts)))
    assert all(draft.tokens == count(draft.text) <= SMALL.limit for draft in drafts)
    kept = "".join("".join([*draft.heading_path, draft.text]) for draft in drafts)
    letters = {char for char in kept if char.isalnum()}
    assert {char for block in blocks for char in block_text(block) if char.isalnum()} <= letters
    total = sum(sum(map(str.isalnum, block_text(block))) for block in blocks if block.kind != "heading")
    assert sum(sum(map(str.isalnum, draft.text)) for draft in drafts) >= total


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_passages_of_plain_text_are_verbatim_slices_in_order(texts: list[str]) -> None:
    whole = "\n\n".join(texts)
    place = 0
    for draft in cut(*map(Paragraph, texts), sizes=SMALL):
        for part in draft.text.split("\n\n"):
            found = whole.find(part.strip(), place)
            assert found >= 0
            place = found + len(part.strip())


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_blocks_without_text_give_no_passage(text: str) -> None:
    assert cut(Paragraph(text), Table(((text, text),))) == []


def words(number: int) -> str:
    return "\n".join(f"{n * 7919 % 10_007:05d}" for n in range(number))


HARD: dict[str, Callable[[int], Sequence[Block]]] = {
    "words without a sentence's end": lambda n: [Paragraph(words(n))],
    "one word": lambda n: [Code("a" * n)],
    "abbreviations": lambda n: [Paragraph("e.g. Foo " * n)],
    "headings": lambda n: [Heading(f"Heading {number}", 1) for number in range(n)],
    "a cell": lambda n: [Table((("Name", "Value"), ("x", words(n))))],
    "a table's title": lambda n: [Table((("Name", "Value"), ("x", "y")), title=words(n))],
    "nothing to be counted": lambda n: [Heading("\u200b", 1) if k % 2 else Paragraph("\u200b") for k in range(n)],
}


@pytest.mark.parametrize("shape", HARD)
def test_cutting_costs_as_much_as_the_text_is_long(shape: str) -> None:
    def cost(size: int) -> int:
        counted = 0

        def measure(text: str, /) -> int:
            nonlocal counted
            counted += 1 + len(text)
            assert len(text) <= 30_000
            return len(WORD.findall(text))

        passages(ParsedDocument("text/plain", tuple(HARD[shape](size))), count_tokens=measure)
        return counted

    assert cost(40_000) <= 4.4 * cost(10_000)


def test_a_passage_has_few_characters_even_where_all_are_one_token() -> None:
    drafts = cut(Paragraph("\U00013000" * 5_000), Table((("Name", "Value"), ("x", "\U00013000" * 5_000))), sizes=SMALL)
    assert max(len(draft.text) for draft in drafts) <= 16 * SMALL.limit
    assert sum(draft.text.count("\U00013000") for draft in drafts) == 10_000


def naive(text: str, room: int) -> list[str]:
    """Cut off, again and again, the longest part that fits, back to the end of a clause or a word."""
    pieces: list[str] = []
    rest = text.strip()
    while count(rest) > room:
        longest = next(end for end in range(len(rest), 0, -1) if count(rest[:end]) <= room)
        marks = "\n；;，,、：:|)） "
        places = (rest.rfind(mark, longest // 2, longest) for mark in marks)
        end = next((place + 1 for place in places if place > longest // 2), longest)
        pieces.append(rest[:end].strip())
        rest = rest[end:].strip()
    return [*pieces, rest]


@given(st.lists(st.sampled_from(["word", "w,", "年假，", "a\n", "b；", "(c)", "长"]), min_size=81, max_size=250))
def test_a_sentence_too_long_is_cut_where_clauses_and_words_end(parts: list[str]) -> None:
    text = " ".join(parts)
    table = Table(((text,),), header_rows=0)
    flat = " ".join(text.split())
    assert [draft.text for draft in cut(table, sizes=SMALL)] == naive(flat, 78)
