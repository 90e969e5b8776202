"""Whether keys and names beside the log are still those of its entries: each may go by a recorded erasure alone."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from zhiku_services.audit.canonical import read
from zhiku_services.audit.facets import pseudonyms_in
from zhiku_services.audit.models import INBOX, PERSON, RECORD_KEY
from zhiku_services.audit.sealing import pseudonym_of
from zhiku_services.audit.verifier import TamperedError

_GROUP_ERASED: Final = "zhiku.audit.group_erased"
_FORGOTTEN: Final = "zhiku.audit.person_forgotten"


class Custody:
    """Collects what the entries need and what they say is destroyed, and compares it with the tables."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], dict[str, int]] = {}
        self._people: dict[str, int] = {}
        self._erased: dict[tuple[str, str], int] = {}
        self._forgotten: set[str] = set()

    def see(self, index: int, event: Mapping[str, Any]) -> None:
        """Take note of one entry."""
        data = event["data"]
        if "sealed" in data:
            keys = self._keys.setdefault((data["tenant"], data["sealed"]["group"]), {})
            keys.setdefault(data["sealed"].get("key", ""), index)
        for pseudonym in pseudonyms_in(event):
            self._people.setdefault(pseudonym, index)
        self._note_erasure(event)

    def check(self, connection: Connection, pepper: bytes | None) -> None:
        """Compare with the tables; names only where the `pepper` that made their pseudonyms is at hand.

        Raises:
            TamperedError: something is gone or changed, and no entry says so.
        """
        # What is destroyed goes in one transaction with its event, which the sequencer may not have taken yet.
        for payload in connection.execute(select(INBOX.c.payload)).scalars():
            self._note_erasure(read(bytes(payload)))
        self._check_keys(connection)
        self._check_people(connection, pepper)

    def _note_erasure(self, event: Mapping[str, Any]) -> None:
        if event["type"] == _GROUP_ERASED:
            group = event["data"]["tenant"], event["subject"]
            self._erased[group] = self._erased.get(group, 0) + 1
        elif event["type"] == _FORGOTTEN:
            self._forgotten.add(event["subject"])

    def _check_keys(self, connection: Connection) -> None:
        held = {(row.tenant, row.record_group) for row in connection.execute(select(RECORD_KEY))}
        for group, keys in self._keys.items():
            if len(keys) - (group in held) > self._erased.get(group, 0):
                first = min(keys.values())
                raise TamperedError("the key of a sealed part is gone, and no entry says that it was destroyed", first)

    def _check_people(self, connection: Connection, pepper: bytes | None) -> None:
        known: set[str] = set()
        for row in connection.execute(select(PERSON)):
            known.add(row.pseudonym)
            if pepper is not None and pseudonym_of(pepper, bytes(row.salt), row.tenant, row.sub) != row.pseudonym:
                raise TamperedError("a pseudonym leads to another person", self._people.get(row.pseudonym))
        gone = {pseudonym: at for pseudonym, at in self._people.items() if pseudonym not in known | self._forgotten}
        if gone:
            raise TamperedError("who is behind a pseudonym is gone, and no entry says so", min(gone.values()))
