"""Token counts without the model."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from zhiku_platform.text.tokens import TokenCounter


@pytest.fixture
def counter(tmp_path: Path) -> TokenCounter:
    """A tokenizer that knows words apart by spaces, with a limit that a counter must not obey."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "paid": 1, "leave": 2, "年假": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_truncation(2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return TokenCounter(tmp_path)


def test_a_text_longer_than_the_model_reads_is_counted_whole(counter: TokenCounter) -> None:
    assert counter.count("paid leave " * 50) == 100


def test_texts_are_counted_in_their_order_without_padding(counter: TokenCounter) -> None:
    assert counter.count_all(["paid", "", "paid leave 年假"]) == [1, 0, 3]


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TokenCounter(tmp_path)
