"""The whole platform in one process: the one place that knows every service.

Services call each other over in-process transports on one event loop, which runs in a thread of its own;
the threads of workers and of the command line call them through the same clients.
"""

import asyncio
import multiprocessing
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
import uvloop
from anyio import to_thread
from fastapi import FastAPI
from sqlalchemy import Table
from starlette.types import ASGIApp, Receive, Scope, Send

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.approvals import Approvals
from zhiku_platform.audit import Deliver, OutboxRelay
from zhiku_platform.blobs import FolderBlobStore
from zhiku_platform.clients.assistant import ConversationsClient, FeedbackClient
from zhiku_platform.clients.audit import AuditClient
from zhiku_platform.clients.directory import DirectoryClient
from zhiku_platform.clients.governance import GovernanceClient, put_before_people
from zhiku_platform.clients.inference import ChatClient, InferenceClient
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.clients.safety import SafetyClient
from zhiku_platform.contracts.audit import ProducedEvent
from zhiku_platform.contracts.erasure import SignedCertificate
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import ChatDelta, ChatRequest, ModelList, TextKind
from zhiku_platform.contracts.retention import Kept, RetentionRule
from zhiku_platform.db import Database
from zhiku_platform.erasure import ErasureClient, RemoteStore
from zhiku_platform.holds import Holds
from zhiku_platform.http import THREADS_PER_SERVICE
from zhiku_platform.inprocess import AsyncInProcessTransport, InProcessTransport
from zhiku_platform.queue import Queue
from zhiku_platform.settings import Settings
from zhiku_platform.text.tokens import TokenCounter
from zhiku_services.assistant import app as assistant
from zhiku_services.assistant.models import AUDIT_OUTBOX as ASSISTANT_OUTBOX
from zhiku_services.audit import app as audit
from zhiku_services.embedded.clients import SERVICES, Clients, clients_of
from zhiku_services.embedded.home import hold_home, prepare_home
from zhiku_services.finetune import app as finetune
from zhiku_services.finetune.models import AUDIT_OUTBOX as FINETUNE_OUTBOX
from zhiku_services.gateway import app as gateway
from zhiku_services.gateway.models import AUDIT_OUTBOX as GATEWAY_OUTBOX
from zhiku_services.governance import app as governance
from zhiku_services.governance.models import AUDIT_OUTBOX as GOVERNANCE_OUTBOX
from zhiku_services.identity_provider import app as identity_provider
from zhiku_services.identity_provider.accounts import DEMO_ACCOUNTS
from zhiku_services.inference import app as inference
from zhiku_services.inference.bundles.chat_folder import chat_folder
from zhiku_services.inference.catalogue import ResolvedModel, dimensions_of, resolve_embedding
from zhiku_services.ingestion import app as ingestion
from zhiku_services.ingestion.models import AUDIT_OUTBOX as INGESTION_OUTBOX
from zhiku_services.ingestion.parsing.pool import ParserPool
from zhiku_services.knowledge import app as knowledge
from zhiku_services.knowledge.models import AUDIT_OUTBOX as KNOWLEDGE_OUTBOX
from zhiku_services.knowledge.reindexing import IndexModel, require_model
from zhiku_services.safety import app as safety
from zhiku_services.safety.models import AUDIT_OUTBOX as SAFETY_OUTBOX

HOLDING_PEOPLE = ("directory", "assistant", "ingestion", "knowledge", "finetune", "audit")
"""The services that an erasure asks, in its order: first nobody can sign in any more."""


