"""What may have to be forgotten: sealed parts and the people behind pseudonyms.

A sealed part is AES-256-GCM under the data key of its record group, bound to its event's id; the log holds the
digest of the ciphertext, so destroying the key leaves every proof valid. A pseudonym is an HMAC over a salt of
the person's own; deleting the mapping deletes the salt, and then not even the pepper leads back.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from zhiku_services.audit.erasures import Erasure, ErasureLog
from zhiku_services.audit.errors import PersonTouchedError, SealedPartTouchedError
from zhiku_services.audit.files import create_once, private_folder
from zhiku_services.audit.models import BLOB, ERASURE, PERSON, RECORD_KEY
from zhiku_services.audit.times import now_us

_NONCE_BYTES = 12
MASTER_KEYS = ("kek", "pepper", "spool")
_FIND_SALT = select(PERSON.c.salt).where(PERSON.c.tenant == bindparam("of_tenant"), PERSON.c.sub == bindparam("of_sub"))
"""Built once: every event asks it."""


@dataclass(frozen=True)
class MasterKeys:
    """What no database holds: `kek` wraps data keys, `pepper` makes pseudonyms, `spool` seals the spool.

    `erasures` tells which data keys and people stay destroyed, whatever a backup brings back.
    """

    kek: bytes
    pepper: bytes
    spool: bytes
    erasures: ErasureLog

    @classmethod
    def at(cls, folder: Path, erasures: Path) -> "MasterKeys":
        """The keys of a folder, made if there are none. In a cluster it is mounted from a secret."""
        private_folder(folder)
        kek, pepper, spool = (create_once(folder / name, secrets.token_bytes(32)) for name in MASTER_KEYS)
        return cls(kek, pepper, spool, ErasureLog(erasures))


def pseudonym_of(pepper: bytes, salt: bytes, tenant: str, sub: str) -> str:
    """What the log calls a person who has this salt."""
    digest = hmac.new(pepper, salt + f"{tenant}\n{sub}".encode(), hashlib.sha256).hexdigest()
    return f"psn_{digest[:28]}"


def key_id(key: bytes) -> str:
    """What tells a data key from the one that a group has after it was erased; it says nothing of the key."""
    return hmac.new(key, b"zhiku-audit-key-id", hashlib.sha256).hexdigest()[:16]


class Vault:
    """Seals and opens, within the caller's transaction."""

    def __init__(self, connection: Connection, keys: MasterKeys) -> None:
        self._connection = connection
        self._keys = keys
        self._data_keys: dict[tuple[str, str], bytes] = {}
        self._pseudonyms: dict[tuple[str, str], str] = {}

    def pseudonym(self, tenant: str, sub: str) -> str:
        """What the log calls a person; made if it is the first time."""
        known = self._pseudonyms.get((tenant, sub))
        if known is None:
            known = self._pseudonyms[tenant, sub] = self._find(tenant, sub) or self._make(tenant, sub)
        return known

    def known_pseudonym(self, tenant: str, sub: str) -> str | None:
        """What the log calls a person, if it does."""
        return self._find(tenant, sub)

    def person(self, tenant: str, pseudonym: str) -> str | None:
        """Who is behind a pseudonym; None if that was forgotten.

        Raises:
            PersonTouchedError: the row is not the one for which the pseudonym was made.
        """
        query = select(PERSON.c.sub, PERSON.c.salt).where(PERSON.c.tenant == tenant, PERSON.c.pseudonym == pseudonym)
        row = self._connection.execute(query).first()
        if row is None:
            return None
        if pseudonym_of(self._keys.pepper, bytes(row.salt), tenant, row.sub) != pseudonym:
            raise PersonTouchedError
        return str(row.sub)

    def seal(self, event_id: str, tenant: str, group: str, content: dict[str, str]) -> dict[str, Any]:
        """Encrypt, keep the ciphertext, and return what the event says of it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        key = self._data_key(tenant, group) or self._make_data_key(tenant, group)
        plain = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        sealed = nonce + AESGCM(key).encrypt(nonce, plain, event_id.encode())
        digest = hashlib.sha256(sealed).hexdigest()
        self._connection.execute(insert(BLOB).values(digest=digest, tenant=tenant, record_group=group, content=sealed))
        return {"alg": "A256GCM", "digest": digest, "group": group, "key": key_id(key), "size": len(sealed)}

    def open(self, event_id: str, tenant: str, sealed: dict[str, Any]) -> dict[str, str] | None:
        """Decrypt the sealed part that an event names; None if its key was destroyed or it is gone.

        Raises:
            SealedPartTouchedError: it is not the one that was sealed for this event.
        """
        key = self._data_key(tenant, sealed["group"])
        content = self._connection.execute(select(BLOB.c.content).where(BLOB.c.digest == sealed["digest"])).scalar()
        if key is None or content is None or sealed.get("key", key_id(key)) != key_id(key):
            return None
        try:
            plain = AESGCM(key).decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], event_id.encode())
        except InvalidTag as error:
            raise SealedPartTouchedError from error
        opened: dict[str, str] = orjson.loads(plain)
        return opened

    def erase_group(self, tenant: str, group: str) -> bool:
        """Destroy the data key of a record group; whether there was one. The ciphertext stays for the proofs."""
        key = self._data_key(tenant, group)
        if key is None:
            return False
        erasure = Erasure(now_us(), tenant, "group", group, key_id(key))
        self._keys.erasures.append(erasure)
        return self._destroy(erasure)

    def forget_person(self, tenant: str, sub: str) -> str | None:
        """Destroy the link between a person and their pseudonym; return the pseudonym, if there was one."""
        pseudonym = self._find(tenant, sub)
        if pseudonym is None:
            return None
        self._pseudonyms.pop((tenant, sub), None)
        erasure = Erasure(now_us(), tenant, "person", pseudonym)
        self._keys.erasures.append(erasure)
        self._destroy(erasure)
        return pseudonym

    def replay_erasures(self) -> list[Erasure]:
        """Destroy again what a backup brought back; return what there was.

        An erasure whose transaction failed after it was written down is done here as well: it was asked for.
        """
        return [erasure for erasure in self._keys.erasures.read() if self._destroy(erasure)]

    def _destroy(self, erasure: Erasure) -> bool:
        """Delete the row, if it is still the one that is meant, and say so in the database; whether there was one."""
        if erasure.kind == "person":
            found = delete(PERSON).where(PERSON.c.pseudonym == erasure.what)
        else:
            key = self._data_key(erasure.tenant, erasure.what)
            if key is None or key_id(key) != erasure.key:
                return False
            self._data_keys.pop((erasure.tenant, erasure.what))
            here = (RECORD_KEY.c.tenant == erasure.tenant) & (RECORD_KEY.c.record_group == erasure.what)
            found = delete(RECORD_KEY).where(here)
        if self._connection.execute(found).rowcount == 0:
            return False
        row = {"at_us": erasure.at_us, "tenant": erasure.tenant, "kind": erasure.kind, "what": erasure.what}
        self._connection.execute(insert(ERASURE).values(id=f"era_{secrets.token_hex(12)}", **row))
        return True

    def _find(self, tenant: str, sub: str) -> str | None:
        """Made anew from the salt: whatever somebody wrote beside it, nobody's acts stand under another's pseudonym."""
        salt = self._connection.execute(_FIND_SALT, {"of_tenant": tenant, "of_sub": sub}).scalar()
        return None if salt is None else pseudonym_of(self._keys.pepper, bytes(salt), tenant, sub)

    def _make(self, tenant: str, sub: str) -> str:
        salt = secrets.token_bytes(16)
        made = pseudonym_of(self._keys.pepper, salt, tenant, sub)
        row = {"tenant": tenant, "sub": sub, "pseudonym": made, "salt": salt}
        self._connection.execute(self._insert_new(PERSON).values(**row))
        # Another process may have been first.
        return self._find(tenant, sub) or made

    def _data_key(self, tenant: str, group: str) -> bytes | None:
        if (tenant, group) not in self._data_keys:
            here = (RECORD_KEY.c.tenant == tenant) & (RECORD_KEY.c.record_group == group)
            wrapped = self._connection.execute(select(RECORD_KEY.c.wrapped).where(here)).scalar()
            if wrapped is None:
                return None
            self._data_keys[tenant, group] = aes_key_unwrap(self._keys.kek, wrapped)
        return self._data_keys[tenant, group]

    def _make_data_key(self, tenant: str, group: str) -> bytes:
        wrapped = aes_key_wrap(self._keys.kek, AESGCM.generate_key(256))
        row = {"tenant": tenant, "record_group": group, "wrapped": wrapped, "created_us": now_us()}
        self._connection.execute(self._insert_new(RECORD_KEY).values(**row))
        made = self._data_key(tenant, group)
        assert made is not None
        return made

    def _insert_new(self, table: Any) -> Any:
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        return dialect.insert(table).on_conflict_do_nothing()
