"""A process that is made to be killed: `python kill_target.py HOME URL ROUND`.

It appends from four threads while its worker sequences and signs, and prints the id of each event once that
has been acknowledged.
"""

import itertools
import sys
import threading
from pathlib import Path

from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_services.audit.app import AuditService
from zhiku_services.audit.models import METADATA


def main(home: Path, url: str, round_name: str) -> None:
    database = Database("audit", url, METADATA)
    service = AuditService(Settings(home=home, log_level="error"), database=database)
    service.start()

    def work(thread: int) -> None:
        for n in itertools.count():
            batch = [produced(f"evt_{round_name}_{thread}_{n}_{place}") for place in range(n % 7 + 1)]
            service.intake.append(batch)
            # One write a line: what is read of it is whole.
            sys.stdout.write("".join(f"{item.event.id}\n" for item in batch))
            sys.stdout.flush()

    for thread in range(4):
        threading.Thread(target=work, args=(thread,), daemon=True).start()
    sys.stdin.read()


def produced(event_id: str) -> ProducedEvent:
    event = AuditEvent(
        id=event_id,
        action="question.asked",
        tenant="acme",
        actor="lin",
        subject="ans_1",
        sealed={"question": "?"} if event_id.endswith("_0") else {},
        group="cnv_1",
    )
    return ProducedEvent(event=event)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
