"""Follow-up questions made whole with the words of earlier ones.

The rules need no model: a follow-up is told by its form ("那病假呢？", "what about contractors?", "is it
paid?"), and only words that the user wrote go into the result.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from zhiku_services.assistant.answering.translation import known_keywords, translate_name
from zhiku_services.assistant.answering.wording import Tongue, tongue_of
from zhiku_services.assistant.answering.words import numbers, terms


def _words(text: str) -> list[str]:
    return text.split()


_LONGEST_CHARS: Final = 400

# Words of which a question has one: a follow-up that names another member replaces it.
_ALTERNATIVES: Final[tuple[frozenset[str], ...]] = tuple(
    frozenset(group.split("/"))
    for group in (
        "国内/海外/国外/境外/国际",
        "正式员工/实习生/试用期员工/外包人员/临时工/兼职员工/新员工/老员工/全职员工",
        "上午/下午/晚上/周末/工作日/节假日",
        "今年/明年/去年",
        "本科/硕士/博士",
        "经理/总监/员工/高管",
        "线上/线下",
        "full-time/part-time/temporary",
        "domestic/international/overseas/foreign",
        "employees/contractors/interns/managers/consultants/directors",
        "weekdays/weekends/holidays",
        "new/existing",
        "北京/上海/广州/深圳/杭州/成都/南京/武汉/西安/重庆/天津/苏州/香港/新加坡/东京/伦敦/纽约",
        "beijing/shanghai/guangzhou/shenzhen/hangzhou/chengdu/hong kong/singapore/tokyo/london/new york",
    )
)
_ZH_TOPIC_SWITCH: Final = re.compile(
    r"^(?:那么|那|还有|另外|然后)?[，,]?(?:如果|要是|换成|对于|关于|至于)?(?:是)?(?P<topic>[^？?呢]{1,30}?)(?:的话)?(?:的)?呢[？?]?$"
)
_ZH_PRONOUN: Final = re.compile(
    r"它们|他们|她们|它|其中|(?<!尤)(?<!极)其(?!他|它|实|次|余)|这个|那个|这些|那些|这项|该项|上述|前者|后者|此(?=项|类)"
)
_ZH_OPENER: Final = re.compile(r"^(?:那么?(?!些|个|里|曲|时)|还有|另外|然后|而且|并且|再|接着)[，,]?")
_ZH_CUT: Final = re.compile(
    r"(?:请问|我想知道|是什么|什么时候|什么|为什么|怎么样?|如何|多少|多久|哪些|哪个|哪里|谁|有没有|是否|能否|可以|需要|应该|"
    r"必须|要|能|有|是|在|几|由|吗|呢|吧|了|[，。？?！!、]|从|会|给|找|休|享受|获得|申请(?=什么|哪|多))"
)
_EN_TOPIC_SWITCH: Final = re.compile(
    r"^(?:and |so |ok |okay |then |but )*"
    r"(?:what about|how about|what if (?:it is|it's|i am|i'm|they are)|and for|same for|for|and)\s+"
    r"(?P<topic>[^?]{1,80})\?*$",
    re.IGNORECASE,
)
_EN_PRONOUN: Final = re.compile(
    r"\b(?P<possessive>its|their)\b|\b(?:it|they|them|this|that|these|those)(?: one| ones)?\b"
    r"(?!\s+(?:[a-z]+(?:ing|ion|ment)|policy|year|month|week|document|company|team|person)\b)",
    re.IGNORECASE,
)
_EN_EXPLETIVE: Final = re.compile(
    r"\bis it (?:possible|allowed|ok|okay|necessary|required|permitted|true)\b|\bwould it be\b|\bso that\b"
    r"|\b(?:ensure|sure|say|says|know|think|mean) that\b"
    r"|\b(?:\w+) that (?:is|are|was|were|has|have|can|must|need)\b"
    r"|\bhow long does it take\b|\bdoes it (?:take|matter)\b|\bthat is\b",
    re.IGNORECASE,
)
_EN_OPENER: Final = re.compile(r"^(?:and|so|ok|okay|then|but|also)[, ]+", re.IGNORECASE)
_EN_CONTENT: Final = re.compile(r"[A-Za-z][A-Za-z'-]*")
_EN_NO_TOPIC: Final = frozenset(
    _words(
        "what when where which who whom whose why how much many long often far do does did is are was were "
        "can could may might must should will would have has had i we you he she they it me my our your his "
        "her their them us the a an any some there get gets got apply use need take make be been to please "
        "tell about if not"
    )
)
_EN_LINKS: Final = frozenset(["of", "for", "in", "on", "at", "with"])
_EN_VERBS: Final = frozenset(
    _words(
        "is are do does did can could may must should will would have has need needs get gets apply applies "
        "take takes was were"
    )
)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A question that stands alone, and the terms in which it differs from the one before.

    `new` are those of them, in both languages, that name what takes the place of another thing; empty where nothing
    does.
    """

    text: str
    emphasised: frozenset[str]
    new: frozenset[str] = frozenset()


