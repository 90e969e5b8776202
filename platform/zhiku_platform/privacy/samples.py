"""A generated set of texts with personal data, and of texts that only look like it. Nobody in it exists."""

import random
import string
from collections.abc import Callable
from typing import Literal

from zhiku_platform.privacy.evaluation import Item, Span
from zhiku_platform.privacy.findings import Entity
from zhiku_platform.privacy.validators import ID_WEIGHTS, USCC_ALPHABET

Form = Literal["glued", "spaced", "full-width", "split"]
FORMS: tuple[Form, ...] = ("glued", "spaced", "full-width", "split")
_FULL = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_SURNAMES, _GIVEN = "王李张刘陈杨黄赵周吴徐孙", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀英华"


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(count))


def _luhn(payload: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(payload)):
        value = int(digit) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return payload + str(-total % 10)


def _id_card(rng: random.Random) -> str:
    body = rng.choice(["110105", "310104", "440305", "510107"]) + f"{rng.randint(1950, 2008)}"
    body += f"{rng.randint(1, 12):02}{rng.randint(1, 28):02}{_digits(rng, 3)}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, ID_WEIGHTS, strict=True)) % 11]


def _uscc(rng: random.Random) -> str:
    body = "91" + rng.choice(["110108", "330106"]) + "MA" + "".join(rng.choice(USCC_ALPHABET) for _ in range(7))
    return body + USCC_ALPHABET[-sum(USCC_ALPHABET.index(c) * pow(3, n, 31) for n, c in enumerate(body)) % 31]


def _plate(rng: random.Random) -> str:
    tail = rng.choice(["D", "F"]) + _digits(rng, 5) if rng.random() < 0.5 else rng.choice("ABC") + _digits(rng, 4)
    return rng.choice("京沪粤浙川") + rng.choice("ABCEFG") + tail


def _mobile(rng: random.Random) -> str:
    return "1" + rng.choice("356789") + _digits(rng, 9)


_Make = Callable[[random.Random], str]
_STRUCTURED: dict[Entity, tuple[_Make, tuple[str, str], tuple[int, ...]]] = {
    Entity.CN_ID_CARD: (_id_card, ("身份证号", "请核对"), (6, 8, 4)),
    Entity.CN_MOBILE: (_mobile, ("请联系", "确认"), (3, 4, 4)),
    Entity.CN_LANDLINE: (
        lambda r: r.choice(["010", "021"]) + "-" + r.choice("2345678") + _digits(r, 7),
        ("座机", "转总台"),
        (8, 4),
    ),
    Entity.CN_BANK_CARD: (lambda r: _luhn("622202" + _digits(r, 12)), ("请汇入", "该账户"), (4, 4, 4, 4, 3)),
    Entity.CN_PASSPORT: (lambda r: "E" + r.choice("ABCD") + _digits(r, 7), ("护照号", "已登记"), (3, 3, 3)),
    Entity.CN_TRAVEL_PERMIT: (lambda r: r.choice("HM") + _digits(r, 8), ("通行证号", "有效"), (3, 3, 3)),
    Entity.CN_DRIVER_LICENSE: (lambda r: _digits(r, 12), ("驾驶证档案编号", "已录入"), (4, 4, 4)),
    Entity.CN_LICENSE_PLATE: (_plate, ("车辆", "停在门口"), (2, 6)),
    Entity.CN_USCC: (_uscc, ("统一社会信用代码", "有效"), (8, 10)),
    Entity.CN_SOCIAL_SECURITY: (lambda r: _digits(r, 10), ("社保号", "已参保"), (5, 5)),
    Entity.CN_MILITARY_ID: (lambda r: "军字第" + _digits(r, 8) + "号", ("军官证", "有效"), (3, 9)),
    Entity.WECHAT_ID: (lambda r: r.choice("abc") + "lex_" + _digits(r, 5), ("微信号", "请加"), (20,)),
    Entity.QQ: (lambda r: r.choice("123456789") + _digits(r, 8), ("QQ号", "请加"), (3, 3, 3)),
    Entity.EMAIL: (lambda r: f"user{_digits(r, 4)}@example.com", ("邮箱", "请回复"), (40,)),
    Entity.IP_ADDRESS: (lambda r: ".".join(str(r.randint(1, 254)) for _ in range(4)), ("登录地址", "异常"), (20,)),
    Entity.MAC_ADDRESS: (lambda r: ":".join(f"{r.randrange(256):02X}" for _ in range(6)), ("网卡", "掉线"), (20,)),
    Entity.DATE_OF_BIRTH: (
        lambda r: f"{r.randint(1950, 2008)}年{r.randint(1, 12)}月{r.randint(1, 28)}日",
        ("出生日期", "属实"),
        (30,),
    ),
    Entity.SECRET: (lambda r: f"Zk{_digits(r, 3)}!pw{_digits(r, 3)}", ("登录密码是", "勿外传"), (30,)),
}


