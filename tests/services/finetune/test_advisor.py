"""The estimator agrees with what others measured, and the advisor with the rules; both say why."""

from dataclasses import replace

import pytest

from zhiku_services.finetune.advisor import TRANSFORMERS, VLLM, Goal, Option, Situation, advise
from zhiku_services.finetune.estimator import (
    ARCHITECTURES,
    GB,
    Method,
    Training,
    serving_room,
    training_memory,
    training_seconds,
)

LLAMA_2 = ARCHITECTURES["llama-2-7b"]
QWEN = ARCHITECTURES["qwen2.5-7b"]

MEASURED = [
    (Training(Method.LORA, batch=4, tokens=1024), 17),
    *((Training(Method.QLORA, tokens=k * 1024), gb) for k, gb in ((1, 6), (2, 7), (4, 9), (8, 12), (16, 19), (32, 32))),
    (Training(Method.FULL_BF16, tokens=1024), 60),
    (Training(Method.FULL, tokens=1024), 120),
]
"""LLaMA-Factory's tables for a model of 7B, in GB."""


@pytest.mark.parametrize(("training", "measured"), MEASURED)
def test_the_estimate_is_within_15_percent_of_what_was_measured(training: Training, measured: float) -> None:
    assert training_memory(LLAMA_2, training).exact / GB == pytest.approx(measured, rel=0.15)


TABLE = {
    "qwen2.5-7b": (16, 9, 27, 20, 60, 53, 146),
    "llama-3.1-8b": (16, 10, 27, 21, 62, 57, 152),
    "qwen2.5-14b": (23, 16, 45, 38, 110, 103, 276),
    "qwen2.5-32b": (36, 29, 87, 80, 232, 225, 599),
    "qwen2.5-72b": (65, 58, 182, 175, 504, 497, 1318),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_estimates(name: str) -> None:
    model = ARCHITECTURES[name]
    found = [
        training_memory(model, Training(method, has_fused_loss=fused)).total / GB
        for method in (Method.QLORA, Method.LORA, Method.FULL_8BIT_ADAM, Method.FULL)
        for fused in (False, True)
    ]
    assert found[:7] == pytest.approx(TABLE[name], abs=1)


def test_the_parameters_that_lora_trains_are_those_that_peft_counts() -> None:
    # `print_trainable_parameters` of rank 16 on all linear layers of Llama-2-7B.
    assert LLAMA_2.lora_parameters(16) == 39_976_960


@pytest.mark.parametrize(("name", "kib"), [("llama-2-7b", 512), ("llama-3.1-8b", 128), ("qwen2.5-7b", 56)])
def test_the_cache_of_one_token(name: str, kib: int) -> None:
    assert serving_room(ARCHITECTURES[name], 80 * GB).kv_per_token == kib * 1024


def test_a_slot_costs_by_the_servers_rank_and_not_the_adapters() -> None:
    model = ARCHITECTURES["llama-3.1-8b"]
    small, large = (serving_room(model, 24 * GB, max_lora_rank=rank, max_loras=4) for rank in (16, 64))
    assert small.lora_slot / 1e6 == pytest.approx(84, abs=1)
    assert large.lora_slot / 1e6 == pytest.approx(336, abs=1)
    assert large.tokens < small.tokens
    assert serving_room(model, 8 * GB).tokens == 0


def test_twelve_million_tokens_take_about_an_hour_on_an_a100() -> None:
    hours = [training_seconds(LLAMA_2, 12e6, kernel=kernel) / 3600 for kernel in ("plain", "flash", "fused")]
    assert hours == pytest.approx([1.4, 1.1, 0.8], abs=0.1)


NOW = Situation(goal=Goal.STYLE, model=QWEN, memory=24 * GB, examples=2_000)


@pytest.mark.parametrize(
    ("situation", "option"),
    [
        (replace(NOW, is_wider_than_sources=True), Option.BLOCKED),
        (replace(NOW, goal=Goal.FACTS), Option.RAG),
        (replace(NOW, goal=Goal.FACTS, is_wider_than_sources=True), Option.BLOCKED),
        (replace(NOW, examples=50), Option.PROMPT),
        (replace(NOW, goal=Goal.CLASSIFY), Option.ENCODER),
        (replace(NOW, goal=Goal.CLASSIFY, examples=60_000), Option.LORA),
        (NOW, Option.LORA),
        (replace(NOW, memory=14 * GB), Option.QLORA),
        (replace(NOW, examples=200_000), Option.LORA),
        (replace(NOW, examples=200_000, is_far_from_base=True, devices=8, memory=80 * GB), Option.FULL),
        (replace(NOW, examples=200_000, is_far_from_base=True, devices=4, memory=80 * GB), Option.LORA),
        (replace(NOW, goal=Goal.DOMAIN, raw_tokens=60e6), Option.PRETRAIN),
        (replace(NOW, examples=0, thumbs=1_500), Option.KTO),
        (replace(NOW, corrections=600), Option.DPO),
        (replace(NOW, has_verifiable_reward=True), Option.GRPO),
        (replace(NOW, goal=Goal.SMALLER), Option.DISTIL),
        (replace(NOW, goal=Goal.EDGE), Option.QLORA),
        (replace(NOW, branches=3), Option.FEDERATED),
        (replace(NOW, needs_formal_privacy=True), Option.PRIVATE),
        (replace(NOW, goal=Goal.RESEARCH), Option.VIRTUAL_TOKENS),
    ],
)
def test_the_first_rule_that_matches_decides(situation: Situation, option: Option) -> None:
    advice = advise(situation)
    assert advice.option is option
    assert advice.reasons
    # Everything else is told, with a reason of its own.
    assert set(advice.rejected) == set(Option) - {option, Option.BLOCKED}
    assert len(set(advice.rejected.values())) == len(advice.rejected)


@pytest.mark.parametrize(("examples", "rank"), [(500, 16), (5_000, 32), (50_000, 64), (500_000, 128)])
def test_more_data_wants_a_higher_rank_and_the_server_must_allow_it(examples: int, rank: int) -> None:
    advice = advise(replace(NOW, examples=examples, memory=80 * GB))
    assert (advice.parameters["rank"], advice.parameters["alpha"]) == (rank, 2 * rank)
    assert any(f"--max-lora-rank {rank}" in warning for warning in advice.warnings) == (rank > 16)


def test_what_cannot_be_served_on_vllm_says_so_before_it_is_trained() -> None:
    assert advise(replace(NOW, goal=Goal.RESEARCH)).serve_on == (TRANSFORMERS,)
    assert VLLM in advise(NOW).serve_on
    assert "PPO" in advise(NOW).rejected[Option.RLHF]


def test_what_does_not_fit_is_said() -> None:
    assert any("GB" in warning for warning in advise(replace(NOW, memory=6 * GB)).warnings)
    assert advise(NOW).warnings == (
        "vLLM must be started with `--max-lora-rank 32`, and each slot costs by that rank.",
    )