def rewrite_by_rules(question: str, earlier: Sequence[str]) -> Rewrite | None:
    """Make a follow-up question stand alone; None if it already does.

    `earlier` are the questions before it, oldest first; each is itself made whole with those before it.
    """
    previous = ""
    for text in earlier:
        found = _rewrite(text, previous) if previous else None
        previous = found.text if found else text
    return _rewrite(question, previous) if previous else None


def _rewrite(question: str, previous: str) -> Rewrite | None:
    question, previous = question.strip(), previous.strip()
    tongue = tongue_of(question)
    if topic := _new_topic(question, tongue):
        return _asked_of(topic, previous, tongue)
    text = (_rewrite_chinese if tongue == "zh" else _rewrite_english)(question, _topic_of(previous, tongue))
    if text is None or text == question or len(text) > _LONGEST_CHARS:
        return None
    return Rewrite(text, terms(question))


def _new_topic(question: str, tongue: Tongue) -> str:
    """The thing about which the previous question is asked again: 那病假呢, what about sick leave; "" if none."""
    if tongue == "zh":
        switch = _ZH_TOPIC_SWITCH.match(question)
        return switch["topic"].strip() if switch and not _ZH_PRONOUN.fullmatch(switch["topic"]) else ""
    switch = _EN_TOPIC_SWITCH.match(question)
    if switch is None or _has_verb(switch["topic"]) or _EN_PRONOUN.fullmatch(switch["topic"].strip()):
        return ""
    return switch["topic"].strip()


def _asked_of(topic: str, previous: str, tongue: Tongue) -> Rewrite | None:
    """The previous question, asked of another thing, in the language of the previous question.

    A thing that cannot be named in that language is asked for alone: what was asked of it is lost, and nothing of the
    thing before is taken for it.
    """
    before = tongue_of(previous)
    named = topic if tongue == before else translate_name(topic)
    text = _switch_topic(named, previous, before) if named else topic
    if text == previous or len(text) > _LONGEST_CHARS:
        return None
    return Rewrite(text, terms(named or topic), _terms_in_both(topic) - _terms_in_both(previous))


def _terms_in_both(text: str) -> frozenset[str]:
    return terms(text) | terms(" ".join(known_keywords(text)))


def _topic_of(previous: str, tongue: Tongue) -> str:
    """What a question is about, in the given language where its name is known there."""
    before = tongue_of(previous)
    topic = chinese_topic(previous) if before == "zh" else english_topic(previous)
    return topic if before == tongue else translate_name(topic) or topic


def _rewrite_chinese(question: str, topic: str) -> str | None:
    body = _ZH_OPENER.sub("", question)
    if not topic:
        return None
    if match := _ZH_PRONOUN.search(body):
        if match[0] in {"其中", "上述"}:
            return f"{topic}{match[0]}{body[match.end() :]}"
        return f"{body[: match.start()]}{topic}{body[match.end() :]}"
    has_opener = body != question
    if (has_opener and not _names_topic(body)) or _is_elliptic_chinese(body):
        return f"{topic}{body}"
    return None


def _is_elliptic_chinese(body: str) -> bool:
    """A short question that begins with its predicate: 需要审批吗, 怎么申请, 有上限吗."""
    return (
        len(body) <= 12
        and bool(
            re.match(
                r"需要|要|可以|能|能否|是否|怎么|如何|谁来?(?:审批|批准|负责|签字|决定|出钱)|什么时候|多久|多少|有没有|有(?!人|什么|哪)|由谁|在哪|去哪|找谁|为什么|几",
                body,
            )
        )
        and len(terms(body)) <= 4
    )


def _names_topic(body: str) -> bool:
    return len(chinese_topic(body)) >= 4


def chinese_topic(question: str) -> str:
    """The longest piece of a Chinese question that names something: 年假有几天？ gives 年假."""
    pieces = [
        piece.strip("的我们你公司员工") if len(piece) > 4 else piece.strip("的") for piece in _ZH_CUT.split(question)
    ]
    return max(pieces, key=len, default="") if any(len(piece) > 1 for piece in pieces) else ""


def _rewrite_english(question: str, topic: str) -> str | None:
    body = _EN_OPENER.sub("", question)
    if not topic:
        return None
    if (match := _EN_PRONOUN.search(body)) and not _EN_EXPLETIVE.search(body):
        replacement = f"the {topic}'s" if match["possessive"] else topic
        return f"{body[: match.start()]}{replacement}{body[match.end() :]}"
    if _is_elliptic_english(body):
        return f"{body.rstrip('?').strip()} ({topic})?"
    return None


