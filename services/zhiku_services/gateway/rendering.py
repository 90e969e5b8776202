"""Errors as each face of the gateway shows them: problem+json, OpenAI's shape, or a page for a browser."""

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhiku_platform.errors import Problem, UnprocessableError, ZhikuError
from zhiku_platform.http import PROBLEM_MEDIA_TYPE, problem_response
from zhiku_services.gateway.errors import StepUpRequiredError
from zhiku_services.gateway.pages import message_page

_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


class OpenAIErrorBody(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """An error in OpenAI's shape."""

    error: OpenAIErrorBody


def render_error(request: Request, error: Exception) -> Response:
    """Render a typed error for whoever called."""
    assert isinstance(error, ZhikuError)
    problem = error.problem(getattr(request.state, "request_id", None))
    if is_openai(request):
        return _openai(problem, str(error.extra.get("param") or "") or None)
    if request.url.path.startswith("/api/v1/auth/") and "text/html" in request.headers.get("Accept", ""):
        return message_page(problem.title, f"{problem.detail} {problem.remedy}", "/api/v1/auth/login", problem.status)
    response = problem_response(problem)
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = _challenge(error)
    return response


def _challenge(error: ZhikuError) -> str:
    """What a client should bring, by RFC 6750 and, for a step-up, RFC 9470."""
    if not isinstance(error, StepUpRequiredError):
        return "Bearer"
    names = ("max_age", "acr_values")
    wanted = "".join(f', {name}="{error.extra[name]}"' for name in names if error.extra.get(name) is not None)
    return f'Bearer error="insufficient_user_authentication"{wanted}'


def render_openai_validation(error: RequestValidationError) -> Response:
    """Render a malformed body as OpenAI does: 400, naming the parameter."""
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"] if part != "body") or None
    problem = UnprocessableError(f"{param or 'body'}: {first['msg']}", remedy="").problem()
    return _openai(problem.model_copy(update={"status": 400}), param)


def render_openai_http(refusal: Response) -> Response:
    """Render an unknown address or method, which was rendered as problem+json before."""
    response = _openai(Problem.model_validate_json(bytes(refusal.body)), None)
    if "Allow" in refusal.headers:
        response.headers["Allow"] = refusal.headers["Allow"]
    return response


def openai_error(problem: Problem, param: str | None = None) -> dict[str, object]:
    """An error's body in OpenAI's shape."""
    kind = _OPENAI_TYPES.get(problem.status, "server_error" if problem.status >= 500 else "invalid_request_error")
    message = f"{problem.detail} {problem.remedy}".strip()
    body = OpenAIErrorBody(message=message, type=kind, param=param, code=problem.code)
    return OpenAIError(error=body).model_dump()


def is_openai(request: Request) -> bool:
    """Whether the request came to the OpenAI-compatible face."""
    return request.url.path.startswith("/v1/")


def _openai(problem: Problem, param: str | None) -> JSONResponse:
    headers = {"Retry-After": "1"} if problem.status in {429, 503} else {}
    return JSONResponse(openai_error(problem, param), problem.status, headers)


class SpeakOpenAI:
    """ASGI middleware: what the edge itself refuses under `/v1`, before any route is asked, has OpenAI's shape too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_openai(Request(scope)):
            await self._app(scope, receive, send)
            return
        refused: Message | None = None
        body = b""

        async def translate(message: Message) -> None:
            nonlocal refused, body
            if message["type"] == "http.response.start" and _is_problem(message):
                refused = message
                return
            if refused is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                response = _openai(Problem.model_validate_json(body), None)
                kept = [pair for pair in refused["headers"] if pair[0] not in {b"content-type", b"content-length"}]
                response.raw_headers += [pair for pair in kept if pair[0] not in dict(response.raw_headers)]
                await response(scope, receive, send)

        await self._app(scope, receive, translate)


def _is_problem(start: Message) -> bool:
    media_type: bytes = dict(start["headers"]).get(b"content-type", b"")
    return media_type.startswith(PROBLEM_MEDIA_TYPE.encode())
