"""Runs copied to an MLflow server: once, with every step, and without a word or a path of what was learnt.

The server is a stand-in of five routes; docs/finetune.md says which real one was tried.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from zhiku_services.finetune.recipe import RECIPE
from zhiku_services.finetune.runs import Event, Result, RunFolder
from zhiku_services.finetune.scores import Score
from zhiku_services.finetune.tracking import Mlflow, TrackingError


@dataclass
class Server:
    """Keeps experiments and runs as MLflow's REST face does."""

    experiments: list[str] = field(default_factory=list[str])
    runs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    fails_at: str | None = None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/api/2.0/mlflow/")
        if path == self.fails_at:
            return httpx2.Response(500)
        body: dict[str, Any] = json.loads(request.content) if request.content else {}
        if path == "experiments/get-by-name":
            return httpx2.Response(200 if self.experiments else 404, json={"experiment": {"experiment_id": "1"}})
        if path == "experiments/create":
            self.experiments.append(body["name"])
            return httpx2.Response(200, json={"experiment_id": "1"})
        if path == "runs/search":
            found = [run for run in self.runs if run["status"] == "FINISHED" and run["manifest"] in body["filter"]]
            return httpx2.Response(200, json={"runs": [{"info": {"run_id": run["id"]}} for run in found]})
        if path == "runs/create":
            manifest = next(tag["value"] for tag in body["tags"] if tag["key"] == "zhiku.manifest")
            run = {"id": f"r{len(self.runs)}", "status": "RUNNING", "manifest": manifest, "params": [], "metrics": []}
            self.runs.append({**run, "sent": body})
            return httpx2.Response(200, json={"run": {"info": {"run_id": run["id"]}}})
        run = next(run for run in self.runs if run["id"] == body["run_id"])
        if path == "runs/log-batch":
            assert len(body.get("metrics", [])) <= 1000
            run["params"] += body.get("params", [])
            run["metrics"] += body.get("metrics", [])
        else:
            run["status"] = body["status"]
        return httpx2.Response(200, json={})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    given = {"name": "style", "method": "lora", "dataset": tmp_path / "secret-place"}
    run.create(RECIPE.validate_python(given))
    run.manifest.write_text(json.dumps({"dataset": "d" * 64}))
    steps = [Event(kind="step", at=float(n), step=n, of=1500, loss=1.0 / n) for n in range(1, 1501)]
    lines = [
        Event(kind="started", at=0.1, detail="36 examples").model_dump_json(),
        *(e.model_dump_json() for e in steps),
    ]
    run.events_file.write_text("\n".join(lines) + "\n")
    result = Result(
        method="lora", manifest="a" * 64, digest="b" * 64, folder="adapter", steps=1500, seconds=1500.0, peak_bytes=7,
        trained_parameters=5, loss=0.1, served_on=(),
        held_out=Score(name="loss", examples=4, before=2.0, after=1.0, low=-1.5, high=-0.5),
    )  # fmt: skip
    run.result_file.write_text(result.model_dump_json())
    return run


def mlflow(server: Server) -> Mlflow:
    return Mlflow(httpx2.Client(base_url="http://mlflow", transport=httpx2.MockTransport(server)))


def test_a_run_is_copied_once_with_every_step(folder: RunFolder, tmp_path: Path) -> None:
    server = Server()
    assert mlflow(server).copy(folder) == mlflow(server).copy(folder) == "r0"
    (run,) = server.runs
    assert server.experiments == ["zhiku"]
    assert run["status"] == "FINISHED"
    losses = [metric["value"] for metric in run["metrics"] if metric["key"] == "loss"]
    assert (len(losses), losses[0], losses[1]) == (1500, 1.0, 0.5)
    held_out = [(metric["step"], metric["value"]) for metric in run["metrics"] if metric["key"] == "held_out"]
    assert held_out == [(0, 2.0), (1500, 1.0)]
    assert {"key": "rank", "value": "16"} in run["params"]
    assert run["sent"]["run_name"] == "style"
    assert str(tmp_path) not in json.dumps(server.runs)
    assert "secret-place" not in json.dumps(server.runs)


def test_what_was_begun_and_broke_off_is_copied_anew(folder: RunFolder) -> None:
    server = Server(fails_at="runs/update")
    with pytest.raises(TrackingError):
        mlflow(server).copy(folder)
    server.fails_at = None
    assert mlflow(server).copy(folder) == "r1"


@pytest.mark.parametrize("path", ["experiments/get-by-name", "runs/search", "runs/create", "runs/log-batch"])
def test_a_server_that_fails_is_told_of(folder: RunFolder, path: str) -> None:
    with pytest.raises(TrackingError, match="ZHIKU_MLFLOW_URL"):
        mlflow(Server(fails_at=path)).copy(folder)


def test_a_run_without_a_result_is_not_copied(folder: RunFolder) -> None:
    folder.result_file.unlink()
    with pytest.raises(TrackingError, match="no result"):
        mlflow(Server()).copy(folder)
