"""Every query that reviewers' questions become. Each is bound to the tenant of who asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, delete, func, insert, select, union_all

from zhiku_platform.access import Access
from zhiku_platform.contracts.audit import AuditFilter, AuditView, Facets, FacetValue, NewAuditView
from zhiku_platform.db import new_id
from zhiku_services.audit.facets import PERSON
from zhiku_services.audit.models import ENTRY, FACET, MENTION, VIEW
from zhiku_services.audit.times import from_us, now_us, to_us

_MOST_VALUES = 20


@dataclass(frozen=True)
class Found:
    """An entry of the log."""

    index: int
    payload: bytes
    leaf: bytes


class AuditRepository:
    """What one reviewer may see, in one transaction."""

    def __init__(self, connection: Connection, access: Access) -> None:
        self._connection = connection
        self._tenant = access.tenant
        self._owner = access.principal.sub

    def search(self, wanted: AuditFilter, *, before: int | None, limit: int) -> list[Found]:
        """Matching entries, the newest first, below index `before`."""
        query = select(ENTRY.c.idx, ENTRY.c.payload, ENTRY.c.leaf).join(FACET, FACET.c.idx == ENTRY.c.idx)
        query = query.where(*self._conditions(wanted)).order_by(FACET.c.idx.desc()).limit(limit)
        if before is not None:
            query = query.where(FACET.c.idx < before)
        return [_found(row) for row in self._connection.execute(query)]

    def after(self, wanted: AuditFilter, *, after: int, limit: int, below: int) -> list[Found]:
        """Matching entries, the oldest first, from index `after + 1` to `below - 1`."""
        return entries_after(self._connection, wanted, self._tenant, after=after, limit=limit, below=below)

    def count(self, wanted: AuditFilter, *, below: int) -> int:
        query = select(func.count()).select_from(FACET).where(*self._conditions(wanted), FACET.c.idx < below)
        return self._connection.execute(query).scalar_one()

    def facets(self, wanted: AuditFilter) -> Facets:
        """How many matching entries have which value."""
        conditions = self._conditions(wanted)
        total = self._connection.execute(select(func.count()).select_from(FACET).where(*conditions)).scalar_one()
        values = {name: self._values(FACET.c[name], FACET, conditions) for name in ("actor", "action", "outcome")}
        about = FACET.join(MENTION, MENTION.c.idx == FACET.c.idx)
        is_base = MENTION.c.kind == "knowledge_base"
        return Facets(
            total=total, **values, knowledge_base=self._values(MENTION.c.value, about, [*conditions, is_base])
        )

    def event(self, event_id: str) -> Found | None:
        query = (
            select(ENTRY.c.idx, ENTRY.c.payload, ENTRY.c.leaf)
            .join(FACET, FACET.c.idx == ENTRY.c.idx)
            .where(ENTRY.c.event_id == event_id, FACET.c.tenant == self._tenant)
        )
        row = self._connection.execute(query).first()
        return None if row is None else _found(row)

    def views(self, *, after: str, limit: int) -> list[AuditView]:
        query = select(VIEW).where(*self._own, VIEW.c.id > after).order_by(VIEW.c.id).limit(limit)
        return [
            AuditView.model_validate(
                {"id": row.id, "name": row.name, "filter": row.filter, "created_at": from_us(row.created_us)}
            )
            for row in self._connection.execute(query)
        ]

    def add_view(self, new: NewAuditView) -> AuditView:
        view_id, created_us = new_id("avw"), now_us()
        row = {
            "id": view_id,
            "tenant": self._tenant,
            "owner": self._owner,
            "name": new.name,
            "filter": new.filter.model_dump(mode="json"),
            "created_us": created_us,
        }
        self._connection.execute(insert(VIEW).values(**row))
        return AuditView(id=view_id, name=new.name, filter=new.filter, created_at=from_us(created_us))

    def delete_view(self, view_id: str) -> bool:
        return self._connection.execute(delete(VIEW).where(*self._own, VIEW.c.id == view_id)).rowcount > 0

    @property
    def _own(self) -> tuple[ColumnElement[bool], ...]:
        return VIEW.c.tenant == self._tenant, VIEW.c.owner == self._owner

    def _conditions(self, wanted: AuditFilter) -> list[ColumnElement[bool]]:
        return _conditions(wanted, self._tenant)

    def _values(self, column: Any, table: FromClause, conditions: Sequence[ColumnElement[bool]]) -> list[FacetValue]:
        query = (
            select(column, func.count())
            .select_from(table)
            .where(*conditions)
            .group_by(column)
            .order_by(func.count().desc(), column)
            .limit(_MOST_VALUES)
        )
        return [FacetValue(value=value, count=count) for value, count in self._connection.execute(query)]


def _about(kind: str, value: str) -> Select[tuple[int]]:
    return select(MENTION.c.idx).where(MENTION.c.kind == kind, MENTION.c.value == value)


def entries_after(
    connection: Connection, wanted: AuditFilter, tenant: str | None, *, after: int, limit: int, below: int
) -> list[Found]:
    """Matching entries of a tenant, or of every one, the oldest first, from index `after + 1` to `below - 1`."""
    query = select(ENTRY.c.idx, ENTRY.c.payload, ENTRY.c.leaf).join(FACET, FACET.c.idx == ENTRY.c.idx)
    query = query.where(*_conditions(wanted, tenant), FACET.c.idx > after, FACET.c.idx < below)
    return [_found(row) for row in connection.execute(query.order_by(FACET.c.idx).limit(limit))]


def _conditions(wanted: AuditFilter, tenant: str | None) -> list[ColumnElement[bool]]:
    same = {name: getattr(wanted, name) for name in ("actor", "action", "subject", "outcome")}
    about = {name: getattr(wanted, name) for name in ("knowledge_base", "document", "conversation")}
    of_tenant = [] if tenant is None else [FACET.c.tenant == tenant]
    conditions: list[ColumnElement[bool]] = [*of_tenant]
    conditions += [FACET.c[name] == value for name, value in same.items() if value is not None]
    conditions += [FACET.c.idx.in_(_about(name, value)) for name, value in about.items() if value is not None]
    if wanted.person is not None:
        did = select(FACET.c.idx).where(*of_tenant, FACET.c.actor == wanted.person)
        conditions.append(FACET.c.idx.in_(union_all(did, _about(PERSON, wanted.person))))
    if wanted.since is not None:
        conditions.append(FACET.c.at_us >= to_us(wanted.since))
    if wanted.until is not None:
        conditions.append(FACET.c.at_us < to_us(wanted.until))
    return conditions


def _found(row: Any) -> Found:
    return Found(index=row.idx, payload=bytes(row.payload), leaf=bytes(row.leaf))
