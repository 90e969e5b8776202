"""What a scope becomes before it reaches the engine, and what never reaches it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiku_services.knowledge.filters import (
    MAX_ACL_IDS,
    encode_id,
    encode_int,
    encode_name,
    id_expressions,
    scope_expressions,
)
from zhiku_services.knowledge.index import ALL_ACLS, KnowledgeBaseScope, Scope, UnsafeIdError


def test_a_scope_becomes_one_expression() -> None:
    scope = Scope("acme", 2, (KnowledgeBaseScope("kb1", ALL_ACLS, 3), KnowledgeBaseScope("kb2", frozenset({9, -4}), 5)))

    (expression,) = scope_expressions(scope)
    assert expression == (
        'tenant == "acme" and level <= 2 and ('
        '(kb_id == "kb1" and released_from <= 3 and released_to > 3)'
        ' or (kb_id == "kb2" and acl_id in [-4, 9] and released_from <= 5 and released_to > 5))'
    )


@pytest.mark.parametrize(
    "knowledge_bases",
    [(), (KnowledgeBaseScope("kb", frozenset(), 1), KnowledgeBaseScope("kc", frozenset(), 1))],
)
def test_an_empty_scope_has_no_expression_at_all(knowledge_bases: tuple[KnowledgeBaseScope, ...]) -> None:
    assert scope_expressions(Scope("acme", 9, knowledge_bases)) == []


def test_no_ids_within_leaves_no_expression() -> None:
    scope = Scope("acme", 0, (KnowledgeBaseScope("kb", ALL_ACLS, 1),))

    assert scope_expressions(scope, []) == []
    assert scope_expressions(scope, ["p1"])[0].endswith(' and passage_id in ["p1"]')


def test_many_acl_ids_are_split_without_loss_or_overlap() -> None:
    scope = Scope(
        "acme",
        0,
        (
            KnowledgeBaseScope("a", frozenset(range(MAX_ACL_IDS - 1)), 1),
            KnowledgeBaseScope("b", ALL_ACLS, 1),
            KnowledgeBaseScope("c", frozenset(range(10**6, 10**6 + MAX_ACL_IDS + 3)), 1),
        ),
    )

    expressions = scope_expressions(scope)

    assert len(expressions) == 3
    assert sum(expression.count('"b"') for expression in expressions) == 1
    numbers = [
        [int(number) for part in expression.split("acl_id in [")[1:] for number in part.split("]")[0].split(",")]
        for expression in expressions
    ]
    assert max(map(len, numbers)) == MAX_ACL_IDS
    assert sorted(number for each in numbers for number in each) == sorted(
        [*range(MAX_ACL_IDS - 1), *range(10**6, 10**6 + MAX_ACL_IDS + 3)]
    )


def test_a_scope_that_names_a_knowledge_base_twice_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="once"):
        Scope("acme", 0, (KnowledgeBaseScope("kb", frozenset({1}), 1), KnowledgeBaseScope("kb", ALL_ACLS, 1)))


def test_ids_are_sorted_and_written_once() -> None:
    assert id_expressions(["b", "a", "b"]) == ['passage_id in ["a", "b"]']


@given(st.text(max_size=40))
def test_no_text_escapes_its_quotes(text: str) -> None:
    for encode in (encode_name, encode_id):
        try:
            encoded = encode(text)
        except UnsafeIdError:
            continue
        body = encoded[1:-1]
        assert encoded[0] == encoded[-1] == '"'
        assert '"' not in body.replace("\\\\", "").replace('\\"', "")
        assert not body.replace("\\\\", "").endswith("\\")


@given(st.integers())
def test_an_integer_is_written_as_itself_or_refused(number: int) -> None:
    if abs(number) < 2**63:
        assert int(encode_int(number)) == number
    else:
        with pytest.raises(UnsafeIdError):
            encode_int(number)


def test_an_error_does_not_repeat_what_it_refused() -> None:
    with pytest.raises(UnsafeIdError) as caught:
        encode_id('secret" or 1 == 1')

    assert "secret" not in str(caught.value)
