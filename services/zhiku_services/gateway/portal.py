"""Serves the portal: static files, and its one page for every address that is not one."""

from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.convertors import Convertor, register_url_convertor

from zhiku_platform.access import public
from zhiku_platform.errors import NotFoundError
from zhiku_platform.http import GuardedRouter
from zhiku_services.gateway.pages import unbuilt_page

STATIC = Path(__file__).parent / "static"

_ASSETS = "assets/"
_FOREVER = "public, max-age=31536000, immutable"

router = GuardedRouter(include_in_schema=False)


class _PortalPath(Convertor[str]):
    """Any path but those of machines: there, what no route takes is 404, and a method that none takes 405."""

    regex = "(?!(?:api|v1|internal|realms|oidc)/).*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("portal", _PortalPath())


@router.api_route("/{path:portal}", methods=["GET", "HEAD"])
@public
def serve_portal(request: Request, path: str) -> Response:
    """Serve a file of the portal, or its page."""
    static: Path = request.app.state.static
    file = _file(static, path)
    if file is not None:
        # The build writes a digest into the name of everything in `assets`.
        is_hashed = path.startswith(_ASSETS)
        return FileResponse(file, headers={"Cache-Control": _FOREVER if is_hashed else "no-cache"})
    if path.startswith(_ASSETS):
        raise NotFoundError("address")
    index = static / "index.html"
    if not index.is_file():
        return unbuilt_page()
    return FileResponse(index, headers={"Cache-Control": "no-cache"})


def _file(static: Path, path: str) -> Path | None:
    """The portal's file at this address, if there is one."""
    try:
        file = (static / path).resolve()
        return file if path and file.is_relative_to(static.resolve()) and file.is_file() else None
    except (OSError, ValueError):
        # A name that no file can have: too long, or with a zero byte.
        return None
