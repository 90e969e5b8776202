"""Variants of questions: each keeps its answer and every fact, and none leaks into what is measured."""

from collections.abc import Sequence

import pytest

from zhiku_services.finetune.datasets.augmentation import augment, by_rules, named
from zhiku_services.finetune.datasets.examples import Example, Origin, Turn
from zhiku_services.finetune.datasets.facts import changed_facts
from zhiku_services.finetune.datasets.splitting import split

QUESTIONS = (
    "如何在30天内申请年假？",
    "请问报销什么时候到账？",
    "张伟在北京的办公室在哪里？",
    "How do I reset my password?",
    "What is the limit for 3 nights in Berlin?",
    "Give three reasons to use a VPN.",
)


def example(question: str, answer: str = "Yes.") -> Example:
    return Example(messages=(Turn(role="user", content=question), Turn(role="assistant", content=answer)))


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_rules_say_the_same_in_other_words(question: str) -> None:
    wordings = by_rules(question)
    assert wordings
    for wording in wordings:
        assert wording != question
        assert changed_facts(question, wording) == []
        assert named(question) == named(wording)


def test_a_variant_keeps_its_answer_and_names_what_it_was_made_from() -> None:
    first = example(QUESTIONS[0], "在系统里提交。")
    made = augment([first], most=1).examples
    assert len(made) == 1
    assert made[0].answer == first.answer
    assert made[0].prompt != first.prompt
    assert (made[0].provenance.origin, made[0].provenance.parent) == (Origin.AUGMENTED, first.prompt_digest)
    assert augment(made).examples == []


@pytest.mark.parametrize(
    ("question", "wording", "why"),
    [
        ("如何在30天内申请年假？", "如何在20天内申请年假？", "numbers"),
        ("How much is 5 kg?", "How much is 5 g?", "numbers"),
        ("阿司匹林可以饭前吃吗？", "阿司匹林不可以饭前吃吗？", "negation"),
        ("Can I use a VPN abroad?", "Can I not use a VPN abroad?", "negation"),
        ("Where is the Berlin office?", "Where is the Munich office?", "names"),
        ("北京协和医院在哪里？", "上海华山医院在哪里？", "names"),
        ("What is a VPN?", "What is a VPN ?", "asked already"),
        ("What is a VPN?", "Tell me about a VPN", "evaluation"),
    ],
)
def test_what_changes_a_fact_or_is_measured_with_is_refused(question: str, wording: str, why: str) -> None:
    def careless(_: str) -> Sequence[str]:
        return [wording]

    made = augment([example(question)], careless, evaluation=[("test:1", "Tell me about a VPN.")])
    assert (made.examples, made.refused) == ([], {why: 1})


def test_at_most_so_many_of_each_and_none_twice() -> None:
    def lavish(question: str) -> Sequence[str]:
        return ["Anything new here?", f"{question} Please", f"{question} Thanks", f"{question} Soon"]

    made = augment([example("Who am I?"), example("Who are you?")], lavish, most=2)
    assert len(made.examples) == 4
    assert len({each.prompt for each in made.examples}) == 4


def test_nothing_is_measured_with_a_variant_and_none_is_learnt_of_what_is_measured() -> None:
    parents = [example(f"How do I open door {n}?") for n in range(200)]
    children = augment(parents).examples
    learnt, held_out = split([*parents, *children], 0.3)
    assert held_out
    assert all(each.provenance.origin is Origin.FILE for each in held_out)
    measured = {each.prompt_digest for each in held_out}
    assert not measured & {each.provenance.parent for each in learnt}
    assert {each.prompt for each in split(parents, 0.3)[1]} == {each.prompt for each in held_out}
