"""Reading the stored log, on either database."""

from pathlib import Path

import pytest

from zhiku_platform.contracts.audit import SequenceGap, Stamp
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_services.audit.app import MIGRATIONS, AuditService
from zhiku_services.audit.log import sequence_gaps
from zhiku_services.audit.models import METADATA

from .conftest import Audit, published


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def test_the_gaps_of_a_process_are_its_missing_numbers(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/audit.sqlite3"
    if kind == "postgres":
        url = request.getfixturevalue("postgres_database")
    database = Database("audit", url, METADATA)
    database.migrate(MIGRATIONS)
    settings = Settings(home=tmp_path)
    audit = Audit(settings, database, AuditService(settings, database=database))
    for seq, voided in ((3, [1]), (4, []), (7, [6])):
        audit.append(published(seq, stamp=Stamp(producer="knowledge", boot="b1", seq=seq, voided=voided)))
    audit.settle()
    with database.read() as session:
        found = sequence_gaps(session.connection())
    verdict = audit.verify()
    database.close()

    assert found == [SequenceGap(producer="knowledge", boot="b1", first=n, last=n) for n in (2, 5)]
    assert verdict.ok, verdict.reason
