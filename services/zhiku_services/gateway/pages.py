"""The few pages that the gateway shows itself, when the portal cannot."""

from base64 import b64encode
from hashlib import sha256
from html import escape

from fastapi.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 40rem; margin: 15vh auto 0; padding: 0 1.25rem;
  font: 17px/1.6 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.3; }
code { padding: .1em .35em; border: 1px solid currentColor; border-radius: 5px; }
"""
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()


def message_page(title: str, text: str, href: str, status: int) -> HTMLResponse:
    """A page with one sentence and one way on."""
    return _page(title, f'<p>{escape(text)}</p><p><a href="{escape(href)}">继续 · Continue</a></p>', status)


def unbuilt_page() -> HTMLResponse:
    """What stands where the portal should be, when nobody has built it."""
    return _page(
        "The portal is not built",
        "<p>Run <code>make setup</code>, then start Zhiku again. The API is up: see "
        '<a href="/readyz"><code>/readyz</code></a>.</p>'
        '<p lang="zh-CN">门户尚未构建：请运行 <code>make setup</code>，然后重新启动知库。接口已可用。</p>',
        503,
    )


def _page(title: str, body: str, status: int) -> HTMLResponse:
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)} · Zhiku 知库</title>"
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    policy = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'"
    return HTMLResponse(html, status, {"Content-Security-Policy": policy, "Cache-Control": "no-store"})