def _has_verb(topic: str) -> bool:
    words = topic.lower().split()
    return bool(words) and (
        words[0] in _EN_VERBS or words[0] in {"how", "what", "when", "who", "where", "why", "which"}
    )


def _is_elliptic_english(body: str) -> bool:
    """A question of at most one content word: "Who approves?", "How long?"."""
    content = [word for word in _EN_CONTENT.findall(body.lower()) if word not in _EN_NO_TOPIC]
    return len(content) <= 1 and len(body.split()) <= 5


def english_topic(question: str) -> str:
    """The last longest run of naming words: "parental leave" of "How do I apply for parental leave?"."""
    runs: list[list[str]] = [[]]
    for word in _EN_CONTENT.findall(question):
        lowered = word.lower()
        if lowered in _EN_NO_TOPIC or lowered in _EN_LINKS:
            runs.append([])
        else:
            runs[-1].append(word)
    longest = max(len(run) for run in runs)
    return " ".join(next(run for run in reversed(runs) if len(run) == longest))


def _switch_topic(topic: str, previous: str, tongue: Tongue) -> str:
    """Ask the previous question about another thing, in its place where that is known."""
    if (replaced := _replace_alternative(topic, previous)) is not None:
        return replaced
    if (replaced := _replace_number(topic, previous)) is not None:
        return replaced
    if tongue == "zh":
        old = _same_kind(topic, previous)
        return previous.replace(old, topic, 1) if old else f"{topic}：{previous}"
    stem = previous.rstrip("?？. ")
    old = _same_head(topic, previous)
    if old:
        return previous.replace(old, topic, 1)
    joint = (
        ""
        if re.match(r"(?:for|in|on|at|with|during|if|when|to|from|by|as|after|before)\b", topic, re.IGNORECASE)
        else "for "
    )
    return f"{stem} {joint}{topic}?"


def _replace_alternative(topic: str, previous: str) -> str | None:
    lowered = previous.lower()
    for group in _ALTERNATIVES:
        new = next((word for word in sorted(group, key=len, reverse=True) if word in topic.lower()), None)
        old = next((word for word in sorted(group, key=len, reverse=True) if word in lowered and word != new), None)
        if new and old:
            start = lowered.index(old)
            rest = topic.lower().replace(new, "", 1).strip()
            put = topic[topic.lower().index(new) :][: len(new)] if rest in lowered else topic
            return f"{previous[:start]}{put}{previous[start + len(old) :]}"
    return None


_DATED: Final = re.compile(r"\d{4}\s?年?|Q[1-4]|第?[一二三四1-4]季度|\d+月")


def _replace_number(topic: str, previous: str) -> str | None:
    """Replace a year, quarter or month by another one."""
    new = _DATED.fullmatch(topic.strip().removeprefix("in ").strip())
    old = _DATED.search(previous) if new else None
    return None if new is None or old is None else f"{previous[: old.start()]}{new[0]}{previous[old.end() :]}"


def _same_kind(topic: str, previous: str) -> str | None:
    """The word of the previous Chinese question that ends like the new topic: 年假 for 病假."""
    if len(topic) < 2 or len(topic) > 8:
        return None
    for length in (len(topic), 2, 3, 4):
        for match in re.finditer(re.escape(topic[-1]), previous):
            start = match.end() - length
            if start >= 0 and previous[start : match.end()] != topic:
                word = previous[start : match.end()]
                if terms(word) and re.fullmatch(r"[\u4e00-\u9fff]+", word) and not _ZH_CUT.search(word):
                    return word
    return None


def _same_head(topic: str, previous: str) -> str | None:
    """The phrase of the previous English question with the same last word: "annual leave" for "sick leave"."""
    words = topic.split()
    if len(words) < 2:
        return None
    match = re.search(
        rf"\b(?!(?:{'|'.join(_EN_NO_TOPIC)})\b)[A-Za-z-]+ {re.escape(words[-1])}\b", previous, re.IGNORECASE
    )
    return match[0] if match else None


def accept_model_rewrite(rewritten: str, question: str, earlier: Sequence[str]) -> str | None:
    """Take a model's rewriting only if each of its words and numbers was the user's; else None."""
    text = " ".join(rewritten.split()).strip("\"'“”")
    said = " ".join([*earlier, question])
    known: Mapping[str, None] = dict.fromkeys(terms(said))
    if not text or len(text) > _LONGEST_CHARS or tongue_of(text) != tongue_of(question):
        return None
    if any(term not in known for term in terms(text)) or not numbers(question) <= numbers(text) <= numbers(said):
        return None
    return text if terms(text) & terms(question) or not terms(question) else None
