"""Which way of teaching fits: ordered rules, the first that matches decides, and every other option has its reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from zhiku_services.finetune.estimator import (
    GB,
    Architecture,
    Memory,
    Method,
    Serving,
    Training,
    serving_room,
    training_memory,
    training_seconds,
)


class Goal(StrEnum):
    FACTS = "facts"
    STYLE = "style"
    TASK = "task"
    CLASSIFY = "classify"
    DOMAIN = "domain"
    SMALLER = "smaller"
    EDGE = "edge"
    RESEARCH = "research"


class Option(StrEnum):
    RAG = "rag"
    PROMPT = "prompt"
    ENCODER = "encoder"
    LORA = "lora"
    QLORA = "qlora"
    FULL = "full"
    PRETRAIN = "pretrain"
    KTO = "kto"
    DPO = "dpo"
    GRPO = "grpo"
    RLHF = "rlhf"
    DISTIL = "distil"
    FEDERATED = "federated"
    PRIVATE = "private"
    VIRTUAL_TOKENS = "virtual_tokens"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Situation:
    """What somebody has, and what they want. `memory` is of one device, in bytes."""

    goal: Goal
    model: Architecture
    memory: float
    examples: int = 0
    devices: int = 1
    tokens_per_example: int = 400
    raw_tokens: float = 0
    thumbs: int = 0
    corrections: int = 0
    is_far_from_base: bool = False
    has_verifiable_reward: bool = False
    is_wider_than_sources: bool = False
    branches: int = 1
    needs_formal_privacy: bool = False
    context: int = 2048


@dataclass(frozen=True)
class Advice:
    """What to do, with what parameters; where it can be served; and why not otherwise."""

    option: Option
    reasons: tuple[str, ...]
    parameters: Mapping[str, str | int | float] = field(default_factory=lambda: MappingProxyType({}))
    serve_on: tuple[str, ...] = ()
    rejected: Mapping[Option, str] = field(default_factory=lambda: MappingProxyType({}))
    memory: Memory | None = None
    hours: float | None = None
    serving: Serving | None = None
    warnings: tuple[str, ...] = ()


VLLM, MERGED, TRANSFORMERS, BASE, LLAMA_CPP = (
    "vLLM with LoRA", "vLLM, merged", "Transformers only", "the base model as it is", "llama.cpp (GGUF)",
)  # fmt: skip
_FEW, _SOME, _MANY, _VERY_MANY = 200, 1_000, 10_000, 100_000
_LEAST_THUMBS, _LEAST_PAIRS = 1_000, 500
_FULL_DEVICES, _FULL_MEMORY = 8, 80 * GB
_RAW_TOKENS = 50e6
_MANY_LABELS = 50_000


def advise(situation: Situation) -> Advice:
    """The first rule that matches, and what speaks against everything else."""
    option, reasons = _decide(situation)
    parameters = _parameters(option, situation)
    method = _METHODS.get(option)
    memory = hours = None
    warnings: list[str] = []
    if method is not None:
        rank = int(parameters.get("rank", 16))
        memory = training_memory(situation.model, Training(method, rank, 1, situation.context, has_fused_loss=True))
        tokens = situation.raw_tokens or situation.examples * situation.tokens_per_example * 3
        hours = training_seconds(situation.model, tokens, devices=situation.devices) / 3600
        warnings = _warnings(situation, memory, rank)
    serves = VLLM in SERVES.get(option, ())
    serving = serving_room(situation.model, situation.memory, max_lora_rank=16, max_loras=2) if serves else None
    rejected = {other: why for other, why in _against(situation).items() if other is not option}
    return Advice(
        option=option,
        reasons=tuple(reasons),
        parameters=parameters,
        serve_on=SERVES.get(option, ()),
        rejected=rejected,
        memory=memory,
        hours=hours,
        serving=serving,
        warnings=tuple(warnings),
    )


def _decide(now: Situation) -> tuple[Option, list[str]]:
    for matches, option, reason in _RULES:
        if matches(now):
            chosen = option(now) if callable(option) else option
            return chosen, [reason, *_sizes(now, chosen)]
    raise AssertionError("the last rule matches everything")


def _lora_or_qlora(now: Situation) -> Option:
    return Option.LORA if _fits(now, Method.LORA) else Option.QLORA


def _fits(now: Situation, method: Method) -> bool:
    training = Training(method, 16, 1, now.context, has_fused_loss=True)
    return training_memory(now.model, training).total <= now.memory


_RULES: tuple[tuple[Callable[[Situation], bool], Option | Callable[[Situation], Option], str], ...] = (
    (
        lambda now: now.is_wider_than_sources,
        Option.BLOCKED,
        "Some who would be answered may not read what would be learnt, and weights have no ACL.",
    ),
    (
        lambda now: now.goal is Goal.FACTS,
        Option.RAG,
        "Facts change, need citations and have readers: retrieval gives all three, weights give none.",
    ),
    (
        lambda now: now.branches > 1,
        Option.FEDERATED,
        "The data may not leave its branches: each trains, and only updates travel.",
    ),
    (
        lambda now: now.needs_formal_privacy,
        Option.PRIVATE,
        "Formal privacy was asked for: DP-SGD on LoRA, with the person as the unit.",
    ),
    (
        lambda now: now.goal is Goal.RESEARCH,
        Option.VIRTUAL_TOKENS,
        "Many tiny tasks: virtual tokens are cheapest to train and to keep.",
    ),
    (
        lambda now: now.goal is Goal.EDGE,
        Option.QLORA,
        "For a laptop: QLoRA, merge, GGUF, and the gate again after each step.",
    ),
    (
        lambda now: now.goal is Goal.SMALLER,
        Option.DISTIL,
        "A smaller model for latency or cost: let the large one answer, and teach the small one its answers.",
    ),
    (
        lambda now: now.goal is Goal.DOMAIN and now.raw_tokens > _RAW_TOKENS,
        Option.PRETRAIN,
        "More than 50 million tokens of raw text: go on with pre-training, then teach to answer.",
    ),
    (
        lambda now: now.has_verifiable_reward,
        Option.GRPO,
        "Answers can be checked by a program: GRPO learns from that alone.",
    ),
    (
        lambda now: now.corrections >= _LEAST_PAIRS,
        Option.DPO,
        "There are corrections, that is pairs of a better and a worse answer: DPO, after supervised tuning.",
    ),
    (
        lambda now: now.thumbs >= _LEAST_THUMBS and now.examples < _FEW,
        Option.KTO,
        "There are thumbs and few answers to copy: KTO learns from single thumbs, after supervised tuning.",
    ),
    (
        lambda now: now.goal is Goal.CLASSIFY and now.examples < _MANY_LABELS and now.examples >= _FEW,
        Option.ENCODER,
        "Labels, not text, are wanted: a fine-tuned encoder is smaller, faster and easier to measure.",
    ),
    (
        lambda now: now.examples < _FEW,
        Option.PROMPT,
        f"Fewer than {_FEW} good examples: put the best into the prompt, and collect more.",
    ),
    (
        lambda now: (
            now.examples > _VERY_MANY
            and now.is_far_from_base
            and now.devices >= _FULL_DEVICES
            and now.memory >= _FULL_MEMORY
        ),
        Option.FULL,
        "Over 100,000 examples far from what the base knows, and the machines for it.",
    ),
    (lambda _: True, _lora_or_qlora, "LoRA on all linear layers reaches full tuning at this size of data."),
)


def _sizes(now: Situation, chosen: Option) -> list[str]:
    if chosen is Option.BLOCKED:
        return ["Train an adapter for each audience on what that audience may read, or retrieve."]
    if chosen is Option.QLORA and now.goal is not Goal.EDGE:
        return ["LoRA in bf16 does not fit on the device; 4-bit weights do."]
    if chosen is Option.LORA and now.examples < _SOME:
        return ["Under a thousand examples: low rank, few epochs, stop early."]
    return []


def _parameters(option: Option, now: Situation) -> Mapping[str, str | int | float]:
    lora: dict[str, str | int | float] = {
        "target": "all-linear",
        "learning_rate": 2e-4,
        "epochs": 3,
        "dropout": 0.05,
    }
    sizes = ((_SOME, 16), (_MANY, 32), (_VERY_MANY, 64))
    rank = next((rank for most, rank in sizes if now.examples < most), 128)
    table: dict[Option, dict[str, str | int | float]] = {
        Option.PROMPT: {"examples_in_prompt": 5},
        Option.LORA: {**lora, "rank": rank, "alpha": 2 * rank},
        Option.QLORA: {**lora, "rank": rank, "alpha": 2 * rank, "quantisation": "nf4, double"},
        Option.FULL: {"learning_rate": 1e-5, "epochs": 2, "replay_of_general_data": 0.05},
        Option.PRETRAIN: {**lora, "rank": 128, "alpha": 128, "epochs": 1},
        Option.KTO: {**lora, "rank": 16, "alpha": 32, "beta": 0.1, "learning_rate": 5e-6},
        Option.DPO: {**lora, "rank": 16, "alpha": 32, "beta": 0.1, "learning_rate": 5e-6},
        Option.GRPO: {**lora, "rank": 16, "alpha": 32, "answers_per_question": 8},
        Option.DISTIL: {**lora, "rank": 16, "alpha": 32},
        Option.FEDERATED: {**lora, "rank": 16, "alpha": 32, "rounds": 20, "epochs": 1, "aggregation": "exact"},
        Option.PRIVATE: {**lora, "rank": 16, "alpha": 32, "epsilon": 8, "delta": "1 / people", "unit": "person"},
        Option.VIRTUAL_TOKENS: {"virtual_tokens": 20},
    }
    return MappingProxyType(table.get(option, {}))


_METHODS: Mapping[Option, Method] = MappingProxyType(
    {
        Option.LORA: Method.LORA,
        Option.QLORA: Method.QLORA,
        Option.FULL: Method.FULL_BF16,
        Option.PRETRAIN: Method.LORA,
        Option.KTO: Method.LORA,
        Option.DPO: Method.LORA,
        Option.GRPO: Method.LORA,
        Option.DISTIL: Method.LORA,
        Option.FEDERATED: Method.LORA,
        Option.PRIVATE: Method.LORA,
        Option.VIRTUAL_TOKENS: Method.PREFIX,
    }
)

SERVES: Mapping[Option, tuple[str, ...]] = MappingProxyType(
    {
        Option.RAG: (BASE,),
        Option.PROMPT: (BASE,),
        Option.ENCODER: (TRANSFORMERS,),
        Option.LORA: (VLLM, MERGED, LLAMA_CPP),
        Option.QLORA: (VLLM, LLAMA_CPP),
        Option.FULL: (MERGED, LLAMA_CPP),
        Option.PRETRAIN: (MERGED, VLLM),
        Option.KTO: (VLLM, MERGED),
        Option.DPO: (VLLM, MERGED),
        Option.GRPO: (VLLM, MERGED),
        Option.RLHF: (VLLM, MERGED),
        Option.DISTIL: (VLLM, MERGED, LLAMA_CPP),
        Option.FEDERATED: (VLLM,),
        Option.PRIVATE: (VLLM,),
        Option.VIRTUAL_TOKENS: (TRANSFORMERS,),
    }
)


def _against(now: Situation) -> dict[Option, str]:
    """What speaks against each option here."""
    full = training_memory(now.model, Training(Method.FULL, 1, 1, now.context, has_fused_loss=True)).total
    lora = training_memory(now.model, Training(Method.LORA, 16, 1, now.context, has_fused_loss=True)).total
    return {
        Option.RAG: "What is wanted is a way of answering, not facts; it can be combined with whatever is tuned.",
        Option.PROMPT: f"{now.examples} examples are more than a prompt holds.",
        Option.ENCODER: "It gives labels and no text.",
        Option.LORA: _lora_reason(now, lora),
        Option.QLORA: "4-bit weights save memory that is not short here, and make merging a matter of luck.",
        Option.FULL: (
            f"It needs about {full / GB:.0f} GB with AdamW in mixed precision, forgets more, and cannot share a server"
            " with other adapters."
        ),
        Option.PRETRAIN: f"It wants more than 50 million tokens of raw text, and there are {now.raw_tokens:.0f}.",
        Option.KTO: f"It wants at least {_LEAST_THUMBS} thumbs, up and down, and there are {now.thumbs}.",
        Option.DPO: f"It wants at least {_LEAST_PAIRS} corrections, and there are {now.corrections}.",
        Option.GRPO: "No program can say whether an answer is right.",
        Option.RLHF: (
            "A reward model and PPO are the hardest way to the same place, and TRL has no PPO trainer any more:"
            " supervised tuning, a reward model, then RLOO or GRPO is what is left of it."
        ),
        Option.DISTIL: "No smaller model was asked for.",
        Option.FEDERATED: "The data lies in one place.",
        Option.PRIVATE: "Formal privacy was not asked for; it costs 2 to 10 % of quality.",
        Option.VIRTUAL_TOKENS: "vLLM does not serve it: prefix-, prompt- and adapter-tuning run on Transformers only.",
    }


def _lora_reason(now: Situation, lora: float) -> str:
    if lora > now.memory:
        return f"It needs about {lora / GB:.0f} GB, and the device has {now.memory / GB:.0f}."
    if now.is_wider_than_sources:
        return "What is learnt cannot be kept from those who may not read it."
    return "It is the next step, if what is advised does not reach."


def _warnings(now: Situation, memory: Memory, rank: int) -> list[str]:
    found: list[str] = []
    if memory.total > now.memory * now.devices:
        needs, has = memory.total / GB, now.memory * now.devices / GB
        found.append(
            f"It needs about {needs:.0f} GB, and there are {has:.0f}: shorten the context, or take a smaller model."
        )
    if rank > 16:
        found.append(f"vLLM must be started with `--max-lora-rank {rank}`, and each slot costs by that rank.")
    return found
