"""A tokenizer of a few hundred tokens with a chat template, and a model of two small layers: real ones, in no time."""

import json
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


@pytest.fixture(scope="session")
def engine_base(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """The same model as a GGUF file, as the embedded engine serves it."""
    import gguf

    from zhiku_services.finetune.gguf_files import write_model

    folder = tmp_path_factory.mktemp("engine")
    sizes = json.loads((base / "config.json").read_bytes())
    words = json.loads((base / "tokenizer.json").read_bytes())
    special = {each["id"]: each["content"] for each in words["added_tokens"]}
    ids = {**{place: word for word, place in words["model"]["vocab"].items()}, **special}
    end = next(place for place, word in special.items() if word == "<|im_end|>")
    writer = gguf.GGUFWriter(folder / "head.gguf", "llama")
    writer.add_block_count(sizes["num_hidden_layers"])
    writer.add_context_length(sizes["max_position_embeddings"])
    writer.add_embedding_length(sizes["hidden_size"])
    writer.add_feed_forward_length(sizes["intermediate_size"])
    writer.add_head_count(sizes["num_attention_heads"])
    writer.add_head_count_kv(sizes["num_key_value_heads"])
    writer.add_rope_freq_base(sizes["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(sizes["rms_norm_eps"])
    writer.add_vocab_size(len(ids))
    writer.add_rope_dimension_count(sizes["hidden_size"] // sizes["num_attention_heads"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([ids[place] for place in range(len(ids))])
    writer.add_token_types([3 if place in special else 1 for place in range(len(ids))])
    writer.add_token_merges([" ".join(each) for each in words["model"]["merges"]])
    writer.add_eos_token_id(end)
    writer.add_bos_token_id(end)
    writer.add_pad_token_id(end)
    writer.add_add_bos_token(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    write_model(base, folder / "head.gguf", folder / "model.gguf", "float32")
    return folder / "model.gguf"