class Embedded:
    """Every service of one home, running while inside the context.

    Raises on entry:
        HomeInUseError: another process runs on the home.
        ModelMissingError: a bundled model was not fetched.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = prepare_home(settings)
        self.apps: dict[str, FastAPI] = {}
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
        self._stack = ExitStack()
        self._signer = PrincipalSigner(self.settings.secret_key.get_secret_value())

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(hold_home(self.settings.home))
            stack.callback(self._stop_loop)
            self._thread.start()
            self._build(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    @property
    def clients(self) -> Clients:
        """Calls into the services from threads, without a network."""
        sync = {name: self._client(name) for name in SERVICES}
        streaming = {name: self._async_client(name) for name in SERVICES}
        return clients_of(self.settings, self._signer, sync=sync, streaming=streaming, loop=self._loop)

    @property
    def public(self) -> ASGIApp:
        """What users reach: the gateway, which serves the embedded OpenID provider where no other is set."""
        return self.apps["gateway"]

    @property
    def private(self) -> ASGIApp:
        """Every service under `/NAME`, for a command line that reaches this process by a private socket."""
        return _Services(self.apps)

    def _build(self, stack: ExitStack) -> None:
        settings = self.settings
        model = resolve_embedding(settings)
        blobs = FolderBlobStore(settings.blobs_folder)
        self._build_audit(stack)
        self.apps["inference"] = inference.create_app(settings, embedding=model)
        models = InferenceClient(self._client("inference"), self._signer)
        mirror = self._build_directory(stack)
        self._build_governance(stack)
        self._build_safety(stack)
        self._build_knowledge(stack, blobs, models, model)
        passages = KnowledgeClient(self._client("knowledge"), self._signer)
        database = ingestion.open_database(settings)
        stack.callback(database.close)
        self._relay_audit(stack, database, INGESTION_OUTBOX)
        pool = stack.enter_context(ParserPool(settings.worker_threads))
        working = ingestion.IngestionService(
            settings,
            database=database,
            blobs=blobs,
            queue=Queue("ingestion", settings),
            knowledge=passages,
            check_holds=Holds("ingestion", self._governance).check,
            embed=models.embed,
            count_tokens=TokenCounter(model.folder).count,
            pool=pool,
        )
        self.apps["ingestion"] = working.app
        self._build_assistant(stack, passages, models)
        training = self._build_finetune(stack, passages)
        self._build_gateway(mirror)
        self._enter_lifespans(stack)
        working.start()
        stack.callback(working.stop)
        training.start()
        stack.callback(training.stop)

    def _build_audit(self, stack: ExitStack) -> None:
        database = audit.open_database(self.settings)
        stack.callback(database.close)
        self._audit = audit.AuditService(
            self.settings,
            database=database,
            documents=self._readable_documents,
            approvals=Approvals("audit", self._governance),
        )
        self.apps["audit"] = self._audit.app
        self._audit.start()
        stack.callback(self._audit.stop)

    def _readable_documents(self, principal: Principal, document_ids: list[str]) -> set[str]:
        """Ask the knowledge service, which is built after the audit service."""
        client = KnowledgeClient(self._client("knowledge"), self._signer)
        return client.readable_documents(principal, document_ids, released=True)

    def _relay_audit(self, stack: ExitStack, database: Database, outbox: Table, deliver: Deliver | None = None) -> None:
        """Hand a service's audit outbox to the audit service, until the service's database is closed."""
        relay = OutboxRelay(database, outbox, deliver or self._audit.intake.append)
        relay.start()
        stack.callback(relay.stop)

    def _build_knowledge(
        self, stack: ExitStack, blobs: FolderBlobStore, models: InferenceClient, model: ResolvedModel
    ) -> None:
        settings = self.settings
        database = knowledge.open_database(settings)
        stack.callback(database.close)
        self._relay_audit(stack, database, KNOWLEDGE_OUTBOX)
        require_model(database, IndexModel(model.id, model.sha256))
        index = knowledge.open_index(settings, model.id, dimensions_of(model.folder))
        stack.callback(index.close)
        self.apps["knowledge"] = knowledge.create_app(
            settings,
            database=database,
            index=index,
            blobs=blobs,
            embed=partial(_embed_query, models),
            check_holds=Holds("knowledge", self._governance).check,
            people=DirectoryClient(self._client("directory"), self._signer),
            approvals=Approvals("knowledge", self._governance),
            safety=SafetyClient(self._client("safety"), self._signer),
        )

    def _build_assistant(self, stack: ExitStack, passages: KnowledgeClient, models: InferenceClient) -> None:
        database = assistant.open_database(self.settings)
        stack.callback(database.close)
        self._relay_audit(stack, database, ASSISTANT_OUTBOX, self._deliver_answers)
        chat = ChatClient(self._async_client("inference"), self._signer)
        self.apps["assistant"] = assistant.create_app(
            self.settings,
            database=database,
            knowledge=passages,
            inference=_Inference(models, chat),
            audit=AuditClient(self._client("audit"), self._signer),
            safety=SafetyClient(self._client("safety"), self._signer),
            holds=Holds("assistant", self._governance),
            rules=self._retention_rules,
        )

    def _deliver_answers(self, events: Sequence[ProducedEvent]) -> None:
        """To the log first; what then fails is delivered again, which changes nothing there."""
        self._audit.intake.append(events)
        put_before_people(self._governance(), events)

    def _build_directory(self, stack: ExitStack) -> Database:
        """The mirror's face for other services; return the gateway's database, which holds the mirror."""
        database = gateway.open_database(self.settings)
        stack.callback(database.close)
        self._relay_audit(stack, database, GATEWAY_OUTBOX)
        self.apps["directory"] = gateway.create_directory_app(self.settings, database=database)
        return database

    def _build_governance(self, stack: ExitStack) -> None:
        database = governance.open_database(self.settings)
        stack.callback(database.close)
        self._relay_audit(stack, database, GOVERNANCE_OUTBOX)
        people = DirectoryClient(self._client("directory"), self._signer)
        stores = {name: RemoteStore(partial(self._store, name)) for name in HOLDING_PEOPLE}
        self.apps["governance"] = governance.create_app(
            self.settings,
            database=database,
            people=people,
            stores=stores,
            certify=self._certify,
            count_due={Kept.CONVERSATIONS: self._count_due_conversations},
        )

    def _store(self, name: str) -> ErasureClient:
        return ErasureClient(name, self._client(name), self._signer)

    def _certify(self, principal: Principal, digest: str) -> SignedCertificate:
        return AuditClient(self._client("audit"), self._signer).sign_erasure(principal, digest)

    def _build_safety(self, stack: ExitStack) -> None:
        database = safety.open_database(self.settings)
        stack.callback(database.close)
        self._relay_audit(stack, database, SAFETY_OUTBOX)
        approvals = Approvals("safety", self._governance)
        self.apps["safety"] = safety.create_app(self.settings, database=database, approvals=approvals)

    def _build_finetune(self, stack: ExitStack, documents: KnowledgeClient) -> finetune.FinetuneService:
        database = finetune.open_database(self.settings)
        stack.callback(database.close)
        self._relay_audit(stack, database, FINETUNE_OUTBOX)
        base = partial(_in_a_process, chat_folder, self.settings.models_folder)
        feedback = FeedbackClient(self._client("assistant"), self._signer)
        training = finetune.FinetuneService(
            self.settings, database=database, base=base, feedback=feedback, documents=documents
        )
        self.apps["finetune"] = training.app
        return training

    def _retention_rules(self, principal: Principal) -> list[RetentionRule]:
        return self._governance().retention_rules(principal)

    def _count_due_conversations(self, principal: Principal, days: int) -> int:
        return ConversationsClient(self._client("assistant"), self._signer).count_due(principal, days)

    def _governance(self) -> GovernanceClient:
        return GovernanceClient(self._client("governance"), self._signer)

    def _build_gateway(self, database: Database) -> None:
        upstreams = {name: self._async_client(name) for name in (*SERVICES, "audit", "safety", "finetune")}
        provider: FastAPI | None = None
        if self.settings.oidc_issuer is None:
            provider = self.apps["identity_provider"] = identity_provider.create_app(self.settings)
            gateway.seed_directory(self.settings, database, [account.user for account in DEMO_ACCOUNTS])
        self.apps["gateway"] = gateway.create_app(
            self.settings, database=database, upstreams=upstreams, identity_provider=provider
        )

    def _enter_lifespans(self, stack: ExitStack) -> None:
        lifespans = AsyncExitStack()
        asyncio.run_coroutine_threadsafe(self._start(lifespans), self._loop).result()
        stack.callback(lambda: asyncio.run_coroutine_threadsafe(lifespans.aclose(), self._loop).result())

    async def _start(self, lifespans: AsyncExitStack) -> None:
        to_thread.current_default_thread_limiter().total_tokens = THREADS_PER_SERVICE * len(self.apps)
        for app in self.apps.values():
            await lifespans.enter_async_context(_lifespan(app))

    def _client(self, name: str) -> httpx2.Client:
        return httpx2.Client(
            transport=InProcessTransport(self.apps[name], self._loop), base_url=f"http://{name}", timeout=None
        )

    def _async_client(self, name: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=AsyncInProcessTransport(self.apps[name]), base_url=f"http://{name}", timeout=None
        )

    def _stop_loop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.router.lifespan_context(app):
        yield


def _in_a_process(write: Callable[[Path], Path], folder: Path) -> Path:
    """What takes much memory once is done in a process that gives it back."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(write, folder).result()


def _embed_query(models: InferenceClient, principal: Principal, query: str) -> list[float]:
    return models.embed(principal, [query], TextKind.QUERY).vectors[0]


class _Inference:
    """Both faces of the inference service, as the assistant wants them."""

    def __init__(self, models: InferenceClient, chat: ChatClient) -> None:
        self._models = models
        self._chat = chat

    def models(self, principal: Principal) -> ModelList:
        return self._models.models(principal)

    def stream_chat(self, principal: Principal, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        return self._chat.stream_chat(principal, request)


class _Services:
    """Sends `/NAME/rest` to the service of that name as `/rest`."""

    def __init__(self, apps: Mapping[str, ASGIApp]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, name, rest = scope["path"].split("/", 2)
        inner = {**scope, "path": f"/{rest}", "raw_path": scope["raw_path"].removeprefix(f"/{name}".encode())}
        await self._apps[name](inner, receive, send)
