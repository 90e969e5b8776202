"""Bottleneck adapters (arXiv 2005.00247): two small layers after each feed-forward block, all else unchanged.

The `adapters` package wants transformers 4, so they are here.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

WEIGHTS, CONFIGURATION = "adapter.safetensors", "adapter_config.json"
_NAME = "bottleneck"


class Bottleneck(nn.Module):
    """Adds to what passes what `width` numbers can say of it; nothing, before it has learnt."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.down = nn.Linear(size, width)
        self.up = nn.Linear(width, size)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = self.up(nn.functional.gelu(self.down(hidden.to(self.down.weight.dtype))))
        return hidden + added.to(hidden.dtype)


def insert(model: Any, width: int) -> None:
    """Put an adapter after each feed-forward block of a decoder, and hold all else as it is."""
    model.requires_grad_(requires_grad=False)
    for layer in model.get_decoder().layers:
        layer.mlp.add_module(_NAME, Bottleneck(model.config.hidden_size, width).to(model.device))
        layer.mlp.register_forward_hook(_pass_through)


def _pass_through(block: Any, _given: Any, hidden: torch.Tensor) -> torch.Tensor:
    passed: torch.Tensor = getattr(block, _NAME)(hidden)
    return passed


def save(model: Any, folder: Path, width: int) -> None:
    """Write the adapters alone."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {name: value.contiguous().cpu() for name, value in model.state_dict().items() if f".{_NAME}." in name}
    save_file(own, folder / WEIGHTS)
    (folder / CONFIGURATION).write_text(json.dumps({"kind": _NAME, "width": width}), "utf-8")


def load(model: Any, folder: Path) -> None:
    """Put saved adapters into the base that they were trained on."""
    insert(model, json.loads((folder / CONFIGURATION).read_bytes())["width"])
    missing = model.load_state_dict(load_file(folder / WEIGHTS), strict=False)
    if missing.unexpected_keys:
        raise ValueError(f"the adapters in `{folder}` are of another base")
