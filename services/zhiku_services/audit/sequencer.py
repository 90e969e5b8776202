"""The one sequencer: gives inbox events their places, and grows the tree and the chain by them.

All of a batch happens in one transaction, under a lock that lets one process in, so that a crash anywhere
leaves either the inbox row or the log entry: an index is never skipped, and nothing is lost or doubled.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from zhiku_platform.db import Database
from zhiku_services.audit.canonical import read
from zhiku_services.audit.facets import FACET_COLUMNS, MENTION_COLUMNS, facet_of, mentions_of
from zhiku_services.audit.merkle import split, tile_root
from zhiku_services.audit.models import ENTRY, FACET, INBOX, MENTION, PROCESS, TILE, TREE, VOIDED
from zhiku_services.audit.verifier import EMPTY_CHAIN, CompactRange, chain_hash, fold, leaf_hash
from zhiku_services.audit.verifier import TILE as TILE_WIDTH

BATCH = 4096
_LOCK = 0x5A48494B55  # "ZHIKU"


@dataclass(frozen=True)
class _Tree:
    range: CompactRange
    chain: bytes


def sequence(database: Database, limit: int = BATCH) -> int:
    """Move up to `limit` events from the inbox into the log; return how many entered it.

    While another process does it, nothing happens.
    """
    with database.read() as session:
        if session.execute(select(INBOX.c.n).limit(1)).first() is None:
            return 0
    with database.write() as session:
        return _sequence(session.connection(), limit)


def _sequence(connection: Connection, limit: int) -> int:
    if connection.dialect.name == "postgresql":
        query = text("SELECT pg_try_advisory_xact_lock(:key)")
        if not connection.execute(query, {"key": _LOCK}).scalar():
            return 0
    waiting = connection.execute(select(INBOX).order_by(INBOX.c.n).limit(limit)).all()
    if not waiting:
        return 0
    known = _known(connection, [row.event_id for row in waiting])
    new = [(row.event_id, bytes(row.payload)) for row in waiting if row.event_id not in known]
    if new:
        _append(connection, new)
    _clear(connection, [row.n for row in waiting])
    return len(new)


def _append(connection: Connection, new: Sequence[tuple[str, bytes]]) -> None:
    tree = _read_tree(connection)
    first, link = tree.range.size, tree.chain
    entries: list[tuple[Any, ...]] = []
    for idx, (event_id, payload) in enumerate(new, first):
        leaf = leaf_hash(payload)
        link = chain_hash(link, leaf)
        entries.append((idx, event_id, payload, leaf, link))
    insert_many(connection, ENTRY, ENTRY_COLUMNS, entries)
    facets: list[tuple[Any, ...]] = []
    mentions: list[tuple[Any, ...]] = []
    stamps: list[Mapping[str, Any]] = []
    for idx, (_, payload) in enumerate(new, first):
        # One at a time: thousands of parsed events at once keep the garbage collector busy.
        event = read(payload)
        facets.append(facet_of(idx, event))
        mentions += mentions_of(idx, event)
        if "producer" in event["data"]:
            stamps.append(event["data"]["producer"])
    insert_many(connection, FACET, FACET_COLUMNS, facets)
    insert_many(connection, MENTION, MENTION_COLUMNS, mentions)
    _count_stamps(connection, stamps)
    _grow(connection, tree.range, [entry[3] for entry in entries])
    _write_tree(connection, tree.range, link, is_new=first == 0)


def _grow(connection: Connection, tree: CompactRange, leaves: list[bytes]) -> None:
    """Append leaves, and keep each tile that becomes full."""
    start = tree.size // TILE_WIDTH * TILE_WIDTH
    tail = _leaves(connection, start, tree.size) + leaves
    _append_leaves(tree, leaves)
    full = len(tail) // TILE_WIDTH
    tiles = [(0, start // TILE_WIDTH + n, tail[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]) for n in range(full)]
    rows: list[tuple[Any, ...]] = []
    while tiles:
        rows += [(level, n, b"".join(hashes)) for level, n, hashes in tiles]
        tiles = _parents(connection, tiles)
    insert_many(connection, TILE, ("level", "n", "hashes"), rows)


def _append_leaves(tree: CompactRange, leaves: Sequence[bytes]) -> None:
    """Append leaves, whole tiles at once where they begin at one."""
    place = 0
    while place < len(leaves):
        if tree.size % TILE_WIDTH == 0 and len(leaves) - place >= TILE_WIDTH:
            tree.append_subtree(fold(leaves[place : place + TILE_WIDTH]), TILE_WIDTH)
            place += TILE_WIDTH
        else:
            tree.append(leaves[place])
            place += 1


def _parents(connection: Connection, tiles: list[tuple[int, int, list[bytes]]]) -> list[tuple[int, int, list[bytes]]]:
    """The tiles one level up that these have filled."""
    level, first = tiles[0][0] + 1, tiles[0][1]
    start = first // TILE_WIDTH
    if (first + len(tiles)) // TILE_WIDTH == start:
        return []
    before = stored_tiles(connection, level - 1, start * TILE_WIDTH, first)
    roots = [tile_root(hashes) for hashes in before] + [fold(hashes) for _, _, hashes in tiles]
    return [(level, start + n, roots[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]) for n in range(len(roots) // TILE_WIDTH)]


def stored_tiles(connection: Connection, level: int, first: int, last: int) -> list[bytes]:
    """Of the tiles (level, first) to (level, last - 1) those that are full, in order."""
    query = select(TILE.c.hashes).where(TILE.c.level == level, TILE.c.n >= first, TILE.c.n < last).order_by(TILE.c.n)
    return [bytes(hashes) for hashes in connection.execute(query).scalars()]


def _leaves(connection: Connection, first: int, last: int) -> list[bytes]:
    query = select(ENTRY.c.leaf).where(ENTRY.c.idx >= first, ENTRY.c.idx < last).order_by(ENTRY.c.idx)
    return [bytes(leaf) for leaf in connection.execute(query).scalars()]


def _read_tree(connection: Connection) -> _Tree:
    row = connection.execute(select(TREE)).first()
    if row is None:
        return _Tree(CompactRange(), EMPTY_CHAIN)
    return _Tree(CompactRange(row.size, split(bytes(row.hashes))), bytes(row.chain))


def _write_tree(connection: Connection, tree: CompactRange, chain: bytes, *, is_new: bool) -> None:
    values = {"size": tree.size, "hashes": b"".join(tree.hashes), "chain": chain}
    connection.execute(insert(TREE).values(id=1, **values) if is_new else update(TREE).values(**values))


def _known(connection: Connection, ids: list[str]) -> set[str]:
    """Events that are in the log already: a producer sent them again."""
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql("SELECT event_id FROM entry WHERE event_id = ANY(%s)", (ids,))
        return set(found.scalars())
    found_in_inbox = select(ENTRY.c.event_id).join(INBOX, INBOX.c.event_id == ENTRY.c.event_id)
    return set(connection.execute(found_in_inbox).scalars())


def _clear(connection: Connection, numbers: list[int]) -> None:
    if connection.dialect.name == "postgresql":
        # Others may have committed lower numbers since: exactly those that were read.
        connection.exec_driver_sql("DELETE FROM inbox WHERE n = ANY(%s)", (numbers,))
    else:
        connection.execute(delete(INBOX).where(INBOX.c.n <= numbers[-1]))


def insert_many(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows as fast as the database can: by COPY on PostgreSQL, with one prepared statement on SQLite."""
    names = ", ".join(columns)
    driver = connection.connection.driver_connection
    assert driver is not None
    if connection.dialect.name == "postgresql":
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        places = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({places})", rows)  # noqa: S608 - our own names


