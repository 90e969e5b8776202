"""Copies what came of a run to an MLflow server, where somebody keeps one; the record is the run's own folder.

Numbers and names go there, and no word that was learnt.
"""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx2

from zhiku_platform.errors import ServiceUnavailableError
from zhiku_services.finetune.recipe import RECIPE
from zhiku_services.finetune.runs import Result, RunFolder

EXPERIMENT = "zhiku"
_AT_ONCE = 1000
"""Metrics in one request, MLflow's own limit."""
_PATHS = {"base", "dataset", "teacher", "reward_model"}


class TrackingError(ServiceUnavailableError):
    """The MLflow server does not answer, or not as MLflow does."""

    code = "tracking_failed"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The run could not be copied to MLflow: {why}.",
            remedy="Check `ZHIKU_MLFLOW_URL`; `zhiku finetune track RUN` copies it later.",
        )


class Mlflow:
    """A server's REST face, version 2.0. A run that is there already is not copied again."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http

    def copy(self, folder: RunFolder) -> str:
        """Copy a run that has a result; return its id there.

        Raises:
            TrackingError: the server does not answer as it should.
        """
        result = folder.result()
        if result is None:
            raise TrackingError("it has no result yet")
        try:
            experiment = self._experiment()
            found = self._find(experiment, result.manifest)
            return found or self._create(experiment, folder, result)
        except (httpx2.HTTPError, KeyError, ValueError) as error:
            raise TrackingError(type(error).__name__) from error

    def _experiment(self) -> str:
        response = self._http.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": EXPERIMENT})
        if response.status_code == 404:
            return str(self._post("experiments/create", {"name": EXPERIMENT})["experiment_id"])
        response.raise_for_status()
        return str(response.json()["experiment"]["experiment_id"])

    def _find(self, experiment: str, manifest: str) -> str | None:
        wanted = f"tags.`zhiku.manifest` = '{manifest}' and attributes.status = 'FINISHED'"
        found = self._post("runs/search", {"experiment_ids": [experiment], "filter": wanted, "max_results": 1})
        runs: list[dict[str, Any]] = found.get("runs", [])
        return str(runs[0]["info"]["run_id"]) if runs else None

    def _create(self, experiment: str, folder: RunFolder, result: Result) -> str:
        recipe = RECIPE.validate_json(folder.recipe.read_bytes())
        ended = int(folder.result_file.stat().st_mtime * 1000)
        began = ended - int(result.seconds * 1000)
        tags = {
            "zhiku.manifest": result.manifest,
            "zhiku.weights": result.digest,
            "zhiku.dataset": json.loads(folder.manifest.read_bytes())["dataset"],
        }
        new = {"experiment_id": experiment, "run_name": recipe.name, "start_time": began, "tags": _pairs(tags)}
        run_id = str(self._post("runs/create", new)["run"]["info"]["run_id"])
        said = recipe.model_dump(mode="json", exclude=_PATHS)
        self._post("runs/log-batch", {"run_id": run_id, "params": _pairs(said)})
        metrics = _metrics(folder, result, began)
        while some := list(islice(metrics, _AT_ONCE)):
            self._post("runs/log-batch", {"run_id": run_id, "metrics": some})
        self._post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": ended})
        return run_id

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self._http.post(f"/api/2.0/mlflow/{path}", json=body)
        response.raise_for_status()
        said: dict[str, Any] = response.json()
        return said


def open_mlflow(url: str, token: str | None) -> Mlflow:
    """The server at an address, with its bearer token if it asks for one."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return Mlflow(httpx2.Client(base_url=url, headers=headers, timeout=20))


def _pairs(said: dict[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in said.items()]


def _metrics(folder: RunFolder, result: Result, began: int) -> Iterator[dict[str, Any]]:
    for event in folder.events():
        if event.kind == "step" and event.step is not None:
            at = began + int(event.at * 1000)
            for key, value in (("loss", event.loss), ("reward", event.reward)):
                if value is not None:
                    yield {"key": key, "value": value, "timestamp": at, "step": event.step}
    ended = began + int(result.seconds * 1000)
    last = {"peak_bytes": float(result.peak_bytes), "trained_parameters": float(result.trained_parameters)}
    if result.held_out is not None:
        yield {"key": "held_out", "value": result.held_out.before, "timestamp": began, "step": 0}
        last["held_out"] = result.held_out.after
    for key, value in last.items():
        yield {"key": key, "value": value, "timestamp": ended, "step": result.steps}
