"""From the inbox into the log: each event once, in its place, in tree and chain alike."""

import hashlib
import sqlite3

import pytest
from sqlalchemy import select

from zhiku_services.audit.models import ENTRY, INBOX, TILE
from zhiku_services.audit.sequencer import sequence

from .conftest import Audit, published


def test_events_enter_the_log_in_the_order_they_came(audit: Audit) -> None:
    audit.fill(5)
    audit.settle()

    assert [event["subject"] for event in audit.events()] == ["doc_0", "doc_1", "doc_2", "doc_3", "doc_4"]
    with audit.database.engine.connect() as connection:
        assert connection.scalars(select(ENTRY.c.idx).order_by(ENTRY.c.idx)).all() == [0, 1, 2, 3, 4]
        assert connection.execute(select(INBOX)).all() == []


def test_an_event_that_comes_again_is_there_once(audit: Audit) -> None:
    event = published(1)
    audit.append(event, published(2))
    audit.append(event)
    audit.settle()
    audit.append(event, published(3))
    audit.settle()

    assert [found["subject"] for found in audit.events()] == ["doc_1", "doc_2", "doc_3"]
    assert audit.verify().ok


def test_leaf_and_chain_are_what_a_shell_computes(audit: Audit) -> None:
    audit.fill(3)
    audit.settle()

    with audit.database.engine.connect() as connection:
        rows = connection.execute(select(ENTRY).order_by(ENTRY.c.idx)).all()
    link = bytes(32)
    for row in rows:
        leaf = hashlib.sha256(b"\x00" + row.payload).digest()
        link = hashlib.sha256(link + leaf).digest()
        assert (row.leaf, row.chain) == (leaf, link)


def test_tiles_are_kept_when_they_are_full_on_every_level(audit: Audit) -> None:
    audit.fill(700, batch=350)
    sequence(audit.database, 100)
    audit.settle()

    with audit.database.engine.connect() as connection:
        tiles = connection.execute(select(TILE.c.level, TILE.c.n, TILE.c.hashes).order_by(TILE.c.n)).all()
        leaves = connection.scalars(select(ENTRY.c.leaf).order_by(ENTRY.c.idx)).all()
    assert [(tile.level, tile.n) for tile in tiles] == [(0, 0), (0, 1)]
    assert tiles[1].hashes == b"".join(leaves[256:512])


def test_a_batch_that_fails_leaves_all_of_it_in_the_inbox(audit: Audit) -> None:
    audit.fill(4)
    audit.sql("CREATE TRIGGER boom BEFORE INSERT ON facet WHEN NEW.idx = 2 BEGIN SELECT RAISE(ABORT, 'boom'); END",
              unprotected=False)  # fmt: skip
    with pytest.raises(sqlite3.IntegrityError, match="boom"):
        sequence(audit.database)
    assert audit.events() == []
    audit.sql("DROP TRIGGER boom", unprotected=False)
    audit.settle()
    assert len(audit.events()) == 4
    assert audit.verify().ok
