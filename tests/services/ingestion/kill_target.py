"""A process with knowledge and ingestion in it, made to be killed: `python kill_target.py HOME DOCUMENTS`.

It uploads what is not there yet, works, and prints one JSON line whenever something ended. On a line from
standard input it stops in order.
"""

import asyncio
import io
import json
import sys
import threading
import time
from pathlib import Path

import httpx2

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.blobs import FolderBlobStore
from zhiku_platform.clients.ingestion import IngestionClient
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.inprocess import InProcessTransport
from zhiku_platform.queue import Queue
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import configure_logging
from zhiku_platform.testing.embedding import HASHED_DIMENSIONS, HashedEmbedder, hashed_vector
from zhiku_services.ingestion import app as ingestion_app
from zhiku_services.ingestion.bench import generate
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
        threading.Thread(target=wait_for_a_line, args=(stopping,), daemon=True).start()
        while not stopping.wait(0.1):
            say(
                **{state: len(versions(client, knowledge_base_id, state)) for state in VersionState},
                uploading=uploads.is_alive(),
            )
        service.stop()
    index.close()


def wait_for_a_line(then: threading.Event) -> None:
    sys.stdin.readline()
    then.set()


def knowledge_base(http: httpx2.Client, signer: PrincipalSigner) -> str:
    headers = {"Zhiku-Principal": signer.sign(OWNER)}
    found = http.get("/api/v1/knowledge-bases", headers=headers).json()["items"]
    if not found:
        found = [http.post("/api/v1/knowledge-bases", json={"name": "Shelf"}, headers=headers).json()]
    return str(found[0]["id"])


def upload(client: IngestionClient, knowledge_base_id: str, documents: int) -> None:
    for path, content in generate(documents):
        client.upload(OWNER, knowledge_base_id, io.BytesIO(content), path=path)


def versions(client: IngestionClient, knowledge_base_id: str, state: VersionState) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = client.versions(OWNER, knowledge_base_id=knowledge_base_id, state=state, cursor=cursor, limit=200)
        found += [version.id for version in page.items]
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


if __name__ == "__main__":
    started = time.monotonic()
    main(Path(sys.argv[1]), int(sys.argv[2]))
