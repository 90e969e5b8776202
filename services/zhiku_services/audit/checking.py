"""Checks the log in a database: every entry against what was stored beside it and what was signed."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from heapq import merge
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select

from zhiku_platform.db import Database
from zhiku_services.audit.canonical import read
from zhiku_services.audit.custody import Custody
from zhiku_services.audit.facets import FACET_COLUMNS, MENTION_COLUMNS, facet_of, mentions_of
from zhiku_services.audit.log import tree_of
from zhiku_services.audit.merkle import split
from zhiku_services.audit.models import BLOB, CHECKPOINT, ENTRY, FACET, MENTION, RECORD_KEY, TILE
from zhiku_services.audit.sequencer import ENTRY_COLUMNS
from zhiku_services.audit.verifier import (
    INCOMPLETE,
    OK,
    TAMPERED,
    Checkpoint,
    LogCheck,
    LogKeys,
    TamperedError,
    Verdict,
    VerifierKey,
    fold,
)
from zhiku_services.audit.verifier import (
    TILE as TILE_WIDTH,
)

BATCH = 4096


def verify_database(
    database: Database,
    key: str,
    anchors: Sequence[str] = (),
    handovers: Sequence[str] = (),
    *,
    pepper: bytes | None = None,
) -> Verdict:
    """Check the whole log with the public key `key`, and the keys that `handovers` lead to from it.

    `anchors` are checkpoints from outside the database: the signer's last one, or a witness's. They find what
    a database that was put back to an earlier state cannot tell. With the `pepper` of the log's pseudonyms it is
    checked, too, that each leads to the person for whom it was made.
    """
    log_key = VerifierKey.parse(key)
    connection = database.engine.connect()
    if not database.is_sqlite:
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
    with connection:
        return _Check(connection, log_key, anchors, handovers, pepper).run()


def read_anchors(folders: Sequence[Path]) -> list[str]:
    """The last checkpoints that these folders of signers and witnesses keep."""
    paths = [folder / "last.checkpoint" for folder in folders]
    return [path.read_text(encoding="utf-8") for path in paths if path.exists()]


class _Check:
    def __init__(
        self,
        connection: Connection,
        key: VerifierKey,
        anchors: Sequence[str],
        handovers: Sequence[str],
        pepper: bytes | None,
    ) -> None:
        self._connection = connection
        self._key = key
        self._keys = LogKeys(key)
        self._handovers = handovers
        self._anchors = anchors
        # PostgreSQL would write bytes as hexadecimal text, twice as long.
        self._cursor_options = {"binary": True} if connection.dialect.name == "postgresql" else {}
        self._events = 0
        self._latest: Checkpoint | None = None
        self._warning: str | None = None
        self._tile_roots: list[bytes] = []
        self._pepper = pepper
        self._custody = Custody()

    def run(self) -> Verdict:
        self._events = self._connection.execute(select(func.count()).select_from(ENTRY)).scalar_one()
        try:
            self._keys = LogKeys(self._key, self._handovers)
            check = LogCheck(self._checkpoints())
            for first, rows in self._entries():
                _, ids, payloads, leaves, chain = zip(*rows, strict=True)
                # Tiles first: they name the entry where a checkpoint can only say between which two.
                self._check_tiles(first, leaves)
                check.add(payloads, leaves, chain)
                self._check_beside(first, ids, payloads)
                self._warning = check.warning
            check.finish()
            self._check_upper_tiles()
            self._check_tree(check)
            self._custody.check(self._connection, self._pepper)
        except TamperedError as error:
            return self._verdict(TAMPERED, error.index, error.reason)
        if self._latest is None and self._events:
            return self._verdict(INCOMPLETE, None, "nothing of the log is signed yet")
        return self._verdict(OK, None, None)

    def _verdict(self, status: int, index: int | None, reason: str | None) -> Verdict:
        latest = self._latest
        size = 0 if latest is None else latest.size
        root = None if latest is None else latest.root.hex()
        return Verdict(
            ok=status == OK,
            events=self._events,
            tree_size=size,
            root=root,
            first_bad_index=index,
            reason=reason,
            status=status,
            key=str(self._key),
            unsealed=max(0, self._events - size),
            warning=self._warning,
        )

    def _checkpoints(self) -> Iterator[Checkpoint]:
        """Every checkpoint, in the order of sizes, opened when it falls due: there is one for each second."""
        anchors = sorted((self._keys.open(text) for text in self._anchors), key=_size)
        query = select(CHECKPOINT.c.size, CHECKPOINT.c.note).order_by(CHECKPOINT.c.size.desc()).limit(1)
        newest = [self._open(size, note) for size, note in self._connection.execute(query)]
        latest = max([*anchors, *newest], key=_size, default=None)
        if latest is not None and not self._keys.signed(latest.note):
            raise TamperedError(f"the checkpoint of size {latest.size} is signed by a key that was handed over")
        self._latest = latest
        return merge(anchors, self._stored_checkpoints(), key=_size)

    def _stored_checkpoints(self) -> Iterator[Checkpoint]:
        after, query = -1, select(CHECKPOINT.c.size, CHECKPOINT.c.note).order_by(CHECKPOINT.c.size).limit(BATCH)
        while rows := self._connection.execute(query.where(CHECKPOINT.c.size > after)).all():
            for size, note in rows:
                yield self._open(size, note)
            after = rows[-1].size

    def _open(self, size: int, note: str) -> Checkpoint:
        checkpoint = self._keys.open(note)
        if checkpoint.size != size:
            raise TamperedError(f"the checkpoint of size {size} is another one")
        return checkpoint

    def _entries(self) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
        """The entries in order, in batches that begin at multiples of a tile's width."""
        first = 0
        while True:
            rows = self._rows(ENTRY, ENTRY_COLUMNS, first, first + BATCH)
            for expected, row in enumerate(rows, first):
                if row[0] != expected:
                    raise TamperedError("an entry is missing", expected)
            if rows:
                yield first, rows
            if len(rows) < BATCH:
                break
            first += BATCH
        beyond = self._connection.execute(select(func.max(ENTRY.c.idx))).scalar()
        if beyond is not None and beyond >= self._events:
            raise TamperedError("an entry is missing", first + len(rows))

    def _rows(self, table: Table, columns: Sequence[str], first: int, last: int) -> list[tuple[Any, ...]]:
        """The rows from index `first` to `last - 1`, in order, as the driver makes them: objects take twice as long."""
        driver = self._connection.connection.driver_connection
        assert driver is not None
        query = f"SELECT {', '.join(columns)} FROM {table.name} WHERE idx >= {first} AND idx < {last} ORDER BY idx"  # noqa: S608 - our own names and integers
        with closing(driver.cursor(**self._cursor_options)) as cursor:
            found: list[tuple[Any, ...]] = cursor.execute(query).fetchall()
        return found

    def _check_tiles(self, first: int, leaves: Sequence[bytes]) -> None:
        """Each full tile must be there and be that of the entries; of the last one, only the beginning may be."""
        stored = self._tiles(0, first // TILE_WIDTH, (first + len(leaves) + TILE_WIDTH - 1) // TILE_WIDTH)
        for start in range(0, len(leaves), TILE_WIDTH):
            own, n = leaves[start : start + TILE_WIDTH], (first + start) // TILE_WIDTH
            if n not in stored and len(own) < TILE_WIDTH:
                continue
            if n not in stored:
                raise TamperedError("a tile is missing", first + start)
            wrong = _first_difference(own, split(stored[n]))
            if wrong is not None:
                raise TamperedError("an entry is not the one whose hash stands in its tile", first + start + wrong)
            self._tile_roots.append(fold(own))

    def _check_upper_tiles(self) -> None:
        """Tiles above the lowest: they hold the roots of those below."""
        level, roots = 1, self._tile_roots
        while len(roots) >= TILE_WIDTH:
            full = len(roots) // TILE_WIDTH
            stored = self._tiles(level, 0, full)
            above: list[bytes] = []
            for n in range(full):
                own = roots[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]
                if b"".join(own) != stored.get(n):
                    raise TamperedError(f"a tile of level {level} is not that of the ones below", None)
                above.append(fold(own))
            level, roots = level + 1, above

    def _tiles(self, level: int, first: int, last: int) -> dict[int, bytes]:
        query = select(TILE.c.n, TILE.c.hashes).where(TILE.c.level == level, TILE.c.n >= first, TILE.c.n < last)
        return {n: bytes(hashes) for n, hashes in self._connection.execute(query)}

    def _check_beside(self, first: int, ids: Sequence[str], payloads: Sequence[bytes]) -> None:
        """What is searched and sealed must be what the entries say."""
        said_ids: list[str] = []
        said: list[tuple[Any, ...]] = []
        mentions: list[tuple[Any, ...]] = []
        sealed: dict[int, Mapping[str, Any]] = {}
        for idx, payload in enumerate(payloads, first):
            try:
                event = read(payload)
                said_ids.append(event["id"])
                said.append(facet_of(idx, event))
                mentions += mentions_of(idx, event)
                self._custody.see(idx, event)
                if "sealed" in event["data"]:
                    sealed[idx] = event["data"]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise TamperedError("an entry is no event", idx) from error
        facets = self._rows(FACET, FACET_COLUMNS, first, first + len(payloads))
        wrong = [_first_difference(ids, said_ids), _first_difference(facets, said)]
        places = [place for place in wrong if place is not None]
        stored = sorted(self._rows(MENTION, MENTION_COLUMNS, first, first + len(payloads)))
        if stored != mentions:
            places.append(min(set(stored) ^ set(mentions))[0] - first)
        if places:
            raise TamperedError("what is searched is not what the entry says", first + min(places))
        self._check_blobs(sealed)

    def _check_blobs(self, sealed: Mapping[int, Mapping[str, Any]]) -> None:
        for index, data in sealed.items():
            digest = data["sealed"]["digest"]
            content = self._connection.execute(select(BLOB.c.content).where(BLOB.c.digest == digest)).scalar()
            if content is not None:
                if hashlib.sha256(content).hexdigest() != digest:
                    raise TamperedError("a sealed part is not the one that was signed", index)
                continue
            here = (RECORD_KEY.c.tenant == data["tenant"]) & (RECORD_KEY.c.record_group == data["sealed"]["group"])
            if self._connection.execute(select(RECORD_KEY.c.created_us).where(here)).first() is not None:
                raise TamperedError("a sealed part is gone, and its key was not destroyed", index)

    def _check_tree(self, check: LogCheck) -> None:
        tree = tree_of(self._connection)
        if tree.size != check.size or tree.root() != check.root():
            raise TamperedError("the sequencer's tree is not the one of the entries", min(tree.size, check.size))


def _size(checkpoint: Checkpoint) -> int:
    return checkpoint.size


def _first_difference(these: Sequence[object], those: Sequence[object]) -> int | None:
    """The place of the first pair that differs, or that one of them lacks; compared one by one only if there is."""
    if list(these) == list(those):
        return None
    return next(place for place, (this, that) in enumerate(zip_longest(these, those)) if this != that)
