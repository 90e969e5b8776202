"""The embedding engines."""

from pathlib import Path

import numpy as np
import pytest

from zhiku_platform.contracts.inference import TextKind
from zhiku_services.inference.catalogue import ResolvedModel
from zhiku_services.inference.embedding import Backend, Embedder, choose_backend, load_embedder
from zhiku_services.inference.errors import ModelMissingError

PASSAGES = [
    "每位员工每年享有15天带薪年假，入职满一年后可申请。",
    "Travel expenses are reimbursed within ten days after receipts are handed in.",
    "差旅报销须在30天内提交发票。",
    "Every employee has 20 days of paid annual leave.",
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # OpenVINO traces the model through torch, which warns of its own API
@pytest.mark.parametrize("backend", [Backend.ONNX_INT8, Backend.OPENVINO])
def test_every_engine_gives_the_vectors_of_torch(embedding_model: ResolvedModel, backend: Backend) -> None:
    torch = load_embedder(embedding_model, backend=Backend.TORCH, threads=1)
    other = load_embedder(embedding_model, backend=backend, threads=1)
    expected = torch.embed(PASSAGES, TextKind.PASSAGE)
    found = other.embed(PASSAGES, TextKind.PASSAGE)
    cosines = (expected.vectors * found.vectors).sum(axis=1)
    # 8-bit activations cost up to .006 of cosine here; the other engines compute in float32.
    assert cosines.min() > (0.99 if backend is Backend.ONNX_INT8 else 0.9999)
    assert found.tokens == expected.tokens


def test_the_same_text_gets_another_vector_as_a_question(embedder: Embedder) -> None:
    question = embedder.embed(["年假有几天"], TextKind.QUERY).vectors[0]
    passage = embedder.embed(["年假有几天"], TextKind.PASSAGE).vectors[0]
    assert 0.8 < float(question @ passage) < 0.999


def test_a_vector_does_not_depend_on_its_neighbours(embedder: Embedder) -> None:
    alone = embedder.embed([PASSAGES[0]], TextKind.PASSAGE).vectors[0]
    among = embedder.embed([*PASSAGES[1:], "long " * 300, PASSAGES[0]], TextKind.PASSAGE).vectors[-1]
    np.testing.assert_array_equal(alone, among)


def test_the_nearest_passage_answers_the_question_in_either_language(embedder: Embedder) -> None:
    passages = embedder.embed(PASSAGES, TextKind.PASSAGE).vectors
    questions = ["年假有几天？", "When do I get my travel money back?", "How many days of leave do I have?"]
    nearest = (embedder.embed(questions, TextKind.QUERY).vectors @ passages.T).argmax(axis=1)
    assert nearest.tolist() == [0, 1, 3]


def test_what_lies_beyond_512_tokens_is_cut_off_and_not_counted(embedder: Embedder) -> None:
    head = "word " * 600
    done = embedder.embed([head + "tail one", head + "other end"], TextKind.PASSAGE)
    np.testing.assert_array_equal(done.vectors[0], done.vectors[1])
    # 512 less <s>, </s> and the three tokens of "passage: ".
    assert done.tokens == [507, 507]


def test_an_empty_text_has_a_vector_too(embedder: Embedder) -> None:
    done = embedder.embed([""], TextKind.PASSAGE)
    assert np.isfinite(done.vectors).all()
    assert done.tokens == [0]


def test_the_folder_decides_the_engine_unless_a_setting_does(embedding_model: ResolvedModel, tmp_path: Path) -> None:
    plain = ResolvedModel("plain", tmp_path, "local folder", None, {})
    assert choose_backend(embedding_model, "auto") is Backend.ONNX_INT8
    assert choose_backend(plain, "auto") is Backend.TORCH
    assert choose_backend(embedding_model, "torch") is Backend.TORCH


def test_a_folder_without_a_graph_names_the_engine_that_needs_none(tmp_path: Path) -> None:
    plain = ResolvedModel("plain", tmp_path, "local folder", None, {})
    with pytest.raises(ModelMissingError, match="ZHIKU_EMBEDDING_BACKEND=torch"):
        load_embedder(plain, backend=Backend.ONNX_INT8, threads=1)
