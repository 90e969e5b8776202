"""How much an example is worth, from 0 to 1, by signs that need no model; each is named, so that people can argue."""

import re
from collections import Counter

from zhiku_services.finetune.datasets.examples import Example
from zhiku_services.finetune.datasets.likeness import likeness, plain, shingles

_BOILERPLATE = re.compile(
    r"作为(?:一个|一名)?(?:ai|人工智能)|我(?:只)?是(?:一个)?(?:ai|人工智能)|"
    r"as an ai (?:language )?model|i(?:'m| am) (?:just )?an ai"
)
# Of chat templates; HTML and XML are things that people ask about.
_MARKUP = re.compile(
    r"<\|[a-z_]+\|>|\[/?inst\]|<</?sys>>|</?(?:start|end)_of_turn>|<(?:user|bot|human|assistant)>\s*[:：]|"
    r"^###\s*(?:instruction|response|input|问题|答案|human|assistant)\b|&lt;/?s&gt;",
    re.MULTILINE,
)
_BROKEN = re.compile("\ufffd|锟斤拷|烫烫|â€|Ã[\x80-\xbf©¨]")
_CLOSED = re.compile(r"[。.!?！？…\"”'’）)\]】》>:：；;|`]\s*$")
_LEAST_CHARS = 2
_SENTENCE_CHARS = 40


def quality(example: Example) -> tuple[float, str]:
    """The score, and the sign that lowered it most (`none` if nothing did)."""
    signs = {name: factor for name, factor in _signs(example).items() if factor < 1}
    score = 1.0
    for factor in signs.values():
        score *= factor
    return score, min(signs, key=lambda name: signs[name], default="none")


def _signs(example: Example) -> dict[str, float]:
    answer = example.answer.strip()
    bare = plain(answer)
    return {
        "too short": 0.6 if len(bare) < _LEAST_CHARS else 1.0,
        "says that it is a machine": 0.5 if _BOILERPLATE.search(answer.lower()) else 1.0,
        "markup of a template in the text": 0.3 if _MARKUP.search(example.text.lower()) else 1.0,
        "broken characters": 0.2 if _BROKEN.search(example.text) else 1.0,
        "breaks off": 0.7 if len(answer) > _SENTENCE_CHARS and not _CLOSED.search(answer) else 1.0,
        "repeats itself": _repetition(bare),
        "repeats the question": _echo(example),
    }


def _repetition(bare: str) -> float:
    """How varied the answer is: a stretch of ten characters that fills it is a loop."""
    if len(bare) < 4 * 10:
        return 1.0
    counts = Counter(bare[n : n + 10] for n in range(len(bare) - 9))
    share = sum(count - 1 for count in counts.values()) / sum(counts.values())
    return 1.0 if share < 0.2 else max(0.1, 1.0 - share)


def _echo(example: Example) -> float:
    question = example.messages[-2].content if len(example.messages) > 1 else ""
    alike = likeness(shingles(question), shingles(example.answer))
    return 0.5 if alike > 0.9 else 1.0
