"""Explanations tell why, and tell nobody more than they may know."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from zhiku_platform.contracts.directory import Person
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_services.knowledge.models import AUDIT_OUTBOX

from .access_world import person_of
from .conftest import LIN, OTHER_TENANT, STRANGER, ZHAO, Knowledge

EMPLOYEE = frozenset({Role.EMPLOYEE})
SECURITY = Principal(sub="sec", tenant="acme", roles=frozenset({Role.SECURITY_ADMIN}))


class Staff:
    """A directory of five, and who asked it for what."""

    def __init__(self) -> None:
        self.callers: set[str] = set()
        self._people = [
            ZHAO.model_copy(update={"name": "Zhao"}),
            employee("lin", "engineering", "works-council"),
            employee("mei", "engineering", clearance=2),
            employee("adm", "engineering").model_copy(update={"roles": frozenset({Role.SYSTEM_ADMIN})}),
            employee("hu", "works-council", clearance=7),
        ]

    def holders(self, principal: Principal, tokens: Iterable[str]) -> Sequence[Person]:
        wanted = set(tokens)
        return [person_of(each, wanted) for each in self._known(principal) if each.tokens & wanted]

    def person(self, principal: Principal, sub: str) -> Person | None:
        return next((person_of(each, each.tokens) for each in self._known(principal) if each.sub == sub), None)

    def _known(self, principal: Principal) -> Sequence[Principal]:
        self.callers.add(principal.sub)
        return self._people if principal.tenant == "acme" else []


def employee(sub: str, *groups: str, clearance: int = 0) -> Principal:
    return Principal(sub=sub, tenant="acme", roles=EMPLOYEE, groups=frozenset(groups), clearance=clearance)


@pytest.fixture
def staff() -> Staff:
    return Staff()


@pytest.fixture
def kb(knowledge: Knowledge, staff: Staff) -> str:
    knowledge.http.app.state.people = staff  # type: ignore[attr-defined]  # a FastAPI app has state
    made = knowledge.create("Handbook", "group:engineering")
    knowledge.publish(made, "open", "Open text.")
    knowledge.publish(
        made, "closed", "Closed text.", readers=["user:zhao", "group:engineering"], level=1, title="Merger"
    )
    knowledge.publish(made, "mine", "My text.", readers=["user:lin"], title="Diary")
    return made


def ask(knowledge: Knowledge, by: Principal, path: str) -> Any:
    response = knowledge.http.get(f"/api/v1/{path}", headers=knowledge.headers(by))
    return response.json() if response.status_code == 200 else response.status_code


def paths(body: Any) -> dict[str, list[tuple[str, str | None]]]:
    return {each["sub"]: [(path["grant"], path["reader"]) for path in each["because"]] for each in body["readers"]}


def test_an_owner_learns_who_reads_a_document_and_why(knowledge: Knowledge, kb: str) -> None:
    body = ask(knowledge, ZHAO, "documents/open/readers")
    assert (body["title"], body["acl"], body["is_directory_known"]) == ("Title of open", None, True)
    assert [(grant["subject"], grant["role"]) for grant in body["grants"]] == [
        ("user:zhao", "owner"),
        ("group:engineering", "viewer"),
    ]
    # An administrator's role opens no content, whatever its groups.
    assert paths(body) == {
        "zhao": [("user:zhao", None)],
        "lin": [("group:engineering", None)],
        "mei": [("group:engineering", None)],
    }


def test_a_level_and_an_acl_are_part_of_the_reason(knowledge: Knowledge, kb: str) -> None:
    cleared = ZHAO.model_copy(update={"clearance": 1})
    body = ask(knowledge, cleared, "documents/closed/readers")
    assert (body["level"], body["acl"]) == (1, ["group:engineering", "user:zhao"])
    assert paths(body) == {"mei": [("group:engineering", "group:engineering")]}


def test_a_reader_learns_about_itself_alone(knowledge: Knowledge, kb: str) -> None:
    body = ask(knowledge, LIN, "documents/mine/readers")
    assert paths(body) == {"lin": [("group:engineering", "user:lin")]}
    assert (body["title"], body["acl"], body["is_directory_known"]) == ("Diary", ["user:lin"], False)
    assert "zhao" not in str(body)


@pytest.mark.parametrize(
    ("by", "document"), [(ZHAO, "mine"), (ZHAO, "closed"), (STRANGER, "open"), (OTHER_TENANT, "open"), (ZHAO, "none")]
)
def test_a_hidden_document_is_not_explained(knowledge: Knowledge, kb: str, by: Principal, document: str) -> None:
    assert ask(knowledge, by, f"documents/{document}/readers") == 404


def test_a_security_administrator_learns_everything_but_titles(knowledge: Knowledge, kb: str) -> None:
    body = ask(knowledge, SECURITY, "documents/mine/readers")
    assert paths(body) == {"lin": [("group:engineering", "user:lin")]}
    readable = ask(knowledge, SECURITY, "users/lin/readable")
    assert (readable["groups"], readable["clearance"]) == (["engineering", "works-council"], 0)
    (handbook,) = readable["knowledge_bases"]
    assert (handbook["id"], handbook["documents"]) == (kb, 2)
    shown = str(body) + str(readable)
    assert "Diary" not in shown
    assert "Title of" not in shown


def test_a_user_learns_what_it_may_see(knowledge: Knowledge, kb: str) -> None:
    (handbook,) = ask(knowledge, LIN, "users/lin/readable")["knowledge_bases"]
    seen = {item["title"]: acl["readers"] for acl in handbook["acls"] for item in acl["items"]}
    assert seen == {"Title of open": None, "Diary": ["user:lin"]}
    assert handbook["grants"] == [{"subject": "group:engineering", "role": "viewer"}]


def test_an_owner_learns_of_others_only_what_it_may_read_itself(knowledge: Knowledge, kb: str) -> None:
    knowledge.create("Not shared")
    (handbook,) = ask(knowledge, ZHAO, "users/lin/readable")["knowledge_bases"]
    assert (handbook["name"], handbook["documents"]) == ("Handbook", 1)
    assert [item["title"] for acl in handbook["acls"] for item in acl["items"]] == ["Title of open"]


def test_an_owner_learns_the_path_of_another_and_nothing_else(knowledge: Knowledge, kb: str) -> None:
    knowledge.create("Council", "group:works-council")
    body = ask(knowledge, ZHAO, "users/mei/readable")
    (handbook,) = body["knowledge_bases"]
    assert handbook["grants"] == [{"subject": "group:engineering", "role": "viewer"}]
    assert (body["groups"], body["clearance"]) == (None, None)
    # Of lin, who is in the works council too, the knowledge base that it may view tells so, and no other.
    bases = ask(knowledge, ZHAO, "users/lin/readable")["knowledge_bases"]
    told = {base["name"]: [grant["subject"] for grant in base["grants"]] for base in bases}
    assert told == {"Handbook": ["group:engineering"], "Council": ["group:works-council"]}


def test_an_owner_learns_no_group_that_opens_nothing_of_theirs(knowledge: Knowledge, kb: str) -> None:
    bodies = [
        ask(knowledge, ZHAO, path) for path in ("documents/open/readers", "users/lin/readable", "users/hu/readable")
    ]
    assert "works-council" not in str(bodies)
    assert "hu" not in paths(bodies[0])
    assert bodies[2] == {"sub": "hu", "groups": None, "clearance": None, "knowledge_bases": []}


def test_a_clearance_shows_in_what_it_opens_alone(knowledge: Knowledge, kb: str) -> None:
    cleared = ZHAO.model_copy(update={"clearance": 1})
    (of_mei,) = ask(knowledge, cleared, "users/mei/readable")["knowledge_bases"]
    (of_lin,) = ask(knowledge, cleared, "users/lin/readable")["knowledge_bases"]
    assert [acl["level"] for acl in of_mei["acls"]] == [0, 1]
    assert [acl["level"] for acl in of_lin["acls"]] == [0]


def test_the_directory_is_asked_as_the_service(knowledge: Knowledge, kb: str, staff: Staff) -> None:
    ask(knowledge, ZHAO, "documents/open/readers")
    ask(knowledge, SECURITY, "users/lin/readable")
    assert staff.callers == {"svc-knowledge"}


def test_an_owner_cannot_try_out_who_works_here(knowledge: Knowledge, kb: str) -> None:
    known, unknown = (ask(knowledge, ZHAO, f"users/{sub}/readable") for sub in ("adm", "nobody"))
    assert (known["knowledge_bases"], unknown["knowledge_bases"]) == ([], [])


def test_whoever_owns_nothing_learns_nothing_about_others(knowledge: Knowledge, kb: str) -> None:
    assert ask(knowledge, LIN, "users/zhao/readable") == 404
    assert ask(knowledge, STRANGER, "users/lin/readable") == 404


def test_without_a_directory_groups_are_named_as_groups(knowledge: Knowledge, kb: str) -> None:
    knowledge.http.app.state.people = None  # type: ignore[attr-defined]  # a FastAPI app has state
    body = ask(knowledge, ZHAO, "documents/open/readers")
    assert (body["readers"], body["is_directory_known"]) == ([], False)
    readable = ask(knowledge, ZHAO, "users/lin/readable")
    assert (readable["groups"], readable["clearance"], readable["knowledge_bases"]) == (None, None, [])


def test_asking_about_others_leaves_an_event_and_about_oneself_none(knowledge: Knowledge, kb: str) -> None:
    ask(knowledge, LIN, "users/lin/readable")
    ask(knowledge, LIN, "documents/open/readers")
    ask(knowledge, ZHAO, "documents/open/readers")
    ask(knowledge, SECURITY, "users/lin/readable")
    with knowledge.database.read() as session:
        events = [
            (row.actor, row.subject, row.details)
            for row in session.execute(AUDIT_OUTBOX.select().order_by(AUDIT_OUTBOX.c.seq))
            if row.action == "access.explained"
        ]
    assert events == [("zhao", "open", {}), ("sec", "user", {"person": "lin"})]