ENTRY_COLUMNS = ("idx", "event_id", "payload", "leaf", "chain")


def _count_stamps(connection: Connection, stamps: Sequence[Mapping[str, Any]]) -> None:
    """Note which numbers of each producing process have come."""
    received: dict[tuple[str, str], int] = {}
    highest: dict[tuple[str, str], int] = {}
    voided: list[dict[str, Any]] = []
    for stamp in stamps:
        process = stamp["name"], stamp["boot"]
        received[process] = received.get(process, 0) + 1 + len(stamp.get("voided", ()))
        highest[process] = max(highest.get(process, 0), stamp["seq"])
        voided += [{"producer": process[0], "boot": process[1], "seq": seq} for seq in stamp.get("voided", ())]
    if voided:
        connection.execute(_upsert(connection, VOIDED).on_conflict_do_nothing(), voided)
    for (producer, boot), count in received.items():
        top = highest[producer, boot]
        statement = _upsert(connection, PROCESS).values(producer=producer, boot=boot, received=count, highest=top)
        higher = text("CASE WHEN excluded.highest > process.highest THEN excluded.highest ELSE process.highest END")
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["producer", "boot"],
                set_={"received": PROCESS.c.received + count, "highest": higher},
            )
        )


def _upsert(connection: Connection, table: Table) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
