"""Writes evidence bundles: entries, what proves them, and a program that checks it without any of ours.

A bundle of the whole log carries every entry and leaf hash, and the tree is computed anew. Any other carries an
inclusion proof for each entry. The manifest lists the files and is signed, so that nothing can be taken out.
"""

import base64
import hashlib
import html
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from sqlalchemy import Connection, func, select

from zhiku_platform.access import Access
from zhiku_platform.contracts.audit import AuditFilter
from zhiku_platform.db import utc_now
from zhiku_services.audit import verifier
from zhiku_services.audit.canonical import read
from zhiku_services.audit.errors import NoCheckpointError
from zhiku_services.audit.log import latest_checkpoint, tree_reader
from zhiku_services.audit.merkle import TreeReader
from zhiku_services.audit.models import BLOB, CHECKPOINT, COSIGNATURE, ENTRY
from zhiku_services.audit.repository import AuditRepository, Found, entries_after
from zhiku_services.audit.signer import Signer
from zhiku_services.audit.times import to_text
from zhiku_services.audit.verifier import Checkpoint

FORMAT = "zhiku-audit-bundle@1"
_BATCH = 2000
_MOST_CHECKPOINTS = 500
_SHOWN = 500


class _Files:
    """The files of an archive, with their digests."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.digests: dict[str, str] = {}

    def write(self, name: str, content: bytes | str) -> None:
        self.stream(name, iter([content.encode() if isinstance(content, str) else content]))

    def stream(self, name: str, chunks: Iterator[bytes]) -> None:
        digest = hashlib.sha256()
        with self._archive.open(name, "w") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        self.digests[name] = digest.hexdigest()


def write_bundle(
    archive: zipfile.ZipFile,
    connection: Connection,
    signer: Signer,
    *,
    wanted: AuditFilter,
    access: Access | None,
    since: int = 0,
) -> None:
    """Write what matches and is covered by the latest checkpoint; without `access`, every tenant's.

    `since` is a size of which the bundle proves that the log continues it, for a witness who saw that one.

    Raises:
        NoCheckpointError: nothing is signed yet.
    """
    found = latest_checkpoint(connection)
    if found is None or since > found.size:
        raise NoCheckpointError
    checkpoint = Checkpoint.parse(found.note)
    tree = tree_reader(connection, checkpoint.size)
    tenant = None if access is None else access.tenant
    is_whole = (
        access is None or AuditRepository(connection, access).count(wanted, below=checkpoint.size) == checkpoint.size
    )
    complete = wanted == AuditFilter() and is_whole
    files = _Files(archive)
    entries = _entries(connection, tenant, wanted, checkpoint.size)
    summary = _write_entries(files, connection, entries, tree, complete=complete)
    files.write("checkpoint", found.note)
    files.write("checkpoints.json", json.dumps(_earlier(connection, checkpoint.size) if complete else [], indent=1))
    keys = {"log": signer.public_key, "handovers": signer.handovers(), "witnesses": _witnesses(connection)}
    files.write("keys.json", json.dumps(keys, indent=1))
    hashes = [node.hex() for node in tree.consistency(since, checkpoint.size)]
    files.write("consistency.json", json.dumps({"first": since, "second": checkpoint.size, "hashes": hashes}))
    files.write("verify.py", Path(verifier.__file__).read_bytes())
    manifest = {
        "format": FORMAT,
        "origin": checkpoint.origin,
        "created_at": to_text(utc_now()),
        "complete": complete,
        "tenant": tenant,
        "filter": wanted.model_dump(mode="json", exclude_none=True),
        "tree_size": checkpoint.size,
        "root": checkpoint.root.hex(),
        **summary.counts,
    }
    files.write("report.html", _report(manifest, summary.shown, signer.public_key))
    signed = json.dumps({**manifest, "files": files.digests}, indent=1, sort_keys=True).encode()
    files.write("manifest.json", signed)
    files.write("manifest.sig", signer.sign_manifest(signed))


class _Summary:
    def __init__(self) -> None:
        self.events = 0
        self.first: int | None = None
        self.last: int | None = None
        self.shown: list[Found] = []

    def add(self, entry: Found) -> None:
        self.events += 1
        self.first = entry.index if self.first is None else self.first
        self.last = entry.index
        if len(self.shown) < _SHOWN:
            self.shown.append(entry)

    @property
    def counts(self) -> dict[str, int | None]:
        return {"events": self.events, "first_index": self.first, "last_index": self.last}


def _write_entries(
    files: _Files, connection: Connection, entries: Iterator[Found], tree: TreeReader, *, complete: bool
) -> _Summary:
    """Write `events.jsonl` and, beside it, leaf hashes and the chain's end, or proofs; and the sealed parts."""
    summary, link = _Summary(), verifier.EMPTY_CHAIN
    sealed: list[str] = []
    with TemporaryFile() as beside:

        def lines() -> Iterator[bytes]:
            nonlocal link
            for entry in entries:
                summary.add(entry)
                link = verifier.chain_hash(link, entry.leaf)
                beside.write(entry.leaf if complete else _proof_line(entry, tree))
                if b'"sealed":' in entry.payload and "sealed" in (data := read(entry.payload)["data"]):
                    sealed.append(data["sealed"]["digest"])
                yield entry.payload + b"\n"

        files.stream("events.jsonl", lines())
        beside.seek(0)
        files.stream("leaves.bin" if complete else "proofs.jsonl", iter(lambda: beside.read(1 << 20), b""))
    if complete:
        files.write("chain.json", json.dumps({"first": 0, "after": link.hex()}))
    for digest in dict.fromkeys(sealed):
        content = connection.execute(select(BLOB.c.content).where(BLOB.c.digest == digest)).scalar()
        if content is not None:
            files.write(f"blobs/{digest}", bytes(content))
    return summary


