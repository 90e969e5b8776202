"""Refuses to run a log with keys that are not its own: neither can be mended once they have been used."""

import hmac
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from sqlalchemy import Connection, select

from zhiku_services.audit.errors import AuditKeysMissingError, AuditKeysWrongError
from zhiku_services.audit.models import CHECKPOINT, ENTRY, INBOX, PERSON, RECORD_KEY
from zhiku_services.audit.sealing import MASTER_KEYS, MasterKeys, pseudonym_of
from zhiku_services.audit.signer import SIGNER_FILES
from zhiku_services.audit.verifier import TamperedError, VerifierKey, open_checkpoint


def check_keys_are_there(connection: Connection, keys: Path, signer: Path, *, may_make: bool) -> None:
    """Let keys be made for a log that holds nothing yet, and for no other.

    Raises:
        AuditKeysMissingError: a key is not in its folder, and may not be made.
    """
    paths = [keys / name for name in MASTER_KEYS] + [signer / name for name in SIGNER_FILES]
    missing = [str(path) for path in paths if not path.exists()]
    if missing and not (may_make and _is_empty(connection)):
        raise AuditKeysMissingError(missing)


def check_keys_fit(connection: Connection, keys: MasterKeys, public_key: str) -> None:
    """See that the keys are those that this database was written with, by one sample of each.

    Raises:
        AuditKeysWrongError: one of them is not.
    """
    wrapped = connection.execute(select(RECORD_KEY.c.wrapped).limit(1)).scalar()
    if wrapped is not None and not _unwraps(keys.kek, wrapped):
        raise AuditKeysWrongError("kek")
    person = connection.execute(select(PERSON).limit(1)).first()
    if person is not None:
        made = pseudonym_of(keys.pepper, bytes(person.salt), person.tenant, person.sub)
        if not hmac.compare_digest(made, person.pseudonym):
            raise AuditKeysWrongError("pepper")
    if not _has_signed(connection, VerifierKey.parse(public_key)):
        raise AuditKeysWrongError("signer's key")


def _is_empty(connection: Connection) -> bool:
    first = (select(table.c[column]).limit(1) for table, column in ((ENTRY, "idx"), (INBOX, "n"), (CHECKPOINT, "size")))
    return all(connection.execute(query).first() is None for query in first)


def _unwraps(kek: bytes, wrapped: bytes) -> bool:
    try:
        aes_key_unwrap(kek, wrapped)
    except InvalidUnwrap:
        return False
    return True


def _has_signed(connection: Connection, key: VerifierKey) -> bool:
    """Whether the first or the last checkpoint is the key's: one of them may be a forgery, which `verify` reports."""
    query = select(CHECKPOINT.c.note).limit(1)
    ends = [query.order_by(CHECKPOINT.c.size), query.order_by(CHECKPOINT.c.size.desc())]
    notes = [note for end in ends for note in connection.execute(end).scalars()]
    for note in notes:
        try:
            open_checkpoint(note, key)
        except TamperedError:
            continue
        return True
    return not notes
