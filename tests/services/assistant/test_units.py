"""What is quoted stands in the passage, letter by letter."""

from hypothesis import given
from hypothesis import strategies as st

from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import PassageKind, SearchRequest
from zhiku_platform.testing.knowledge import LocalKnowledge
from zhiku_services.assistant.answering.units import Unit, quotable_units

READER = Principal(sub="lin", tenant="acme", roles=frozenset({Role.EMPLOYEE}))
PIECES = [
    "员工每年有15天年假。",
    "Leave is 15 days. ",
    "\n",
    "\n\n",
    "- item ",
    " | ",
    "标题",
    "a",
    "1. ",
    "x ",
    "；",
    "“引用”",
    "  ",
]


def units_of(text: str, *, kind: PassageKind = PassageKind.TEXT, title: str = "Handbook") -> list[Unit]:
    knowledge = LocalKnowledge()
    knowledge.add(title, text, kind=kind, heading_path=["Part"])
    return quotable_units(knowledge.search(READER, SearchRequest(query=f"{title} Part")).passages)


@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=25).map("".join).filter(str.strip),
    st.sampled_from(PassageKind),
)
def test_every_unit_is_a_verbatim_slice_of_its_passage(text: str, kind: PassageKind) -> None:
    units = units_of(text, kind=kind)
    for unit in units:
        assert unit.quote == text[unit.start : unit.end]
        assert unit.quote.strip()
    assert "".join("".join(unit.quote.split()) for unit in units) == "".join(text.split())


def test_a_table_row_reads_as_header_and_value() -> None:
    text = "Hotel caps\nCity | Cap per night | Currency\nShanghai | 650 | CNY\nZurich | 240 | CHF"
    units = units_of(text, kind=PassageKind.TABLE)
    rows = [unit for unit in units if unit.kind == "row"]
    assert [row.text for row in rows] == [
        "City: Shanghai; Cap per night: 650; Currency: CNY",
        "City: Zurich; Cap per night: 240; Currency: CHF",
    ]
    assert rows[0].quote == "Shanghai | 650 | CNY"
    assert "Hotel caps" in rows[0].context


def test_a_heading_inside_a_passage_gives_its_sentences_context() -> None:
    units = units_of("Annual leave\nYou get 15 days.\nSick leave\nYou get 30 days.")
    sentences = [unit for unit in units if unit.kind == "sentence"]
    assert [(unit.text, unit.context) for unit in sentences] == [
        ("You get 15 days.", "Handbook Part Annual leave"),
        ("You get 30 days.", "Handbook Part Sick leave"),
    ]


def test_a_numbered_heading_is_no_sentence() -> None:
    units = units_of(
        "6.1 Sabbatical (all sites)\nEvery employee may take a sabbatical of 6 weeks.\n\n"
        "7 Conduct\n7.1 Gifts and hospitality\nAccept no gift of more than CNY 300.\n\n"
        "3.5 million visitors came.\n40 Plants\nThe plants are closed in July (see the calendar.)"
    )
    assert [unit.text for unit in units if unit.kind == "heading"] == [
        "6.1 Sabbatical (all sites)",
        "7 Conduct",
        "7.1 Gifts and hospitality",
    ]
