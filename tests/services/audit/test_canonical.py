"""The bytes that are hashed are those of RFC 8785."""

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from zhiku_services.audit.canonical import canonical
from zhiku_services.audit.errors import EventTooLargeError, NotCanonicalError

KEYS = st.text(st.characters(codec="ascii"), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)


@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_the_bytes_are_those_of_an_independent_implementation(value: dict[str, Any]) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), 2**53, -(2**53), {"名": 1}, [[0.1]], b"bytes", "\ud800", {1: "a"}, (1, 2)]
)
def test_what_two_programs_may_write_differently_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonicalError):
        canonical({"value": value})


def test_an_entry_is_never_longer_than_a_tile_can_carry() -> None:
    frame = len(b'{"text":""}')
    assert len(canonical({"text": "x" * (65_535 - frame)})) == 65_535
    with pytest.raises(EventTooLargeError):
        canonical({"text": "x" * (65_536 - frame)})
