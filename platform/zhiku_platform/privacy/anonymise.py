"""Applies a policy to what was found in a text."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zhiku_platform.privacy.findings import Entity, Finding
from zhiku_platform.privacy.policy import Action, PrivacyPolicy
from zhiku_platform.privacy.pseudonyms import TOKEN, Value, value_of

_LABELS: Mapping[Entity, tuple[str, str]] = {
    Entity.CN_ID_CARD: ("身份证号", "ID card"),
    Entity.CN_MOBILE: ("手机号", "mobile number"),
    Entity.CN_LANDLINE: ("座机号", "telephone number"),
    Entity.CN_BANK_CARD: ("银行卡号", "bank card"),
    Entity.CN_PASSPORT: ("护照号", "passport"),
    Entity.CN_TRAVEL_PERMIT: ("通行证号", "travel permit"),
    Entity.CN_DRIVER_LICENSE: ("驾驶证号", "driving licence"),
    Entity.CN_LICENSE_PLATE: ("车牌号", "number plate"),
    Entity.CN_USCC: ("统一社会信用代码", "credit code"),
    Entity.CN_SOCIAL_SECURITY: ("社保号", "social security number"),
    Entity.CN_MILITARY_ID: ("军官证号", "military ID"),
    Entity.WECHAT_ID: ("微信号", "WeChat ID"),
    Entity.QQ: ("QQ号", "QQ number"),
    Entity.EMAIL: ("邮箱", "e-mail address"),
    Entity.IP_ADDRESS: ("IP地址", "IP address"),
    Entity.MAC_ADDRESS: ("MAC地址", "MAC address"),
    Entity.CREDIT_CARD: ("信用卡号", "credit card"),
    Entity.PHONE_NUMBER: ("电话号码", "telephone number"),
    Entity.PERSON: ("姓名", "name"),
    Entity.LOCATION: ("地点", "place"),
    Entity.ORGANIZATION: ("机构", "organisation"),
    Entity.ADDRESS: ("地址", "address"),
    Entity.DATE_OF_BIRTH: ("出生日期", "date of birth"),
    Entity.HEALTH: ("健康信息", "health"),
    Entity.SECRET: ("密钥", "secret"),
}
# Square brackets before a round one would be a link in Markdown, pointed ones a tag in HTML.
_MASK = re.compile("【(?:" + "|".join(label for labels in _LABELS.values() for label in labels) + ")】")


@dataclass(frozen=True, slots=True)
class Replacement:
    """A stretch `[start, end)` of the text as it was given, and what stands there instead."""

    start: int
    end: int
    type: Entity
    action: Action
    text: str


@dataclass(frozen=True, slots=True)
class Anonymised:
    """A text after its policy."""

    text: str
    replacements: tuple[Replacement, ...]
    """In order of the text."""

    @property
    def counts(self) -> dict[Entity, int]:
        """How many findings of each type were acted on."""
        return dict(Counter(each.type for each in self.replacements))

    @property
    def quarantined_by(self) -> frozenset[Entity]:
        """The types for which the document may not be taken in."""
        return frozenset(each.type for each in self.replacements if each.action is Action.QUARANTINE)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where `[start, end)` of the given text stands now; what it cuts through it holds whole."""
        return self._place(start, at_end=False), self._place(end, at_end=True)

    def _place(self, offset: int, *, at_end: bool) -> int:
        before = bisect_left(self.replacements, offset, key=lambda each: each.start)
        moved = offset + sum(len(each.text) - (each.end - each.start) for each in self.replacements[:before])
        if before and offset < (last := self.replacements[before - 1]).end:
            return moved + last.end - offset - (0 if at_end else len(last.text))
        return moved


def to_pseudonymise(text: str, findings: Sequence[Finding], policy: PrivacyPolicy) -> frozenset[Value]:
    """The values for which `anonymise` needs a token."""
    acted = _acted_on(text, findings, policy)
    return frozenset(value_of(f.type, text[f.start : f.end]) for f, action in acted if action is Action.PSEUDONYMISE)


def anonymise(
    text: str, findings: Sequence[Finding], policy: PrivacyPolicy, tokens: Mapping[Value, str], language: str
) -> Anonymised:
    """Replace what the policy does not keep.

    `findings` are in order and do not overlap, as `Analyzer.find` gives them. `language`, `zh` or `en`, is that of
    masks; a token is in the language of its value. What stands inside a mask or a `TOKEN` of ours stays. That a
    number is a token its shape does not prove: who keeps the tokens gives such a value itself as its token. A type
    that quarantines is masked too: nobody gets it by asking for less.

    Raises:
        KeyError: a value of `to_pseudonymise` has no token.
    """
    replacements: list[Replacement] = []
    pieces: list[str] = []
    at = 0
    for finding, action in _acted_on(text, findings, policy):
        if finding.start < at:
            raise ValueError("findings overlap, or are not in order")
        instead = _instead(text[finding.start : finding.end], finding.type, action, tokens, language)
        replacements.append(Replacement(finding.start, finding.end, finding.type, action, instead))
        pieces += [text[at : finding.start], instead]
        at = finding.end
    return Anonymised("".join([*pieces, text[at:]]), tuple(replacements))


def _instead(written: str, entity: Entity, action: Action, tokens: Mapping[Value, str], language: str) -> str:
    if action is Action.DROP:
        return ""
    if action is Action.PSEUDONYMISE:
        return tokens[value_of(entity, written)]
    chinese, english = _LABELS[entity]
    return f"【{chinese if language == 'zh' else english}】"


def _acted_on(text: str, findings: Sequence[Finding], policy: PrivacyPolicy) -> list[tuple[Finding, Action]]:
    ours = [match.span() for pattern in (TOKEN, _MASK) for match in pattern.finditer(text)]
    acted = [(finding, policy.action_for(finding.type)) for finding in findings]
    return [
        (finding, action)
        for finding, action in acted
        if action is not Action.KEEP and not any(s <= finding.start and finding.end <= e for s, e in ours)
    ]
