"""One index, one embedding model: vectors of two cannot be compared, so another model means an index made anew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, func
from sqlmodel import Session, col, select

from zhiku_platform.db import Database
from zhiku_platform.text.passages import index_text
from zhiku_services.knowledge.index import IndexMismatchError, IndexRow, Place, VectorIndex
from zhiku_services.knowledge.models import DocumentVersionRow, IndexedWithRow, PassageRow
from zhiku_services.knowledge.publishing import align_vectors
from zhiku_services.knowledge.ranking import words_of_passage
from zhiku_services.knowledge.repository import vector_places

EmbedTexts = Callable[[Sequence[str]], Sequence[Sequence[float]]]
_BATCH: Final = 64
_ONLY: Final = 1


@dataclass(frozen=True, slots=True)
class IndexModel:
    """An embedding model, and the SHA-256 of its weights where that is known."""

    id: str
    sha256: str | None = None


def require_model(database: Database, model: IndexModel) -> None:
    """Note the model of an index that is still empty; refuse any other for one that is not.

    Raises:
        IndexMismatchError: the index was made with another model, or is being made anew.
    """
    with database.write() as session:
        row = session.get(IndexedWithRow, _ONLY)
        if row is None or session.exec(select(PassageRow.id).limit(1)).first() is None:
            _note(session, model, is_complete=True)
            return
        if not row.is_complete:
            raise IndexMismatchError("The vector index is only half made anew.", remedy="Run `zhiku reindex` again.")
        before = IndexModel(row.model, row.sha256)
        if before.id != model.id or (before.sha256 and model.sha256 and before.sha256 != model.sha256):
            raise IndexMismatchError(
                f"The vector index was made with {_named(before)}, and the embedding model now is {_named(model)}.",
                remedy="Set `ZHIKU_EMBEDDING_MODEL` as it was, or make the index anew with `zhiku reindex`.",
            )


def reindex(
    database: Database,
    index: VectorIndex,
    model: IndexModel,
    embed: EmbedTexts,
    report: Callable[[int], None] = lambda _: None,
) -> IndexModel | None:
    """Write every passage into the index of another model; return the model before, None where none was noted.

    Nothing else may run on the database meanwhile. Stopped in the middle, it is run again from the start.
    `report` is told how many passages each batch added.
    """
    with database.write() as session:
        row = session.get(IndexedWithRow, _ONLY)
        before = None if row is None else IndexModel(row.model, row.sha256)
        _note(session, before or model, is_complete=False)
    last = ""
    while batch := _batch_after(last, database):
        index.upsert(_index_rows(batch, embed))
        last = batch[-1].passage.id
        report(len(batch))
    align_vectors(database, index)
    with database.write() as session:
        _note(session, model, is_complete=True)
    return before


def _note(session: Session, model: IndexModel, *, is_complete: bool) -> None:
    session.merge(IndexedWithRow(id=_ONLY, model=model.id, sha256=model.sha256, is_complete=is_complete))


def count_passages(database: Database) -> int:
    """How many passages the tables hold."""
    with database.read() as session:
        return session.exec(select(func.count()).select_from(PassageRow)).one()


@dataclass(frozen=True, slots=True)
class _Stored:
    passage: PassageRow
    title: str
    place: Place | None


def _batch_after(last: str, database: Database) -> list[_Stored]:
    """The next passages by id. What a stop left staged has no version yet: it is published again, from its start."""
    query = (
        select(PassageRow, DocumentVersionRow.title)
        .join(
            DocumentVersionRow,
            and_(
                col(DocumentVersionRow.document_id) == col(PassageRow.document_id),
                col(DocumentVersionRow.version_id) == col(PassageRow.version_id),
            ),
        )
        .where(col(PassageRow.id) > last)
        .order_by(col(PassageRow.id))
        .limit(_BATCH)
    )
    with database.read() as session:
        found = session.exec(query).all()
        places = vector_places(session, [passage.id for passage, _ in found])
    return [_Stored(passage, title, places[passage.id]) for passage, title in found]


def _index_rows(batch: Sequence[_Stored], embed: EmbedTexts) -> list[IndexRow]:
    shown = [(each, each.place) for each in batch if each.place is not None]
    vectors = embed([index_text(each.title, each.passage.heading_path, each.passage.text) for each, _ in shown])
    return [
        IndexRow(
            passage_id=each.passage.id,
            tenant=each.passage.tenant,
            kb_id=each.passage.knowledge_base_id,
            document_id=each.passage.document_id,
            acl_id=place.acl_id,
            level=place.level,
            released_from=place.released_from,
            released_to=place.released_to,
            text=words_of_passage(each.title, each.passage.heading_path, each.passage.text),
            vector=vector,
        )
        for (each, place), vector in zip(shown, vectors, strict=True)
    ]


def _named(model: IndexModel) -> str:
    return f"`{model.id}`" + (f" (sha256 {model.sha256[:12]})" if model.sha256 else "")
