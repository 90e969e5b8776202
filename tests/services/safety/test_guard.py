"""A guard model's words become findings as policy says, and its silence never passes for a clean bill.

The server stands for vLLM with a Qwen3Guard-Gen: it answers in the shape that both document, or in none.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from zhiku_platform.contracts.safety import (
    Category,
    Screened,
    ScreenRequest,
    Severity,
    StreamStep,
    Surface,
    Verdict,
)
from zhiku_platform.settings import Settings
from zhiku_services.safety.errors import GuardUnavailableError, PolicyError
from zhiku_services.safety.guard import GuardEndpoint, Judgement, Level, read_judgement
from zhiku_services.safety.lexicon import Term
from zhiku_services.safety.policy import DEFAULT, GuardRules, Policy, read_policy
from zhiku_services.safety.service import Safety, open_safety

TERMS = [Term(text="赌博", category=Category.GAMBLING, severity=Severity.MEDIUM)]
LENIENT = DEFAULT.model_copy(update={"guard": GuardRules(if_unavailable="warn")})
SAFE = "Safety: Safe\nCategories: None\nRefusal: No"
VIOLENT = "Safety: Unsafe\nCategories: Violent"
CONTROVERSIAL = "Safety: Controversial\nCategories: Politically Sensitive Topics, Unethical Acts\nRefusal: No"


@dataclass
class GuardServer(ThreadingHTTPServer):
    """Says `words` of a last message that holds a key, `otherwise` of any other; says nothing while `is_silent`."""

    words: dict[str, str] = field(default_factory=dict[str, str])
    otherwise: str = SAFE
    status: int = 200
    is_silent: bool = False
    released: threading.Event = field(default_factory=threading.Event)
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)

    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def said(self, request: dict[str, Any]) -> str:
        last = request["messages"][-1]["content"]
        return next((words for key, words in self.words.items() if key in last), self.otherwise)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, GuardServer)
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.asked.append({"path": self.path, "key": self.headers["Authorization"], **request})
        if server.is_silent:
            server.released.wait(10)
            return
        message: dict[str, Any] = {
            "role": "assistant",
            "content": server.said(request),
            "refusal": None,
            "tool_calls": [],
        }
        body = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1795432335,
            "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "stop_reason": None}],
            "usage": {"prompt_tokens": 240, "completion_tokens": 12, "total_tokens": 252},
        }
        self.send_response(server.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of what it overrides
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[GuardServer]:
    with GuardServer() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.released.set()
        made.shutdown()
        thread.join()


@pytest.fixture
def guarded(server: GuardServer) -> Iterator[Callable[..., Safety]]:
    """Screens before that server."""
    made: list[Safety] = []

    def make(policy: Policy = DEFAULT, timeout_s: float = 5) -> Safety:
        guard = GuardEndpoint(server.base_url(), model="guard", api_key="k", timeout_s=timeout_s)
        made.append(Safety(TERMS, policy, guard))
        return made[-1]

    yield make
    for safety in made:
        safety.close()


def screened(safety: Safety, text: str, surface: Surface = Surface.QUESTION) -> Screened:
    (result,) = safety.screen(ScreenRequest(surface=surface, texts=[text])).results
    return result


@pytest.mark.parametrize(
    ("written", "judgement"),
    [
        (SAFE, Judgement(Level.SAFE)),
        (f"\n\n{VIOLENT}\n", Judgement(Level.UNSAFE, (Category.VIOLENCE,))),
        (CONTROVERSIAL, Judgement(Level.CONTROVERSIAL, (Category.POLITICAL, Category.UNETHICAL))),
        (
            "Safety: Unsafe\nCategories: PII, Jailbreak",
            Judgement(Level.UNSAFE, (Category.PERSONAL_DATA, Category.JAILBREAK)),
        ),
        ("Safety: Unsafe\nCategories: None", Judgement(Level.UNSAFE, (Category.OTHER,))),
        ("Safety: Unsafe\nCategories: Something New", Judgement(Level.UNSAFE, (Category.OTHER,))),
    ],
)
def test_the_documented_form_is_read(written: str, judgement: Judgement) -> None:
    assert read_judgement(written) == judgement


@pytest.mark.parametrize(
    "written",
    [
        "",
        "Safe",
        "safe",
        "Safety: Maybe\nCategories: None",
        "Safety: Safe",
        "I cannot help with that.\n" + SAFE,
        f"{SAFE}\nSafety: Unsafe",
    ],
)
def test_anything_else_is_no_judgement(written: str) -> None:
    with pytest.raises(GuardUnavailableError):
        read_judgement(written)


def test_a_question_without_a_term_is_blocked(server: GuardServer, guarded: Callable[..., Safety]) -> None:
    server.words = {"bomb": VIOLENT}
    result = screened(guarded(), "How can I make a bomb?")
    (finding,) = result.findings
    assert (result.verdict, finding.category, finding.severity) == (Verdict.BLOCK, Category.VIOLENCE, Severity.HIGH)
    assert (finding.start, finding.end) == (0, 22)
    (asked,) = server.asked
    assert (asked["path"], asked["key"], asked["model"], asked["temperature"]) == (
        "/v1/chat/completions",
        "Bearer k",
        "guard",
        0,
    )
    assert asked["messages"] == [{"role": "user", "content": "How can I make a bomb?"}]


def test_three_severities_have_three_ends(server: GuardServer, guarded: Callable[..., Safety]) -> None:
    server.words = {"two": CONTROVERSIAL, "three": VIOLENT}
    screening = guarded().screen(ScreenRequest(surface=Surface.QUESTION, texts=["one", "two", "three"]))
    assert [result.verdict for result in screening.results] == [Verdict.ALLOW, Verdict.WARN, Verdict.BLOCK]


def test_terms_are_found_beside_it(guarded: Callable[..., Safety]) -> None:
    assert screened(guarded(), "他去赌博").findings[0].category is Category.GAMBLING


def test_a_surface_that_policy_leaves_out_is_not_judged(server: GuardServer, guarded: Callable[..., Safety]) -> None:
    server.otherwise = VIOLENT
    assert screened(guarded(), "How can I make a bomb?", Surface.DOCUMENT).findings == []
    assert server.asked == []


def test_nothing_is_shown_before_it_was_judged(server: GuardServer, guarded: Callable[..., Safety]) -> None:
    server.words = {"bomb": VIOLENT}
    safety = guarded()
    begun = safety.step(StreamStep(piece="Mix these and your bo"))
    assert (begun.released, begun.held, server.asked) == ("", "Mix these and your bo", [])
    done = safety.step(StreamStep(held=begun.held, piece="mb is done.", is_final=True, question="How?"))
    assert (done.released, done.verdict) == ("", Verdict.BLOCK)
    assert server.asked[0]["messages"] == [
        {"role": "user", "content": "How?"},
        {"role": "assistant", "content": "Mix these and your bomb is done."},
    ]


def test_a_controversial_sentence_is_masked_whole_and_what_was_shown_stays(
    server: GuardServer, guarded: Callable[..., Safety]
) -> None:
    server.words = {"Then": CONTROVERSIAL}
    done = guarded().step(StreamStep(context="Before. ", piece="Then.", is_final=True, question="?"))
    assert done.released == "＊＊＊＊＊"


@pytest.mark.parametrize("failure", ["silent", "broken", "unreachable", "malformed"])
@pytest.mark.parametrize("policy", [DEFAULT, LENIENT])
def test_a_guard_that_fails_never_passes_silently(
    server: GuardServer, guarded: Callable[..., Safety], failure: str, policy: Policy
) -> None:
    server.is_silent = failure == "silent"
    server.status = 500 if failure == "broken" else 200
    server.otherwise = "Sure! Here is how." if failure == "malformed" else SAFE
    safety = guarded(policy, timeout_s=0.2 if failure == "silent" else 5)
    if failure == "unreachable":
        safety = Safety(TERMS, policy, GuardEndpoint("http://127.0.0.1:9/v1", model="guard"))
    step = StreamStep(piece="Harmless.", is_final=True, question="?")
    if policy is DEFAULT:
        with pytest.raises(GuardUnavailableError):
            screened(safety, "Harmless?")
        with pytest.raises(GuardUnavailableError):
            safety.step(step)
        return
    for findings in (screened(safety, "Harmless?").findings, safety.step(step).findings):
        assert [(one.category, one.verdict) for one in findings] == [(Category.UNCHECKED, Verdict.WARN)]


def test_settings_choose_policy_terms_and_guard(tmp_path: Path, server: GuardServer) -> None:
    server.words = {"bomb": VIOLENT}
    policy, terms = tmp_path / "policy.json", tmp_path / "terms.jsonl"
    changed: dict[str, Any] = json.loads(DEFAULT.model_dump_json())
    changed["version"] = "ours 7"
    changed["verdicts"]["question"]["high"] = "review"
    policy.write_text(json.dumps(changed), encoding="utf-8")
    terms.write_text('{"text": "内部代号", "category": "other", "severity": 3}\n', encoding="utf-8")
    settings = Settings(safety_policy=policy, safety_terms=terms, guard_base_url=server.base_url(), guard_model="g")
    safety = open_safety(settings)
    assert safety.mark.version == "ours 7"
    assert screened(safety, "内部代号是什么？").verdict is Verdict.REVIEW
    assert screened(safety, "bomb").verdict is Verdict.REVIEW
    digests = {
        safety.mark.digest,
        Safety(TERMS).mark.digest,
        Safety(TERMS, LENIENT).mark.digest,
        open_safety().mark.digest,
    }
    assert len(digests) == 4
    safety.close()


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("{", "whole"),
        ('{"version": "1", "verdicts": {}}', "every surface"),
        ('{"version": "1", "verdicts": {"question": {"low": "perhaps"}}}', "verdicts.question.low"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_with_the_reason(tmp_path: Path, written: str, why: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(written, encoding="utf-8")
    with pytest.raises(PolicyError, match=why):
        read_policy(path)
    with pytest.raises(PolicyError, match="cannot be read"):
        read_policy(tmp_path / "missing.json")
