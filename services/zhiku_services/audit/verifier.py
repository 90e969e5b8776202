"""Check an audit log, or a bundle of evidence from one, against the log's public key and nothing else.

This file needs the standard library and `cryptography` only. It goes into every bundle as `verify.py`:

    python verify.py BUNDLE.zip [--key VKEY] [--witness VKEY] [--json]

It exits with 0 if nothing was touched, 2 if something was, 3 if too much is missing to say. Without `--key`, 0 says
only that the bundle is consistent in itself: whoever makes another bundle can put another key into it.

Formats: RFC 6962 section 2.1 (tree and proofs), C2SP signed-note, tlog-checkpoint, tlog-cosignature.
"""

import argparse
import base64
import hashlib
import json
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

OK, TAMPERED, INCOMPLETE = 0, 2, 3

ED25519 = 1
COSIGNATURE_V1 = 4

TILE = 256
_BATCH = 16 * TILE
_PART_BYTES = 1 << 20
EMPTY_CHAIN = bytes(32)
_MAX_SKEW = timedelta(minutes=2)
_RECORDED = b'"recordedtime":"'
_RECORDED_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"

_sha256 = hashlib.sha256


class TamperedError(Exception):
    """What is here is not what was signed. `index` is the first entry that is wrong, if that can be said."""

    def __init__(self, reason: str, index: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.index = index


class IncompleteError(Exception):
    """Too much is missing to tell."""


def leaf_hash(payload: bytes) -> bytes:
    """The hash of one entry (RFC 6962, section 2.1)."""
    return _sha256(b"\x00" + payload).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 6962, section 2.1)."""
    return _sha256(b"\x01" + left + right).digest()


def chain_hash(before: bytes, leaf: bytes) -> bytes:
    """The linear chain: every link holds the one before and one leaf."""
    return _sha256(before + leaf).digest()


class CompactRange:
    """The roots of the full subtrees of a growing tree, the largest first: what appending needs to know."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if len(hashes) != size.bit_count():
            raise ValueError("a tree of this size has another number of full subtrees")
        self.size = size
        self._hashes = list(hashes)

    @property
    def hashes(self) -> list[bytes]:
        return list(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf's hash."""
        self.append_subtree(leaf, 1)

    def append_subtree(self, root: bytes, width: int) -> None:
        """Add a full subtree of `width` leaves, a power of two that divides the size."""
        place = self.size // width
        while place & 1:
            root = node_hash(self._hashes.pop(), root)
            place >>= 1
        self._hashes.append(root)
        self.size += width

    def root(self) -> bytes:
        """The root of the tree; of the empty one, the hash of nothing."""
        if not self._hashes:
            return _sha256(b"").digest()
        root = self._hashes[-1]
        for subtree in reversed(self._hashes[:-1]):
            root = node_hash(subtree, root)
        return root

    def copy(self) -> "CompactRange":
        return CompactRange(self.size, self._hashes)


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root of a full subtree, from its 2^k hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [_sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to; None if its form is wrong (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    node, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        node >>= 1
        last >>= 1
    return result if last == 0 else None


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree of `first` leaves is proved the beginning of the one of `second` (RFC 9162, 2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first in {0, second}:
        return not path and (first == 0 or first_root == second_root)
    hashes = list(path) if first & (first - 1) else [first_root, *path]
    if not hashes:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name and use, as `NAME+HASH+BASE64` (C2SP signed-note, verifier keys)."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a key.

        Raises:
            ValueError: it is malformed, or its hash is another key's.
        """
        name, digest, encoded = text.strip().split("+", 2)
        material = base64.b64decode(encoded, validate=True)
        key = cls(name, material[0], material[1:])
        if key.kind not in {ED25519, COSIGNATURE_V1} or len(key.public) != 32 or key.id.hex() != digest:
            raise ValueError("this is no Ed25519 verifier key")
        return key

    @property
    def id(self) -> bytes:
        return _sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    def signed(self, note: "Note") -> bool:
        """Whether one of the note's signatures is good and by this key."""
        public = Ed25519PublicKey.from_public_bytes(self.public)
        for name, key_id, signature in note.signatures:
            if name != self.name or key_id != self.id:
                continue
            message, signed = self._message(note, signature)
            try:
                public.verify(signed, message)
            except InvalidSignature:
                continue
            return True
        return False

    def _message(self, note: "Note", signature: bytes) -> tuple[bytes, bytes]:
        if self.kind == ED25519 or len(signature) != 72:
            return note.body, signature
        (seconds,) = struct.unpack(">Q", signature[:8])
        return cosigned_message(note.body, seconds), signature[8:]


def cosigned_message(body: bytes, seconds: int) -> bytes:
    """What a witness signs (C2SP tlog-cosignature, Ed25519)."""
    return f"cosignature/v1\ntime {seconds}\n".encode() + body


@dataclass(frozen=True)
class Note:
    """A signed text. `body` ends with a newline; signatures are (name, key id, bytes)."""

    body: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def parse(cls, text: str) -> "Note":
        """Read a note.

        Raises:
            ValueError: it is malformed.
        """
        body, separator, lines = text.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise ValueError("a signed note has a blank line before its signatures and ends with a newline")
        return cls((body + "\n").encode(), tuple(_signature(line) for line in lines.splitlines()))


def _signature(line: str) -> tuple[str, bytes, bytes]:
    dash, name, encoded = line.split(" ")
    raw = base64.b64decode(encoded, validate=True)
    if dash != "—" or len(raw) < 5:
        raise ValueError("this is no signature line")
    return name, raw[:4], raw[4:]


@dataclass(frozen=True)
class Checkpoint:
    """The size and root that a note states (C2SP tlog-checkpoint)."""

    origin: str
    size: int
    root: bytes
    note: Note

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read a checkpoint; its signatures are not checked.

        Raises:
            ValueError: it is malformed.
        """
        note = Note.parse(text)
        origin, size, root, *_ = note.body.decode().split("\n")
        decoded = base64.b64decode(root, validate=True)
        if not size.isdecimal() or (size != "0" and size.startswith("0")) or len(decoded) != 32:
            raise ValueError("this is no checkpoint")
        return cls(origin, int(size), decoded, note)


def handover_body(old: VerifierKey, new: VerifierKey, size: int) -> str:
    """The text by which a log's key hands over to the next one, when `size` entries were signed; both keys sign it."""
    return f"{old.name}/handover\n{old}\n{new}\n{size}\n"


@dataclass(frozen=True)
class _Handover:
    old: VerifierKey
    new: VerifierKey
    size: int

    @classmethod
    def parse(cls, text: str) -> "_Handover":
        """Read a handover that both of its keys signed.

        Raises:
            TamperedError: it is malformed, or one of the signatures is missing or wrong.
        """
        try:
            note = Note.parse(text)
            _, old, new, size, _ = note.body.decode().split("\n")
            found = cls(VerifierKey.parse(old), VerifierKey.parse(new), int(size))
        except (ValueError, UnicodeDecodeError, IndexError) as error:
            raise TamperedError("a handover of the log's key is malformed") from error
        is_whole = note.body.decode() == handover_body(found.old, found.new, found.size)
        if not is_whole or not found.old.signed(note) or not found.new.signed(note):
            raise TamperedError("a handover of the log's key is not signed by both keys")
        return found


class LogKeys:
    """The key of a log that somebody trusts, with those that it handed over to and those that handed over to it.

    A later key signs for an earlier one. An earlier one speaks only for what it signed before it handed over, and
    never for the latest checkpoint: who stole it cannot pass off a history that ends there.

    Raises:
        TamperedError: a handover is not what both keys signed.
    """

    def __init__(self, trusted: VerifierKey, handovers: Iterable[str] = ()) -> None:
        self.name = trusted.name
        found = [_Handover.parse(text) for text in handovers]
        self._later = [trusted, *_followed(trusted, {handover.old: handover.new for handover in found})]
        sizes = {handover.old: handover.size for handover in found}
        before = _followed(trusted, {handover.new: handover.old for handover in found})
        self._earlier = [(key, sizes[key]) for key in before]

    def trusts(self, key: VerifierKey) -> bool:
        """Whether it is the trusted key, or one that this one handed over to."""
        return key in self._later

    def signed(self, note: Note) -> bool:
        """Whether the trusted key or a later one signed a note."""
        return any(key.signed(note) for key in self._later)

    def open_latest(self, text: str) -> Checkpoint:
        """Read the log's latest checkpoint.

        Raises:
            TamperedError: it is malformed, another log's, or not signed by the trusted key or a later one.
        """
        return self._open(text, may_be_earlier=False)

    def open(self, text: str) -> Checkpoint:
        """Read a checkpoint that a later one continues; see `open_latest`."""
        return self._open(text, may_be_earlier=True)

    def _open(self, text: str, *, may_be_earlier: bool) -> Checkpoint:
        try:
            found = Checkpoint.parse(text)
        except (ValueError, UnicodeDecodeError) as error:
            raise TamperedError("a checkpoint is malformed") from error
        is_good = self.signed(found.note) or (
            may_be_earlier and any(found.size <= size and key.signed(found.note) for key, size in self._earlier)
        )
        if found.origin != self.name or not is_good:
            raise TamperedError(f"the checkpoint of size {found.size} is not signed by the log's key")
        return found


def _followed(first: VerifierKey, steps: Mapping[VerifierKey, VerifierKey]) -> list[VerifierKey]:
    """The keys that lie behind one another from `first` on, each once."""
    found: list[VerifierKey] = []
    key = steps.get(first)
    while key is not None and key not in found and key != first:
        found.append(key)
        key = steps.get(key)
    return found


def open_checkpoint(text: str, key: VerifierKey) -> Checkpoint:
    """Read a checkpoint of the log whose one key this is; see `LogKeys.open_latest`."""
    return LogKeys(key).open_latest(text)


class LogCheck:
    """Hash a log from its first entry on, in blocks, and compare with what was stored and what was signed.

    `checkpoints` come in the order of their sizes and are read as they fall due; each must be trusted already.
    """

    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        self._due = iter(checkpoints)
        self._next = next(self._due, None)
        self._range = CompactRange()
        self._partial: list[bytes] = []
        self._chain = EMPTY_CHAIN
        self._good = 0
        self._latest = ""
        self._ran_back: list[int] = []
        self._settle()

    @property
    def size(self) -> int:
        return self._range.size + len(self._partial)

    @property
    def chain(self) -> bytes:
        return self._chain

    @property
    def warning(self) -> str | None:
        """What need not be tampering, and should be explained: times that run back."""
        if not self._ran_back:
            return None
        return (
            f"times of recording run back at entry {self._ran_back[0]}, {len(self._ran_back)} times in all:"
            " a clock was corrected, or an entry was slipped in with an old time"
        )

    def root(self) -> bytes:
        """The root of what was added."""
        tree = self._range.copy()
        for leaf in self._partial:
            tree.append(leaf)
        return tree.root()

    def add(
        self, payloads: Sequence[bytes], leaves: Sequence[bytes] | None = None, chain: Sequence[bytes] | None = None
    ) -> None:
        """Add entries, with the leaf hashes and chain links that were stored beside them, if any.

        Raises:
            TamperedError: something differs from what was stored or signed.
        """
        for start in range(0, len(payloads), TILE):
            part = slice(start, start + TILE)
            self._add(payloads[part], None if leaves is None else leaves[part], None if chain is None else chain[part])

    def _add(self, payloads: Sequence[bytes], stored: Sequence[bytes] | None, links: Sequence[bytes] | None) -> None:
        first = self.size
        leaves = [_sha256(b"\x00" + payload).digest() for payload in payloads]
        if stored is not None and leaves != list(stored):
            place = next(n for n, (is_, was) in enumerate(zip(leaves, stored, strict=True)) if is_ != was)
            raise TamperedError("an entry is not the one whose hash was stored", first + place)
        link, own = self._chain, []
        for leaf in leaves:
            link = _sha256(link + leaf).digest()
            own.append(link)
        self._chain = link
        if links is not None and own != list(links):
            place = next(n for n, (is_, was) in enumerate(zip(own, links, strict=True)) if is_ != was)
            raise TamperedError("the chain of hashes breaks", first + place)
        self._check_times(payloads, first)
        self._grow(leaves)

    def _grow(self, leaves: list[bytes]) -> None:
        while leaves:
            room = TILE - len(self._partial)
            if self._next is not None:
                room = min(room, self._next.size - self.size)
            self._partial += leaves[:room]
            leaves = leaves[room:]
            if len(self._partial) == TILE:
                self._range.append_subtree(fold(self._partial), TILE)
                self._partial = []
            self._settle()

    def _settle(self) -> None:
        """Compare with every checkpoint of this size."""
        while self._next is not None and self._next.size == self.size:
            if self._next.root != self.root():
                raise TamperedError(
                    f"the entries {self._good} to {self.size - 1} are not those that were signed", self._good
                )
            self._good = self.size
            self._next = next(self._due, None)

    def _check_times(self, payloads: Sequence[bytes], first: int) -> None:
        """An entry says when it was recorded: note where one is older than those before it."""
        for place, payload in enumerate(payloads):
            start = payload.rfind(_RECORDED) + len(_RECORDED)
            moment = payload[start : start + 27].decode("ascii", "replace")
            if start < len(_RECORDED) or not moment.startswith("2"):
                raise TamperedError("an entry does not say when it was recorded", first + place)
            if moment >= self._latest:
                self._latest = moment
            elif _parse(self._latest, first + place) - _parse(moment, first + place) > _MAX_SKEW:
                self._ran_back.append(first + place)
                # Later entries are compared with the corrected clock.
                self._latest = moment

    def finish(self) -> None:
        """Say that there are no more entries.

        Raises:
            TamperedError: a checkpoint covers more.
        """
        if self._next is not None:
            signed = max([self._next.size, *(checkpoint.size for checkpoint in self._due)])
            raise TamperedError(f"{signed} entries were signed, and only {self.size} are here", self.size)


def _parse(moment: str, index: int) -> datetime:
    try:
        return datetime.strptime(moment, _RECORDED_FORMAT)  # noqa: DTZ007 - both ends of the comparison are UTC
    except ValueError as error:
        raise TamperedError("an entry does not say when it was recorded", index) from error


@dataclass(frozen=True)
class Verdict:
    """What was found. `status` is the exit code; `root` is hex, of the latest checkpoint.

    A `warning` does not change the status: it is what has an innocent explanation as well.
    """

    ok: bool
    events: int
    tree_size: int
    root: str | None
    first_bad_index: int | None
    reason: str | None
    status: int
    key: str | None = None
    witnesses: int = 0
    unsealed: int = 0
    warning: str | None = None


class Bundle:
    """The files of a bundle. Small ones are read whole; entries, leaves and sealed parts bit by bit.

    Raises:
        IncompleteError: it is no zip archive, or lacks what every bundle has.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, EOFError) as error:
            raise IncompleteError(f"the bundle cannot be read: {type(error).__name__}") from error
        self.names = frozenset(self._archive.namelist())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def text(self, name: str) -> str:
        return self.content(name).decode("utf-8", "replace")

    def content(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    def open(self, name: str) -> IO[bytes]:
        if name not in self.names:
            raise IncompleteError(f"the bundle has no `{name}`")
        return self._archive.open(name)

    def digest(self, name: str) -> str:
        """The SHA-256 of a file."""
        digest = _sha256()
        with self.open(name) as file:
            while part := file.read(_PART_BYTES):
                digest.update(part)
        return digest.hexdigest()

    def json(self, name: str) -> Any:
        try:
            return json.loads(self.content(name))
        except ValueError as error:
            raise TamperedError(f"`{name}` is not what was written") from error

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file, without their newlines."""
        with self.open(name) as file:
            place = 0
            while line := file.readline(_PART_BYTES):
                if not line.endswith(b"\n"):
                    raise TamperedError(f"`{name}` was cut off", place)
                yield line[:-1]
                place += 1


def verify_bundle(path: Path, *, key: str | None = None, witnesses: Sequence[str] = ()) -> Verdict:
    """Check a bundle. Without `key`, the key inside is trusted: then it proves that the bundle is of one piece."""
    check = _BundleCheck(key, witnesses)
    try:
        with Bundle(path) as bundle:
            check.run(bundle)
    except TamperedError as error:
        return check.verdict(TAMPERED, error.index, error.reason)
    except IncompleteError as error:
        return check.verdict(INCOMPLETE, None, str(error))
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        return check.verdict(INCOMPLETE, None, f"the bundle cannot be read: {type(error).__name__}")
    except (KeyError, ValueError, TypeError, AttributeError):
        return check.verdict(INCOMPLETE, None, "the bundle lacks what every bundle has")
    return check.verdict(OK, None, None)


class _BundleCheck:
    """One pass over the entries of a bundle, and what is known of it so far."""

    def __init__(self, key: str | None, witnesses: Sequence[str]) -> None:
        self._key = key
        self._witnesses = witnesses
        self._latest: Checkpoint | None = None
        self._events = 0
        self._counted = 0
        self._warning: str | None = None

    def run(self, bundle: Bundle) -> None:
        keys = bundle.json("keys.json")
        self._key = self._key or str(keys["log"])
        log_keys = LogKeys(VerifierKey.parse(self._key), keys.get("handovers", ()))
        latest = self._latest = log_keys.open_latest(bundle.text("checkpoint"))
        self._counted = _count_witnesses(latest, self._witnesses)
        manifest = bundle.json("manifest.json")
        if manifest["complete"]:
            earlier = [log_keys.open(text) for text in bundle.json("checkpoints.json")]
            self._check_whole(bundle, [*earlier, latest])
        else:
            self._check_part(bundle, latest)
        self._check_manifest(bundle, manifest, log_keys)

    def verdict(self, status: int, index: int | None, reason: str | None) -> Verdict:
        latest = self._latest
        return Verdict(
            ok=status == OK,
            events=self._events,
            tree_size=0 if latest is None else latest.size,
            root=None if latest is None else latest.root.hex(),
            first_bad_index=index,
            reason=reason,
            status=status,
            key=self._key,
            witnesses=self._counted,
            warning=self._warning,
        )

    def _check_whole(self, bundle: Bundle, checkpoints: list[Checkpoint]) -> None:
        check = LogCheck(sorted(checkpoints, key=lambda found: found.size))
        lines = bundle.lines("events.jsonl")
        with bundle.open("leaves.bin") as file:
            while payloads := list(islice(lines, _BATCH)):
                stored = file.read(32 * len(payloads))
                leaves = [stored[start : start + 32] for start in range(0, len(stored), 32)]
                check.add(payloads[: len(leaves)], leaves)
                check.add(payloads[len(leaves) :])
                for index, payload in enumerate(payloads, self._events):
                    _check_blob(bundle, payload, index)
                self._events += len(payloads)
                self._warning = check.warning
            has_more_leaves = bool(file.read(1))
        check.finish()
        if has_more_leaves or self._events != checkpoints[-1].size:
            raise TamperedError("there are more entries than were signed", checkpoints[-1].size)
        if check.chain.hex() != bundle.json("chain.json")["after"]:
            raise TamperedError("the chain of hashes does not end where it should")

    def _check_part(self, bundle: Bundle, latest: Checkpoint) -> None:
        before = -1
        for payload, line in zip_longest(bundle.lines("events.jsonl"), bundle.lines("proofs.jsonl")):
            if line is None:
                raise TamperedError("entries and proofs do not belong together")
            proof = json.loads(line)
            index = int(proof["index"])
            if payload is None:
                raise TamperedError("entries and proofs do not belong together", index)
            path = [base64.b64decode(text) for text in proof["path"]]
            if root_from_inclusion(leaf_hash(payload), index, latest.size, path) != latest.root:
                raise TamperedError("an entry is not the one that was signed", index)
            if index <= before:
                raise TamperedError("entries and proofs do not belong together", index)
            _check_blob(bundle, payload, index)
            before = index
            self._events += 1

    def _check_manifest(self, bundle: Bundle, manifest: Any, keys: LogKeys) -> None:
        try:
            note = Note.parse(bundle.text("manifest.sig"))
        except ValueError as error:
            raise TamperedError("the manifest's signature is malformed") from error
        digest = base64.b64encode(_sha256(bundle.content("manifest.json")).digest()).decode()
        if note.body.decode() != f"{keys.name}/bundle\n{digest}\n" or not keys.signed(note):
            raise TamperedError("the manifest is not signed by the log's key")
        for name, wanted in manifest["files"].items():
            if bundle.digest(name) != wanted:
                raise TamperedError(f"`{name}` is not what was written")
        if manifest["events"] != self._events:
            raise TamperedError("there are not as many entries as were exported")


def _count_witnesses(checkpoint: Checkpoint, witnesses: Sequence[str]) -> int:
    """How many witnesses signed; each that the caller names must have."""
    for text in witnesses:
        if not VerifierKey.parse(text).signed(checkpoint.note):
            raise TamperedError(f"the witness {text.split('+', 1)[0]} has not signed the checkpoint")
    return len(witnesses)


def _check_blob(bundle: Bundle, payload: bytes, index: int) -> None:
    """An entry's sealed part, if the bundle has it, must be the one whose digest the entry carries."""
    if b'"sealed":' not in payload:
        return
    try:
        sealed = json.loads(payload)["data"].get("sealed")
        name = f"blobs/{sealed['digest']}" if sealed else ""
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TamperedError("an entry is no event", index) from error
    if name in bundle.names and bundle.digest(name) != sealed["digest"]:
        raise TamperedError("a sealed part is not the one that was signed", index)


def told(verdict: Verdict, *, is_pinned: bool) -> str:
    """What was found, in a sentence; without a key of the reader's own, no more than that it is of one piece."""
    if not verdict.ok:
        where = "" if verdict.first_bad_index is None else f" First bad index: {verdict.first_bad_index}."
        return f"{verdict.reason}.{where}"
    if is_pinned:
        return "Nothing was touched."
    return (
        f"It is consistent in itself, with the key that was found in it: {verdict.key}."
        " Give the key that you keep elsewhere with --key, to prove where it comes from."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the bundle that the command line names, say what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description="Check a bundle of evidence from a Zhiku audit log.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", help="the log's public key, from a source that you trust")
    parser.add_argument("--witness", action="append", default=[], help="a witness that must have signed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    verdict = verify_bundle(options.bundle, key=options.key, witnesses=options.witness)
    if options.json:
        sys.stdout.write(json.dumps(asdict(verdict), indent=2) + "\n")
    else:
        said = told(verdict, is_pinned=options.key is not None)
        if verdict.warning is not None:
            said += f" Warning: {verdict.warning}."
        sys.stdout.write(f"{said} {verdict.events} events, tree size {verdict.tree_size}, root {verdict.root}.\n")
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
