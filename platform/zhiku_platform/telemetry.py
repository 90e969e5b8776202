"""Logs, metrics and traces. None of them ever holds a user's text, a prompt or a secret."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhiku_platform.settings import Settings

REQUESTS = Counter("zhiku_requests_total", "Requests answered", ["service", "method", "route", "status"])
REQUEST_SECONDS = Histogram("zhiku_request_seconds", "Time to the last byte", ["service", "method", "route"])
TASKS = Counter("zhiku_tasks_total", "Tasks ended", ["service", "task", "outcome"])
TASK_SECONDS = Histogram("zhiku_task_seconds", "Time in a task", ["service", "task"])
STAGE_SECONDS = Counter("zhiku_stage_seconds_total", "Time spent by stage of work", ["service", "stage"])

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send structured logs to `stream` (standard error by default), ours and the libraries' alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        # A traceback with the values of local variables would print what users wrote.
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.log_level]),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # What a task raises it logs itself, by type; Celery would add the error's text, which may quote users.
    logging.getLogger("celery.app.trace").setLevel(logging.CRITICAL + 1)
    logging.basicConfig(handlers=[handler], level=max(_LEVELS[settings.log_level], logging.WARNING), force=True)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger of events with fields: `log.info("document_indexed", document_id=…)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def configure_tracing(settings: Settings, service: str) -> None:
    """Export spans to `otlp_endpoint`; without one, spans cost next to nothing and go nowhere."""
    if settings.otlp_endpoint is None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(resource=Resource.create({"service.name": f"zhiku-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
    trace.set_tracer_provider(provider)


def trace_headers() -> dict[str, str]:
    """The `traceparent` header of the current span, for a call to another service."""
    headers: dict[str, str] = {}
    inject(headers)
    return headers


@contextmanager
def stage(service: str, name: str) -> Iterator[None]:
    """Count the seconds spent inside as `zhiku_stage_seconds_total`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        STAGE_SECONDS.labels(service, name).inc(time.perf_counter() - started)


class ObserveRequests:
    """ASGI middleware: one span, one counter and one duration for each request, by route and never by path."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service
        self._tracer = trace.get_tracer("zhiku")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        carrier = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        name = f"{self._service} {scope['method']}"
        # Neither an exception nor its text, which may quote a user, becomes part of a span.
        with self._tracer.start_as_current_span(
            name, context=extract(carrier), record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                await self._app(scope, receive, observe)
            finally:
                route = _route_of(scope)
                span.update_name(f"{self._service} {scope['method']} {route}")
                span.set_attribute("http.response.status_code", status)
                REQUESTS.labels(self._service, scope["method"], route, str(status)).inc()
                REQUEST_SECONDS.labels(self._service, scope["method"], route).observe(time.perf_counter() - started)


def _route_of(scope: Scope) -> str:
    route: Any = scope.get("route")
    return getattr(route, "path", "unmatched")
