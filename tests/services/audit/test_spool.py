"""What the spool cannot read is kept: it may be evidence."""

from zhiku_services.audit.files import private_folder
from zhiku_services.audit.spool import Spool, count_unreadable
from zhiku_services.commands.doctor import examine

from .conftest import Audit, published


def test_lines_that_cannot_be_read_are_set_aside_once_and_told(audit: Audit) -> None:
    folder = private_folder(audit.settings.home / "audit" / "spool")
    Spool(folder, b"another key of 32 bytes, or more"[:32]).append([published(1), published(2)])
    foreign = (folder / "events").read_bytes()
    audit.trail.intake._spool.append([published(3)])

    assert audit.trail.intake.drain_spool() == 1
    assert not (folder / "events").exists()
    assert (folder / "unreadable").read_bytes().split() == foreign.split()
    (folder / "events").write_bytes(foreign)
    audit.trail.intake.drain_spool()
    assert count_unreadable(folder) == 2
    told = [finding for finding in examine(audit.settings) if finding.check == "audit spool"]
    assert [(finding.state, finding.found) for finding in told] == [("error", "2 lines that nobody can read")]
