"""What the checks of `test_schemathesis` are worth: each address here has one defect, and must be found out."""

from typing import Annotated, Any

import schemathesis
from fastapi import FastAPI, Request, Response, Security
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from schemathesis import Case
from schemathesis.core.failures import FailureGroup

from .test_schemathesis import config


class Lamp(BaseModel):
    colour: str


broken = FastAPI()
Key = Annotated[str | None, Security(APIKeyHeader(name="X-Key", auto_error=False))]


@broken.get("/fails")
def fails(text: str) -> Response:
    """Fails by what it is given."""
    return JSONResponse({"colour": text}, status_code=500 if text else 200)


@broken.get("/status")
def undocumented_status() -> Response:
    return JSONResponse({}, status_code=418)


@broken.get("/body", response_model=Lamp)
def another_body() -> Any:
    return JSONResponse({"color": 1})


@broken.get("/type", response_model=Lamp)
def another_type() -> Any:
    return PlainTextResponse("green")


@broken.get("/anything", openapi_extra={"parameters": [{"in": "query", "name": "n", "schema": {"type": "integer"}}]})
def takes_anything(request: Request) -> Lamp:
    return Lamp(colour=request.query_params.get("n", ""))


@broken.get("/open")
def asks_for_no_key(key: Key) -> Lamp:
    del key
    return Lamp(colour="green")


@broken.get("/sound")
def has_no_defect() -> Lamp:
    return Lamp(colour="green")


SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", broken, config=config())


FOUND: dict[str, set[str]] = {}
"""By address, the defects that were found there."""


@SCHEMA.parametrize()
def test_every_address_is_called(case: Case[Any]) -> None:
    try:
        case.call_and_validate()
    except FailureGroup as found:
        FOUND.setdefault(case.path, set()).update(type(each).__name__ for each in found.exceptions)


def test_each_defect_was_found_and_nothing_else() -> None:
    expected = {
        "/fails": "ServerError",
        "/status": "UndefinedStatusCode",
        "/body": "JsonSchemaError",
        "/type": "UndefinedContentType",
        "/anything": "AcceptedNegativeData",
        "/open": "IgnoredAuth",
    }
    assert FOUND.keys() == expected.keys()
    assert {path: name for path, name in expected.items() if name in FOUND[path]} == expected
