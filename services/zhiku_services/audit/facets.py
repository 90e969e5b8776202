"""What entries can be searched by: it repeats what their payloads say, and can be made anew from them."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from zhiku_platform.contracts.audit import ACTIONS, PEOPLE, SubjectKind
from zhiku_services.audit.canonical import read
from zhiku_services.audit.models import ENTRY
from zhiku_services.audit.times import from_text, to_us

_LONGEST = 200
_PAGE = 4096

FACET_COLUMNS = ("idx", "at_us", "tenant", "actor", "action", "subject", "outcome", "producer", "boot", "seq")
MENTION_COLUMNS = ("idx", "kind", "value")

PERSON = "person"
_THINGS: Mapping[str, tuple[SubjectKind, tuple[str, ...]]] = {
    "conversation": (SubjectKind.CONVERSATION, ("conversation",)),
    "document": (SubjectKind.DOCUMENT, ("document", "documents")),
    "knowledge_base": (SubjectKind.KNOWLEDGE_BASE, ("knowledge_base", "knowledge_bases")),
}
"""Each kind of thing that an event can be about: as its subject, or in these details."""


def facet_of(idx: int, event: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an entry says once, in the order of `FACET_COLUMNS`."""
    data = event["data"]
    stamp = data.get("producer", {})
    return (
        idx,
        to_us(from_text(event["time"])),
        data["tenant"],
        data["actor"]["user"]["uid"],
        event["type"].removeprefix("zhiku."),
        event["subject"],
        data["outcome"],
        stamp.get("name"),
        stamp.get("boot"),
        stamp.get("seq"),
    )


def mentions_of(idx: int, event: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """What an entry is about, in the order of `MENTION_COLUMNS`, sorted: an answer may show many documents."""
    details = event["data"]["unmapped"]["kb"]
    action = event["type"].removeprefix("zhiku.")
    kind = ACTIONS[action].subject if action in ACTIONS else SubjectKind.OTHER
    found: set[tuple[int, str, str]] = set()
    for name, (as_subject, detail_names) in _THINGS.items():
        if kind is as_subject:
            found.add((idx, name, event["subject"]))
        for detail in detail_names:
            if detail in details:
                found |= {(idx, name, value) for value in _texts(details[detail])}
    if kind is SubjectKind.USER:
        found |= {(idx, PERSON, who) for who in _people(event["subject"])}
    for detail in PEOPLE & details.keys():
        found |= {(idx, PERSON, who) for who in _people(details[detail])}
    return sorted(found)


def pseudonyms_in(event: Mapping[str, Any]) -> set[str]:
    """Everybody whom an event names."""
    details = event["data"]["unmapped"]["kb"].values()
    lists = [value if isinstance(value, list) else [value] for value in details]
    texts = [event["data"]["actor"]["user"]["uid"], event["subject"], *(text for texts in lists for text in texts)]
    bare = [text.removeprefix("user:") for text in texts if isinstance(text, str)]
    return {text for text in bare if text.startswith("psn_")}


def every_mention(connection: Connection) -> Iterator[list[tuple[int, str, str]]]:
    """What all entries are about, in pages, for a table that has to be filled anew."""
    first = 0
    while True:
        query = select(ENTRY.c.idx, ENTRY.c.payload).where(ENTRY.c.idx >= first).order_by(ENTRY.c.idx).limit(_PAGE)
        rows = connection.execute(query).all()
        if not rows:
            return
        yield [mention for row in rows for mention in mentions_of(row.idx, read(bytes(row.payload)))]
        first = rows[-1].idx + 1


def _people(value: object) -> Iterator[str]:
    for text in _texts(value):
        who = text.removeprefix("user:")
        if who.startswith("psn_"):
            yield who


def _texts(value: object) -> Iterator[str]:
    """A detail as texts that fit the column; what does not is in the payload and is not searched by."""
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and len(text) <= _LONGEST and "\0" not in text:
            yield text
