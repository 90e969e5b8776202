"""The login page: Chinese and English, no script, nothing loaded from elsewhere."""

from html import escape
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from zhiku_services.identity_provider.accounts import DEMO_ACCOUNTS, DEMO_PASSWORD, DemoAccount

Language = Literal["zh", "en"]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    # Not `no-referrer`: under it a browser sends our own form with `Origin: null`, which is refused.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "lang": "zh-CN",
        "title": "登录知库",
        "lead": "这是本机演示。选一个账号，看看同一个问题在不同部门得到的答案有何不同。",
        "sees": "可以查看：",
        "form": "用户名和密码登录",
        "username": "用户名",
        "password": "密码",
        "submit": "登录",
        "hint": "所有演示账号的密码都是",
        "wrong": "用户名或密码不正确。演示账号：{accounts}，密码：demo。",
        "note": "内置登录服务只在本机可用；正式部署请接入 Keycloak。",
        "refused": "无法登录",
        "refused_lead": "这个登录请求不完整或已失效。请回到知库重新登录。",
        "ended": "已退出登录",
        "ended_lead": "可以关闭此页面，或重新登录。",
        "back": "回到知库",
        "switch": "English",
    },
    "en": {
        "lang": "en",
        "title": "Sign in to Zhiku",
        "lead": "This is the demo on your own machine. Choose an account, and see how the same question "
        "is answered differently for another department.",
        "sees": "May read: ",
        "form": "Sign in with user name and password",
        "username": "User name",
        "password": "Password",
        "submit": "Sign in",
        "hint": "The password of every demo account is",
        "wrong": "User name or password is wrong. Demo accounts: {accounts}; password: demo.",
        "note": "The built-in sign-in serves this machine only; connect Keycloak to serve others.",
        "refused": "Sign-in is not possible",
        "refused_lead": "This sign-in request is incomplete or out of date. Go back to Zhiku and sign in again.",
        "ended": "You are signed out",
        "ended_lead": "You can close this page, or sign in again.",
        "back": "Back to Zhiku",
        "switch": "中文",
    },
}


def choose_language(query: str, accept_language: str) -> Language:
    """The language asked for by `ui_locales`, or else the first of the browser's that we have."""
    asked = dict(parse_qsl(query)).get("ui_locales", "")
    for tag in [*asked.split(), *(part.split(";")[0].strip() for part in accept_language.split(","))]:
        for language in ("zh", "en"):
            if tag.lower().startswith(language):
                return language
    return "en"


def login_page(query: str, language: Language, *, stylesheet: str, username: str = "", wrong: bool = False) -> str:
    """The page that shows the demo accounts; `query` is the authorization request, kept in the links."""
    words = _WORDS[language]
    cards = "".join(_card(account, language) for account in DEMO_ACCOUNTS)
    accounts = ("、" if language == "zh" else ", ").join(account.user.username for account in DEMO_ACCOUNTS)
    alert = f'<p class="wrong" role="alert">{words["wrong"].format(accounts=accounts)}</p>' if wrong else ""
    body = f"""
<p class="lead">{words["lead"]}</p>
{alert}
<ul class="accounts">{cards}</ul>
<form method="post" class="password">
  <h2>{words["form"]}</h2>
  <label for="username">{words["username"]}</label>
  <input id="username" name="username" autocomplete="username" required value="{escape(username)}">
  <label for="password">{words["password"]}</label>
  <input id="password" name="password" type="password" autocomplete="current-password" required>
  <p class="hint">{words["hint"]} <code>{DEMO_PASSWORD}</code></p>
  <button type="submit">{words["submit"]}</button>
</form>"""
    return _page(words["title"], body, query, language, stylesheet)


def refused_page(language: Language, *, stylesheet: str, home: str) -> str:
    """What a browser sees that came with a request we cannot send back to its client."""
    return _message("refused", language, stylesheet, home)


def signed_out_page(language: Language, *, stylesheet: str, home: str) -> str:
    """The end of a logout that named no page to go to."""
    return _message("ended", language, stylesheet, home)


def _message(name: str, language: Language, stylesheet: str, home: str) -> str:
    words = _WORDS[language]
    link = f'<a class="back" href="{escape(home)}">{words["back"]}</a>'
    body = f'<p class="lead">{words[f"{name}_lead"]}</p><p>{link}</p>'
    return _page(words[name], body, "", language, stylesheet)


def _card(account: DemoAccount, language: Language) -> str:
    words = _WORDS[language]
    pick = 0 if language == "zh" else 1
    name, username = escape(account.name[pick]), escape(account.user.username)
    return f"""
<li><form method="post">
  <input type="hidden" name="username" value="{username}">
  <input type="hidden" name="password" value="{DEMO_PASSWORD}">
  <button type="submit" class="card {username}">
    <span class="face" aria-hidden="true">{escape(account.name[0][0])}</span>
    <span class="who"><strong>{name}</strong> <code>{username}</code></span>
    <span class="department">{escape(account.department[pick])} · {escape(account.role[pick])}</span>
    <span class="sees">{words["sees"]}{escape(account.sees[pick])}</span>
  </button>
</form></li>"""


def _page(title: str, body: str, query: str, language: Language, stylesheet: str) -> str:
    words = _WORDS[language]
    other = "en" if language == "zh" else "zh"
    kept = [(name, value) for name, value in parse_qsl(query) if name != "ui_locales"]
    switch = escape("?" + urlencode([*kept, ("ui_locales", other)]))
    link = f'<a class="switch" href="{switch}" lang="{other}">{words["switch"]}</a>' if query else ""
    return f"""<!doctype html>
<html lang="{words["lang"]}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{words["title"]} · Zhiku 知库</title>
<link rel="stylesheet" href="{escape(stylesheet)}">
</head>
<body>
<header><span class="brand">知库 <b>Zhiku</b></span>{link}</header>
<main>
<h1>{title}</h1>
{body}
</main>
<footer>{words["note"]}</footer>
</body>
</html>"""
