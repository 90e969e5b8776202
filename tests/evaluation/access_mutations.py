"""Switches off one enforcement point of rights after another, and demands that the tests notice.

    .venv/bin/python tests/evaluation/access_mutations.py             the table of docs/access.md, as Markdown
    .venv/bin/python tests/evaluation/access_mutations.py --only NAME
    .venv/bin/python tests/evaluation/access_mutations.py --machines  and what the state machines alone would find

A point is switched off by replacing one function, by its dotted name, in this process; the code that is shipped has no
switch. Each mutant is met by the fast tests of the service that it is in. Exit status 1 if they stay green for any
point, or are red without one.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from joserfc import jws
from sqlalchemy import true
from sqlmodel import col, select

from zhiku_platform import access as platform_access
from zhiku_platform.contracts.assistant import Integrity
from zhiku_platform.contracts.identity import Principal
from zhiku_services.assistant import receipts, records, running, visibility
from zhiku_services.assistant import service as assistant_service
from zhiku_services.assistant.models import AnswerRow, ConversationRow, ReceiptRow
from zhiku_services.assistant.repository import AssistantRepository, ReceiptReview
from zhiku_services.audit import intake
from zhiku_services.audit import service as audit_service
from zhiku_services.audit.models import ENTRY
from zhiku_services.audit.repository import AuditRepository, Found
from zhiku_services.gateway import api_keys, provider_logouts, proxy, sessions, tokens
from zhiku_services.gateway.authentication import Authenticate
from zhiku_services.gateway.limits import RateLimiter
from zhiku_services.gateway.step_up import RequireStepUp
from zhiku_services.gateway.streams import EndWithRights
from zhiku_services.knowledge import explaining, filters, publishing, releases, repository, roles, search, service
from zhiku_services.knowledge.errors import RoleTooSmallError
from zhiku_services.knowledge.index import ALL_ACLS, KnowledgeBaseScope, Scope
from zhiku_services.knowledge.models import DocumentRow, DocumentVersionRow, KnowledgeBaseRow, PassageRow
from zhiku_services.knowledge.repository import KnowledgeRepository, PublicationRepository
from zhiku_services.knowledge.viewing import Views

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
MACHINES = "machines"
_RESULT = "result "
SUITES = {
    "knowledge": [
        "services/knowledge/test_filters.py",
        "services/knowledge/test_service.py",
        "services/knowledge/test_search.py",
        "services/knowledge/test_releases.py",
        "services/knowledge/test_explaining.py",
        "services/knowledge/test_publishing.py",
        "services/knowledge/test_sweep.py",
        "services/knowledge/test_viewing.py",
        "services/knowledge/test_index_milvus.py",
        "services/knowledge/test_access.py",
        "platform/test_access.py",
    ],
    "assistant": ["services/assistant"],
    "gateway": ["services/gateway"],
    "audit": ["services/audit/test_routes.py", "services/audit/test_intake.py", "services/audit/test_sealing.py"],
    MACHINES: ["services/knowledge/test_access.py"],
}

Attribute = tuple[object, str, Any]


@dataclass(frozen=True)
class Mutation:
    """One point, and what stands in its place."""

    name: str
    says: str
    replaced: tuple[Attribute, ...]
    suite: str = "knowledge"


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _always(*_: Any, **__: Any) -> Any:
    return true()


def _hydrate_anything(self: Any, passage_ids: Any, _: Any = None) -> dict[str, Any]:
    query = (
        select(PassageRow, DocumentVersionRow)
        .join(DocumentVersionRow, col(DocumentVersionRow.version_id) == col(PassageRow.version_id))
        .where(col(PassageRow.id).in_(passage_ids))
    )
    return {passage.id: (passage, version) for passage, version in self._session.exec(query)}


def _every_acl(self: Any, knowledge_base_ids: Any) -> dict[str, set[int]]:
    rows = self._session.exec(
        select(DocumentRow.knowledge_base_id, DocumentRow.acl_id).where(
            col(DocumentRow.knowledge_base_id).in_(knowledge_base_ids)
        )
    )
    found: dict[str, set[int]] = {}
    for knowledge_base_id, acl_id in rows:
        found.setdefault(knowledge_base_id, set()).add(acl_id)
    return found


def _unnarrowed_scope(access: Any, _: Any, rows: Any, view: Any = repository.PUBLISHED) -> Scope:
    return Scope(
        access.tenant,
        9,
        tuple(KnowledgeBaseScope(row.id, ALL_ACLS, view.numbers.get(row.id, row.published_release)) for row in rows),
    )


def _count_everything(self: Any, knowledge_base_ids: Any) -> dict[str, int]:
    rows = self._session.exec(
        select(DocumentRow.knowledge_base_id).where(col(DocumentRow.knowledge_base_id).in_(knowledge_base_ids))
    )
    counts: dict[str, int] = {}
    for knowledge_base_id in rows:
        counts[knowledge_base_id] = counts.get(knowledge_base_id, 0) + 1
    return counts


def _list_everything(_: Any, view: Any = repository.PUBLISHED) -> Any:
    return (
        select(DocumentRow)
        .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
        .join(DocumentVersionRow, col(DocumentVersionRow.document_id) == col(DocumentRow.id))
        .where(repository.in_release(col(DocumentVersionRow.released_from), col(DocumentVersionRow.released_to), view))
    )


def _name_taken_anywhere(self: Any, name: str) -> bool:
    return self._session.exec(select(KnowledgeBaseRow.id).where(col(KnowledgeBaseRow.name) == name)).first() is not None


def _keep_the_text(self: Any, document: DocumentRow) -> int:
    return len(self.passage_ids(document.id))


def _staged_is_released(original: Callable[..., PassageRow]) -> Callable[..., PassageRow]:
    def row(*arguments: Any) -> PassageRow:
        made = original(*arguments)
        made.released_from = 0
        return made

    return row


def _tell_the_number(original: Callable[..., Any]) -> Callable[..., Any]:
    def told(row: KnowledgeBaseRow, *rest: Any, **named: Any) -> Any:
        return original(row, *rest, **named).model_copy(update={"published_release": row.published_release})

    return told


def _believe_anybody(_: Any, token: str) -> Principal:
    payload = jws.extract_compact(token.encode()).payload
    return Principal.model_validate_json(_json_of(payload))


def _json_of(payload: bytes) -> str:
    return json.dumps(json.loads(payload)["principal"])


def _engine_scores(*arguments: Any) -> dict[str, float]:
    by_words: Mapping[str, float] = arguments[1]
    return dict(by_words)


def _forbidden(what: str) -> RoleTooSmallError:
    return RoleTooSmallError(f"You may not see this {what}.", remedy="Ask its owner.")


def _every_permission(_: Principal) -> frozenset[platform_access.Permission]:
    return frozenset(platform_access.Permission)


def _of_roles_alone(principal: Principal) -> frozenset[platform_access.Permission]:
    roles_held = platform_access.effective_roles(principal.roles)
    return frozenset().union(*(platform_access.ROLE_PERMISSIONS[role] for role in roles_held))


def _by_id(row: Any, key: str = "id", *kept: str) -> Callable[..., Any]:
    """A look-up that minds the id and what is `kept`, and nothing else."""

    def look_up(self: Any, wanted: str) -> Any:
        query = select(row).where(getattr(row, key) == wanted)
        for name in kept:
            query = query.where(getattr(row, name) == getattr(self, f"_{name}"))
        return self._session.exec(query).first()

    return look_up


def _sees_everything(_: Any, passage_ids: Any, knowledge: Any) -> visibility.Sight:
    return visibility.Sight(frozenset(passage_ids), frozenset(knowledge.bases.values()))


async def _all_are_readable(_: Any, passage_ids: Any) -> set[str]:
    return set(passage_ids)


def _find_running(self: Any, _: Any, answer_id: str) -> Any:
    return self._running.get(answer_id)


def _unchanged(value: Any) -> Any:
    return value


async def _let_pass(*_: Any, **__: Any) -> None:
    return None


def _any_row(self: Any, event_id: str) -> Any:
    row = self._connection.execute(ENTRY.select().where(ENTRY.c.event_id == event_id)).first()
    return None if row is None else Found(index=row.idx, payload=bytes(row.payload), leaf=bytes(row.leaf))


def _every_tenant(original: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    return lambda self, wanted: original(self, wanted)[1:]


def _all_in_clear(wanted: Any) -> Any:
    return {f"by_{name}": str(value) for name, value in wanted.model_dump(mode="json", exclude_none=True).items()}, {}


def _all_but(reason: str) -> Callable[[bool, str], None]:
    refuse = tokens._refuse_unless
    return lambda is_right, why: None if why == reason else refuse(is_right, why)


def _never_expires(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda cookie, **named: original(cookie, **{**named, "at": datetime(2000, 1, 1, tzinfo=UTC)})


def _no_refusal(*_: Any) -> None:
    return None


RIGHTS = repository.Rights

KNOWLEDGE: list[Mutation] = [
    Mutation(
        "filter: tenant", "the index looks into every tenant", ((filters, "_of_tenant", lambda _: 'tenant != ""'),)
    ),
    Mutation(
        "filter: knowledge base", "into every knowledge base", ((filters, "_is_in_base", lambda _: 'kb_id != ""'),)
    ),
    Mutation("filter: acl", "past the ACLs", ((filters, "_holds_acl", lambda _: ""),)),
    Mutation("filter: level", "past the clearance", ((filters, "_is_cleared", lambda _: "level >= 0"),)),
    Mutation("filter: release", "into every release", ((filters, "_is_in_release", lambda _: ""),)),
    Mutation("filter: within", "past the ids that were named", ((filters, "_narrowings", lambda _: [""]),)),
    Mutation(
        "filter: names quoted", "a tenant's name is code", ((filters, "encode_name", lambda value: f'"{value}"'),)
    ),
    Mutation("filter: ids checked", "an id is code", ((filters, "encode_id", lambda value: f'"{value}"'),)),
    Mutation("filter: numbers checked", "a number is code", ((filters, "encode_int", str),)),
    Mutation(
        "scope: rights compiled in", "the index is asked for everything", ((search, "scope_of", _unnarrowed_scope),)
    ),
    Mutation("scope: ACLs held", "for every ACL", ((KnowledgeRepository, "readable_acls", _every_acl),)),
    Mutation(
        "scope: named bases exist",
        "a hidden knowledge base is passed over in silence",
        ((search, "_viewable", lambda store, wanted: store.knowledge_bases(wanted)),),
    ),
    Mutation("tables: tenant", "every tenant's rows", ((RIGHTS, "of_tenant", _always),)),
    Mutation("tables: grant", "without a grant", ((RIGHTS, "has_grant", _always),)),
    Mutation("tables: tokens", "everybody holds every token", ((RIGHTS, "holds", _always),)),
    Mutation("tables: ACL", "past the ACL", ((RIGHTS, "is_reader", _always),)),
    Mutation("tables: clearance", "past the level", ((RIGHTS, "is_cleared", _always),)),
    Mutation("tables: release", "what no release holds, or another", ((repository, "in_release", _always),)),
    Mutation("hydrate: second check", "text by id, unchecked", ((KnowledgeRepository, "hydrate", _hydrate_anything),)),
    Mutation(
        "list: rights", "every document is listed", ((KnowledgeRepository, "_readable_documents", _list_everything),)
    ),
    Mutation(
        "count: rights", "every document is counted", ((KnowledgeRepository, "count_readable", _count_everything),)
    ),
    Mutation(
        "stream: sources checked again",
        "an answer goes on with what was revoked",
        ((KnowledgeRepository, "readable_passage_ids", lambda _, ids: set(ids)),),
    ),
    Mutation(
        "role: rank",
        "a viewer does what an owner may",
        ((roles, "check_role", _nothing), (releases, "check_role", _nothing), (service, "check_role", _nothing)),
    ),
    Mutation("role: last owner", "nobody owns it any more", ((service, "_keep_an_owner", _nothing),)),
    Mutation("404: knowledge bases", "a hidden one is forbidden, not missing", ((roles, "NotFoundError", _forbidden),)),
    Mutation("404: documents", "a hidden one is forbidden, not missing", ((service, "NotFoundError", _forbidden),)),
    Mutation(
        "names: hidden ones are free",
        "a name is refused because of what is hidden",
        ((KnowledgeRepository, "is_name_taken", _name_taken_anywhere),),
    ),
    Mutation(
        "release: editors only",
        "a viewer looks into the draft",
        ((search, "view_releases", lambda _, numbers, **__: repository.ReleaseView(numbers)),),
    ),
    Mutation(
        "release: numbers in results",
        "a viewer is told how often something changed",
        ((search, "for_callers", lambda result, _, **__: result),),
    ),
    Mutation(
        "release: numbers of bases",
        "a viewer is told how often something changed",
        ((service, "_knowledge_base", _tell_the_number(service._knowledge_base)),),
    ),
    Mutation("erase: tables", "a deleted text stays", ((PublicationRepository, "retire", _keep_the_text),)),
    Mutation("erase: index", "a deleted vector stays", ((PublicationRepository, "note_vectors", _nothing),)),
    Mutation("replace: old version out", "both versions show", ((PublicationRepository, "_leave", lambda *_: 0),)),
    Mutation(
        "stage: out of sight",
        "half a document shows",
        ((publishing, "_passage_row", _staged_is_released(publishing._passage_row)),),
    ),
    Mutation("stage: fence", "a late worker overwrites", ((publishing, "_check_fence", _nothing),)),
    Mutation("order: own words", "order tells of hidden documents", ((search, "_weighed", _engine_scores),)),
    Mutation(
        "order: places of the hidden",
        "what is hidden takes places",
        ((search._Hits, "suffices", lambda *_: True),),
    ),
    Mutation("explain: documents", "a hidden document is explained", ((explaining._Asker, "reads", lambda *_: True),)),
    Mutation("explain: owners", "everybody is told as an owner is", ((explaining._Asker, "owns", lambda *_: True),)),
    Mutation(
        "explain: own view of an owner",
        "an owner is told of what it may not read",
        ((explaining._Asker, "acls", lambda self, kb: _every_acl(self._content, [kb])[kb]),),
    ),
    Mutation("principal: permission", "no role is needed", ((platform_access, "permissions_of", _every_permission),)),
    Mutation(
        "principal: key scopes", "an API key is not narrowed", ((platform_access, "permissions_of", _of_roles_alone),)
    ),
    Mutation(
        "principal: administrators apart",
        "one person is two administrators",
        ((platform_access, "effective_roles", lambda held: held),),
    ),
    Mutation(
        "principal: signature",
        "any token is believed",
        ((platform_access.PrincipalSigner, "verify", _believe_anybody),),
    ),
]


OWN, REVIEW = AssistantRepository, ReceiptReview

ASSISTANT: list[Mutation] = [
    Mutation("conversations: owner", "anybody's", ((OWN, "conversation", _by_id(ConversationRow, "id", "tenant")),)),
    Mutation("conversations: tenant", "any tenant's", ((OWN, "conversation", _by_id(ConversationRow, "id", "owner")),)),
    Mutation("answers: owner", "anybody's", ((OWN, "answer", _by_id(AnswerRow, "id", "tenant")),)),
    Mutation("answers: running", "anybody's, while it is written", ((running.RunningAnswers, "find", _find_running),)),
    Mutation(
        "answers: sources checked when read",
        "a stored answer shows what was closed",
        ((assistant_service, "look", _sees_everything),),
    ),
    Mutation(
        "answers: sources checked while written",
        "an answer goes on with what was closed",
        ((assistant_service._ServiceTools, "readable", _all_are_readable),),
    ),
    Mutation(
        "answers: resumed under rights",
        "a stream is taken up with what was closed",
        tuple((each, "past_events", lambda events, _, **__: iter(events)) for each in (assistant_service, running)),
    ),
    Mutation("answers: recorded first", "a question without a record", ((records, "record", _nothing),)),
    Mutation("receipts: owner", "anybody's", ((OWN, "receipt", _by_id(ReceiptRow, "answer_id", "tenant")),)),
    Mutation("receipts: tenant", "another tenant's reviewer", ((REVIEW, "receipt", _by_id(ReceiptRow, "answer_id")),)),
    Mutation("receipts: sources", "a reviewer sees closed documents", ((receipts, "look", _sees_everything),)),
    Mutation("receipts: masked", "who asked and what", ((receipts, "_masked_receipt", _unchanged),)),
    Mutation("receipts: question masked", "what was asked", ((receipts, "_masked_answer", _unchanged),)),
    Mutation(
        "receipts: held against the log",
        "a receipt that was changed passes",
        ((receipts, "_integrity", lambda *_: Integrity.INTACT),),
    ),
]

GATEWAY: list[Mutation] = [
    Mutation("session: own site", "any site may send a change", ((Authenticate, "_refuse_other_sites", _nothing),)),
    Mutation("session: lifetime", "a session never ends", ((sessions, "find", _never_expires(sessions.find)),)),
    Mutation("session: one logout token", "one works twice", ((provider_logouts, "_use_once", _nothing),)),
    Mutation("key: wrong, expired, revoked", "all are taken", ((api_keys, "_refusal", _no_refusal),)),
    Mutation("step-up: fresh login", "an old login suffices", ((RequireStepUp, "__call__", _let_pass),)),
    Mutation("stream: rights", "goes on without them", ((EndWithRights, "_cancel_on_change", _let_pass),)),
    Mutation("limit: rate", "no limit", ((RateLimiter, "take", _nothing),)),
    Mutation("proxy: headers", "all are passed on", ((proxy, "_passed_on", lambda request: dict(request.headers)),)),
    *(
        Mutation(f"token: {reason}", f"`{reason}` is not looked at", ((tokens, "_refuse_unless", _all_but(reason)),))
        for reason in (
            "aud", "azp", "client_id", "events", "exp", "iat", "jti", "kid", "nonce", "preferred_username", "sid",
            "sub", "typ",
        )
    ),
]  # fmt: skip

AUDIT: list[Mutation] = [
    Mutation(
        "trail: tenant of searches",
        "every tenant's events",
        ((AuditRepository, "_conditions", _every_tenant(AuditRepository._conditions)),),
    ),
    Mutation("trail: tenant of an event", "any tenant's event", ((AuditRepository, "event", _any_row),)),
    Mutation("trail: searches recorded", "unseen", ((audit_service, "_record_search", _nothing),)),
    Mutation("trail: reads recorded", "unseen", ((audit_service, "_record", _nothing),)),
    Mutation("trail: reveals recorded", "unseen", ((audit_service, "_record_because", _nothing),)),
    Mutation("trail: reveal under rights", "closed documents", ((audit_service, "_may_read_all", lambda *_: True),)),
    Mutation("trail: what was typed", "names stand in the log", ((audit_service, "_said", _all_in_clear),)),
    Mutation("trail: actors", "by their names", ((intake, "_name", lambda who, *_: who),)),
    Mutation("trail: people in details", "by their names", ((intake, "_details", lambda event, _: event.details),)),
]

SHOWN: list[Mutation] = [
    Mutation("show: documents recorded", "a document is opened unseen", ((Views, "shown", _nothing),)),
    Mutation("show: searches recorded", "a search is run unseen", ((Views, "found", _nothing),)),
]

MUTATIONS: list[Mutation] = [
    *KNOWLEDGE,
    *SHOWN,
    *(replace(each, suite="assistant") for each in ASSISTANT),
    *(replace(each, suite="gateway") for each in GATEWAY),
    *(replace(each, suite="audit") for each in AUDIT),
]


class FirstFailure:
    """Which test failed first, and whether it failed by what it says or before it could say anything."""

    def __init__(self) -> None:
        self.name: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.name is None:
            where = "" if report.when == "call" else f" ({report.when})"
            self.name = report.nodeid.partition("[")[0].rsplit("/", 1)[-1] + where


def run(suite: str, mutations: Sequence[Mutation]) -> dict[str, str | None]:
    """Run a suite up to its first failure, in a process of its own, as it is (under "") and for each mutation."""
    names = ["", *(mutation.name for mutation in mutations)]
    command = [sys.executable, __file__, "--suite", suite, "--mutants", json.dumps(names)]
    found: dict[str, str | None] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(_RESULT):
                name, first = json.loads(line[len(_RESULT) :])
                found[name] = first
                sys.stderr.write(f"{name or suite}: {first}\n")
    if found.keys() != set(names):
        raise RuntimeError(f"the tests of {suite} ended with {process.returncode}")
    return found


def run_here(suite: str, name: str) -> str | None:
    """Do it in this process; return what failed first."""
    first = FirstFailure()
    quiet = ["-x", "-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-m", "not slow", "--tb=no"]
    # pytest is imported here before it could rewrite the asserts of its plugins.
    quiet += ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
    with ExitStack() as stack:
        for target, attribute, replacement in next((each.replaced for each in MUTATIONS if each.name == name), ()):
            stack.enter_context(patch.object(target, attribute, replacement))
        code = pytest.main([*quiet, *(str(TESTS / path) for path in SUITES[suite])], plugins=[first])
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise RuntimeError(f"{name}: pytest ended with {code}")
    return first.name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one point, by name")
    parser.add_argument("--machines", action="store_true", help="say too what the state machines alone find")
    parser.add_argument("--suite", choices=list(SUITES), help=argparse.SUPPRESS)
    parser.add_argument("--mutants", default="[]", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.suite is not None:
        for name in json.loads(chosen.mutants):
            sys.stdout.write(f"\n{_RESULT}{json.dumps([name, run_here(chosen.suite, name)])}\n")
            sys.stdout.flush()
        return 0
    selected = [mutation for mutation in MUTATIONS if chosen.only in {None, mutation.name}]
    lines = ["| point | switched off | first test that fails |", "|---|---|---|"]
    survivors = 0
    for suite in dict.fromkeys(mutation.suite for mutation in selected):
        mutations = [mutation for mutation in selected if mutation.suite == suite]
        failed = run(suite, mutations)
        if failed[""]:
            sys.stderr.write(f"The tests of {suite} are red without a mutation: {failed['']}\n")
            return 1
        for mutation in mutations:
            first = failed[mutation.name]
            survivors += first is None
            lines.append(f"| {mutation.name} | {mutation.says} | {f'`{first}`' if first else '**none**'} |")
    sys.stdout.write("\n".join(lines) + f"\n\n{len(lines) - 2} points, {survivors} survived.\n")
    if chosen.machines:
        found = run(MACHINES, KNOWLEDGE)
        alone = [mutation.name for mutation in KNOWLEDGE if found[mutation.name]]
        sys.stdout.write(f"\nFound by the state machines alone: {', '.join(alone)}.\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
