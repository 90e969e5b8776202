"""What commands print: other people's words as they stand, and bad settings as findings."""

import json

import pytest
from typer.testing import CliRunner

from zhiku_services.__main__ import app
from zhiku_services.commands.output import console, print_table


@pytest.mark.parametrize("title", ["plan [draft].pdf", "a [/b].md", "[bold]x[/bold]"])
def test_a_title_that_looks_like_markup_is_printed_as_it_stands(title: str) -> None:
    with console.capture() as captured:
        print_table(("document",), [(title,)])
    assert title in captured.get()


def test_doctor_tells_of_a_bad_setting_as_of_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIKU_PORT", "abc")
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)["checks"]
    assert [(each["check"], each["state"]) for each in found] == [("settings", "error")]
    assert "ZHIKU_PORT" in found[0]["found"]


def test_doctor_says_what_is_missing_before_others_may_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ZHIKU_SECRET_KEY", "ZHIKU_OIDC_ISSUER", "ZHIKU_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("zhiku_services.commands.home.configure_logging", lambda _: None)
    result = CliRunner().invoke(app, ["doctor", "--json"])
    reach = next(each for each in json.loads(result.stdout)["checks"] if each["check"] == "reach")
    assert "ZHIKU_SECRET_KEY and ZHIKU_OIDC_ISSUER" in reach["remedy"]
