"""The tokenizer of the converted embedding model."""

import pytest
from tokenizers import Tokenizer

from zhiku_services.inference.catalogue import ResolvedModel


@pytest.fixture(scope="module")
def tokenizer(embedding_model: ResolvedModel) -> Tokenizer:
    return Tokenizer.from_file(str(embedding_model.folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("１２３ＡＢＣ", "123ABC"),
        ("9～12天", "9～12天"),
        ("年\u200b假", "年 假"),
        ("a\x01b\x7f", "ab"),
        ("one\t\n  two", "one two"),
        ("①", "1"),
    ],
)
def test_text_is_normalised_as_the_model_was_trained(tokenizer: Tokenizer, written: str, read: str) -> None:
    assert tokenizer.normalizer is not None
    assert tokenizer.normalizer.normalize_str(written) == read


def test_a_text_is_framed_by_the_ids_of_xlm_roberta(tokenizer: Tokenizer) -> None:
    # Ids of the published vocabulary: <s> 0, </s> 2, "▁Hello" 35378, "▁world" 8999.
    assert tokenizer.encode("Hello world").ids == [0, 35378, 8999, 2]
