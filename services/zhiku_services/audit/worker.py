"""What keeps the log going: sequences the inbox, has checkpoints signed, and empties the spool."""

import threading
import time
from collections.abc import Callable

from prometheus_client import Gauge
from sqlalchemy import insert, select

from zhiku_platform.contracts.audit import AuditEvent
from zhiku_platform.db import Database
from zhiku_platform.telemetry import get_logger
from zhiku_services.audit.errors import InconsistentRootError
from zhiku_services.audit.intake import Intake
from zhiku_services.audit.log import sequence_gaps, tree_of, tree_reader
from zhiku_services.audit.models import CHECKPOINT
from zhiku_services.audit.sequencer import BATCH, sequence
from zhiku_services.audit.signer import Signer
from zhiku_services.audit.times import now_us

log = get_logger(__name__)

SEAL_EVERY_S = 1.0
SEAL_EVERY_EVENTS = 4096
LOOK_FOR_GAPS_EVERY_S = 60.0

GAPS = Gauge("zhiku_audit_gaps", "Ranges of numbers that producers took and whose events never came, at most 200")
SIGNER_REFUSES = Gauge(
    "zhiku_audit_signer_refuses", "1 while the signer refuses a root that does not continue its last"
)

_LOOK_EVERY_S = 0.25
_GATHER_S = 0.2
"""Each batch costs one sync of the disk, which those who append wait for as well: so batches should be few."""
_RETRY_S = 1.0


def seal(database: Database, signer: Signer) -> int | None:
    """Have the tree's root signed if it has grown since; return the size that is now signed, or None.

    Raises:
        InconsistentRootError: the signer has signed another history.
    """
    with database.read() as session:
        connection = session.connection()
        tree = tree_of(connection)
        known = connection.execute(select(CHECKPOINT.c.size).where(CHECKPOINT.c.size == tree.size)).first()
        if tree.size == 0 or known is not None:
            return None
        note = signer.sign(tree.size, tree.root(), tree_reader(connection, tree.size).consistency)
    with database.write() as session:
        connection = session.connection()
        # Another process may have signed this very size: both notes say the same.
        if connection.execute(select(CHECKPOINT.c.size).where(CHECKPOINT.c.size == tree.size)).first() is None:
            connection.execute(insert(CHECKPOINT).values(size=tree.size, note=note, signed_us=now_us()))
    return tree.size


class AuditWorker:
    """One thread. Any number of processes may run one; the database lets one of them sequence at a time."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        signer: Signer,
        *,
        tenant: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._intake = intake
        self._signer = signer
        self._tenant = tenant
        self._clock = clock
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._unsealed = 1
        self._sealed_at = -SEAL_EVERY_S
        self._looked_at = -LOOK_FOR_GAPS_EVERY_S
        self._thread = threading.Thread(target=self._run, name="audit-worker", daemon=True)
        database.on_commit(self._wake.set)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Sequence and sign what is there, and end."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=30)

    def step(self, *, last: bool = False) -> None:
        """Do what is due; all there is to do if it is the `last` step."""
        try:
            self._tell_losses()
            if self._intake.drain_spool():
                log.info("audit_spool_drained")
        finally:
            # What cannot be taken from the spool keeps nothing else from the log.
            self._sequence(last=last)
        self._look_for_gaps()

    def _sequence(self, *, last: bool) -> None:
        moved = BATCH
        while moved == BATCH:
            moved = sequence(self._database)
            self._unsealed += moved
            self._seal_if_due(now=False)
        self._seal_if_due(now=last)

    def _seal_if_due(self, *, now: bool) -> None:
        is_time = self._clock() - self._sealed_at >= SEAL_EVERY_S
        if self._unsealed and (now or is_time or self._unsealed >= SEAL_EVERY_EVENTS):
            try:
                seal(self._database, self._signer)
            except InconsistentRootError:
                SIGNER_REFUSES.set(1)
                raise
            SIGNER_REFUSES.set(0)
            self._unsealed = 0
            self._sealed_at = self._clock()

    def _look_for_gaps(self) -> None:
        if self._clock() - self._looked_at < LOOK_FOR_GAPS_EVERY_S:
            return
        self._looked_at = self._clock()
        with self._database.read() as session:
            found = len(sequence_gaps(session.connection()))
        GAPS.set(found)
        if found:
            log.error("audit_gaps_found", gaps=found)

    def _tell_losses(self) -> None:
        lost = self._intake.lost
        if lost:
            event = AuditEvent(
                action="audit.events_lost", tenant=self._tenant, actor="svc-audit", subject="spool",
                details={"events": lost},
            )  # fmt: skip
            self._intake.append_event(event)
            self._intake.forget_losses(lost)

    def _run(self) -> None:
        while True:
            self._wake.wait(_LOOK_EVERY_S)
            stopping = self._stop.wait(_GATHER_S)
            self._wake.clear()
            try:
                self.step(last=stopping)
            except Exception as error:  # noqa: BLE001 - the outermost loop: the inbox and the spool keep all
                log.error("audit_worker_failed", error=type(error).__name__)
                if not stopping:
                    self._stop.wait(_RETRY_S)
            if stopping:
                return
