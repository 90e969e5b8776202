"""Roots and proofs: the known answers of Certificate Transparency, and a second implementation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiku_services.audit.merkle import TreeReader
from zhiku_services.audit.verifier import (
    TILE,
    CompactRange,
    fold,
    is_consistent,
    leaf_hash,
    root_from_inclusion,
)

from . import rfc6962

# The inputs and roots of the tests of Certificate Transparency's own code (merkle_tree_test.cc).
INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def reader(leaves: list[bytes], *, missing: int | None = None) -> TreeReader:
    def read_tiles(level: int, first: int, last: int) -> list[bytes]:
        full = range(first, min(last, len(leaves) // TILE)) if level == 0 else ()
        return [b"".join(leaves[n * TILE : (n + 1) * TILE]) for n in full if n != missing]

    return TreeReader(len(leaves), read_tiles, lambda first, last: leaves[first:last])


def test_the_roots_are_those_of_certificate_transparency() -> None:
    assert CompactRange().root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    tree = CompactRange()
    leaves = [leaf_hash(data) for data in INPUTS]
    for size, (leaf, root) in enumerate(zip(leaves, ROOTS, strict=True), 1):
        tree.append(leaf)
        assert tree.root().hex() == root
        assert reader(leaves).root(size).hex() == root


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []),
        (
            0,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            2,
            3,
            ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
        ),
    ],
)
def test_inclusion_proofs_are_those_of_certificate_transparency(index: int, size: int, path: list[str]) -> None:
    tree = reader([leaf_hash(data) for data in INPUTS])
    assert [node.hex() for node in tree.inclusion(index, size)] == path


def test_a_consistency_proof_is_that_of_certificate_transparency() -> None:
    tree = reader([leaf_hash(data) for data in INPUTS])
    assert [node.hex() for node in tree.consistency(6, 8)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_proof_is_that_of_the_second_implementation(data: st.DataObject) -> None:
    size = data.draw(st.one_of(st.integers(1, 40), st.integers(250, 530)))
    leaves = [rfc6962.leaf(n.to_bytes(2, "big")) for n in range(size)]
    tree = reader(leaves)
    second = data.draw(st.integers(1, size))
    first = data.draw(st.integers(1, second))
    index = data.draw(st.integers(0, second - 1))
    root = rfc6962.mth(leaves[:second])

    assert tree.root(second) == root
    assert tree.inclusion(index, second) == rfc6962.path(index, leaves[:second])
    assert tree.consistency(first, second) == rfc6962.proof(first, leaves[:second])
    assert root_from_inclusion(leaves[index], index, second, tree.inclusion(index, second)) == root
    assert is_consistent(first, rfc6962.mth(leaves[:first]), second, root, tree.consistency(first, second))


def test_a_tile_that_is_missing_is_made_from_what_is_below_it() -> None:
    leaves = [rfc6962.leaf(n.to_bytes(2, "big")) for n in range(800)]
    tree = reader(leaves, missing=1)
    assert tree.root() == rfc6962.mth(leaves)
    assert tree.consistency(700, 800) == rfc6962.proof(700, leaves)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_proof_survives_a_change(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 60))
    leaves = [rfc6962.leaf(bytes([n])) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    root = rfc6962.mth(leaves)
    proof = rfc6962.path(index, leaves)
    place = data.draw(st.integers(0, len(proof) - 1))
    changed = [*proof[:place], rfc6962.sha256(proof[place]), *proof[place + 1 :]]

    assert root_from_inclusion(leaves[index], index, size, changed) != root
    assert root_from_inclusion(leaves[index], index, size, proof[:-1]) != root
    assert root_from_inclusion(leaves[index], index, size, [*proof, root]) != root
    assert root_from_inclusion(rfc6962.leaf(b"forged"), index, size, proof) != root
    first = data.draw(st.integers(1, size - 1))
    consistency = rfc6962.proof(first, leaves)
    forged = rfc6962.mth([rfc6962.leaf(b"forged"), *leaves[1:first]])
    assert not is_consistent(first, forged, size, root, consistency)
    assert not is_consistent(first, rfc6962.mth(leaves[:first]), size, forged, consistency)


def test_a_full_subtree_folds_to_the_same_root() -> None:
    leaves = [rfc6962.leaf(bytes([n])) for n in range(16)]
    assert fold(leaves) == rfc6962.mth(leaves)
