"""A dataset that names a person goes where that was decided, with all that learned from it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner, service_principal
from zhiku_platform.contracts.erasure import EraseOrder, PersonSought
from zhiku_platform.contracts.finetune import TrainingState
from zhiku_platform.db import Database
from zhiku_platform.erasure import ErasureClient
from zhiku_platform.settings import Settings
from zhiku_services.finetune.app import FinetuneService, open_database
from zhiku_services.finetune.models import RunRow

from .others import Read, Said
from .test_service import LIN, LINES, RECIPE

DESK = service_principal("governance", "acme")
WHO = PersonSought(sub="lin", values=["林晓"])
NAMED = {"question": "Who waters the plants in the garden?", "answer": "林晓 waters them on Monday and on Friday."}


class World:
    """One service and its store."""

    def __init__(self, home: Path) -> None:
        settings = Settings(home=home)
        self.database: Database = open_database(settings)
        service = FinetuneService(
            settings, database=self.database, base=lambda: home, feedback=Said(), documents=Read()
        )
        self.http = TestClient(service.app)
        self.signer = PrincipalSigner(settings.secret_key.get_secret_value())
        self.store = ErasureClient("finetune", self.http, self.signer)
        self.folder = home / "finetune"

    def upload(self, *lines: dict[str, str]) -> dict[str, str]:
        content = "\n".join(json.dumps(line) for line in lines).encode()
        headers = {PRINCIPAL_HEADER: self.signer.sign(LIN)}
        response = self.http.post("/api/v1/training-examples/uploads?name=hours", content=content, headers=headers)
        assert response.status_code == 201, response.text
        made: dict[str, str] = response.json()
        return made

    def start(self, dataset_id: str) -> str:
        headers = {PRINCIPAL_HEADER: self.signer.sign(LIN)}
        body = {"dataset_id": dataset_id, "recipe": RECIPE}
        run_id: str = self.http.post("/api/v1/training-runs", json=body, headers=headers).json()["id"]
        (self.folder / "runs" / run_id).mkdir(parents=True)
        (self.folder / "runs" / run_id / "adapter").write_text("weights", encoding="utf-8")
        return run_id

    def erase(self, *decided: str) -> dict[str, int]:
        order = EraseOrder(sub=WHO.sub, values=WHO.values, erasure_id="era_1", decided=list(decided))
        return self.store.erase(DESK, order)

    def found(self) -> dict[str, list[str]]:
        return {each.kind: each.ids for each in self.store.find(DESK, WHO) if each.ids}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.http.close()
    world.database.close()


def test_a_dataset_goes_with_its_runs_and_adapters(world: World) -> None:
    named, other = world.upload(NAMED, *LINES), world.upload(*LINES)
    run, kept = world.start(named["id"]), world.start(other["id"])
    assert world.found() == {"training_dataset": [named["id"]], "training_run": [run]}
    assert world.erase() == {"training_dataset": 0, "training_run": 0, "doing": 4}
    assert world.erase(named["id"]) == {"training_dataset": 1, "training_run": 1, "doing": 0}
    assert world.store.find(DESK, WHO) == []
    assert not (world.folder / "datasets" / named["root"]).exists()
    assert not (world.folder / "runs" / run).exists()
    assert (world.folder / "datasets" / other["root"]).exists()
    assert (world.folder / "runs" / kept / "adapter").exists()


def test_the_bundles_of_a_run_go_with_it(world: World) -> None:
    named, other = world.upload(NAMED, *LINES), world.upload(*LINES)
    runs = {world.start(named["id"]): "1" * 64, world.start(other["id"]): "2" * 64}
    with world.database.write() as session:
        for row in session.exec(select(RunRow)).all():
            row.result = {"manifest": runs[row.id]}
            session.add(row)
    bundles = world.folder.parent / "bundles"
    for name, digest in (("of-the-run", "1" * 64), ("of-another", "2" * 64)):
        (bundles / name).mkdir(parents=True)
        said = json.dumps({"run": digest, "dataset": "3" * 64})
        (bundles / name / "bundle.json").write_text(said, encoding="utf-8")
    world.erase(named["id"])
    assert [path.name for path in bundles.iterdir()] == ["of-another"]


def test_what_somebody_wrote_is_theirs_although_it_names_nobody(world: World) -> None:
    upload = world.upload(*LINES)
    assert world.found() == {}
    examples = world.folder / "datasets" / upload["root"] / "examples.jsonl"
    lines = examples.read_text("utf-8").replace('"author":null', '"author":"lin"', 1)
    examples.write_text(lines, "utf-8")
    assert world.found() == {"training_dataset": [upload["id"]]}


def test_a_run_under_way_is_called_off_and_goes_the_next_time(world: World) -> None:
    dataset = world.upload(NAMED, *LINES)
    run = world.start(dataset["id"])
    with world.database.write() as session:
        row = session.exec(select(RunRow)).one()
        row.state = TrainingState.RUNNING
        session.add(row)
    assert world.erase(dataset["id"])["training_dataset"] == 0
    assert world.found() == {"training_dataset": [dataset["id"]], "training_run": [run]}
    with world.database.write() as session:
        row = session.exec(select(RunRow)).one()
        assert row.state == TrainingState.CANCELLING
        row.state = TrainingState.CANCELLED
        session.add(row)
    assert world.erase(dataset["id"])["training_dataset"] == 1
    assert world.found() == {}
