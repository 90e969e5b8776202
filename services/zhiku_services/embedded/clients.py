"""How the command line reaches a home's services: in this process, or in the one that runs already."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.clients.assistant import AssistantClient
from zhiku_platform.clients.erasures import ErasureDeskClient
from zhiku_platform.clients.inference import InferenceClient
from zhiku_platform.clients.ingestion import IngestionClient
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.knowledge import KnowledgeBase
from zhiku_platform.errors import NotFoundError
from zhiku_platform.settings import Settings
from zhiku_services.embedded.home import socket_path
from zhiku_services.gateway.app import issuer_of, open_database
from zhiku_services.gateway.directory import find_principal

SERVICES = ("knowledge", "ingestion", "assistant", "inference", "governance")


@dataclass(frozen=True)
class Clients:
    """The typed clients of every service. `loop` runs what the asynchronous ones do."""

    settings: Settings
    knowledge: KnowledgeClient
    ingestion: IngestionClient
    inference: InferenceClient
    assistant: AssistantClient
    erasures: ErasureDeskClient
    loop: asyncio.AbstractEventLoop

    def principal(self, username: str) -> Principal:
        """The principal of a user of this home.

        Raises:
            NotFoundError: the directory has no such user.
        """
        database = open_database(self.settings)
        try:
            with database.read() as session:
                found = find_principal(username, issuer=issuer_of(self.settings), session=session)
        finally:
            database.close()
        if found is None:
            raise NotFoundError("user")
        return found

    def knowledge_base(self, principal: Principal, name: str) -> KnowledgeBase:
        """The knowledge base of this name or id that `principal` may view.

        Raises:
            NotFoundError: there is none.
        """
        for found in self.knowledge.knowledge_bases(principal):
            if name in (found.name, found.id):
                return found
        raise NotFoundError("knowledge base")


def clients_of(
    settings: Settings,
    signer: PrincipalSigner,
    *,
    sync: Mapping[str, httpx2.Client],
    streaming: Mapping[str, httpx2.AsyncClient],
    loop: asyncio.AbstractEventLoop,
) -> Clients:
    """Build the typed clients on one HTTP client per service."""
    return Clients(
        settings=settings,
        knowledge=KnowledgeClient(sync["knowledge"], signer),
        ingestion=IngestionClient(sync["ingestion"], signer),
        inference=InferenceClient(sync["inference"], signer),
        assistant=AssistantClient(streaming["assistant"], signer),
        erasures=ErasureDeskClient(sync["governance"], signer),
        loop=loop,
    )


@contextmanager
def connect(settings: Settings) -> Iterator[Clients]:
    """Reach the process that runs on this home, by its private socket."""
    uds = str(socket_path(settings.home))
    signer = PrincipalSigner(settings.secret_key.get_secret_value())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="event-loop", daemon=True)
    thread.start()
    sync = {
        name: httpx2.Client(transport=httpx2.HTTPTransport(uds=uds), base_url=f"http://zhiku/{name}", timeout=None)
        for name in SERVICES
    }
    streaming = {
        name: httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=uds), base_url=f"http://zhiku/{name}", timeout=None
        )
        for name in SERVICES
    }
    try:
        yield clients_of(settings, signer, sync=sync, streaming=streaming, loop=loop)
    finally:
        for client in sync.values():
            client.close()
        for streaming_client in streaming.values():
            asyncio.run_coroutine_threadsafe(streaming_client.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
