"""What has a form: rules of a pattern, a check and the words that stand near.

Chinese characters are word characters, so that `\\b` does not end at them: edges are ASCII letters and digits.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from zhiku_platform.privacy import validators as check
from zhiku_platform.privacy.findings import Entity, Finding

_BEFORE, _AFTER = 28, 12
_LEFT, _RIGHT = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_LEFT_NUMBER = r"(?<![0-9A-Za-z_])(?<![0-9A-Za-z][.\-_/])"
_RIGHT_NUMBER = r"(?![0-9A-Za-z_])(?![.\-]\d)"
_S = r"[ .\-]?"
_HAN = r"\u4e00-\u9fff"

NUMBER = re.compile(r"\d(?:[ .\-()/]{0,3}[\dXx]){3}|(?:\d[ .\-]?[0-9A-Za-z][ .\-]?){4}")
_NOT_A_PERSON_S = re.compile(
    r"(?:订单|单号|流水|编号|工单|货号|型号|批号|序列号|版本|运单|快递|发票|条码|ISBN|ISSN|order|invoice|serial|version"
    r"|ticket|tracking|\bSKU|\bv)[^\s,;，；。]{0,6}(?:\s?(?:no|id|number|#))?[.:： #是为]{0,3}$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Rule:
    """One form of one type."""

    type: Entity
    name: str
    pattern: str
    trigger: re.Pattern[str]
    """A cheap search without which `pattern` cannot match."""
    score: float
    valid: Callable[[str], bool] | None = None
    raw: bool = False
    """The check sees the value with its separators."""
    near: str | None = None
    """Words of which one has to stand near."""
    after: bool = True
    """The words may follow as well."""
    never_after_labels: bool = False
    """Not where a label says that it is an order, a version or the like."""

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE)

    @cached_property
    def _near(self) -> re.Pattern[str] | None:
        return re.compile(self.near, re.IGNORECASE) if self.near else None

    def find(self, text: str) -> Iterator[Finding]:
        """Find it in text that is normalised; a group named `value` is the finding where there is one."""
        for match in self.regex.finditer(text):
            start, end = match.span("value" if "value" in self.regex.groupindex else 0)
            if self._holds(text, start, end):
                yield Finding(start, end, self.type, self.score, self.name)

    def _holds(self, text: str, start: int, end: int) -> bool:
        value = text[start:end]
        if self.valid and not self.valid(value if self.raw else check.compact(value)):
            return False
        before = text[max(0, start - _BEFORE) : start]
        if self.never_after_labels and _NOT_A_PERSON_S.search(before):
            return False
        if self._near is None:
            return True
        line = re.split(r"[。!?\n]", before)[-1] if not before.endswith("\n") else before
        return bool(self._near.search(line) or (self.after and self._near.search(text[end : end + _AFTER])))


def _words(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE)


_ID = rf"{_LEFT}[1-9](?:{_S}\d){{16}}{_S}[\dX]{_RIGHT}"
_ID_WORDS = r"身份证|证件|身份号|公民|ID ?card|identity"
_CARD_NUMBER = rf"{_LEFT}\d(?:[ \-.]?\d){{12,18}}{_RIGHT}"
_PROVINCE = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领"
_PHONE_WORDS = (
    r"电话|手机|座机|固话|传真|联系|致电|拨打|热线|\b(?:tel|phone|call|fax|mobile|cell|desk|office|contact|text|dial"
    r"|answering|message|messages|number|reach)"
)
_DATE = (
    r"(?:(?:19|20)\d\d ?[-./年] ?(?:1[0-2]|0?[1-9])(?: ?[-./月] ?(?:3[01]|[12]\d|0?[1-9])日?|月)?"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    r"|(?:3[01]|[12]\d|0?[1-9])[-./](?:3[01]|[12]\d|0?[1-9])[-./](?:19|20)\d\d"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d{1,2}(?:st|nd|rd|th)?,? (?:19|20)\d\d"
    r"|\d{1,2}(?:st|nd|rd|th)? (?:of )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?,? (?:19|20)\d\d)"
)
_PLATE = re.compile(rf"[{_PROVINCE}] ?[A-Za-z]")
_AT = re.compile(r"@|\(at\)|\[at\]", re.IGNORECASE)
_DOTTED = re.compile(r"\d\.\d{1,3}\.\d|[0-9a-f]:[0-9a-f]{0,4}:", re.IGNORECASE)
_HEX_PAIRS = re.compile(r"[0-9a-f]{2}[:\-][0-9a-f]{2}[:\-]|[0-9a-f]{4}\.[0-9a-f]{4}\.", re.IGNORECASE)
_SIX = re.compile(r"\d{5}")
_PASSWORDS = _words("密码", "口令", "password", "passwd", "pwd", "passphrase")
_KEY_WORDS = _words("key", "secret", "token", "密钥", "令牌", "凭证", "凭据")

RULES: tuple[Rule, ...] = (
    Rule(
        Entity.CN_SOCIAL_SECURITY,
        "cn-social-security-id",
        _ID,
        NUMBER,
        1.0,
        check.is_id_card,
        near="社保|社会保障|医保",
        after=False,
    ),
    Rule(
        Entity.CN_DRIVER_LICENSE,
        "cn-driver-license-id",
        _ID,
        NUMBER,
        1.0,
        check.is_id_card,
        near="驾驶证|驾照|驾证",
        after=False,
    ),
    Rule(Entity.CN_ID_CARD, "cn-id-card", _ID, NUMBER, 0.99, check.is_id_card),
    Rule(Entity.CN_ID_CARD, "cn-id-card-unchecked", _ID, NUMBER, 0.7, check.looks_like_id_card, near=_ID_WORDS),
    Rule(
        Entity.CN_ID_CARD,
        "cn-id-card-15",
        rf"{_LEFT}[1-9]\d{{14}}{_RIGHT}",
        NUMBER,
        0.75,
        check.looks_like_id_card,
        near=_ID_WORDS,
    ),
    Rule(
        Entity.CN_USCC,
        "cn-uscc",
        rf"{_LEFT}[0-9A-HJ-NPQRTUWXY](?:{_S}[0-9A-HJ-NPQRTUWXY]){{17}}{_RIGHT}",
        NUMBER,
        0.98,
        check.is_uscc,
    ),
    Rule(
        Entity.CN_BANK_CARD,
        "cn-bank-card",
        rf"{_LEFT}[4569](?:[ \-.]?\d){{15,18}}{_RIGHT}",
        NUMBER,
        0.97,
        check.is_bank_card,
        never_after_labels=True,
    ),
    Rule(Entity.CREDIT_CARD, "credit-card", _CARD_NUMBER, NUMBER, 0.95, check.is_credit_card, never_after_labels=True),
    Rule(
        Entity.CREDIT_CARD,
        "card-near",  # Maestro's numbers have 12 digits or more, and people mistype any
        rf"{_LEFT}\d(?:[ \-.]?\d){{11,18}}{_RIGHT}",
        NUMBER,
        0.7,
        near=r"\b(?:credit|debit|bank|this|my|your|her|his|the|new|old) cards?\b|(?<!\bID )(?<!identity )\bcard (?:number|no)\b|\bMaestro\b",
        never_after_labels=True,
    ),
    Rule(
        Entity.CN_BANK_CARD,
        "cn-bank-account",
        rf"{_LEFT}\d(?:[ \-]?\d){{11,20}}{_RIGHT}",
        NUMBER,
        0.6,
        near="银行|卡号|账号|账户|帐号|开户|储蓄",
        never_after_labels=True,
    ),
    Rule(
        Entity.CN_MOBILE,
        "cn-mobile",
        rf"{_LEFT_NUMBER}(?:\(?(?:\+|00)?86\)?[ \-]?)?1[3-9](?:{_S}\d){{9}}{_RIGHT_NUMBER}",
        NUMBER,
        0.9,
        check.is_mobile,
        raw=True,
        never_after_labels=True,
    ),
    Rule(
        Entity.CN_MOBILE,
        "cn-mobile-spelled",
        rf"{_LEFT_NUMBER}1(?:[ .\-][3-9])(?:[ .\-]\d){{9}}{_RIGHT_NUMBER}",
        NUMBER,
        0.9,
        check.is_mobile,
        raw=True,
        never_after_labels=True,
    ),
    Rule(
        Entity.CN_LANDLINE,
        "cn-landline",
        rf"{_LEFT_NUMBER}(?:(?:\+|00)?86[ \-])?(?:\(0(?:10|2\d|[3-9]\d\d)\) ?|0(?:10|2\d|[3-9]\d\d)[ \-.])[2-9]\d{{2,3}}[ \-]?\d{{4}}(?:(?: ?转 ?|-)\d{{1,6}})?{_RIGHT}",
        NUMBER,
        0.85,
        never_after_labels=True,
    ),
    Rule(
        Entity.CN_LANDLINE,
        "cn-landline-plain",
        rf"{_LEFT_NUMBER}(?:0(?:10|2\d|[3-9]\d\d)[2-9]\d{{6,7}}|[48]00[ \-]?\d{{3}}[ \-]?\d{{4}}|[2-8]\d{{2,3}}[ \-]?\d{{4}}){_RIGHT_NUMBER}",
        NUMBER,
        0.7,
        near="电话|座机|固话|传真|热线|总机",
        never_after_labels=True,
    ),
    Rule(
        Entity.CN_LANDLINE,
        "cn-landline-spelled",
        rf"{_LEFT_NUMBER}0(?:[ .\-]\d){{9,11}}{_RIGHT_NUMBER}",
        NUMBER,
        0.7,
        near="电话|座机|固话|传真|热线|总机",
        never_after_labels=True,
    ),
    Rule(
        Entity.CN_PASSPORT,
        "cn-passport",
        rf"{_LEFT}(?:E{_S}[A-HJ-NP-Z](?:{_S}\d){{7}}|[EGDSPH](?:{_S}\d){{8}}|(?:DE|SE|PE|KJ|MA)(?:{_S}\d){{7}}|14\d{{7}}|15\d{{7}}){_RIGHT}",
        NUMBER,
        0.85,
        near="护照|passport",
    ),
    Rule(
        Entity.CN_TRAVEL_PERMIT,
        "cn-travel-permit",
        rf"{_LEFT}(?:[CHMWTL](?:{_S}\d){{8}}(?:(?:{_S}\d){{2}})?|C{_S}[A-Z](?:{_S}\d){{7}}|\d(?:{_S}\d){{7}}){_RIGHT}",
        NUMBER,
        0.85,
        near="通行证|回乡证|台胞证|港澳居民|travel permit",
    ),
    Rule(
        Entity.CN_DRIVER_LICENSE,
        "cn-driver-license-file",
        rf"{_LEFT}\d(?:{_S}\d){{11}}{_RIGHT}",
        NUMBER,
        0.8,
        near="驾驶证|驾照|驾证|档案编号",
        after=False,
    ),
    Rule(
        Entity.CN_SOCIAL_SECURITY,
        "cn-social-security",
        rf"{_LEFT}[A-Z]?\d(?:{_S}\d){{7,17}}{_RIGHT}",
        NUMBER,
        0.8,
        near="社保|社会保障|医保",
        after=False,
    ),
    Rule(
        Entity.CN_MILITARY_ID,
        "cn-military-id",
        rf"[{_HAN}]{{1,2}}字 ?第? ?\d(?:{_S}\d){{5,8}}(?: ?号)?",
        re.compile("字"),
        0.85,
        near="军|士兵|警官|文职|[军武南北沈兰成济广海空参政后装士文警]字",
    ),
    Rule(
        Entity.CN_LICENSE_PLATE,
        "cn-license-plate",
        rf"[{_PROVINCE}] ?[A-HJ-NP-Z][ ·.\-]?(?:[DF](?:{_S}[A-HJ-NP-Z0-9])(?:{_S}\d){{4}}|\d(?:{_S}\d){{4}}{_S}[DF]|[A-HJ-NP-Z0-9](?:{_S}[A-HJ-NP-Z0-9]){{3}}{_S}[A-HJ-NP-Z0-9挂学警港澳]){_RIGHT}",
        _PLATE,
        0.9,
        check.is_plate,
    ),
    Rule(
        Entity.WECHAT_ID,
        "wechat-id",
        rf"(?:微信|威信|V信|wechat|weixin|\bwx|\bvx)(?: ?(?:号码?|id|account|账号))?[ :是为]{{0,4}}(?:is )?(?P<value>[A-Z][A-Z0-9_\-]{{5,19}}){_RIGHT}",
        _words("信", "wechat", "weixin", "wx", "vx"),
        0.85,
    ),
    Rule(
        Entity.WECHAT_ID,
        "wechat-wxid",
        rf"{_LEFT}wxid_[a-z0-9]{{10,20}}{_RIGHT}",
        re.compile("wxid", re.IGNORECASE),
        0.95,
    ),
    Rule(
        Entity.QQ,
        "qq",
        rf"(?:QQ|扣扣|企鹅号)(?: ?(?:号码?|群号?|账号))?[ :是为]{{0,4}}(?:is )?(?P<value>[1-9](?:{_S}\d){{4,10}}){_RIGHT}",
        _words("QQ", "扣扣", "企鹅"),
        0.92,
    ),
    Rule(
        Entity.EMAIL,
        "email",
        r"(?<![A-Za-z0-9._%+\-])[A-Z0-9][A-Z0-9._%+\-]{0,63}(?: ?(?:\(at\)|\[at\]) ?|@| @ )(?:[A-Z0-9](?:[A-Z0-9\-]{0,62}) ?(?:\.|\(dot\)|\[dot\]) ?){1,5}[A-Z]{2,18}(?![A-Za-z0-9])",
        _AT,
        0.99,
    ),
    Rule(
        Entity.IP_ADDRESS,
        "ip-v4",
        r"(?<![0-9A-Za-z.])(?:\d{1,3}\.){3}\d{1,3}(?![0-9A-Za-z])(?!\.\d)",
        _DOTTED,
        0.9,
        check.is_ip,
        raw=True,
        never_after_labels=True,
    ),
    Rule(
        Entity.IP_ADDRESS,
        "ip-v6",
        r"(?<![0-9A-Za-z:.])(?:[0-9a-f]{1,4}:|:)(?:[0-9a-f]{0,4}:){1,6}[0-9a-f]{1,4}(?![0-9A-Za-z:])",
        re.compile(":"),
        0.9,
        check.is_ip,
        raw=True,
    ),
    Rule(
        Entity.MAC_ADDRESS,
        "mac",
        r"(?<![0-9A-Za-z:\-])[0-9a-f]{2}(?P<s>[:\-])(?:[0-9a-f]{2}(?P=s)){4}[0-9a-f]{2}(?![0-9A-Za-z:\-])|(?<![0-9A-Za-z.])(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}(?![0-9A-Za-z.])",
        _HEX_PAIRS,
        0.93,
    ),
    Rule(
        Entity.PHONE_NUMBER,
        "phone-marked",
        rf"(?<![0-9A-Za-z.\-])(?:(?:\+|00)\d{{1,3}}[ \-.]?(?:\(\d{{1,4}}\)[ \-.]?)?\d(?:[ \-.]?\d){{5,11}}(?: ?x\d{{1,5}})?|\(\d{{2,4}}\)[ \-.]?\d(?:[ \-.]?\d){{4,9}}(?: ?x\d{{1,5}})?|(?:1[ \-.])?\d{{3}}[\-.]\d{{3}}[\-.]\d{{4}}(?: ?x\d{{1,5}})?|\d{{3}} \d{{3}} \d{{3,4}}|0\d{{2,4}} \d{{3}} ?\d{{3,5}}){_RIGHT_NUMBER}",
        NUMBER,
        0.75,
        check.is_phone,
        raw=True,
        never_after_labels=True,
    ),
    Rule(
        Entity.PHONE_NUMBER,
        "phone-near",
        rf"(?<![0-9A-Za-z.\-])\(?\d(?:[ \-.()]{{0,2}}\d){{6,14}}{_RIGHT_NUMBER}",
        NUMBER,
        0.65,
        check.is_phone,
        raw=True,
        near=_PHONE_WORDS,
        never_after_labels=True,
    ),
    Rule(
        Entity.DATE_OF_BIRTH,
        "date-of-birth",
        rf"{_LEFT}{_DATE}(?![0-9A-Za-z])",
        re.compile(r"(?:19|20)\d\d"),
        0.85,
        near="出生|生于|生日|诞辰|born|DOB|birth",
    ),
    Rule(
        Entity.HEALTH,
        "health",
        rf"(?:确诊(?:为|患有?)?|诊断(?:为|结果)?|患有|病史|过敏史)[ :]{{0,2}}(?P<value>[{_HAN}0-9A-Z]{{1,12}}?(?:病|症|癌|炎|瘤|感染|中风|梗死|梗塞|障碍|综合征|骨折|过敏))",
        _words("诊", "患", "病史", "过敏史"),
        0.7,
    ),
    Rule(
        Entity.HEALTH,
        "health-record",
        rf"(?:病历号|住院号|门诊号|就诊卡号?|medical record(?: number)?|MRN)[ :#是为]{{0,3}}(?P<value>[A-Z]{{0,3}}\d{{5,14}}){_RIGHT}",
        _SIX,
        0.93,
    ),
    Rule(
        Entity.HEALTH,
        "health-en",
        r"\b(?:diagnosed with|suffers? from|allergic to|tested positive for) (?P<value>[a-z0-9\-]+(?: (?!and|or|in|on|at|last|since)[a-z0-9\-]+){0,3})",
        _words("diagnosed", "suffer", "allergic", "positive"),
        0.7,
    ),
    Rule(
        Entity.SECRET,
        "private-key",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,8000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
        re.compile("-----BEGIN"),
        1.0,
    ),
    Rule(
        Entity.SECRET,
        "known-token",
        rf"(?<![0-9A-Za-z_])(?:(?:AKIA|ASIA)[A-Z0-9]{{16}}|LTAI[A-Za-z0-9]{{12,24}}|AKID[A-Za-z0-9]{{32}}|gh[pousr]_[A-Za-z0-9]{{36,}}|github_pat_\w{{40,}}|glpat-[\w\-]{{20,}}|hf_[A-Za-z]{{30,}}|xox[abprs]-[\w\-]{{10,}}|AIza[\w\-]{{35}}|sk-[\w\-]{{20,}}|[sr]k_live_[A-Za-z0-9]{{20,}}|eyJ[\w\-]{{10,}}\.eyJ[\w\-]{{10,}}\.[\w\-]{{10,}}){_RIGHT}",
        re.compile(r"AKI|ASIA|LTAI|gh[a-z]_|github_|glpat|hf_|xox|AIza|[sr]k[-_]|eyJ", re.IGNORECASE),
        1.0,
        check.is_random,
        raw=True,
    ),
    Rule(
        Entity.SECRET,
        "password",
        r"(?:密码|口令|password|passwd|pwd|passphrase)[\"']?(?: ?(?:是|为|is|[:=])+ ?)[\"']?(?P<value>[^\s\"',;，。；\u4e00-\u9fff]{4,64})",
        _PASSWORDS,
        0.94,
    ),
    Rule(
        Entity.SECRET, "url-password", r"(?<=://)[^\s:/@]{1,64}:(?P<value>[^\s:/@]{3,128})(?=@)", re.compile("://"), 1.0
    ),
    Rule(
        Entity.SECRET,
        "random-key",
        r"(?:key|secret|token|密钥|令牌|凭证|凭据)[\"']?(?: ?(?:是|为|is|[:=])+ ?| )(?:bearer )?[\"']?(?P<value>[A-Za-z0-9+/_\-.=]{16,512})(?![A-Za-z0-9+/_\-.=])",
        _KEY_WORDS,
        0.94,
        check.is_random,
        raw=True,
    ),
)


def find_all_forms(text: str) -> list[Finding]:
    """Find by every rule whose trigger is in the text; each trigger is looked for once."""
    present: dict[re.Pattern[str], bool] = {}
    found: list[Finding] = []
    for rule in RULES:
        trigger = rule.trigger
        if trigger not in present:
            present[trigger] = trigger.search(text) is not None
        if present[trigger]:
            found.extend(rule.find(text))
    return found
