"""Anything that can happen to rights, in any order, on the service and in the book beside it.

`Company` holds every answer against the book: nothing in it that may not be seen (soundness), everything that may be
(completeness), from the next request on (revocation). `TwoWorlds` runs one history twice, once with and once without
what an observer may not see, and demands that the observer cannot tell them apart (non-interference).
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from sqlmodel import select

from zhiku_services.knowledge.models import PassageRow

from .access_world import GROUPS, HOSTILE_GROUP, HOSTILE_TENANT, RANK, Document, Shelf, Version, World

T = TypeVar("T")

picks = st.integers(0, 9_999)
readers_of_documents = st.sampled_from(
    [
        None,
        None,
        frozenset[str](),
        frozenset({"user:bo"}),
        frozenset({"group:g0"}),
        frozenset({"group:g1", "user:ada"}),
        frozenset({f"group:{HOSTILE_GROUP}"}),
        frozenset({"everyone"}),
        frozenset({"user:ada"}),
    ]
)
levels = st.sampled_from([0, 0, 0, 1, 3])
subjects = st.sampled_from(
    [
        "everyone",
        "group:g0",
        "group:g1",
        f"group:{HOSTILE_GROUP}",
        "user:bo",
        "user:cy",
        "user:eve",
        "user:di' or 1==1 --",
    ]
)
modes = st.sampled_from(["hybrid", "dense", "bm25"])
hostile = st.one_of(
    st.sampled_from(
        [
            '" or "" == "',
            "' or 1=1 --",
            '"] or acl_id > 0 or kb_id in ["',
            "{tenant}",
            "%",
            "..",
            "kb_*",
            "\\",
            "\x00",
            "知库",
            "cnr000001x",
        ]
    ),
    st.text(min_size=1, max_size=30),
)


class Company(RuleBasedStateMachine):
    """One company, its book, and everything that people and services do."""

    world: ClassVar[World]
    steps: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world.reset()
        self.book = self.world.book
        self.open_answers: list[tuple[str, tuple[str, ...]]] = []
        self._documents = 0
        self.world.make_base("ada")

    # What there is to choose from

    def pick(self, items: Sequence[T], at: int) -> T:
        return items[at % len(items)]

    def person(self, at: int) -> str:
        return self.pick(list(self.book.people), at)

    def base(self, at: int) -> Shelf:
        return self.pick(self.book.bases, at)

    @property
    def living(self) -> list[Document]:
        return [document for document in self.book.documents if not document.is_deleted]

    def took(self, step: str) -> None:
        self.steps[step] += 1

    # Rights and content change

    @precondition(lambda self: len(self.book.bases) < 4)
    @rule(by=st.sampled_from(["ada", "eve", "rival"]))
    def make_a_base(self, by: str) -> None:
        self.took("make_a_base")
        self.world.make_base(by)

    @rule(base=picks, subject=subjects, role=st.sampled_from(["viewer", "viewer", "editor", "owner"]))
    def give_a_grant(self, base: int, subject: str, role: str) -> None:
        self.took("give_a_grant")
        shelf = self.base(base)
        if subject != f"user:{shelf.owner}":
            self.world.grant(shelf, subject, role)

    @rule(base=picks, at=picks)
    def revoke_a_grant(self, base: int, at: int) -> None:
        self.took("revoke_a_grant")
        shelf = self.base(base)
        others = list(shelf.grants)[1:]
        if others:
            self.world.revoke(shelf, self.pick(others, at))

    @precondition(lambda self: len(self.book.documents) < 24)
    @rule(base=picks, readers=readers_of_documents, level=levels, passages=st.integers(1, 2))
    def upload(self, base: int, readers: frozenset[str] | None, level: int, passages: int) -> None:
        self.took("upload")
        self._documents += 1
        self.world.upload(self.base(base), f"doc{self._documents}", readers, level, passages=passages)

    @precondition(lambda self: self.living)
    @rule(at=picks, final=st.sampled_from([True, True, False]))
    def write_a_new_version(self, at: int, final: bool) -> None:
        self.took("write_a_new_version")
        self.world.write(self.pick(self.living, at), final=final)

    @precondition(lambda self: self.living)
    @rule(at=picks, readers=readers_of_documents, level=levels)
    def change_an_acl(self, at: int, readers: frozenset[str] | None, level: int) -> None:
        self.took("change_an_acl")
        self.world.set_acl(self.pick(self.living, at), readers, level)

    @precondition(lambda self: self.living)
    @rule(at=picks, by=picks, subject=subjects)
    def share(self, at: int, by: int, subject: str) -> None:
        """Somebody adds a reader, if they may; who may not is not told that the document is there."""
        self.took("share")
        name, document = self.person(by), self.pick(self.living, at)
        readers = (document.readers or frozenset()) | {subject}
        body = {"readers": sorted(readers), "level": document.level}
        response = self.world.call(name, "PUT", f"/api/v1/documents/{document.id}/acl", body)
        role = self.book.role(name, document.base)
        may_read = self.book.may_read(name, document)
        is_editor = may_read and RANK[role or "viewer"] > 1 and document.versions
        if is_editor:
            assert response.status_code == 200 or self.world.index.is_broken
            document.readers = readers
        elif not self.book.works_with_content(name) or (may_read and document.at(document.base.published)):
            assert response.status_code == 403
        else:
            assert response.status_code == 404

    @precondition(lambda self: self.living)
    @rule(at=picks)
    def erase(self, at: int) -> None:
        self.took("erase")
        self.world.erase(self.pick(self.living, at))

    @rule(at=picks, groups=st.sets(st.sampled_from(GROUPS)), clearance=st.sampled_from([0, 0, 1, 3]))
    def move_somebody(self, at: int, groups: set[str], clearance: int) -> None:
        self.took("move_somebody")
        self.world.move(self.person(at), groups=frozenset(groups), clearance=clearance)

    # Releases

    @rule(at=picks, manual=st.booleans())
    def say_who_publishes(self, at: int, manual: bool) -> None:
        self.took("say_who_publishes")
        self.world.set_publishing(self.base(at), manual=manual)

    @rule(at=picks)
    def publish_the_draft(self, at: int) -> None:
        self.took("publish_the_draft")
        self.world.release(self.base(at))

    @rule(at=picks, number=picks)
    def roll(self, at: int, number: int) -> None:
        self.took("roll")
        base = self.base(at)
        self.world.roll_to(base, number % base.draft)

    # The index falls behind, and catches up

    @precondition(lambda self: not self.world.index.is_broken)
    @rule()
    def break_the_index(self) -> None:
        self.took("break_the_index")
        self.world.index.is_broken = True

    @precondition(lambda self: self.world.index.is_broken)
    @rule()
    def mend_the_index(self) -> None:
        self.took("mend_the_index")
        self.world.mend()

    # What people are shown

    @rule(by=picks, mode=modes, at=picks, named=st.booleans(), warm=picks)
    def search(self, by: int, mode: str, at: int, named: bool, warm: int) -> None:
        """Somebody else searches first: what they leave behind must not show."""
        self.took("search")
        name = self.person(by)
        bases = [self.base(at)] if named else self.book.bases
        body = {
            "query": "common words",
            "limit": 50,
            "mode": mode,
            "knowledge_base_ids": [base.id for base in bases] if named else [],
        }
        self.world.call(self.person(warm), "POST", "/api/v1/search", body)
        response = self.world.call(name, "POST", "/api/v1/search", body)
        self.check_found(name, response, bases, named=named)

    @rule(by=st.sampled_from(["bo", "cy", "ada"]), mode=modes)
    def search_everywhere(self, by: str, mode: str) -> None:
        self.took("search_everywhere")
        body = {"query": "common words", "limit": 50, "mode": mode}
        response = self.world.call(by, "POST", "/api/v1/search", body)
        self.check_found(by, response, self.book.bases, named=False)

    @rule(by=st.sampled_from(["bo", "cy"]), at=picks)
    def search_for_one_document(self, by: str, at: int) -> None:
        """By a word that stands nowhere else, as somebody would who knows what to look for."""
        self.took("search_for_one_document")
        if not self.book.documents:
            return
        document = self.pick(self.book.documents, at)
        version = document.at(document.base.published)
        word = min(version.canaries) if version else "cnr999999x"
        response = self.world.call(by, "POST", "/api/v1/search", {"query": word, "limit": 50, "mode": "bm25"})
        found = {each["passage"]["document_id"] for each in json.loads(response.content)["passages"]}
        is_readable = version is not None and self.book.may_read(by, document)
        assert is_readable or document.id not in found
        assert document.id in found or not is_readable or self.world.index.is_broken

    def check_found(self, name: str, response: Any, bases: Sequence[Shelf], *, named: bool) -> None:
        if not self.book.works_with_content(name):
            assert response.status_code == 403
            return
        viewable = [base for base in bases if self.book.role(name, base)]
        if named and not viewable:
            assert response.status_code == 404
            return
        result = json.loads(response.content)
        texts = sorted(found["passage"]["text"] for found in result["passages"])
        expected = sorted(text for base in viewable for _, v in self.book.readable(name, base) for text in v.texts)
        assert set(texts) <= set(expected)
        if not self.world.index.is_broken:
            assert texts == expected
        assert len(result["searched"]) == len(viewable)
        self.open_answers.append((name, tuple(found["passage"]["id"] for found in result["passages"])))

    @rule(by=picks, at=picks, number=picks, mode=modes)
    def search_at_a_release(self, by: int, at: int, number: int, mode: str) -> None:
        self.took("search_at_a_release")
        name, base = self.person(by), self.base(at)
        release = number % (base.draft + 2)
        body = {
            "query": "common words",
            "limit": 50,
            "mode": mode,
            "knowledge_base_ids": [base.id],
            "release": release,
        }
        response = self.world.call(name, "POST", "/api/v1/search", body)
        role = self.book.role(name, base)
        if not self.book.works_with_content(name) or role == "viewer":
            assert response.status_code == 403
        elif role is None or release > base.draft:
            assert response.status_code == 404
        else:
            texts = sorted(found["passage"]["text"] for found in json.loads(response.content)["passages"])
            expected = sorted(text for _, v in self.book.readable(name, base, release) for text in v.texts)
            assert set(texts) <= set(expected)
            assert self.world.index.is_broken or texts == expected

    @precondition(lambda self: self.open_answers)
    @rule(at=picks, by=picks)
    def go_on_with_a_stream(self, at: int, by: int) -> None:
        """An answer that is being written asks for its sources again; so does somebody it was shared with."""
        self.took("go_on_with_a_stream")
        asker, ids = self.pick(self.open_answers, at)
        held = self.held()
        for name in (asker, self.person(by)):
            response = self.world.call(name, "POST", "/internal/readable-passages", {"passage_ids": list(ids)})
            if self.book.works_with_content(name):
                readable = {
                    passage_id
                    for passage_id in ids
                    if passage_id in held
                    and self.book.may_read(name, held[passage_id][0])
                    and held[passage_id][1].start <= held[passage_id][0].base.published
                }
                assert set(json.loads(response.content)["passage_ids"]) == readable
            self.check_readable_documents(name)

    def check_readable_documents(self, name: str) -> None:
        ids = [document.id for document in self.living]
        response = self.world.call(name, "POST", "/internal/readable-documents", {"document_ids": ids})
        if self.book.works_with_content(name):
            readable = [document.id for document in self.living if self.book.may_read(name, document)]
            assert json.loads(response.content)["document_ids"] == readable

    def held(self) -> dict[str, tuple[Document, Version]]:
        """Every passage of every version, by id."""
        with self.world.database.read() as session:
            rows = {row.id: (row.document_id, row.version_id) for row in session.exec(select(PassageRow))}
        versions = {(d.id, v.version_id): (d, v) for d in self.book.documents for v in d.versions}
        return {passage_id: versions[key] for passage_id, key in rows.items() if key in versions}

    @rule(by=picks, at=picks)
    def browse(self, by: int, at: int) -> None:
        self.took("browse")
        name, base = self.person(by), self.base(at)
        listed = self.world.call(name, "GET", "/api/v1/knowledge-bases")
        shown = self.world.call(name, "GET", f"/api/v1/knowledge-bases/{base.id}")
        documents = self.world.call(name, "GET", f"/api/v1/knowledge-bases/{base.id}/documents")
        if not self.book.works_with_content(name):
            assert {listed.status_code, shown.status_code, documents.status_code} == {403}
            return
        viewable = [each for each in self.book.bases if self.book.role(name, each)]
        counts = {each.id: len(self.book.readable(name, each)) for each in viewable}
        assert {item["id"]: item["documents"] for item in json.loads(listed.content)["items"]} == counts
        if base not in viewable:
            assert shown.status_code == documents.status_code == 404
            return
        assert [item["id"] for item in json.loads(documents.content)["items"]] == [
            document.id for document, _ in self.book.readable(name, base)
        ]

    @precondition(lambda self: self.book.documents)
    @rule(by=picks, at=picks, face=st.sampled_from(["", "/passages", "/content", "/readers"]))
    def open_a_document(self, by: int, at: int, face: str) -> None:
        self.took("open_a_document")
        name, document = self.person(by), self.pick(self.book.documents, at)
        path = f"/api/v1/documents/{document.id}{face}"
        response = self.world.call(name, "GET", path)
        is_readable = self.book.may_read(name, document) and document.at(document.base.published)
        if face == "/readers" and name == "sec":
            is_released = not document.is_deleted and document.at(document.base.published)
            assert response.status_code == (200 if is_released and document.base.tenant == "acme" else 404)
            return
        if not self.book.works_with_content(name):
            assert response.status_code == 403
        elif is_readable:
            assert response.status_code == 200
        else:
            missing = self.world.call(name, "GET", path.replace(document.id, "doc_nowhere"))
            assert (response.status_code, response.headers, response.content) == (
                404,
                missing.headers,
                missing.content,
            )

    @precondition(lambda self: self.book.documents)
    @rule(by=picks, at=picks)
    def open_a_passage(self, by: int, at: int) -> None:
        """By id, as somebody could who kept it: of any version, staged, closed or current."""
        self.took("open_a_passage")
        with self.world.database.read() as session:
            rows = [(row.id, row.version_id, row.document_id) for row in session.exec(select(PassageRow))]
        if not rows:
            return
        name = self.person(by)
        passage_id, version_id, document_id = self.pick(sorted(rows), at)
        response = self.world.call(name, "GET", f"/api/v1/passages/{passage_id}")
        if not self.book.works_with_content(name):
            assert response.status_code == 403
            return
        document = next(each for each in self.book.documents if each.id == document_id)
        version = document.at(document.base.published)
        is_shown = self.book.may_read(name, document) and version is not None and version.version_id == version_id
        assert response.status_code == (200 if is_shown else 404)
        if not is_shown:
            missing = self.world.call(name, "GET", "/api/v1/passages/psg_nowhere")
            assert (response.headers, response.content) == (missing.headers, missing.content)

    # Explanations, releases, rights

    @rule(by=picks, about=picks)
    def explain_a_user(self, by: int, about: int) -> None:
        self.took("explain_a_user")
        asker, name = self.person(by), self.person(about)
        person = self.book.people[name]
        response = self.world.call(asker, "GET", f"/api/v1/users/{person.sub}/readable")
        tenant = self.book.people[asker].tenant
        # Asked about somebody of another tenant, the service knows one's own user of that name, if there is one.
        namesakes = [
            each for each, other in self.book.people.items() if (other.sub, other.tenant) == (person.sub, tenant)
        ]
        if response.status_code != 200 or not namesakes:
            return
        name = namesakes[0]
        shown = {base["id"]: base["documents"] for base in json.loads(response.content)["knowledge_bases"]}
        for base in self.book.bases:
            theirs = {document.id for document, _ in self.book.readable(name, base)}
            if asker not in {name, "sec"}:
                mine = {document.id for document, _ in self.book.readable(asker, base)}
                theirs = theirs & mine if self.book.role(asker, base) == "owner" else set()
            assert shown.get(base.id, 0) == len(theirs)

    @precondition(lambda self: self.living)
    @rule(by=picks, at=picks)
    def explain_a_document(self, by: int, at: int) -> None:
        self.took("explain_a_document")
        asker, document = self.person(by), self.pick(self.living, at)
        response = self.world.call(asker, "GET", f"/api/v1/documents/{document.id}/readers")
        if response.status_code != 200:
            return
        told = {reader["sub"] for reader in json.loads(response.content)["readers"]}
        tenant = self.book.people[asker].tenant
        everybody = {
            person.sub
            for name, person in self.book.people.items()
            if person.tenant == tenant and self.book.may_read(name, document)
        }
        is_told_all = asker == "sec" or self.book.role(asker, document.base) == "owner"
        assert told == (everybody if is_told_all else {self.book.people[asker].sub})

    @rule(by=picks, at=picks, before=picks, after=picks)
    def compare_releases(self, by: int, at: int, before: int, after: int) -> None:
        self.took("compare_releases")
        name, base = self.person(by), self.base(at)
        old, new = before % (base.draft + 1), after % (base.draft + 1)
        path = f"/api/v1/knowledge-bases/{base.id}/releases"
        listed = self.world.call(name, "GET", path)
        response = self.world.call(name, "GET", f"{path}/{old}/diff/{new}")
        role = self.book.role(name, base) if self.book.works_with_content(name) else "viewer"
        expected = 404 if role is None else 403 if role == "viewer" else 200
        assert (listed.status_code, response.status_code) == (expected, expected)
        if expected != 200:
            return
        first = {document.id: version for document, version in self.book.readable(name, base, old)}
        second = {document.id: version for document, version in self.book.readable(name, base, new)}
        changed = {each for each in first.keys() | second.keys() if first.get(each) is not second.get(each)}
        assert {item["document_id"] for item in json.loads(response.content)["items"]} == changed

    @rule(by=picks, at=picks, action=st.sampled_from(["grants", "rename", "delete", "release", "publish"]))
    def overstep(self, by: int, at: int, action: str) -> None:
        """Do what owners alone may, as somebody who is none."""
        self.took("overstep")
        name, base = self.person(by), self.base(at)
        if self.book.role(name, base) == "owner" and self.book.works_with_content(name):
            return
        path = f"/api/v1/knowledge-bases/{base.id}"
        method, suffix, body = {
            "grants": ("POST", "/grants", {"subject": "everyone", "role": "owner"}),
            "rename": ("PATCH", "", {"name": "Mine"}),
            "delete": ("DELETE", "", None),
            "release": ("POST", "/releases", {"publish": True}),
            "publish": ("POST", "/releases/0/publish", None),
        }[action]
        response = self.world.call(name, method, path + suffix, body)
        is_viewer = self.book.role(name, base) is not None
        assert response.status_code == (403 if is_viewer or not self.book.works_with_content(name) else 404)

    @rule(by=picks, text=hostile)
    def inject(self, by: int, text: str) -> None:
        """Any string as the name of anything finds nothing and breaks nothing."""
        self.took("inject")
        name = self.person(by)
        principal = self.book.people[name]
        for body in (
            {"query": text, "knowledge_base_ids": []},
            {"query": "common", "knowledge_base_ids": [text]},
        ):
            assert self.world.call(name, "POST", "/api/v1/search", body).status_code < 500
        for path in ("knowledge-bases", "documents", "passages"):
            assert self.world.call(name, "GET", f"/api/v1/{path}/{text}").status_code < 500
        for stranger in (
            principal.model_copy(update={"tenant": text}),
            principal.model_copy(update={"sub": text, "groups": frozenset({text})}),
        ):
            self.book.people["stranger"] = stranger
            response = self.world.call("stranger", "POST", "/api/v1/search", {"query": "common words", "limit": 50})
            assert response.status_code < 500
            del self.book.people["stranger"]

    @rule(subject=hostile, role=st.sampled_from(["viewer", "owner"]))
    def grant_to_any_name(self, subject: str, role: str) -> None:
        self.took("grant_to_any_name")
        base = self.book.bases[0]
        path, body = f"/api/v1/knowledge-bases/{base.id}/grants", {"subject": f"group:{subject}", "role": role}
        response = self.world.call(base.owner, "POST", path, body)
        if response.status_code == 201:
            base.grants[f"group:{subject}"] = role
        else:
            assert response.status_code == 422


_TIMES = re.compile(r'"\d{4}-\d\d-\d\dT[^"]*"')
_NUMBERS = re.compile(r"\d+\.\d{4,}(?:e-?\d+)?")


class TwoWorlds(RuleBasedStateMachine):
    """One history in two worlds: what happens out of the observer's sight happens in the first alone."""

    worlds: ClassVar[tuple[World, World]]
    steps: ClassVar[Counter[str]] = Counter()
    observers: ClassVar[tuple[str, ...]] = ("bo", "eve")

    def __init__(self) -> None:
        super().__init__()
        for world in self.worlds:
            world.reset()
        self.full, self.sparse = self.worlds
        self._documents = 0
        self.hidden: list[Document] = []
        with self.full.out_of_sight():
            self.hidden_base = self.full.make_base("ada")
        for world in self.worlds:
            world.grant(world.make_base("ada"), "group:g0", "viewer")

    def both(self, at: int) -> tuple[Shelf, Shelf]:
        """The same knowledge base in both worlds."""
        shared = len(self.sparse.book.bases)
        return self.full.book.bases[1 + at % shared], self.sparse.book.bases[at % shared]

    def pairs(self) -> list[tuple[Document, Document]]:
        """The same living documents in both worlds."""
        known = {document.id: document for document in self.full.book.documents}
        return [(known[each.id], each) for each in self.sparse.book.documents if not each.is_deleted]

    def took(self, step: str) -> None:
        self.steps[step] += 1

    # In sight

    @rule(
        at=picks, readers=st.sampled_from([None, frozenset({"group:g0"}), frozenset({"user:bo"})]), n=st.integers(1, 3)
    )
    def upload(self, at: int, readers: frozenset[str] | None, n: int) -> None:
        self.took("upload")
        if len(self.sparse.book.documents) >= 15:
            return
        self._documents += 1
        topic = ("leave", "travel", "年假")[at % 3]
        for world, base in zip(self.worlds, self.both(at), strict=True):
            world.upload(base, f"doc{self._documents}", readers, 0, passages=n, topic=topic)

    @precondition(lambda self: self.pairs())
    @rule(at=picks)
    def write_a_new_version(self, at: int) -> None:
        self.took("write_a_new_version")
        for world, document in zip(self.worlds, self.pairs()[at % len(self.pairs())], strict=True):
            document.fence += 10
            document.staged = f"{document.id}-v{at}-{self._documents}"
            world.write(document, topic="leave")
        self._documents += 1

    @precondition(lambda self: self.pairs())
    @rule(at=picks)
    def erase(self, at: int) -> None:
        self.took("erase")
        for world, document in zip(self.worlds, self.pairs()[at % len(self.pairs())], strict=True):
            world.erase(document)

    @rule(at=picks, subject=st.sampled_from(["everyone", "user:bo", "user:eve"]))
    def grant(self, at: int, subject: str) -> None:
        self.took("grant")
        if subject == f"user:{self.both(at)[0].owner}":
            return
        for world, base in zip(self.worlds, self.both(at), strict=True):
            world.grant(base, subject, "viewer")

    @rule(at=picks)
    def roll(self, at: int) -> None:
        self.took("roll")
        full, sparse = self.both(at)
        if sparse.published != sparse.draft - 1 or sparse.draft < 2:
            return
        # The numbers differ between the worlds; the documents in sight do not.
        for world, base in ((self.full, full), (self.sparse, sparse)):
            world.set_publishing(base, manual=True)
            world.release(base)

    @rule(name=st.sampled_from(["Plans", "Handbook"]))
    def make_a_base_by_name(self, name: str) -> None:
        """A name may be taken by what its maker cannot see, and must be free all the same."""
        self.took("make_a_base_by_name")
        if len(self.sparse.book.bases) >= 4:
            return
        body = {"name": name, "description": ""}
        answers = [world.call("eve", "POST", "/api/v1/knowledge-bases", body) for world in self.worlds]
        assert answers[0].status_code == answers[1].status_code
        if answers[0].status_code == 201:
            for world, answer in zip(self.worlds, answers, strict=True):
                made = json.loads(answer.content)
                world.book.bases.append(Shelf(made["id"], "acme", "eve", name, {"user:eve": "owner"}))

    # Out of sight

    @rule(at=picks, readers=st.sampled_from([frozenset({"user:ghost"}), frozenset[str](), None]), n=st.integers(1, 3))
    def upload_out_of_sight(self, at: int, readers: frozenset[str] | None, n: int) -> None:
        self.took("upload_out_of_sight")
        if len(self.hidden) >= 12:
            return
        self._documents += 1
        base = self.hidden_base if readers is None else self.both(at)[0]
        if base.owner in self.observers:
            # An owner is told the numbers of releases, and those count what is hidden from the owner as well.
            return
        topic = ("leave leave", "travel", "年假年假")[at % 3]
        with self.full.out_of_sight():
            self.hidden.append(self.full.upload(base, f"dark{self._documents}", readers, 0, passages=n, topic=topic))

    @precondition(lambda self: self.hidden)
    @rule(at=picks, act=st.sampled_from(["write", "stage", "erase", "lag"]))
    def change_something_out_of_sight(self, at: int, act: str) -> None:
        self.took("change_something_out_of_sight")
        document = self.hidden[at % len(self.hidden)]
        if document.is_deleted:
            return
        with self.full.out_of_sight():
            if act == "erase":
                self.full.erase(document)
            elif act == "lag":
                with self.full.broken_index():
                    self.full.write(document, topic="leave leave leave")
            else:
                self.full.write(document, topic="travel", final=act == "write")

    @precondition(lambda self: self.pairs())
    @rule(at=picks)
    def stage_a_version_of_what_is_in_sight(self, at: int) -> None:
        """On its way is out of sight, whoever may read the document."""
        self.took("stage_a_version_of_what_is_in_sight")
        document, _ = self.pairs()[at % len(self.pairs())]
        with self.full.out_of_sight():
            self.full.write(document, topic="leave leave", final=False)
        document.staged = None

    @rule(name=st.sampled_from(["Plans", "Handbook"]))
    def make_a_hidden_base_by_name(self, name: str) -> None:
        self.took("make_a_hidden_base_by_name")
        self.full.call("ada", "POST", "/api/v1/knowledge-bases", {"name": name, "description": ""})

    # What the observers see

    @rule(
        mode=modes,
        query=st.sampled_from(["leave", "travel words", "common 年假", "cnr000101x"]),
        limit=st.sampled_from([2, 50]),
    )
    def search(self, mode: str, query: str, limit: int) -> None:
        self.took("search")
        body = {"query": query, "mode": mode, "limit": limit}
        for name in self.observers:
            self.compare(name, "POST", "/api/v1/search", body)

    @rule(at=picks)
    def browse(self, at: int) -> None:
        self.took("browse")
        for name in self.observers:
            self.compare(name, "GET", "/api/v1/knowledge-bases")
            self.compare(name, "GET", "/api/v1/knowledge-bases", limit=1)
            self.compare(name, "GET", "/api/v1/users/bo/readable")
            full, sparse = self.both(at)
            for suffix in ("", "/documents", "/releases", "/grants"):
                if name == "eve" and suffix:
                    continue
                self.compare(name, "GET", f"/api/v1/knowledge-bases/{{}}{suffix}", between=(full.id, sparse.id))

    @rule(at=picks)
    def try_ids(self, at: int) -> None:
        """Ids of what is hidden, which exist in one world only."""
        self.took("try_ids")
        ids = [document.id for document in self.hidden] + [document.id for document, _ in self.pairs()]
        for name in self.observers:
            for face in ("", "/passages", "/readers"):
                if ids:
                    self.compare(name, "GET", f"/api/v1/documents/{ids[at % len(ids)]}{face}")
            self.compare(name, "GET", f"/api/v1/knowledge-bases/{self.hidden_base.id}")
            body = {"query": "leave", "knowledge_base_ids": [self.hidden_base.id]}
            self.compare(name, "POST", "/api/v1/search", body)

    def compare(
        self, name: str, method: str, path: str, body: Any = None, *, between: tuple[str, str] = ("", ""), **params: Any
    ) -> None:
        answers = [
            world.call(name, method, path.format(own) if own else path, body, **params)
            for world, own in zip(self.worlds, between, strict=True)
        ]
        first, second = (self.plain(world, answer) for world, answer in zip(self.worlds, answers, strict=True))
        assert first == second, f"{name} {method} {path} tells the worlds apart:\n{first}\n{second}"

    def plain(self, world: World, answer: Any) -> tuple[int, str]:
        """An answer without what differs between any two runs: ids by chance, times, durations, the last digits."""
        text = answer.content.decode()
        shared = world.book.bases[1:] if world is self.full else world.book.bases
        for at, base in enumerate(shared):
            text = text.replace(base.id, f"kb{at}").replace(base.canary, f"name{at}")
        text = re.sub(r'"timings_ms":\{[^}]*\}', '"timings_ms":{}', _TIMES.sub('"T"', text))
        return answer.status_code, _NUMBERS.sub(lambda number: f"{float(number[0]):.5f}", text)


__all__ = ["HOSTILE_TENANT", "Company", "TwoWorlds"]
