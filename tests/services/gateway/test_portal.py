"""The portal's files, and the headers on everything."""

from pathlib import Path

import pytest

from .conftest import Gateway


@pytest.fixture
def static(tmp_path: Path) -> Path:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<title>portal</title>")
    (static / "assets" / "app-3f2a.js").write_text("1")
    (static / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return static


@pytest.mark.parametrize("path", ["/", "/chat", "/knowledge-bases/kb_1", "/index.html"])
def test_every_page_is_the_portal_and_never_stale(gateway: Gateway, static: Path, path: str) -> None:
    response = gateway.browse().get(path)
    assert (response.status_code, response.text) == (200, "<title>portal</title>")
    assert response.headers["Cache-Control"] == "no-cache"


def test_files_with_a_digest_in_their_name_are_kept_for_ever(gateway: Gateway, static: Path) -> None:
    browser = gateway.browse()
    assert "immutable" in browser.get("/assets/app-3f2a.js").headers["Cache-Control"]
    assert browser.get("/favicon.svg").headers["Cache-Control"] == "no-cache"
    assert browser.head("/assets/app-3f2a.js").status_code == 200


@pytest.mark.parametrize("path", ["/assets/gone.js", "/api/v1/gone", "/v1/gone", "/internal/x"])
def test_what_is_no_page_is_not_found(gateway: Gateway, static: Path, path: str) -> None:
    assert gateway.browse().get(path).status_code == 404


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/%00"])
def test_nothing_outside_the_portal_is_served(gateway: Gateway, static: Path, path: str) -> None:
    assert "secret" not in gateway.browse().get(path).text


def test_an_unbuilt_portal_says_what_to_do(gateway: Gateway) -> None:
    response = gateway.browse().get("/")
    assert response.status_code == 503
    assert "make setup" in response.text


def test_the_portal_may_load_nothing_from_elsewhere(gateway: Gateway, static: Path) -> None:
    headers = gateway.browse().get("/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["img-src"] == "'self' data: blob:"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert "http" not in headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy["script-src"]
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "same-origin")
    assert "Strict-Transport-Security" not in headers


def test_answers_of_the_api_are_not_cached(gateway: Gateway) -> None:
    assert gateway.sign_in("lin").get("/api/v1/session").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("address", ["/" + "a" * 300, "/a/" + "b" * 5000])
def test_a_name_that_no_file_can_have_is_the_page_and_no_failure(gateway: Gateway, static: Path, address: str) -> None:
    assert gateway.browse().get(address).text == "<title>portal</title>"
