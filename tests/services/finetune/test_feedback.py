"""Datasets of what users said: with consent, and never for an audience that may not read the sources."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner
from zhiku_platform.contracts.assistant import LearnableAnswer, Rating
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.settings import Settings
from zhiku_services.finetune.app import FinetuneService, open_database
from zhiku_services.finetune.datasets.leaks import Detectors
from zhiku_services.finetune.feedback import readable_by_all

from .others import Read, Said
from .test_service import LIN, STRANGER, ZHAO

PLACES = ("canteen", "library", "garage", "roof", "lobby")


def said(n: int, *documents: str, rating: Rating = Rating.UP, **more: Any) -> LearnableAnswer:
    place = PLACES[n % len(PLACES)]
    given = {
        "answer_id": f"ans_{n}", "asked_by": "chen", "question": f"When does the {place} open on day {n}?",
        "answer": f"The {place} opens at {n + 6} on that day.", "rating": rating, "correction": "",
        "document_ids": list(documents), "receipt_sha256": "0" * 64,
    }  # fmt: skip
    return LearnableAnswer.model_validate({**given, **more})


class NoNames(Detectors):
    """Looks for secrets; the models that find names are tried elsewhere."""

    def hold_personal(self, texts: Any) -> list[bool]:
        return ["@" in text for text in texts]


class World:
    """One service, what users said, and who may read what."""

    def __init__(self, home: Path) -> None:
        settings = Settings(home=home)
        self.database = open_database(settings)
        self.said, self.read = Said(), Read()
        self.home = home
        self.signer = PrincipalSigner(settings.secret_key.get_secret_value())
        service = FinetuneService(
            settings, database=self.database, base=lambda: home, feedback=self.said, documents=self.read,
            leaks=NoNames(),
        )  # fmt: skip
        self.http = TestClient(service.app)

    def freeze(self, *audience: str, who: Principal = LIN) -> httpx2.Response:
        headers = {PRINCIPAL_HEADER: self.signer.sign(who)}
        body = {"name": "said", "audience": list(audience)}
        response: httpx2.Response = self.http.post(
            "/api/v1/training-examples/from-feedback", json=body, headers=headers
        )
        return response

    def start(self, dataset_id: str) -> httpx2.Response:
        headers = {PRINCIPAL_HEADER: self.signer.sign(LIN)}
        body = {"dataset_id": dataset_id, "recipe": {"name": "said", "method": "lora"}}
        response: httpx2.Response = self.http.post("/api/v1/training-runs", json=body, headers=headers)
        return response

    def examples(self, made: dict[str, Any]) -> list[dict[str, Any]]:
        lines = (self.home / "finetune" / "datasets" / made["root"] / "examples.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.database.close()


def test_what_was_liked_corrected_and_disliked_becomes_examples(world: World) -> None:
    world.read.readers = {"d1": {"everyone"}}
    correction = "The garage opens at noon on that day, and not before."
    world.said.answers["acme"] = [
        said(0, "d1"),
        said(1, "d1", rating=Rating.DOWN),
        said(2, "d1", rating=Rating.DOWN, correction=correction),
    ]
    response = world.freeze("everyone")
    assert response.status_code == 201, response.text
    made = response.json()
    assert (made["examples"], made["audience"]) == (3, ["everyone"])
    assert made["card"]["origins"] == {"feedback": 2, "correction": 1}
    liked, disliked, corrected = world.examples(made)
    assert (liked["is_good"], disliked["is_good"], corrected["is_good"]) == (True, False, True)
    assert corrected["messages"][-1]["content"] == correction
    assert corrected["rejected"]["content"] == "The garage opens at 8 on that day."
    where = corrected["provenance"]
    assert (where["answer_id"], where["documents"], where["author"], where["has_consent"]) == (
        "ans_2", ["d1"], "chen", True,
    )  # fmt: skip


def test_what_part_of_the_audience_may_not_read_is_not_learnt(world: World) -> None:
    world.read.readers = {
        "all": {"everyone"},
        "both": {"group:hr", "group:finance"},
        "hr": {"group:hr"},
        "chen": {"user:chen"},
    }
    world.said.answers["acme"] = [
        said(0, "all"), said(1, "both"), said(2, "hr"), said(3, "all", "hr"), said(4, "chen"), said(5, "gone"),
    ]  # fmt: skip

    def learnt(*audience: str) -> set[str]:
        return {each["provenance"]["answer_id"] for each in world.examples(world.freeze(*audience).json())}

    assert learnt("everyone") == {"ans_0"}
    assert learnt("group:hr", "group:finance") == {"ans_0", "ans_1"}
    assert learnt("group:hr") == {"ans_0", "ans_1", "ans_2", "ans_3"}
    # Who asked may read it, and whoever else would be answered may not.
    assert learnt("user:chen", "group:hr") == {"ans_0"}
    left_out = world.freeze("everyone").json()["card"]["left_out"]
    assert left_out == {"audience": 5}


def take_back(world: World) -> None:
    del world.said.answers["acme"][0]


def narrow(world: World) -> None:
    world.read.readers["d1"] = {"group:hr"}


@pytest.mark.parametrize("change", [take_back, narrow])
def test_a_run_learns_nothing_that_may_not_be_learnt_any_more(world: World, change: Callable[[World], None]) -> None:
    world.read.readers = {"d1": {"everyone"}}
    world.said.answers["acme"] = [said(n, "d1") for n in range(3)]
    made = world.freeze("everyone").json()
    assert world.start(made["id"]).status_code == 202
    change(world)
    refused = world.start(made["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "no_longer_learnable")


def test_an_audience_that_may_read_nothing_gets_no_dataset(world: World) -> None:
    world.said.answers["acme"] = [said(0, "secret")]
    refused = world.freeze("everyone")
    assert (refused.status_code, refused.json()["code"]) == (422, "empty_dataset")
    assert "1 audience" in refused.json()["detail"]


def test_secrets_and_personal_data_are_left_out(world: World) -> None:
    world.read.readers = {"d1": {"everyone"}}
    world.said.answers["acme"] = [
        said(0, "d1"),
        said(1, "d1", question="What is the token for the library door?", answer="It is AKIAIOSFODNN7EXAMPLE."),
        said(2, "d1", question="Whom do I write to about the roof?", answer="Write to someone@example.com at once."),
        said(3, "d1", rating=Rating.DOWN, answer="Ask someone@example.com about it.", correction="Ask at the desk."),
    ]
    made = world.freeze("everyone").json()
    assert made["card"]["left_out"] == {"personal": 2, "secret": 1}
    assert made["examples"] == 1


def test_nobody_learns_from_another_tenant_or_without_the_permission(world: World) -> None:
    world.read.readers = {"d1": {"everyone"}}
    world.said.answers["acme"] = [said(0, "d1")]
    assert world.freeze("everyone", who=STRANGER).status_code == 422
    assert world.freeze("everyone", who=ZHAO).status_code == 403


@pytest.mark.parametrize("audience", [[], ["hr"], ["group:"], ["group:a\nb"], ["everyone"] * 51])
def test_an_audience_that_is_none_is_refused(world: World, audience: list[str]) -> None:
    assert world.freeze(*audience).status_code == 422


def test_more_documents_than_are_asked_for_at_once_are_all_asked_for() -> None:
    names = [f"d{n}" for n in range(1201)]
    read = Read({name: {"everyone"} for name in names[:-1]})
    assert readable_by_all(["everyone", "group:hr"], "acme", names, read) == set(names[:-1])


@pytest.mark.slow
def test_the_platforms_recognisers_find_names_in_both_languages() -> None:
    texts = [
        "请联系王小明，他负责年假审批。",
        "Please ask John Smith about the leave.",
        "Leave is ten days a year.",
        "年假有十天。",
    ]
    assert Detectors().hold_personal(texts) == [True, True, False, False]
