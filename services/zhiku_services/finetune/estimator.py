"""How much memory and time a training run takes, and how much room a server needs for what comes out of it.

Formulas of mixed-precision training with AdamW and gradient checkpointing; the tests hold them to LLaMA-Factory's
measured table. Bytes unless a name says otherwise; GB are 10^9.
"""

from dataclasses import dataclass
from enum import StrEnum

GB = 1e9
SAFETY = 1.12
"""The formulas without it are 8 to 14 % below what was measured at long contexts."""
_RUNTIME = 0.7 * GB
_NF4_BYTES = 0.516
"""4.127 bits a weight: four, and the doubly quantised scales."""
_FUSED_LOGITS, _LOGITS = 0, 10
_TOKENS_PER_S_7B = {"plain": 2392.0, "flash": 2954.0, "fused": 4007.0}
"""Tokens a second of one A100: LLaMA-Factory, LoRA on 7B, batch 4, 1,024 tokens."""


class Method(StrEnum):
    LORA = "lora"
    QLORA = "qlora"
    FULL = "full"
    FULL_BF16 = "full_bf16"
    FULL_8BIT_ADAM = "full_8bit_adam"
    PREFIX = "prefix"
    PROMPT = "prompt"
    BOTTLENECK = "bottleneck"


@dataclass(frozen=True)
class Architecture:
    """A decoder's size. `parameters` counts all, the embeddings with them."""

    name: str
    parameters: float
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    heads: int
    kv_heads: int
    has_tied_embeddings: bool = False

    @property
    def embeddings(self) -> float:
        """Parameters of the input and the output embedding."""
        return (1 if self.has_tied_embeddings else 2) * self.vocabulary * self.hidden

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    def lora_parameters(self, rank: int) -> float:
        """What LoRA on every linear layer trains."""
        kv = self.kv_heads * self.head_size
        attention = 2 * (self.hidden + self.hidden) + 2 * (self.hidden + kv)
        feed_forward = 3 * (self.hidden + self.intermediate)
        return float(self.layers * rank * (attention + feed_forward))


ARCHITECTURES = {
    each.name: each
    for each in (
        Architecture("smollm2-135m", 134.5e6, 30, 576, 1536, 49_152, 9, 3, has_tied_embeddings=True),
        Architecture("qwen2.5-0.5b", 494e6, 24, 896, 4864, 151_936, 14, 2, has_tied_embeddings=True),
        Architecture("llama-2-7b", 6.738e9, 32, 4096, 11_008, 32_000, 32, 32),
        Architecture("qwen2.5-7b", 7.616e9, 28, 3584, 18_944, 152_064, 28, 4),
        Architecture("llama-3.1-8b", 8.03e9, 32, 4096, 14_336, 128_256, 32, 8),
        Architecture("qwen2.5-14b", 14.77e9, 48, 5120, 13_824, 152_064, 40, 8),
        Architecture("qwen2.5-32b", 32.76e9, 64, 5120, 27_648, 152_064, 40, 8),
        Architecture("qwen2.5-72b", 72.71e9, 80, 8192, 29_568, 152_064, 64, 8),
    )
}


@dataclass(frozen=True)
class Training:
    """What is trained, and how."""

    method: Method
    rank: int = 16
    batch: int = 1
    tokens: int = 4096
    has_fused_loss: bool = False


@dataclass(frozen=True)
class Memory:
    """Bytes by what takes them; `total` has the safety factor in it."""

    weights: float
    states: float
    activations: float
    logits: float
    runtime: float = _RUNTIME

    @property
    def exact(self) -> float:
        return self.weights + self.states + self.activations + self.logits + self.runtime

    @property
    def total(self) -> float:
        return self.exact * SAFETY


def training_memory(model: Architecture, training: Training) -> Memory:
    """Memory of one device that holds all of a training run."""
    area = training.batch * training.tokens * model.hidden
    per_logit = _FUSED_LOGITS if training.has_fused_loss else _LOGITS
    return Memory(
        weights=_weights(model, training.method),
        states=_states(model, training),
        activations=2.0 * model.layers * area + 34.0 * area,
        logits=float(per_logit * training.batch * training.tokens * model.vocabulary),
    )


def _weights(model: Architecture, method: Method) -> float:
    if method is Method.QLORA:
        return _NF4_BYTES * (model.parameters - model.embeddings) + 2 * model.embeddings
    return 2 * model.parameters


def _states(model: Architecture, training: Training) -> float:
    """Gradients, optimiser and master weights of what is trained."""
    full = {Method.FULL: 14, Method.FULL_BF16: 6, Method.FULL_8BIT_ADAM: 4}
    if training.method in full:
        return full[training.method] * model.parameters
    if training.method in {Method.LORA, Method.QLORA}:
        return 16 * model.lora_parameters(training.rank)
    if training.method is Method.BOTTLENECK:
        return 16.0 * model.layers * 2 * 2 * model.hidden * training.rank
    # Virtual tokens: a key and a value for each layer, or one embedding.
    per_token = (
        2 * model.layers * model.kv_heads * model.head_size if training.method is Method.PREFIX else model.hidden
    )
    return 16.0 * training.rank * per_token


def training_seconds(model: Architecture, tokens: float, *, devices: int = 1, kernel: str = "flash") -> float:
    """How long a run takes on A100s, by throughput that falls with the size of the model."""
    return tokens / (_TOKENS_PER_S_7B[kernel] * 7e9 / model.parameters * devices)


@dataclass(frozen=True)
class Serving:
    """Room on a server. `kv_per_token` and `lora_slot` are bytes; `tokens` may be in flight at once."""

    weights: float
    kv_per_token: float
    lora_slot: float
    tokens: int


def serving_room(
    model: Architecture,
    memory: float,
    *,
    utilisation: float = 0.9,
    max_lora_rank: int = 16,
    max_loras: int = 0,
    bytes_per_weight: float = 2.0,
) -> Serving:
    """What fits on a server with so much memory. A slot costs by `max_lora_rank`, whatever rank the adapter has."""
    weights = bytes_per_weight * model.parameters
    slot = 2 * model.lora_parameters(max_lora_rank)
    kv = 2.0 * model.layers * model.kv_heads * model.head_size * 2
    room = utilisation * memory - weights - max_loras * slot - 2 * GB
    return Serving(weights, kv, slot, max(0, int(room / kv)))
