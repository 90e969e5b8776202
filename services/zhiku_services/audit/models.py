"""The tables of the audit service. They are written in bulk and never as objects, so they are Core tables.

`entry`, `tile`, `checkpoint`, `cosignature` and `erasure` only ever grow: triggers refuse anything else.
Times are integers of microseconds since 1970, UTC, so that both databases compare them alike.
"""

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

METADATA = MetaData()

_BigId = BigInteger().with_variant(Integer, "sqlite")

INBOX = Table(
    "inbox",
    METADATA,
    Column("n", _BigId, primary_key=True, autoincrement=True),
    Column("event_id", String(40), nullable=False, unique=True),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
"""Durable and not yet in the tree. `payload` is the canonical bytes that the leaf will cover."""

ENTRY = Table(
    "entry",
    METADATA,
    Column("idx", _BigId, primary_key=True, autoincrement=False),
    Column("event_id", String(40), nullable=False, unique=True),
    Column("payload", LargeBinary, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Column("chain", LargeBinary(32), nullable=False),
)
"""The log. `idx` counts from 0 without a gap; `leaf` and `chain` are of 32 bytes."""

FACET = Table(
    "facet",
    METADATA,
    Column("idx", _BigId, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("tenant", String(100), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(80), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("producer", String(40)),
    Column("boot", String(40)),
    Column("seq", BigInteger),
    Index("ix_facet_action", "tenant", "action", "idx"),
    Index("ix_facet_actor", "tenant", "actor", "idx"),
    Index("ix_facet_subject", "tenant", "subject", "idx"),
    Index("ix_facet_stamp", "producer", "boot", "seq"),
)
"""What entries can be searched by, with `mention`. Both repeat what the payloads say."""

MENTION = Table(
    "mention",
    METADATA,
    Column("idx", _BigId, primary_key=True, autoincrement=False),
    Column("kind", String(20), primary_key=True),
    Column("value", String(200), primary_key=True),
    Index("ix_mention_value", "kind", "value", "idx"),
    sqlite_with_rowid=False,
)
"""What an entry is about: each conversation, document, knowledge base and person (by pseudonym) that it names."""

TILE = Table(
    "tile",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("n", _BigId, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
"""Full tiles only: 256 hashes of 32 bytes (C2SP tlog-tiles). What is not full yet is computed from below it."""

TREE = Table(
    "tree",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    Column("chain", LargeBinary(32), nullable=False),
)
"""One row: the compact range that the sequencer appends to."""

CHECKPOINT = Table(
    "checkpoint",
    METADATA,
    Column("size", _BigId, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("signed_us", BigInteger, nullable=False),
)

COSIGNATURE = Table(
    "cosignature",
    METADATA,
    Column("size", _BigId, primary_key=True, autoincrement=False),
    Column("key", String(400), primary_key=True),
    Column("line", String(400), nullable=False),
)

PROCESS = Table(
    "process",
    METADATA,
    Column("producer", String(40), primary_key=True),
    Column("boot", String(40), primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("highest", BigInteger, nullable=False),
)
"""How many numbers of a producing process came, its voided ones included, and the highest of them."""

VOIDED = Table(
    "voided",
    METADATA,
    Column("producer", String(40), primary_key=True),
    Column("boot", String(40), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
)

PERSON = Table(
    "person",
    METADATA,
    Column("tenant", String(100), primary_key=True),
    Column("sub", String(200), primary_key=True),
    Column("pseudonym", String(40), nullable=False, unique=True),
    Column("salt", LargeBinary(16), nullable=False),
)
"""Who is behind a pseudonym; deleting the row forgets the person, for the salt dies with it."""

RECORD_KEY = Table(
    "record_key",
    METADATA,
    Column("tenant", String(100), primary_key=True),
    Column("record_group", String(200), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)
"""The data key of a record group, wrapped; deleting the row makes its sealed parts unreadable."""

BLOB = Table(
    "blob",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("tenant", String(100), nullable=False),
    Column("record_group", String(200), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("ix_blob_group", "tenant", "record_group"),
)
"""Sealed parts, by the SHA-256 of the ciphertext."""

ERASURE = Table(
    "erasure",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("tenant", String(100), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("what", String(200), nullable=False),
)
"""What was destroyed: `group` ID or `person` PSEUDONYM; to be replayed after a backup is restored."""

VIEW = Table(
    "saved_view",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(100), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("name", String(100), nullable=False),
    Column("filter", JSON, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Index("ix_view_owner", "tenant", "owner", "id"),
)

APPEND_ONLY = (ENTRY, TILE, CHECKPOINT, COSIGNATURE, ERASURE)
