"""Write an E5S1 container as a sentence-transformers folder that any tool of that family can load."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from zhiku_services.inference.bundles.e5_container import E5Container, Float32, Shape, Vocabulary
from zhiku_services.inference.bundles.e5_graph import write_graph
from zhiku_services.inference.graph import ONNX_INT8

WEIGHTS = "model.safetensors"
MAX_TOKENS = 512
_FULLWIDTH_TILDE = "\uff5e"
_TILDE_KEEPER = "\U000f0000"
_DROPPED = r"[\x01-\x08\x0b\x0e-\x1f\x7f\x{8f}\x{9f}]"
_SPACES = r"[\t\n\f\r\x{1680}\x{200b}-\x{200f}\x{2028}\x{2029}\x{2581}\x{feff}\x{fffd}]"


def write_folder(container: E5Container, folder: Path) -> None:
    """Fill `folder`: float32 weights, the 8-bit graph, tokenizer and module list.

    The same container gives the same weights and graph, byte for byte.
    """
    save_file(_tensors(container), folder / WEIGHTS, metadata={"format": "pt"})
    # safetensors writes for the owner alone; a service may run as another user than the one who fetched.
    (folder / WEIGHTS).chmod(0o644)
    write_graph(container, folder / ONNX_INT8)
    tokenizer(container.vocabulary).save(str(folder / "tokenizer.json"))
    files: Mapping[str, object] = {
        "config.json": _config(container.shape),
        "tokenizer_config.json": _tokenizer_config(container.vocabulary),
        "modules.json": _MODULES,
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {"query": "query: ", "passage": "passage: "}},
        "1_Pooling/config.json": {"embedding_dimension": container.shape.hidden, "pooling_mode": "mean"},
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer of XLM-RoBERTa, which the model was trained with.

    SentencePiece's `nmt_nfkc` rules differ from plain NFKC, as a comparison of the container's character map
    with NFKC over all of Unicode shows: some control characters vanish, some separators become spaces, and
    the fullwidth tilde, frequent in Chinese ranges, stays. Rare letters newer than the rules are left as is.
    """
    built = Tokenizer(models.Unigram(vocabulary.pieces, unk_id=vocabulary.unk))
    built.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(_DROPPED), ""),
            normalizers.Replace(Regex(_SPACES), " "),
            normalizers.Replace(_FULLWIDTH_TILDE, _TILDE_KEEPER),
            normalizers.NFKC(),
            normalizers.Replace(_TILDE_KEEPER, _FULLWIDTH_TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    built.pre_tokenizer = pre_tokenizers.Metaspace()
    built.decoder = decoders.Metaspace()
    bos, eos = vocabulary.token(vocabulary.bos), vocabulary.token(vocabulary.eos)
    built.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, vocabulary.bos), (eos, vocabulary.eos)],
    )
    built.add_special_tokens([vocabulary.token(i) for i in (vocabulary.bos, vocabulary.pad, vocabulary.eos)])
    return built


def _tensors(container: E5Container) -> dict[str, Float32]:
    shape = container.shape
    tensors = {
        "embeddings.word_embeddings.weight": container.matrix("emb.word", shape.vocabulary, shape.hidden),
        "embeddings.position_embeddings.weight": container.vector("emb.pos", shape.positions, shape.hidden),
        "embeddings.token_type_embeddings.weight": container.vector("emb.type", shape.token_types, shape.hidden),
        "embeddings.LayerNorm.weight": container.vector("emb.ln.w", shape.hidden),
        "embeddings.LayerNorm.bias": container.vector("emb.ln.b", shape.hidden),
    }
    for layer in range(shape.layers):
        tensors |= _layer_tensors(container, layer)
    return tensors


def _layer_tensors(container: E5Container, layer: int) -> dict[str, Float32]:
    hidden, wide = container.shape.hidden, container.shape.feed_forward
    linear = {
        "q": ("attention.self.query", hidden, hidden),
        "k": ("attention.self.key", hidden, hidden),
        "v": ("attention.self.value", hidden, hidden),
        "ao": ("attention.output.dense", hidden, hidden),
        "fi": ("intermediate.dense", wide, hidden),
        "fo": ("output.dense", hidden, wide),
    }
    norms = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
    tensors: dict[str, Float32] = {}
    for short, (name, rows, columns) in linear.items():
        tensors[f"encoder.layer.{layer}.{name}.weight"] = container.matrix(f"l{layer}.{short}.w", rows, columns)
        tensors[f"encoder.layer.{layer}.{name}.bias"] = container.vector(f"l{layer}.{short}.b", rows)
    for short, name in norms.items():
        tensors[f"encoder.layer.{layer}.{name}.weight"] = container.vector(f"l{layer}.{short}.w", hidden)
        tensors[f"encoder.layer.{layer}.{name}.bias"] = container.vector(f"l{layer}.{short}.b", hidden)
    return tensors


def _config(shape: Shape) -> dict[str, object]:
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.token_types,
        "layer_norm_eps": shape.epsilon,
        "hidden_act": "gelu",
        "pad_token_id": 0,
        "dtype": "float32",
    }


def _tokenizer_config(vocabulary: Vocabulary) -> dict[str, object]:
    bos, eos = vocabulary.token(vocabulary.bos), vocabulary.token(vocabulary.eos)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_TOKENS,
        "bos_token": bos,
        "cls_token": bos,
        "eos_token": eos,
        "sep_token": eos,
        "pad_token": vocabulary.token(vocabulary.pad),
        "unk_token": vocabulary.token(vocabulary.unk),
    }


_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]
