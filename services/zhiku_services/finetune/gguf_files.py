"""Writes what was trained in GGUF, the form of llama.cpp and so of the embedded engine.

Tokens, template and sizes are those of a GGUF file of the same base, so the engine reads a prompt after training as it
did before. The `gguf` package knows no architecture's layout but by name; Llama's is here, and others are refused.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Kind
from gguf import quants
from safetensors import safe_open

from zhiku_services.finetune.errors import NotExportableError

Dtype = Literal["float32", "float16", "q8_0"]
Values = npt.NDArray[np.float32]

DTYPES: Mapping[str, Dtype] = MappingProxyType({"float32": "float32", "float16": "float16", "q8_0": "q8_0"})

_KINDS = {
    "float32": (Kind.F32, gguf.LlamaFileType.ALL_F32),
    "float16": (Kind.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (Kind.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
_WRITTEN_BY_THE_WRITER = ("general.architecture", "general.file_type", "tokenizer.chat_template")
_PEFT_PREFIX = "base_model.model."


def write_model(folder: Path, like: Path, target: Path, dtype: Dtype) -> None:
    """Write a Hugging Face folder as one file; vectors stay in float32.

    Raises:
        NotExportableError: it is not of the architecture, the size or the tokens of `like`.
    """
    layout = _Layout(folder, like)
    writer = gguf.GGUFWriter(target, "llama")
    layout.copy_metadata(writer)
    writer.add_chat_template((folder / "chat_template.jinja").read_text("utf-8"))
    kind, file_type = _KINDS[dtype]
    writer.add_file_type(file_type)
    for name, values in _tensors(folder):
        if name == "lm_head.weight" and layout.ties_its_words:
            continue
        given = Kind.F32 if values.ndim == 1 else kind
        writer.add_tensor(
            f"{layout.name_of(name)}", quants.quantize(layout.permuted(name, values), given), raw_dtype=given
        )
    _write(writer)


def write_adapter(adapter: Path, base: Path, like: Path, target: Path) -> None:
    """Write a PEFT folder with a LoRA adapter as one file, in float32.

    Raises:
        NotExportableError: the base is not of the architecture, the size or the tokens of `like`.
    """
    layout = _Layout(base, like)
    configuration = json.loads((adapter / "adapter_config.json").read_bytes())
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(configuration["lora_alpha"]))
    for name, values in _tensors(adapter):
        weight, _, half = name.removeprefix(_PEFT_PREFIX).removesuffix(".weight").rpartition(".lora_")
        weight = f"{weight}.weight"
        # The rows of what comes out are in another order there; those in between are in none.
        moved = layout.permuted(weight, values) if half == "B" else values
        writer.add_tensor(f"{layout.name_of(weight)}.lora_{half.lower()}", moved, raw_dtype=Kind.F32)
    _write(writer)


class _Layout:
    """How the engine names and orders the weights of a base, whose GGUF file is `like`."""

    def __init__(self, folder: Path, like: Path) -> None:
        self._reader = gguf.GGUFReader(like)
        self._config: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
        self.ties_its_words = bool(self._config.get("tie_word_embeddings"))
        self._check(folder)
        self._names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, self._config["num_hidden_layers"])

    def _check(self, folder: Path) -> None:
        if self._config["model_type"] != "llama" or self._said("general.architecture") != "llama":
            raise NotExportableError(f"the architecture is `{self._config['model_type']}`, and only `llama` is known")
        sizes = {
            "llama.block_count": "num_hidden_layers",
            "llama.embedding_length": "hidden_size",
            "llama.feed_forward_length": "intermediate_size",
            "llama.attention.head_count": "num_attention_heads",
            "llama.attention.head_count_kv": "num_key_value_heads",
        }
        if any(self._said(theirs) != self._config[ours] for theirs, ours in sizes.items()):
            raise NotExportableError("the engine's file is of a model of another size")
        if self._said("tokenizer.ggml.tokens") != _tokens(folder):
            raise NotExportableError("the engine's file has other tokens")

    def _said(self, key: str) -> Any:
        entry = self._reader.fields.get(key)
        return None if entry is None else entry.contents()

    def copy_metadata(self, writer: gguf.GGUFWriter) -> None:
        for name, entry in self._reader.fields.items():
            if name.startswith("GGUF.") or name in _WRITTEN_BY_THE_WRITER:
                continue
            kind = entry.types[0]
            below = entry.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, entry.contents(), kind, sub_type=below)

    def name_of(self, name: str) -> str:
        found = self._names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise NotExportableError(f"the engine has no place for `{name}`")
        return found

    def permuted(self, name: str, values: Values) -> Values:
        """llama.cpp turns pairs of neighbours where Hugging Face turns halves of a head."""
        heads = {"q_proj.weight": "num_attention_heads", "k_proj.weight": "num_key_value_heads"}
        count = next((self._config[field] for ending, field in heads.items() if name.endswith(ending)), None)
        if count is None:
            return values
        rows = values.shape[0]
        return np.ascontiguousarray(
            values.reshape(count, 2, rows // count // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
        )


def _tokens(folder: Path) -> list[str]:
    """Every token in the order of its id."""
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    ids = {**tokenizer["model"]["vocab"], **{each["content"]: each["id"] for each in tokenizer["added_tokens"]}}
    return sorted(ids, key=ids.__getitem__)


def _tensors(folder: Path) -> Iterator[tuple[str, Values]]:
    opened: Any = safe_open
    for path in sorted(folder.glob("*.safetensors")):
        with opened(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                yield name, file.get_tensor(name).float().numpy()


def _write(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
