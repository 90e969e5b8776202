"""Explanations tell why, and tell nobody more than they may know."""

from collections.abc import Sequence
from typing import Any

import pytest

from zhiku_platform.contracts.identity import DirectoryUser, Principal, Role
from zhiku_services.knowledge.models import AUDIT_OUTBOX

from .conftest import LIN, OTHER_TENANT, STRANGER, ZHAO, Knowledge

SECURITY = Principal(sub="sec", tenant="acme", roles=frozenset({Role.SECURITY_ADMIN}))


class Staff:
    """A directory of four."""

    def people(self, tenant: str) -> Sequence[DirectoryUser]:
        if tenant != "acme":
            return []
        return [
            DirectoryUser(sub="zhao", username="zhao", name="Zhao", groups=frozenset({"finance"})),
            DirectoryUser(sub="lin", username="lin", name="Lin", groups=frozenset({"engineering"})),
            DirectoryUser(sub="mei", username="mei", name="Mei", groups=frozenset({"engineering"}), clearance=2),
            DirectoryUser(
                sub="adm",
                username="adm",
                name="Adm",
                groups=frozenset({"engineering"}),
                roles=frozenset({Role.SYSTEM_ADMIN}),
            ),
        ]


@pytest.fixture
def kb(knowledge: Knowledge) -> str:
    knowledge.http.app.state.people = Staff()  # type: ignore[attr-defined]  # a FastAPI app has state
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
    assert (readable["groups"], readable["clearance"]) == (["engineering"], 0)
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
