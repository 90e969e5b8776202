"""A scope as filter expressions of the vector engine.

Filters are strings, and Milvus Lite has no parameters for them, so everything that enters one is
encoded here: ids must match a whitelist, numbers must be integers of 64 bits, and a tenant's name is a
JSON string. `ensure_ascii` is off because Milvus Lite rejects `\\u` escapes.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from zhiku_services.knowledge.index import Acls, KnowledgeBaseScope, Scope, UnsafeIdError

MAX_ACL_IDS: Final = 5_000
"""ACL ids in one expression; more are split over several searches."""
MAX_IDS: Final = 1_000
"""Passage ids in one expression."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@#-]{0,127}")
_INT64: Final = 2**63


def scope_expressions(scope: Scope, within: Collection[str] | None = None) -> list[str]:
    """Compile a scope into expressions whose results do not overlap; none when it holds nothing.

    Raises:
        UnsafeIdError: an id or a number may not enter a filter.
    """
    head = f"{_of_tenant(scope)} and {_is_cleared(scope)}"
    return [
        f"{head} and ({' or '.join(clauses)}){narrowing}"
        for clauses in _batches(scope.knowledge_bases)
        for narrowing in _narrowings(within)
    ]


def id_expressions(passage_ids: Collection[str]) -> list[str]:
    """Match passages by id, `MAX_IDS` to an expression; none when there are no ids."""
    ids = sorted(set(passage_ids))
    return [
        f"passage_id in [{', '.join(map(encode_id, ids[start : start + MAX_IDS]))}]"
        for start in range(0, len(ids), MAX_IDS)
    ]


def encode_id(value: str) -> str:
    """Quote an id that we made ourselves."""
    if not _ID.fullmatch(value):
        raise UnsafeIdError(
            "An id holds characters that ids do not have.",
            remedy="Use 1 to 128 letters, digits and _ . : @ # -, a letter or digit first.",
        )
    return f'"{value}"'


def encode_name(value: str) -> str:
    """Quote a name that others chose."""
    if not (1 <= len(value) <= 200 and value.isprintable()):
        raise UnsafeIdError(
            "A tenant's name is empty, too long or holds control characters.",
            remedy="Use 1 to 200 printable characters.",
        )
    return json.dumps(value, ensure_ascii=False)


def encode_int(value: int) -> str:
    """Write an integer of 64 bits; a bool is not one, nor is -2**63, which Milvus misreads."""
    if type(value) is not int or not -_INT64 < value < _INT64:
        raise UnsafeIdError("A number in a filter is not a 64-bit integer.", remedy="Pass an int.")
    return str(value)


def _batches(knowledge_bases: Sequence[KnowledgeBaseScope]) -> Iterator[list[str]]:
    """Yield groups of clauses that together name at most `MAX_ACL_IDS` ACL ids."""
    clauses: list[str] = []
    room = MAX_ACL_IDS
    for kb in knowledge_bases:
        if kb.acl_ids is Acls.ALL:
            clauses.append(_clause(kb, None))
            continue
        acl_ids = sorted(kb.acl_ids)
        while acl_ids:
            if not room:
                yield clauses
                clauses, room = [], MAX_ACL_IDS
            part, acl_ids = acl_ids[:room], acl_ids[room:]
            clauses.append(_clause(kb, part))
            room -= len(part)
    if clauses:
        yield clauses


def _clause(kb: KnowledgeBaseScope, acl_ids: Sequence[int] | None) -> str:
    return f"({_is_in_base(kb)}{_holds_acl(acl_ids)}{_is_in_release(kb)})"


def _of_tenant(scope: Scope) -> str:
    return f"tenant == {encode_name(scope.tenant)}"


def _is_cleared(scope: Scope) -> str:
    return f"level <= {encode_int(scope.level)}"


def _is_in_base(kb: KnowledgeBaseScope) -> str:
    return f"kb_id == {encode_id(kb.kb_id)}"


def _holds_acl(acl_ids: Sequence[int] | None) -> str:
    return "" if acl_ids is None else f" and acl_id in [{', '.join(map(encode_int, acl_ids))}]"


def _is_in_release(kb: KnowledgeBaseScope) -> str:
    release = encode_int(kb.release)
    return f" and released_from <= {release} and released_to > {release}"


def _narrowings(within: Collection[str] | None) -> list[str]:
    return [""] if within is None else [f" and {each}" for each in id_expressions(within)]
