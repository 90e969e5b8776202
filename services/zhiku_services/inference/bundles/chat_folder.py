"""The bundled chat model as a Hugging Face folder, which trainers load: what the engine serves, dequantised.

What is trained is what is served, then, but for the rounding of the engine's own arithmetic.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from zhiku_services.inference.catalogue import CHAT, resolve_bundle, verify

_REVISION = 1
"""Counts what our conversion writes, so that a folder of an older Zhiku is written anew."""

_SHA256 = {
    "model.safetensors": "071bc42be0477ee043cd4512656a29f20a287204485e17fc6a413a6a6c9c6434",
    "tokenizer.json": "e9f1b9eb29e5f4fc508736f874cc7d1321834fb5610e169fb1acae231472321b",
}

_OURS = ("_name_or_path", "quantization_config")
_LOCAL = ("is_local", "local_files_only", "backend")


def chat_folder(models_folder: Path) -> Path:
    """The bundled chat model's folder for training; written at the first call, which takes half a minute.

    Raises:
        ModelMissingError: the bundle was not fetched.
        ModelCorruptError: it, or what was written of it, is not what we pinned.
    """
    folder = models_folder / f"{CHAT.folder(models_folder).name}-hf{_REVISION}"
    if not folder.is_dir():
        source = resolve_bundle(CHAT, models_folder).folder / "model.gguf"
        partial = Path(tempfile.mkdtemp(prefix="incoming-", dir=models_folder))
        try:
            write_folder(source, partial)
            partial.chmod(0o755)
            partial.rename(folder)
        except OSError:
            # Somebody else was faster.
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    for name, expected in _SHA256.items():
        verify(folder / name, expected)
    return folder


def write_folder(source: Path, folder: Path) -> None:
    """Write a GGUF file as a plain folder of float32 weights, tokenizer and chat template."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

    settings_of: Any = GenerationConfig
    tokenizer: Any = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    # The loader leaves out that the model's tokenizer takes each digit apart.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )
    model: Any = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    # A plain dense model from here on: a server would otherwise look for quantised weights.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer, model.is_quantized = None, False
    end = tokenizer.eos_token_id
    model.generation_config = settings_of(bos_token_id=tokenizer.bos_token_id, eos_token_id=end, pad_token_id=end)
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(folder)
    # safetensors writes for the owner alone; a job may run as another user.
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    _without(folder / "config.json", _OURS)
    _without(folder / "tokenizer_config.json", _LOCAL, tokenizer_class="PreTrainedTokenizerFast")


def _without(path: Path, names: tuple[str, ...], **more: str) -> None:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    kept = {name: value for name, value in content.items() if name not in names}
    path.write_text(json.dumps({**kept, **more}, indent=1) + "\n", "utf-8")
