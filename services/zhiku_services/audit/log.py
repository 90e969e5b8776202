"""Reading the stored log: its tree, its checkpoints, its entries, its gaps."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, union_all

from zhiku_platform.contracts.audit import Checkpoint, SequenceGap
from zhiku_services.audit.merkle import TreeReader, split
from zhiku_services.audit.models import CHECKPOINT, COSIGNATURE, ENTRY, FACET, INBOX, PROCESS, TREE, VOIDED
from zhiku_services.audit.sequencer import stored_tiles
from zhiku_services.audit.verifier import CompactRange

_MOST_GAPS = 200


def tree_of(connection: Connection) -> CompactRange:
    """What the sequencer has built so far."""
    row = connection.execute(select(TREE.c.size, TREE.c.hashes)).first()
    return CompactRange() if row is None else CompactRange(row.size, split(bytes(row.hashes)))


def tree_reader(connection: Connection, size: int) -> TreeReader:
    """The tree of the first `size` entries, as it is stored."""

    def read_tiles(level: int, first: int, last: int) -> Sequence[bytes]:
        return stored_tiles(connection, level, first, last)

    def read_leaves(first: int, last: int) -> Sequence[bytes]:
        query = select(ENTRY.c.leaf).where(ENTRY.c.idx >= first, ENTRY.c.idx < last).order_by(ENTRY.c.idx)
        return [bytes(leaf) for leaf in connection.execute(query).scalars()]

    return TreeReader(size, read_tiles, read_leaves)


def latest_checkpoint(connection: Connection) -> Checkpoint | None:
    """The latest checkpoint, with the cosignatures that came for it."""
    size = connection.execute(select(func.max(CHECKPOINT.c.size))).scalar()
    return None if size is None else checkpoint_at(connection, size)


def checkpoint_at(connection: Connection, size: int) -> Checkpoint | None:
    """The checkpoint of exactly this size, with its cosignatures."""
    note = connection.execute(select(CHECKPOINT.c.note).where(CHECKPOINT.c.size == size)).scalar()
    if note is None:
        return None
    query = select(COSIGNATURE.c.line).where(COSIGNATURE.c.size == size).order_by(COSIGNATURE.c.key)
    lines = connection.execute(query).scalars()
    return Checkpoint(size=size, note=note + "".join(f"{line}\n" for line in lines))


def sealing_checkpoints(connection: Connection, indexes: Sequence[int]) -> dict[int, int]:
    """For each index, the size of the first checkpoint that covers it; those that none covers are missing."""
    found: dict[int, int] = {}
    for index in indexes:
        size = connection.execute(select(func.min(CHECKPOINT.c.size)).where(CHECKPOINT.c.size > index)).scalar()
        if size is not None:
            found[index] = size
    return found


def count_waiting(connection: Connection) -> int:
    """Events that are durable and not yet in the tree."""
    return connection.execute(select(func.count()).select_from(INBOX)).scalar_one()


def sequence_gaps(connection: Connection) -> list[SequenceGap]:
    """Numbers of producers that never came, 200 ranges at most; a very recent one may still be on its way."""
    query = select(PROCESS.c.producer, PROCESS.c.boot).where(PROCESS.c.received < PROCESS.c.highest)
    gaps: list[SequenceGap] = []
    for producer, boot in connection.execute(query).all():
        gaps += _gaps_of(connection, producer, boot, _MOST_GAPS - len(gaps))
        if len(gaps) == _MOST_GAPS:
            break
    return gaps


def _gaps_of(connection: Connection, producer: str, boot: str, limit: int) -> list[SequenceGap]:
    """The first gaps of one process; the database finds them, for its numbers may be millions."""
    came = (select(table.c.seq).where(table.c.producer == producer, table.c.boot == boot) for table in (FACET, VOIDED))
    numbers = union_all(*came).subquery()
    before = func.lag(numbers.c.seq, 1, 0).over(order_by=numbers.c.seq).label("before")
    pairs = select(before, numbers.c.seq).subquery()
    query = select(pairs.c.before, pairs.c.seq).where(pairs.c.seq > pairs.c.before + 1).order_by(pairs.c.seq)
    return [
        SequenceGap(producer=producer, boot=boot, first=before + 1, last=seq - 1)
        for before, seq in connection.execute(query.limit(limit))
    ]
