"""Datasets and runs as a service: who may, what is queued, and what a worker makes of it, also after it was lost."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.db import Database, utc_now
from zhiku_platform.settings import Settings
from zhiku_platform.testing.servers import postgres_database, postgres_url
from zhiku_services.finetune.app import MIGRATIONS, FinetuneService, open_database
from zhiku_services.finetune.models import AUDIT_OUTBOX, Base, RunRow
from zhiku_services.finetune.runs import RunFolder

from .others import Read, Said

__all__ = ["postgres_database", "postgres_url"]

ENGINEER = frozenset({Role.EMPLOYEE, Role.ML_ENGINEER})
LIN = Principal(sub="lin", tenant="acme", roles=ENGINEER)
STRANGER = Principal(sub="olga", tenant="other", roles=ENGINEER)
ZHAO = Principal(sub="zhao", tenant="acme", roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN}))

PLACES = ("canteen", "library", "garage", "roof", "lobby", "archive", "studio", "garden", "kiosk", "mailroom")
LINES = [
    {"question": f"When does the {place} open on day {n}?", "answer": f"The {place} opens at {n + 6} on that day."}
    for place in PLACES
    for n in range(3)
]
UPLOAD = "\n".join(map(json.dumps, LINES)).encode()
RECIPE = {
    "name": "hours", "method": "lora", "rank": 4, "max_steps": 6, "batch": 2, "accumulation": 1, "max_tokens": 128,
    "checkpoint_every": 2, "held_out": 0.2, "learning_rate": 1e-2, "precision": "float32",
}  # fmt: skip


@dataclass
class Finetune:
    """One service whose worker has not begun."""

    service: FinetuneService
    database: Database
    http: TestClient
    signer: PrincipalSigner
    home: Path

    def call(self, method: str, path: str, who: Principal = LIN, **more: Any) -> httpx2.Response:
        headers = {PRINCIPAL_HEADER: self.signer.sign(who)}
        response: httpx2.Response = self.http.request(method, f"/api/v1{path}", headers=headers, **more)
        return response

    def upload(self, content: bytes = UPLOAD) -> dict[str, Any]:
        response = self.call("POST", "/training-examples/uploads?name=hours&licence=MIT", content=content)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    def start(self, **recipe: Any) -> str:
        body = {"dataset_id": self.upload()["id"], "recipe": {**RECIPE, **recipe}}
        response = self.call("POST", "/training-runs", json=body)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.call("GET", f"/training-runs/{run_id}").json()
        return shown

    def actions(self) -> list[str]:
        with self.database.read() as session:
            return list(
                session.connection().execute(select(AUDIT_OUTBOX.c.action).order_by(AUDIT_OUTBOX.c.seq)).scalars()
            )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def finetune(request: pytest.FixtureRequest, tmp_path: Path, base: Path) -> Iterator[Finetune]:
    """On both engines."""
    settings = Settings(home=tmp_path)
    if request.param == "sqlite":
        database = open_database(settings)
    else:
        database = Database("finetune", request.getfixturevalue("postgres_database"), Base.metadata)
        database.migrate(MIGRATIONS)
    service = FinetuneService(settings, database=database, base=lambda: base, feedback=Said(), documents=Read())
    signer = PrincipalSigner(settings.secret_key.get_secret_value())
    with TestClient(service.app) as http:
        yield Finetune(service, database, http, signer, tmp_path)
    database.close()


def test_an_upload_is_cleaned_and_frozen(finetune: Finetune) -> None:
    secret = {"question": "Where is the key?", "answer": "AKIAIOSFODNN7EXAMPLE"}
    made = finetune.upload(
        UPLOAD + b"\n" + json.dumps(LINES[0]).encode() + b"\nno json\n" + json.dumps(secret).encode()
    )
    assert (made["examples"], made["card"]["not_read"]) == (30, 1)
    assert made["card"]["left_out"] == {"duplicate": 1, "secret": 1}
    assert made["card"]["licences"] == {"MIT": 30}
    assert (finetune.home / "finetune" / "datasets" / made["root"] / "examples.jsonl").is_file()
    assert finetune.call("GET", "/training-datasets").json()["items"] == [made]
    assert finetune.call("GET", f"/training-datasets/{made['id']}").json() == made
    assert finetune.actions() == ["training_dataset.frozen"]
    refused = finetune.call("POST", "/training-examples/uploads?name=x", content=b"what is this?")
    assert refused.status_code == 422


def test_each_method_says_what_it_may_be_told(finetune: Finetune) -> None:
    methods = {each["method"]: each for each in finetune.call("GET", "/training-methods").json()}
    lora = methods["lora"]
    assert {"name", "rank", "learning_rate"} < lora["parameters"]["properties"].keys()
    assert not {"base", "dataset", "method"} & lora["parameters"]["properties"].keys()
    assert (lora["learns_from"], methods["rloo"]["learns_from"]) == ([], ["reward"])
    assert methods["reward"]["served_on"] == []
    defaults = {name: field["default"] for name, field in lora["parameters"]["properties"].items() if name != "name"}
    body = {"dataset_id": finetune.upload()["id"], "recipe": {"method": "lora", "name": "plain", **defaults}}
    assert finetune.call("POST", "/training-runs", json=body).status_code == 202


def test_another_tenant_and_another_role_see_nothing(finetune: Finetune) -> None:
    run_id = finetune.start()
    dataset_id = finetune.run(run_id)["dataset_id"]
    for path in (f"/training-runs/{run_id}", f"/training-runs/{run_id}/events", f"/training-datasets/{dataset_id}"):
        assert finetune.call("GET", path, STRANGER).status_code == 404
        assert finetune.call("GET", path, ZHAO).status_code == 403
    assert finetune.call("POST", f"/training-runs/{run_id}/cancel", STRANGER).status_code == 404
    assert finetune.call("GET", "/training-runs", STRANGER).json()["items"] == []
    body = {"dataset_id": dataset_id, "recipe": RECIPE}
    assert finetune.call("POST", "/training-runs", STRANGER, json=body).status_code == 404
    assert finetune.call("POST", "/training-examples/uploads?name=x", ZHAO, content=UPLOAD).status_code == 403


@pytest.mark.parametrize(
    ("recipe", "from_run", "code"),
    [
        ({"base": "/etc"}, None, "bad_recipe"),
        ({"dataset": "/etc"}, None, "bad_recipe"),
        ({"method": "gkd", "teacher": "/etc"}, None, "bad_recipe"),
        ({"method": "gkd"}, None, "bad_recipe"),
        ({"held_out": 0}, None, "bad_recipe"),
        ({"rank": "many"}, None, "bad_recipe"),
        ({}, "trn_1", "bad_recipe"),
    ],
)
def test_a_recipe_says_only_what_is_its_to_say(
    finetune: Finetune, recipe: dict[str, Any], from_run: str | None, code: str
) -> None:
    body = {"dataset_id": finetune.upload()["id"], "recipe": {**RECIPE, **recipe}, "from_run": from_run}
    refused = finetune.call("POST", "/training-runs", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert "/etc" not in refused.text


def test_a_run_is_learnt_from_only_when_it_has_something_to_teach(finetune: Finetune) -> None:
    waiting = finetune.start()
    body = {"dataset_id": finetune.run(waiting)["dataset_id"], "recipe": {**RECIPE, "method": "gkd"}}
    refused = finetune.call("POST", "/training-runs", json={**body, "from_run": waiting})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_ready")
    assert finetune.call("POST", "/training-runs", json={**body, "from_run": "trn_1"}).status_code == 404


def test_a_waiting_run_is_cancelled_at_once(finetune: Finetune) -> None:
    run_id = finetune.start()
    assert finetune.call("POST", f"/training-runs/{run_id}/cancel").json()["state"] == "cancelled"
    assert finetune.call("POST", f"/training-runs/{run_id}/cancel").json()["code"] == "run_ended"
    assert finetune.service.worker.train_next() is False
    assert finetune.actions()[1:] == ["training_run.queued", "training_run.cancelled"]


def test_a_run_that_was_lost_too_often_fails(finetune: Finetune) -> None:
    run_id = finetune.start()
    with finetune.database.write() as session:
        row = session.get_one(RunRow, run_id)
        row.state, row.attempt, row.lease_until = "running", 3, utc_now() - timedelta(seconds=1)
    assert finetune.service.worker.train_next() is False
    shown = finetune.run(run_id)
    assert (shown["state"], shown["result"]) == ("failed", None)
    assert "lost too often" in shown["problem"]
    assert finetune.actions()[-1] == "training_run.ended"


@pytest.mark.slow
@pytest.mark.parametrize("finetune", ["sqlite"], indirect=True)
def test_a_run_is_trained_and_taught_from(finetune: Finetune) -> None:
    run_id = finetune.start()
    assert finetune.service.worker.train_next()
    shown = finetune.run(run_id)
    assert (shown["state"], shown["step"], shown["steps"], shown["attempt"]) == ("done", 6, 6, 1)
    assert shown["result"]["held_out"]["after"] < shown["result"]["held_out"]["before"]
    events = finetune.call("GET", f"/training-runs/{run_id}/events").json()
    assert [event["kind"] for event in events][-1] == "done"
    assert finetune.call("GET", f"/training-runs/{run_id}/events?after={len(events) - 1}").json() == events[-1:]
    assert finetune.actions()[-1] == "training_run.ended"

    recipe = {**RECIPE, "method": "gkd", "own_share": 0.0, "max_steps": 2}
    body = {"dataset_id": shown["dataset_id"], "recipe": recipe, "from_run": run_id}
    taught = finetune.call("POST", "/training-runs", json=body).json()["id"]
    assert finetune.service.worker.train_next()
    assert finetune.run(taught)["state"] == "done", finetune.run(taught)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("finetune", ["postgres"], indirect=True)
def test_a_run_goes_on_where_a_stopped_worker_left_it_and_ends_when_asked(finetune: Finetune) -> None:
    run_id = finetune.start(max_steps=4000, checkpoint_every=4000)
    folder = RunFolder(finetune.home / "finetune" / "runs" / run_id)
    finetune.service.worker.start()
    wait_until(lambda: any(event.kind == "step" for event in folder.events()))
    finetune.service.stop()
    left = finetune.run(run_id)
    assert (left["state"], left["attempt"]) == ("queued", 0)
    checkpoint = folder.last_checkpoint()
    assert checkpoint is not None
    done = int(checkpoint.name.rsplit("-", 1)[1])

    again = FinetuneService(
        Settings(home=finetune.home),
        database=finetune.database,
        base=finetune.service.worker.base,
        feedback=Said(),
        documents=Read(),
    )
    again.start()
    wait_until(lambda: finetune.run(run_id)["step"] > done)
    assert finetune.call("POST", f"/training-runs/{run_id}/cancel").json()["state"] == "cancelling"
    wait_until(lambda: finetune.run(run_id)["state"] == "cancelled")
    again.stop()
    steps = [event.step for event in folder.events() if event.kind == "step"]
    assert len(steps) == len({*steps})