def _write(value: str, groups: tuple[int, ...], form: Form) -> str:
    if form == "full-width":
        return value.translate(_FULL)
    if form == "split" and len(groups) > 1:
        parts, rest = [], value.replace("-", " ")
        for size in groups:
            parts.append(rest[:size])
            rest = rest[size:]
        return " ".join(part for part in [*parts, rest] if part)
    return value


def structured(count: int, seed: int, form: Form) -> list[Item]:
    """So many texts of each structured type, each value written in the form; the same seed gives the same values."""
    rng = random.Random(seed)  # noqa: S311 - test data
    items: list[Item] = []
    for entity, (make, (before, after), groups) in _STRUCTURED.items():
        for _ in range(count):
            person = rng.choice(_SURNAMES) + rng.choice(_GIVEN) + rng.choice(_GIVEN)
            gap = " " if form == "spaced" else ""
            value = _write(make(rng), groups, form)
            lead = f"{person}{gap}的{before}{gap}"
            items.append(
                Item(
                    f"{lead}{value}{gap}{after}。",
                    "zh",
                    (Span(0, len(person), Entity.PERSON), Span(len(lead), len(lead) + len(value), entity)),
                )
            )
    return items


def generated(count: int = 20, seed: int = 7) -> list[Item]:
    """The own test set: every structured type in every form, and as many texts without personal data."""
    return [item for form in FORMS for item in structured(count, seed, form)] + hard_negatives(count * 4, seed)


def hard_negatives(count: int, seed: int) -> list[Item]:
    """Texts whose numbers identify no person: orders, dates, versions, ISBNs, amounts, tables."""
    rng = random.Random(seed)  # noqa: S311 - test data
    makers: tuple[Callable[[], str], ...] = (
        lambda: f"订单号：{_mobile(rng)}已发货",
        lambda: f"订单号{_luhn('622202' + _digits(rng, 12))}已完成",
        lambda: f"发布于{rng.randint(2000, 2026)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        lambda: f"升级到版本{rng.randint(1, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 20)}.{rng.randint(0, 20)}",
        lambda: f"书号ISBN 978-7-{_digits(rng, 3)}-{_digits(rng, 5)}-{_digits(rng, 1)}",
        lambda: f"| 型号 | 数量 |\n| {_digits(rng, 7)} | {_digits(rng, 4)} |",
        lambda: (
            f"金额合计{rng.randint(1000, 99999)}.{_digits(rng, 2)}元，同比增长{rng.randint(1, 99)}.{_digits(rng, 2)}%"
        ),
        lambda: f"运行时间{_digits(rng, 6)}秒，共处理{_digits(rng, 9)}条",
        lambda: f"Order no. {_mobile(rng)} was shipped on {rng.randint(2000, 2026)}-05-17.",
        lambda: f"提交哈希{''.join(rng.choice('0123456789abcdef') for _ in range(40))}",
    )
    return [Item(makers[n % len(makers)](), "zh", ()) for n in range(count)]
