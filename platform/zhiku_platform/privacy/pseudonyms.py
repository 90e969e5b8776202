"""Tokens in place of personal data: the same for the same value and key, and never a value that anybody has.

Where a type has a format, the token has it too, in a range that nobody is given; `docs/privacy.md` says which and why.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from zhiku_platform.privacy.findings import Entity
from zhiku_platform.privacy.normalise import normalise
from zhiku_platform.privacy.validators import ID_WEIGHTS, compact, luhn

# No vowels, so that no code is a word, and nothing that is read as something else.
_LETTERS = "BCDFGHJKMNPQRTVWXY"
_ALPHABET = "23456789" + _LETTERS
_CODE_LENGTH = 8
_HAN = re.compile(r"[\u3400-\u9fff]")
_COUNTRY = re.compile(r"(?:00)?86(?=1[3-9]\d{9}$)")

_SPOKEN: dict[Entity, tuple[str, str]] = {
    Entity.PERSON: ("人员", "Person"),
    Entity.LOCATION: ("地点", "Place"),
    Entity.ORGANIZATION: ("机构", "Organisation"),
    Entity.ADDRESS: ("地址", "Address"),
    Entity.DATE_OF_BIRTH: ("出生日期", "Birthday"),
    Entity.HEALTH: ("健康信息", "Health"),
    Entity.SECRET: ("已隐密钥", "Redacted secret"),
}
_AS_WRITTEN = {Entity.SECRET}
TOKEN = re.compile(
    "(?:"
    + "|".join([*(zh for zh, _ in _SPOKEN.values()), *(f"{en} " for _, en in _SPOKEN.values())])
    + f")[{_LETTERS}]{{2}}[{_ALPHABET}]{{{_CODE_LENGTH - 3}}}[{_LETTERS}](?![A-Za-z0-9])"
    + rf"|(?<![A-Za-z0-9._%+-])user-[{_ALPHABET.lower()}]{{{_CODE_LENGTH}}}@redacted\.invalid(?!\.?[A-Za-z0-9-])"
)
"""A token that its shape alone gives away: of a type without a format, and an e-mail address that no host can have.

No number or document of a person is written with such letters at its ends.
"""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a type, however it was written."""

    type: Entity
    text: str


def value_of(entity: Entity, written: str) -> Value:
    """The value that was written: without width, separators and capitals where these mean nothing.

    `138 0013 8000`, `+86-13800138000` and full-width digits are one number; a secret is what it is to the letter.
    """
    if entity in _AS_WRITTEN:
        return Value(entity, written)
    plain = normalise(written).text.strip()
    if entity is Entity.IP_ADDRESS:
        return Value(entity, _address(plain))
    if entity in (Entity.EMAIL, Entity.WECHAT_ID):
        return Value(entity, plain.casefold())
    if entity in _SPOKEN:
        return Value(entity, _spoken(plain))
    return Value(entity, _COUNTRY.sub("", compact(plain)))


def pseudonym(key: bytes, value: Value, attempt: int = 0) -> str:
    """The token of a value under a knowledge base's key.

    Two values may meet in one token where the format is short; who keeps the tokens asks for the next `attempt` then.
    """
    message = f"{value.type}\0{attempt}\0{value.text}".encode()
    number = int.from_bytes(hmac.digest(key, message, hashlib.sha256))
    if value.type in _SPOKEN:
        chinese, english = _SPOKEN[value.type]
        return (chinese if _HAN.search(value.text) else f"{english} ") + _code(number, _CODE_LENGTH)
    return _FORMATS[value.type](number, value.text)


def _address(plain: str) -> str:
    try:
        return str(ip_address(plain))
    except ValueError:
        return plain.casefold()


def _spoken(plain: str) -> str:
    """Without spaces in Chinese, with single ones in English, in small letters."""
    return (re.sub(r"\s+", "", plain) if _HAN.search(plain) else " ".join(plain.split())).casefold()


def _digits(number: int, count: int) -> str:
    return f"{number % 10**count:0{count}}"


def _code(number: int, length: int) -> str:
    written = ""
    for place in range(length):
        alphabet = _LETTERS if place in (0, 1, length - 1) else _ALPHABET
        number, at = divmod(number, len(alphabet))
        written += alphabet[at]
    return written


def _id_card(number: int, _value: str) -> str:
    body = "00" + _digits(number, 15)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, ID_WEIGHTS, strict=True)) % 11]


def _card(number: int, value: str) -> str:
    body = "00" + _digits(number, max(len(value), 16) - 3)
    check = next(n for n in range(10) if luhn(body + str(n)))
    return body + str((check + 1) % 10)


def _ip(number: int, value: str) -> str:
    if ":" in value:
        return str(IPv6Address((0x20010DB8 << 96) + number % 2**96))
    # The last address of the range is the broadcast address, which is in use.
    return str(IPv4Address((240 << 24) + number % (2**28 - 1)))


def _mac(number: int, _value: str) -> str:
    return ":".join(["03", *(f"{octet:02X}" for octet in (number % 2**40).to_bytes(5))])


_FORMATS: dict[Entity, Callable[[int, str], str]] = {
    Entity.CN_ID_CARD: _id_card,
    Entity.CN_MOBILE: lambda n, _: "129" + _digits(n, 8),
    Entity.CN_LANDLINE: lambda n, _: "000-" + _digits(n, 8),
    Entity.PHONE_NUMBER: lambda n, _: "+0" + _digits(n, 11),
    Entity.CN_BANK_CARD: _card,
    Entity.CREDIT_CARD: _card,
    Entity.CN_PASSPORT: lambda n, _: "00" + _digits(n, 7),
    Entity.CN_TRAVEL_PERMIT: lambda n, _: "0Z" + _digits(n, 8),
    Entity.CN_DRIVER_LICENSE: lambda n, _: "00" + _digits(n, 10),
    Entity.CN_LICENSE_PLATE: lambda n, _: "某I" + _code(n, 6),
    Entity.CN_USCC: lambda n, _: "Z" + _code(n, 17),
    Entity.CN_SOCIAL_SECURITY: lambda n, _: "ZZ" + _digits(n, 10),
    Entity.CN_MILITARY_ID: lambda n, _: f"某字第{_digits(n, 8)}号",
    Entity.WECHAT_ID: lambda n, _: "0wx_" + _code(n, _CODE_LENGTH).lower(),
    Entity.QQ: lambda n, _: "0" + _digits(n, 10),
    Entity.EMAIL: lambda n, _: f"user-{_code(n, _CODE_LENGTH).lower()}@redacted.invalid",
    Entity.IP_ADDRESS: _ip,
    Entity.MAC_ADDRESS: _mac,
}
