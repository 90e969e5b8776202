"""What content safety adds to a streamed answer: each piece through the service's own client and route, in one process.

    python tests/evaluation/safety_latency.py SETS/office-en.jsonl

The texts are streamed four characters a piece, as a model does, and each is ended as a sentence is.
"""

import asyncio
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx2

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.clients.safety import SafetyClient
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.safety import StreamStep
from zhiku_platform.inprocess import InProcessTransport
from zhiku_platform.settings import Settings
from zhiku_services.safety.app import create_app, open_database
from zhiku_services.safety.evaluation import load

_TEXTS = 300
_PIECE_CHARS = 4
ASKS = Principal(sub="zhao", tenant="default", roles=frozenset({Role.EMPLOYEE}))


def measure(client: SafetyClient, texts: list[str]) -> list[float]:
    """Milliseconds of each step."""
    took_ms: list[float] = []
    for text in texts:
        step = StreamStep()
        starts = range(0, len(text), _PIECE_CHARS)
        for start in starts:
            piece = text[start : start + _PIECE_CHARS]
            began = time.perf_counter()
            done = client.step(ASKS, step.model_copy(update={"piece": piece, "is_final": start == starts[-1]}))
            took_ms.append(1000 * (time.perf_counter() - began))
            step = StreamStep(context=done.context, held=done.held)
    return took_ms


def main(path: Path) -> None:
    texts = [item.text for item in load(path)[:_TEXTS]]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        database = open_database(settings)
        app = create_app(settings, database=database)
        signer = PrincipalSigner(settings.secret_key.get_secret_value())
        with httpx2.Client(transport=InProcessTransport(app, loop), base_url="http://safety") as http:
            took_ms = sorted(measure(SafetyClient(http, signer), texts))
        database.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    figures = {
        name: round(took_ms[int(share * (len(took_ms) - 1))], 2) for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    sys.stdout.write(json.dumps({"steps": len(took_ms), **figures}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
