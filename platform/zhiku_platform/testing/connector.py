"""The contract of a connector, as tests that each connector passes.

Subclass `ConnectorContract` and give it a `source` fixture: a `ConnectorSource` over a source that the test
may change. The connector's own package is not imported here; the names are those of its protocol.
"""

from typing import Any, Protocol

import pytest


class ConnectorSource(Protocol):
    """A source under test, and how to change what it holds."""

    def connector(self) -> Any:
        """Open the source anew, as another sync would."""
        ...

    def put(self, path: str, content: bytes) -> None:
        """Create or replace a document."""
        ...

    def remove(self, path: str) -> None:
        """Delete a document."""
        ...

    def break_source(self) -> None:
        """Make the whole source unreadable."""
        ...


class ConnectorContract:
    """What holds for every connector that lists everything."""

    @pytest.fixture
    def source(self) -> ConnectorSource:
        raise NotImplementedError

    @staticmethod
    def entries(source: ConnectorSource) -> dict[str, Any]:
        """The entries of a full listing, by path."""
        listed = list(source.connector().list(None))
        return {item.path: item for item in listed if hasattr(item, "fingerprint")}

    def test_every_document_is_listed_once(self, source: ConnectorSource) -> None:
        source.put("a.txt", b"first")
        source.put("folder/b.txt", b"second")

        listed = [item for item in source.connector().list(None) if hasattr(item, "fingerprint")]

        assert sorted(item.path for item in listed) == ["a.txt", "folder/b.txt"]
        assert len({item.id for item in listed}) == 2

    def test_bytes_come_as_they_are(self, source: ConnectorSource) -> None:
        source.put("a.txt", bytes(range(256)))
        connector = source.connector()
        entry = self.entries(source)["a.txt"]

        with connector.open(entry) as content:
            assert content.read() == bytes(range(256))
        assert entry.size_bytes == 256

    def test_nothing_changes_while_nothing_changes(self, source: ConnectorSource) -> None:
        source.put("a.txt", b"first")

        assert self.entries(source) == self.entries(source)

    def test_other_bytes_have_another_fingerprint_and_the_same_id(self, source: ConnectorSource) -> None:
        source.put("a.txt", b"first")
        before = self.entries(source)["a.txt"]
        source.put("a.txt", b"secnd")

        after = self.entries(source)["a.txt"]

        assert after.id == before.id
        assert after.fingerprint != before.fingerprint

    def test_what_is_deleted_is_listed_no_more(self, source: ConnectorSource) -> None:
        source.put("a.txt", b"first")
        source.put("b.txt", b"second")
        source.remove("a.txt")

        assert set(self.entries(source)) == {"b.txt"}

    def test_an_entry_that_went_away_is_skippable(self, source: ConnectorSource) -> None:
        source.put("a.txt", b"first")
        connector = source.connector()
        entry = self.entries(source)["a.txt"]
        source.remove("a.txt")

        with pytest.raises(Exception, match="entry_unreadable"):
            connector.open(entry)

    def test_a_broken_source_is_an_error_and_never_an_empty_listing(self, source: ConnectorSource) -> None:
        source.put("a.txt", b"first")
        source.break_source()

        with pytest.raises(Exception, match=r"source|folder"):
            list(source.connector().list(None))

    def test_skipped_entries_say_why_and_what_to_do(self, source: ConnectorSource) -> None:
        source.put("a.unknown-format", b"first")

        (skipped,) = list(source.connector().list(None))

        assert skipped.path == "a.unknown-format"
        assert skipped.code
        assert skipped.detail
        assert skipped.remedy
