"""A process with knowledge and ingestion in it, made to be killed: `python kill_target.py HOME DOCUMENTS`.

For each line on standard input it forks such a process, so that importing is paid once, and says its id. That
one uploads what is not there yet, works, and prints how many versions are in which state; SIGTERM stops it
in order. When it has ended, however it did, the next line may come.
"""

import asyncio
import io
import json
import os
import signal
import sys
import threading
from pathlib import Path

import httpx2
from sqlalchemy import func
from sqlmodel import col, select

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.blobs import FolderBlobStore
from zhiku_platform.clients.ingestion import IngestionClient
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.db import Database
from zhiku_platform.inprocess import InProcessTransport
from zhiku_platform.queue import Queue
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import configure_logging
from zhiku_platform.testing.embedding import HASHED_DIMENSIONS, HashedEmbedder, hashed_vector
from zhiku_services.ingestion import app as ingestion_app
from zhiku_services.ingestion.bench import generate
from zhiku_services.ingestion.models import VersionRow
from zhiku_services.ingestion.parsing.pool import ParserPool
from zhiku_services.ingestion.timing import Timing
from zhiku_services.knowledge import app as knowledge_app
from zhiku_services.knowledge.index_milvus import open_milvus

OWNER = Principal(sub="olga", tenant="acme", roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN}))


def say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main(home: Path, documents: int) -> None:
    settings = Settings(home=home, log_level="error")
    configure_logging(settings)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    index = open_milvus(str(home / "milvus.db"), model="hashed-words", dimensions=HASHED_DIMENSIONS)
    blobs = FolderBlobStore(home / "blobs")
    knowledge_database = knowledge_app.open_database(settings)
    database = ingestion_app.open_database(settings)
    knowledge_side = knowledge_app.create_app(
        settings,
        database=knowledge_database,
        index=index,
        blobs=blobs,
        embed=lambda _, query: hashed_vector(query),
        check_holds=lambda _access, _things: None,
    )
    signer = PrincipalSigner(settings.secret_key.get_secret_value())
    http = httpx2.Client(transport=InProcessTransport(knowledge_side, loop), base_url="http://knowledge")
    knowledge_base_id = knowledge_base(http, signer)
    with ParserPool(2) as pool:
        service = ingestion_app.IngestionService(
            settings,
            database=database,
            blobs=blobs,
            queue=Queue("ingestion", settings),
            knowledge=KnowledgeClient(http, signer),
            check_holds=lambda _access, _things: None,
            embed=HashedEmbedder().embed,
            count_tokens=lambda text: len(text.split()) + sum(ord(c) > 0x2E80 for c in text),
            pool=pool,
            timing=Timing(sweep_s=0.2),
        )
        service.start()
        face = httpx2.Client(transport=InProcessTransport(service.app, loop), base_url="http://ingestion")
        client = IngestionClient(face, signer)
        say(ready=True)
        uploads = threading.Thread(target=upload, args=(client, knowledge_base_id, documents), daemon=True)
        uploads.start()
        stopping = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())
        while not stopping.wait(0.2):
            say(**counts(database), uploading=uploads.is_alive())
        service.stop()
    index.close()


def knowledge_base(http: httpx2.Client, signer: PrincipalSigner) -> str:
    headers = {"Zhiku-Principal": signer.sign(OWNER)}
    found = http.get("/api/v1/knowledge-bases", headers=headers).json()["items"]
    if not found:
        found = [http.post("/api/v1/knowledge-bases", json={"name": "Shelf"}, headers=headers).json()]
    return str(found[0]["id"])


def upload(client: IngestionClient, knowledge_base_id: str, documents: int) -> None:
    for path, content in generate(documents):
        client.upload(OWNER, knowledge_base_id, io.BytesIO(content), path=path)


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        rows = session.exec(select(VersionRow.state, func.count()).group_by(col(VersionRow.state)))
        return dict.fromkeys(VersionState, 0) | dict(rows.all())


def fork_for_each_line(home: Path, documents: int) -> None:
    while sys.stdin.readline():
        child = os.fork()
        if child == 0:
            main(home, documents)
            return
        say(pid=child)
        os.waitpid(child, 0)
        say(ended=child)


if __name__ == "__main__":
    fork_for_each_line(Path(sys.argv[1]), int(sys.argv[2]))