def _proof_line(entry: Found, tree: TreeReader) -> bytes:
    path = [base64.b64encode(node).decode() for node in tree.inclusion(entry.index, tree.size)]
    return json.dumps({"index": entry.index, "path": path}).encode() + b"\n"


def _entries(connection: Connection, tenant: str | None, wanted: AuditFilter, size: int) -> Iterator[Found]:
    after = -1
    while True:
        batch = (
            _every_entry(connection, after, size)
            if tenant is None and wanted == AuditFilter()
            else entries_after(connection, wanted, tenant, after=after, limit=_BATCH, below=size)
        )
        yield from batch
        if len(batch) < _BATCH:
            return
        after = batch[-1].index


def _every_entry(connection: Connection, after: int, below: int) -> list[Found]:
    query = select(ENTRY.c.idx, ENTRY.c.payload, ENTRY.c.leaf).where(ENTRY.c.idx > after, ENTRY.c.idx < below)
    rows = connection.execute(query.order_by(ENTRY.c.idx).limit(_BATCH))
    return [Found(index=row.idx, payload=bytes(row.payload), leaf=bytes(row.leaf)) for row in rows]


def _earlier(connection: Connection, size: int) -> list[str]:
    """Earlier checkpoints, evenly spread if they are many: they narrow down where something was touched."""
    place = (func.row_number().over(order_by=CHECKPOINT.c.size) - 1).label("place")
    earlier = select(CHECKPOINT.c.note, place).where(CHECKPOINT.c.size < size).subquery()
    count = connection.execute(select(func.count()).select_from(earlier)).scalar_one()
    step = max(1, -(-count // _MOST_CHECKPOINTS))
    query = select(earlier.c.note).where(earlier.c.place % step == 0).order_by(earlier.c.place)
    return list(connection.execute(query).scalars())


def _witnesses(connection: Connection) -> list[str]:
    return sorted(set(connection.execute(select(COSIGNATURE.c.key)).scalars()))


def _report(manifest: dict[str, Any], shown: list[Found], key: str) -> str:
    """The bundle for people: what it is, how to check it, its first events."""
    facts = {**manifest, "public key": key}
    head = "".join(f"<tr><th>{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items())
    body = "".join(_report_row(entry) for entry in shown)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Zhiku audit evidence</title>'
        "<style>body{font:14px/1.5 system-ui;margin:2rem}table{border-collapse:collapse;margin:1rem 0}"
        "th,td{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}</style>"
        "<h1>Zhiku audit evidence · 审计证据</h1>"
        "<p>Check it: <code>python verify.py BUNDLE.zip --key PUBLIC_KEY</code>, with the public key from a source"
        " that you trust. This page is for reading; only <code>events.jsonl</code> is evidence.</p>"
        f"<table>{head}</table><h2>The first {len(shown)} events</h2>"
        "<table><tr><th>index</th><th>time</th><th>actor</th><th>action</th><th>subject</th><th>outcome</th></tr>"
        f"{body}</table></html>\n"
    )


def _report_row(entry: Found) -> str:
    event = read(entry.payload)
    data = event["data"]
    action = event["type"].removeprefix("zhiku.")
    cells = (entry.index, event["time"], data["actor"]["user"]["uid"], action, event["subject"], data["outcome"])
    return f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells)}</tr>"
