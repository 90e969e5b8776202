"""Sentences that speak to the model instead of to people: other instructions, and games without rules.

Each sentence is folded first, so that width, look-alike letters and what cannot be seen hide nothing. The rules are
our own; what was read while writing them, and what was held out, is said in docs/safety.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from zhiku_platform.contracts.safety import Category, Severity
from zhiku_services.safety.folding import Folded, fold

_SENTENCE: Final = re.compile(r"[^。！？!?\n\r;；]+")
_WINDOW: Final = 2000
"""A longer sentence is looked at in windows that overlap by half, so that no rule has to run far."""


@dataclass(frozen=True, slots=True)
class Rule:
    category: Category
    severity: Severity
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True, order=True)
class Attempt:
    """A rule that matched, from `start` to `end` of the text."""

    start: int
    end: int
    category: Category
    severity: Severity


def _rule(category: Category, severity: Severity, pattern: str) -> Rule:
    return Rule(category, severity, re.compile(pattern))


_HIGH, _MEDIUM = Severity.HIGH, Severity.MEDIUM
_INJECTION, _JAILBREAK = Category.INJECTION, Category.JAILBREAK
_THEIRS: Final = (
    r"(?:previous|prior|above|preceding|earlier|foregoing|initial|original|system|all|any|every|your|these|those|old"
    r"|before|past|given|existing|current|hidden|last|what)"
)
_ORDERS: Final = (
    r"(?:instructions?|prompts?|directions?|directives?|commands?|orders?|guidelines?|programming|assignments?|tasks?"
    r"|conversations?|messages?)"
)

RULES: Final = (
    _rule(
        _INJECTION,
        _HIGH,
        rf"\b(?:ignore|disregard|forget|override|neglect|overlook|bypass|discard|drop)\b(?: \w+){{0,3}}? {_THEIRS}"
        rf"(?: \w+){{0,4}}? {_ORDERS}\b",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"\b(?:forget|ignor(?:e|ing)|disregard(?:ing)?)(?: about)?"
        r" (?:everything|all (?:that|of that|the above|above))\b",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"\b(?:reveal|show|print|output|repeat|display|leak|disclose|spell|tell|give|write|return|recite)\b"
        r"(?: \w+){0,5}? (?:system|initial|original|hidden|secret|full|entire|complete|exact|your|previous|preceding)"
        r"(?: \w+){0,2}? (?:prompts?|prompt texts?|instructions)\b",
    ),
    _rule(
        _INJECTION, _HIGH, r"\b(?:your|a|the|my) (?:new|real|actual|true|next) (?:instructions?|prompt) (?:is|are)\b"
    ),
    _rule(
        _INJECTION, _HIGH, r"(?:^|\n) ?(?:new|updated|additional|important) (?:system )?(?:instructions?|prompt) ?\n"
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"\b(?:do not|don t|never|without) (?:tell|telling|inform|informing|alert|alerting|mention|reveal|notify"
        r"|notifying)\b(?: \w+){0,5}? (?:the|to) user\b",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"\b(?:note|message|instructions?|attention) (?:to|for) (?:the |any |all )?"
        r"(?:ai|llm|language|chat) ?(?:assistants?|models?|bots?|systems?)\b",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"\b(?:send|post|forward|exfiltrate|append|upload|leak)\b(?: \w+){0,6}?"
        r" (?:conversation|chat history|system prompt|api keys?|credentials)\b(?: \w+){0,6}? (?:to|at|as) ",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"\b(?:focus|concentrate) on (?:your|the|this) new (?:tasks?|assignment)\b"
        r"|\bnew (?:tasks?|instructions) (?:now )?follow\b|\b(?:change|replace|rewrite) your instructions\b"
        r"|\b(?:leave|remove|forget|abandon)(?: about)? all (?:the |your )?(?:previous|prior) (?:tasks?|information)\b"
        r"|\bwhat (?:is|was) written (?:above|at the (?:very )?beginning)\b|\brepeat after me\b"
        r"|\b(?:instead|just) output\b|\bignore (?:the )?above and\b",
    ),
    _rule(_JAILBREAK, _HIGH, r"\b(?:do anything now|dan mode|jailbroken|jailbreak mode|anti ?dan)\b"),
    _rule(_JAILBREAK, _HIGH, r"\bdeveloper mode (?:enabled|output|on|activated)\b"),
    _rule(_JAILBREAK, _HIGH, r"\b(?:stay|remain|stop being|break|staying) in character\b|\bstay a dan\b"),
    _rule(
        _JAILBREAK,
        _HIGH,
        r"\b(?:without|no|free of|free from|not bound by|ignor\w+|bypass\w*)(?: \w+){0,3}?"
        r" (?:openai|ethical|moral|content|safety|censorship|ai) (?:\w+ )?"
        r"(?:polic(?:y|ies)|guidelines?|restrictions?|filters?|limitations?|principles|constraints)\b",
    ),
    _rule(
        _JAILBREAK, _HIGH, r"\b(?:unfiltered|uncensored|amoral|unrestricted)(?: \w+){0,3}? (?:ai|chatbot|model|bot)\b"
    ),
    _rule(
        _JAILBREAK,
        _MEDIUM,
        r"\b(?:from now on|henceforth|now)(?: \w+){0,2}? you (?:are|will be|will act|act|must act)\b"
        r"(?! (?:ready|able|done|set|connected|logged|in|on|at|using|running|all|not))"
        r"|\byou are now (?:a|an|the|my|in|going|free)\b|\byou are going to (?:act|pretend|play|be)\b",
    ),
    _rule(
        _JAILBREAK,
        _MEDIUM,
        r"\bfrom now on (?:\w+ )?you (?:\w+ ){0,2}?(?:answer|respond|reply|roleplay)(?: \w+){0,4}?"
        r" (?:as|ways|prompts?|questions?|personas?)\b"
        r"|\b(?:assume|adopt|take on) (?:the|a|two|your)(?: new)? persona(?:s|lity)?\b"
        r"|\bsimulat(?:e|ing) (?:being|a chatbot|a connection to another|a conversation between)\b"
        r"|\b(?:respond|answer|reply)(?:ing)?(?: \w+){0,4}? as (?:chatgpt|gpt|dan)\b|\byou are now [a-z]+gpt\b",
    ),
    _rule(
        _JAILBREAK,
        _MEDIUM,
        r"\b(?:disregards?|hates?|cares? about|caring about|concern itself with|cares? any|no concerns? for|ignore)"
        r"(?: \w+){0,4}? (?:morals?|ethics|morality|being ethical|legality)\b",
    ),
    _rule(
        _JAILBREAK,
        _MEDIUM,
        r"\b(?:never|doesn t|does not|don t|do not|won t|will not|without)(?: ever)?"
        r" (?:refus(?:e|es|al|ing)|deny|denying)(?: \w+){0,3}? (?:human|user|my|prompts?)\b",
    ),
    _rule(
        _JAILBREAK,
        _MEDIUM,
        r"\b(?:ai|chatbot|bot|gpt|language model|persona)(?: \w+){0,10}?"
        r" (?:not bound by|without|with no|no|free of|not limited to|break|breaking|has no|have no)(?: \w+){0,3}?"
        r" (?:rules|restrictions?|limitations?|laws|content filter|censorship|moderations?)\b",
    ),
    _rule(
        _JAILBREAK,
        _MEDIUM,
        r"\bi (?:want|need|would like) you to (?:act|pretend|play|roleplay|behave|be)\b"
        r"|\b(?:pretend|roleplay) (?:that )?(?:to be|you (?:are|can))\b"
        r"|\bact as an? (?:\w+ )?(?:interpreter|terminal|console)\b"
        r"|(?:^|\n|\bplease )(?:act|pretend|behave|roleplay) (?:as|like|to be|you are|that you)\b",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"(?:忽略|无视|忘记|忘掉|抛开|不要理会|不用理会|不要管|不用管|不要遵守|违背|推翻|覆盖|绕过|舍弃)[^\n]{0,8}"
        r"(?:之前|以前|先前|上面|以上|前面|此前|所有|原有|系统|一切|你的|上述|原来|预设)[^\n]{0,8}"
        r"(?:指令|指示|提示|提示词|设定|命令|对话|约束|prompt)",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"(?:输出|显示|告诉|打印|泄露|透露|复述|重复|展示|说出|给出|公开|发给)[^\n]{0,10}"
        r"(?:系统|初始|原始|隐藏|内部|开头的|你的)[^\n]{0,4}(?:提示词|提示语|指令|prompt)",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"(?:不要|不得|别|无需|不必)[^\n]{0,3}(?:告诉|告知|提醒|透露给|通知)[^\n]{0,3}用户[^\n]{0,6}(?:指令|提示|内容|这)",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"(?:致|写给|告知|提醒)[^\n]{0,6}(?:ai|人工智能|大模型|语言模型|智能)(?:助手|模型|系统|机器人)",
    ),
    _rule(
        _INJECTION,
        _HIGH,
        r"(?:把|将)[^\n]{0,12}(?:对话|聊天记录|提示词|系统指令)[^\n]{0,12}(?:发送|发到|上传|转发)[^\n]{0,3}(?:到|至|给)",
    ),
    _rule(
        _JAILBREAK, _HIGH, r"越狱模式|dan ?模式|(?:进入|开启|启用|切换到)[^\n]{0,4}(?:开发者|无限制|不受限|上帝)模式"
    ),
    _rule(
        _JAILBREAK,
        _HIGH,
        r"(?:扮演|假装|假设你|想象你|模拟|你是)[^\n]{0,24}(?:没有|不受|无|摆脱|突破)[^\n]{0,6}"
        r"(?:限制|约束|道德|规则|审查|伦理)",
    ),
    _rule(
        _JAILBREAK,
        _MEDIUM,
        r"(?:从现在开始|从现在起|从此刻起|接下来)[^\n]{0,3}(?:你是|你就是|你将|你要扮演|你扮演|请你扮演|请扮演)",
    ),
)


def attempts(text: str) -> list[Attempt]:
    """Every rule that matches a sentence of a text, in order."""
    found: set[Attempt] = set()
    for sentence in _SENTENCE.finditer(text):
        for start in range(sentence.start(), sentence.end(), _WINDOW // 2):
            end = min(start + _WINDOW, sentence.end())
            found.update(_in_sentence(text[start:end], start))
            if end == sentence.end():
                break
    return sorted(found)


def _in_sentence(sentence: str, offset: int) -> Iterator[Attempt]:
    folded = fold(sentence)
    spaced, places = _with_gaps(folded)
    for rule in RULES:
        for match in rule.pattern.finditer(spaced):
            yield Attempt(
                offset + places[match.start()], offset + places[match.end() - 1] + 1, rule.category, rule.severity
            )


def _with_gaps(folded: Folded) -> tuple[str, list[int]]:
    """The folded letters with a space where Latin words part; Chinese ones stand together. Their places follow."""
    letters: list[str] = []
    places: list[int] = []
    for letter, place, gap in zip(folded.chars, folded.places, folded.gaps, strict=True):
        is_apart = gap != 0 and letters and (letter.isascii() or letters[-1].isascii())
        if is_apart:
            letters.append(" ")
            places.append(place)
        letters.append(letter)
        places.append(place)
    return "".join(letters), places
