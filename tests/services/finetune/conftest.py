"""A tokenizer of a few hundred tokens with a chat template: what a real one does, in no time."""

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def raw_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>", "<|pad|>", "<s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["How long is a sabbatical? Six weeks.", "年假有几天？十天。"] * 10, trainer)
    return tokenizer


@pytest.fixture
def tokenizer(raw_tokenizer: Tokenizer) -> Any:
    build: Any = PreTrainedTokenizerFast
    return build(
        tokenizer_object=raw_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        bos_token="<s>",
        chat_template=CHATML,
        additional_special_tokens=["<|im_start|>"],
    )
