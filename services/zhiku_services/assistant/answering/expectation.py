"""What kind of answer a question expects, and whether a sentence has one."""

import re
from collections.abc import Mapping
from typing import Final, Literal

from zhiku_services.assistant.answering.words import fold, quantities

Expected = Literal["number", "date", "person", "place", "method", "reason", "definition", "whether", "list", "other"]

_QUESTIONS: Final[tuple[tuple[Expected, re.Pattern[str]], ...]] = (
    (
        "date",
        re.compile(
            r"何时|什么时候|什么时间|哪一?年|哪一?天|哪[个一]?月|几月|几号|几点|哪日|日期|时间是|的时间|截止"
            r"|\bwhen\b|\b(?:what|which) (?:year|date|day|time|month|week)\b|\bdeadline\b|\bby which date\b"
        ),
    ),
    (
        "number",
        re.compile(
            r"多少|几(?!乎)|多久|多长|多大|多高|多远|多重|上限|额度|人数|比例|百分之"
            r"|\bhow (?:many|much|long|often|far|old|tall|large|big|high|fast)\b"
            r"|\b(?:what|which) (?:percentage|percent|number|amount|rate)\b"
            r"|\bmaximum\b|\bminimum\b|\blimit\b"
        ),
    ),
    ("person", re.compile(r"谁|哪位|何人|哪个人|作者|创始人|\bwho\b|\bwhose\b|\bwhom\b")),
    (
        "place",
        re.compile(
            r"哪里|哪儿|何处|何地|什么地方|在哪|哪个(?:城市|国家|省|地区|县|市)|哪国|位于|\bwhere\b"
            r"|\bwhich (?:city|country|state)\b"
        ),
    ),
    ("reason", re.compile(r"为什么|为何|原因|为啥|\bwhy\b|\breasons?\b|\bcauses?\b")),
    (
        "method",
        re.compile(r"怎么|怎样|如何|步骤|流程|手续|\bhow (?:do|does|can|to|should|is|are|would|did)\b|\bsteps?\b"),
    ),
    (
        "list",
        re.compile(r"哪些|哪几|有什么|包括什么|\bwhat are\b|\bwhich .{0,30}s\b|\blist\b|\bwhat (?:kinds|types) of\b"),
    ),
    ("definition", re.compile(r"什么是|是什么|是指|指什么|\bwhat (?:is|was|does)\b|\bdefine\b|\bmeaning\b")),
    (
        "whether",
        re.compile(
            r"吗|是否|能否|可否|能不能|可不可以|会不会|要不要|^(?:is|are|can|could|does|do|did|may|must|should|will|am)\b"
        ),
    ),
)
_MEASURE_ASKED: Final = re.compile(r"(?:多少|几)(?:个)?(?P<measure>[\u4e00-\u9fff]{1,2})")
_ENGLISH_MEASURE: Final = re.compile(r"\bhow (?:many|much) (?P<measure>[a-z]+)")
_EVIDENCE: Final[Mapping[Expected, re.Pattern[str]]] = {
    "date": re.compile(
        r"\d{4}\s*年|\d{1,2}\s*月|\d{1,2}\s*[日号]|(?:1[5-9]|20)\d\d|\d{1,2}[:：]\d\d|\d{1,2}\s*点|星期|周[一二三四五六日末]"
        r"|世纪|每年|每月|工作日内|\b(?:january|february|march|april|june|july|august|september|october|november|december)\b"
        r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|\bcentur|\b\d{1,2}\s?[ap]\.?m\b"
    ),
    "person": re.compile(
        r"[·]|先生|女士|博士|教授|经理|总监|主管|部门|主任|人员|负责|由[\u4e00-\u9fff]{2,4}|\bmanager\b|\bofficer\b|\bteam\b"
        r"|\bdirector\b|\bhead of\b|[A-Z][a-z]+ [A-Z][a-z]+"
    ),
    "place": re.compile(
        r"[省市县区镇村州国路街楼岛山]|位于|在[\u4e00-\u9fff]{2,}"
        r"|\b(?:in|at|on|near|to) (?:the )?[A-Z]|\bfloor\b|\broom\b"
    ),
    "reason": re.compile(
        r"因为|由于|因此|所以|为了|原因|导致|因而|\bbecause\b|\bdue to\b|\bsince\b|\bas a result\b"
        r"|\bso that\b|\bin order to\b|\bto (?:avoid|ensure|prevent)\b"
    ),
    "method": re.compile(
        r"通过|点击|提交|填写|登录|打开|选择|首先|然后|申请|步骤|联系"
        r"|\b(?:tap|click|select|press|open|submit|choose|enter|swipe|touch|go to|fill|contact|use|log in)\b"
    ),
    "definition": re.compile(
        r"是(?:一|指|由|为|中|用)|指的?是|称为|即|定义|\b(?:is|are|was|were|means?|refers? to|defined as)\b"
    ),
    "whether": re.compile(
        r"可以|不得|不可|不能|禁止|严禁|允许|必须|须|应当|无需|不必|不准"
        r"|\b(?:may|must|can(?:not)?|shall|should|allowed|permitted|prohibited|forbidden|required|never|only)\b"
    ),
    "list": re.compile(r"[、；]|包括|分别|以下|如下|,.*,|\binclud|\bfollowing\b"),
}


def expected_answer(question: str) -> Expected:
    """Name the kind of answer that a question expects."""
    folded = fold(question)
    for kind, pattern in _QUESTIONS:
        if pattern.search(folded):
            return kind
    return "other"


def fits(question: str, expected: Expected, text: str, *, asked_numbers: frozenset[str]) -> float:
    """How well `text` can be an answer of the expected kind, 0..1; 0.5 where nothing can be told."""
    if expected == "number":
        return _fits_number(fold(question), text, asked_numbers)
    pattern = _EVIDENCE.get(expected)
    if pattern is None:
        return 0.5
    return 1.0 if pattern.search(text if expected in {"person", "place"} else fold(text)) else 0.0


def _fits_number(question: str, text: str, asked: frozenset[str]) -> float:
    told = [(number, unit) for number, unit in quantities(text) if number not in asked]
    if not told:
        return 0.0
    measure = _MEASURE_ASKED.search(question) or _ENGLISH_MEASURE.search(question)
    if measure is None:
        return 0.8
    folded = fold(text)
    noun = measure["measure"]
    noun = noun[0] if noun >= "\u3400" else noun.rstrip("s")
    if re.search(rf"[\d一二两三四五六七八九十百千万亿]\s*多?个?{re.escape(noun)}", folded):
        return 1.0
    return 0.6
