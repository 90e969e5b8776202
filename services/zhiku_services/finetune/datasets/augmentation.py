"""More ways to ask the same: a variant of a question keeps its answer, and every fact that the question states."""

import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from zhiku_platform.text.language import detect_language
from zhiku_services.finetune.datasets.examples import Example, Origin
from zhiku_services.finetune.datasets.facts import changed_facts
from zhiku_services.finetune.datasets.likeness import Seen, plain

Rewrite = Callable[[str], Sequence[str]]
"""Gives other wordings of a question, the best first. Nobody trusts it: what changes a fact is refused."""

_Rule = tuple[re.Pattern[str], str]

_ZH: Final[tuple[_Rule, ...]] = tuple(
    (re.compile(pattern), other)
    for pattern, other in (
        (r"^请问[，,：:]?\s*(?=.)", ""),
        (r"如何(?!是好)", "怎么"),
        (r"怎么(?![样了办会能])", "如何"),
        (r"怎样", "怎么"),
        (r"什么时候", "何时"),
        (r"何时", "什么时候"),
        (r"为什么", "为何"),
        (r"为何", "为什么"),
        (r"在(?:哪里|哪儿)", "在什么地方"),
        (r"在什么地方", "在哪里"),
        (r"有哪些", "包括哪些"),
        (r"能否", "是否可以"),
        (r"是否可以", "能否"),
        (r"(?<=[^的])需要(?=[^的求])", "要"),
        (r"^(?!请|您好|你好)(?=[^，。]{4,}[？?]$)", "请问，"),
    )
)
_EN: Final[tuple[_Rule, ...]] = tuple(
    (re.compile(pattern), other)
    for pattern, other in (
        (r"^How do I\b", "How can I"),
        (r"^How can I\b", "How do I"),
        (r"^How do we\b", "How can we"),
        (r"^How should I\b", "What is the right way to"),
        (r"^What is\b", "What's"),
        (r"^What's\b", "What is"),
        (r"^What are\b", "Which are"),
        (r"^Can I\b", "Am I able to"),
        (r"^Please (?=[a-z])", ""),
        (r"\bdo not\b", "don't"),
        (r"\bdon't\b", "do not"),
        (r"\bcannot\b", "can't"),
        (r"\bcan't\b", "cannot"),
        (r"^(?=(?:How|What|When|Where|Which|Who|Why|Is|Are|Do|Does|Can|May)\b[^.\n]*\?$)", "A question: "),
    )
)
_BID: Final = re.compile(
    r"^(?P<verb>Give|Write|Explain|Describe|List|Name|Tell|Summari[sz]e|Create|Find|Generate|Compare|Suggest|Provide|"
    r"Identify|Classify|Calculate|Translate|Rewrite|Edit|Convert|Construct|Design|Propose|Outline)\b"
)
_NAMES: Final = {"nr", "nrt", "ns", "nt", "nz"}


@dataclass(frozen=True)
class Augmented:
    """The new examples, and how many variants were refused, by what they changed or repeated."""

    examples: list[Example]
    refused: dict[str, int]


def by_rules(question: str) -> list[str]:
    """Wordings that a fixed list of phrases gives, in Chinese or English; none where no phrase stands in it."""
    rules = _ZH if detect_language(question) == "zh" else _EN
    found = [pattern.sub(other, question, count=1) for pattern, other in rules if pattern.search(question)]
    if bid := _BID.match(question):
        found.append(f"Please {bid['verb'].lower()}{question[bid.end() :]}")
    # Not always the first rule for every question: the phrases would be learnt instead of what they ask.
    start = sum(question.encode()) % len(found) if found else 0
    return [*found[start:], *found[:start]]


def augment(
    examples: Sequence[Example],
    rewrite: Rewrite = by_rules,
    *,
    most: int = 2,
    evaluation: Iterable[tuple[str, str]] = (),
) -> Augmented:
    """Make at most `most` variants of each example, whose last question is asked otherwise.

    Refused is what changes numbers, units, negation or names, what some example asks already, and what a model is
    measured with: `evaluation` are (name, text). An example that is itself a variant is left alone.
    """
    asked = {plain(example.prompt) for example in examples}
    measured = Seen(evaluation)
    made: list[Example] = []
    refused: Counter[str] = Counter()
    for example in examples if most else ():
        if example.provenance.origin is Origin.AUGMENTED:
            continue
        count = 0
        for wording in rewrite(example.messages[-2].content):
            if count == most:
                break
            variant = _asked_otherwise(example, wording)
            if why := _wrong(example, variant, asked, measured):
                refused[why] += 1
                continue
            asked.add(plain(variant.prompt))
            made.append(variant)
            count += 1
    return Augmented(made, dict(refused))


def _asked_otherwise(example: Example, wording: str) -> Example:
    *before, question, answer = example.messages
    messages = (*before, question.model_copy(update={"content": wording}), answer)
    provenance = example.provenance.model_copy(
        update={"origin": Origin.AUGMENTED, "parent": example.prompt_digest, "line": None}
    )
    return example.model_copy(update={"messages": messages, "provenance": provenance, "extra": {}})


def _wrong(example: Example, variant: Example, asked: set[str], measured: Seen) -> str | None:
    old, new = example.messages[-2].content, variant.messages[-2].content
    if changed := changed_facts(old, new):
        return changed[0]
    if named(old) != named(new):
        return "names"
    if plain(variant.prompt) in asked:
        return "asked already"
    return "evaluation" if measured.find(new) or measured.find(variant.prompt) else None


def named(text: str) -> frozenset[str]:
    """The people, places, organisations and products that a Chinese text names, as jieba's dictionary knows them."""
    if detect_language(text) != "zh":
        return frozenset()
    return frozenset(pair.word for pair in _tagger().cut(text) if pair.flag in _NAMES)


@cache
def _tagger() -> Any:
    with warnings.catch_warnings():
        # It imports pkg_resources, which warns that it will go, and has escapes that Python warns about.
        warnings.simplefilter("ignore")
        import jieba
        from jieba import posseg

    jieba.setLogLevel(logging.WARNING)
    return posseg
