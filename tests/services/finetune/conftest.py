"""A tokenizer of a few hundred tokens with a chat template, and a model of two small layers: real ones, in no time."""

from pathlib import Path
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


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, raw_tokenizer: Tokenizer) -> Path:
    """A Llama of two layers with weights of chance, as a folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    build: Any = PreTrainedTokenizerFast
    end = "<|im_end|>"
    tokenizer = build(tokenizer_object=raw_tokenizer, eos_token=end, pad_token=end, chat_template=CHATML)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    size = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(size).save_pretrained(folder)
    return folder
