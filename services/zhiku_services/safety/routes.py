"""The service's face for other services."""

from typing import Annotated

from fastapi import Depends, Request

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.contracts.safety import Screening, ScreenRequest, StreamStep, StreamStepped
from zhiku_platform.http import GuardedRouter
from zhiku_services.safety.service import Safety

internal = GuardedRouter(prefix="/internal", tags=["internal"])


def _safety(request: Request) -> Safety:
    safety: Safety = request.app.state.safety
    return safety


CanAsk = Annotated[Access, require(Permission.ASK)]
CanRead = Annotated[Access, require(Permission.DOCUMENT_READ)]
Screens = Annotated[Safety, Depends(_safety)]


@internal.post("/screen")
def screen(_access: CanRead, safety: Screens, request: ScreenRequest) -> Screening:
    """Screen whole texts."""
    return safety.screen(request)


@internal.post("/stream-step")
def step(_access: CanAsk, safety: Screens, request: StreamStep) -> StreamStepped:
    """Take one step in the stream of an answer; nothing of it is kept here."""
    return safety.step(request)
