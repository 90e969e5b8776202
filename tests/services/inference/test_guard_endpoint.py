"""A guard behind a real OpenAI-compatible server: one that serves no guard model judges nothing."""

from contextlib import closing

import pytest

from zhiku_services.inference.catalogue import CHAT
from zhiku_services.inference.chat_embedded import LlamaServer
from zhiku_services.safety.errors import GuardUnavailableError
from zhiku_services.safety.guard import GuardEndpoint

pytestmark = pytest.mark.slow


def test_the_words_of_a_model_that_is_no_guard_pass_nothing(llama_server: LlamaServer) -> None:
    endpoint = GuardEndpoint(llama_server.base_url, model=CHAT.id, api_key=llama_server.api_key, timeout_s=60)
    with closing(endpoint) as guard, pytest.raises(GuardUnavailableError, match="in its own form"):
        guard.judge(["How many days of leave do I get?"])


def test_a_wrong_key_passes_nothing(llama_server: LlamaServer) -> None:
    with (
        closing(GuardEndpoint(llama_server.base_url, model=CHAT.id, api_key="wrong")) as guard,
        pytest.raises(GuardUnavailableError, match="AuthenticationError"),
    ):
        guard.judge(["Hi"], question="Hi?")
