"""Every query that reviewers' questions become. Each is bound to the tenant of who asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from zhiku_platform.access import Access
from zhiku_platform.contracts.audit import AuditFilter, AuditView, Facets, FacetValue, NewAuditView
from zhiku_platform.db import new_id
from zhiku_services.audit.models import ENTRY, FACET, VIEW
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
        query = select(ENTRY.c.idx, ENTRY.c.payload, ENTRY.c.leaf).join(FACET, FACET.c.idx == ENTRY.c.idx)
        query = query.where(*self._conditions(wanted), FACET.c.idx > after, FACET.c.idx < below)
        return [_found(row) for row in self._connection.execute(query.order_by(FACET.c.idx).limit(limit))]

    def count(self, wanted: AuditFilter, *, below: int) -> int:
        query = select(func.count()).select_from(FACET).where(*self._conditions(wanted), FACET.c.idx < below)
        return self._connection.execute(query).scalar_one()

    def facets(self, wanted: AuditFilter) -> Facets:
        """How many matching entries have which value."""
        conditions = self._conditions(wanted)
        total = self._connection.execute(select(func.count()).select_from(FACET).where(*conditions)).scalar_one()
        values = {
            name: self._values(FACET.c[name], conditions) for name in ("actor", "action", "outcome", "knowledge_base")
        }
        return Facets(total=total, **values)

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
        same = ("actor", "action", "subject", "knowledge_base", "document", "conversation", "outcome")
        values = {name: getattr(wanted, name) for name in same}
        conditions: list[ColumnElement[bool]] = [FACET.c.tenant == self._tenant]
        conditions += [FACET.c[name] == value for name, value in values.items() if value is not None]
        if wanted.since is not None:
            conditions.append(FACET.c.at_us >= to_us(wanted.since))
        if wanted.until is not None:
            conditions.append(FACET.c.at_us < to_us(wanted.until))
        return conditions

    def _values(self, column: Any, conditions: Sequence[ColumnElement[bool]]) -> list[FacetValue]:
        query = (
            select(column, func.count())
            .where(*conditions, column.is_not(None))
            .group_by(column)
            .order_by(func.count().desc(), column)
            .limit(_MOST_VALUES)
        )
        return [FacetValue(value=value, count=count) for value, count in self._connection.execute(query)]


def _found(row: Any) -> Found:
    return Found(index=row.idx, payload=bytes(row.payload), leaf=bytes(row.leaf))
