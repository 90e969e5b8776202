"""What an administrator of the database can do to the log, with the standard library alone."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from . import rfc6962
from .conftest import Audit

BAD = 300
"""The entry that is touched."""


@contextmanager
def as_administrator(audit: Audit) -> Iterator[sqlite3.Connection]:
    """The database without its triggers, by the standard library."""
    path = audit.settings.home / "db" / "audit.sqlite3"
    with closing(sqlite3.connect(path)) as tables, tables:
        for (name,) in tables.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            tables.execute(f"DROP TRIGGER {name}")
        yield tables


def rebuild(tables: sqlite3.Connection) -> None:
    """Make everything beside the entries agree with them again; only signatures are out of reach."""
    rows = tables.execute("SELECT idx, payload FROM entry ORDER BY idx").fetchall()
    tables.execute("DELETE FROM entry")
    tables.execute("DELETE FROM tile")
    leaves = [rfc6962.leaf(payload) for _, payload in rows]
    link = bytes(32)
    for idx, ((_, payload), leaf) in enumerate(zip(rows, leaves, strict=True)):
        link = rfc6962.sha256(link + leaf)
        event = json.loads(payload)
        tables.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", (idx, event["id"], payload, leaf, link))
        tables.execute("UPDATE facet SET subject = ? WHERE idx = ?", (event["subject"], idx))
        tables.execute("DELETE FROM mention WHERE kind = 'document' AND idx = ?", (idx,))
        if event["subject"].startswith("doc_"):
            tables.execute("INSERT INTO mention VALUES (?, 'document', ?)", (idx, event["subject"]))
    for n in range(len(leaves) // 256):
        tables.execute("INSERT INTO tile VALUES (0, ?, ?)", (n, b"".join(leaves[n * 256 : (n + 1) * 256])))
    hashes: list[bytes] = []
    start, rest = 0, len(leaves)
    while rest:
        width = 1 << (rest.bit_length() - 1)
        hashes.append(rfc6962.mth(leaves[start : start + width]))
        start, rest = start + width, rest - width
    tables.execute("UPDATE tree SET size = ?, hashes = ?, chain = ?", (len(leaves), b"".join(hashes), link))


def edited(payload: bytes) -> bytes:
    changed = payload.replace(b'"subject":"doc_', b'"subject":"doc_9')
    assert changed != payload
    return changed


def edit(tables: sqlite3.Connection) -> None:
    (payload,) = tables.execute("SELECT payload FROM entry WHERE idx = ?", (BAD,)).fetchone()
    tables.execute("UPDATE entry SET payload = ? WHERE idx = ?", (edited(payload), BAD))
