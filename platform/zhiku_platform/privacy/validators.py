"""Check digits and shapes of numbers, each on a value without separators unless it says otherwise."""

import math
import re
from collections import Counter
from datetime import date
from ipaddress import ip_address

_PROVINCES = frozenset(
    str(n)
    for n in (
        *range(11, 16),
        *range(21, 24),
        *range(31, 38),
        *range(41, 47),
        *range(50, 55),
        *range(61, 66),
        71,
        81,
        82,
        83,
    )
)
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_BANK_BINS = ("62", "9558", "95599", "601382", "601428", "603367", "436742", "456351", "405512", "552599", "621")
_CARD = re.compile(
    r"(?:4\d{12}(?:\d{3}){0,2}|(?:5[1-5]\d{2}|2(?:2[2-9]|[3-6]\d|7[01])\d|2720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|5\d{2}|4[4-9]\d)\d{12}|(?:50|5[6-9]|6\d)\d{10,17}"
    r"|1800\d{11}|2131\d{11})"
)
_GROUPS = {(11,), (3, 4, 4), (4, 4, 3), (3, 3, 5), (3, 8), (7, 4), (5, 6), (4, 3, 4), (3, 2, 2, 2, 2), (1,) * 11}


def compact(value: str) -> str:
    """The value without its separators, in capitals."""
    return re.sub(r"[^0-9A-Za-z\u4e00-\u9fff]", "", value).upper()


def luhn(digits: str) -> bool:
    """Say whether the last digit is the check digit of ISO/IEC 7812."""
    doubled = (int(d) * 2 for d in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0


def is_date(year: str, month: str, day: str) -> bool:
    """Say whether a person alive may have been born on it."""
    try:
        return date(1890, 1, 1) <= date(int(year), int(month), int(day)) <= date(2100, 1, 1)
    except ValueError:
        return False


def looks_like_id_card(value: str) -> bool:
    """Say whether province and birth date of a resident's number are possible (GB 11643), of 15 or 18 places."""
    if value[:2] not in _PROVINCES:
        return False
    born = value[6:14] if len(value) == 18 else "19" + value[6:12]
    return is_date(born[:4], born[4:6], born[6:])


def is_id_card(value: str) -> bool:
    """Say whether an 18-place resident's number has a possible birth date and the right check digit."""
    if len(value) != 18 or not looks_like_id_card(value):
        return False
    return "10X98765432"[sum(int(d) * w for d, w in zip(value[:17], ID_WEIGHTS, strict=True)) % 11] == value[17]


def is_uscc(value: str) -> bool:
    """Say whether a unified social credit code has its check digit (GB 32100)."""
    if len(value) != 18 or any(c not in USCC_ALPHABET for c in value) or value[2:4] not in _PROVINCES | {"10"}:
        return False
    total = sum(USCC_ALPHABET.index(c) * pow(3, n, 31) for n, c in enumerate(value[:17]))
    return USCC_ALPHABET[-total % 31] == value[17]


def is_bank_card(value: str) -> bool:
    """Say whether a number has a Chinese issuer's prefix and its check digit."""
    return 16 <= len(value) <= 19 and value.startswith(_BANK_BINS) and len(set(value)) > 2 and luhn(value)


def is_credit_card(value: str) -> bool:
    """Say whether a number has an international issuer's prefix and length, and its check digit."""
    return _CARD.fullmatch(value) is not None and len(set(value)) > 1 and luhn(value)


def is_mobile(value: str) -> bool:
    """Say whether the groups of a number, separators and all, are as people write a mobile number."""
    local = re.sub(r"^(?:\(?(?:\+|00)?86\)?[ \-]?)(?=1[3-9])", "", value)
    groups = tuple(len(part) for part in re.split(r"[ .\-]+", local))
    return groups in _GROUPS and len(set(local) - set(" .-")) > 2


def is_ip(value: str) -> bool:
    """Say whether it is an address of version 4 or 6."""
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def is_plate(value: str) -> bool:
    """Say whether a number plate has as many digits as plates have."""
    return sum(c.isdigit() for c in value[2:]) >= 2


def is_random(value: str) -> bool:
    """Say whether a value has the entropy of a key rather than of a word: 3 bits a character and a digit."""
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return bits >= 3 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def is_phone(value: str) -> bool:
    """Say whether a number is grouped like a telephone's, its extension aside, and is no date."""
    groups = re.findall(r"\d+", re.split("[xX]", value)[0])
    if re.fullmatch(r"(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d\d", value.strip()):
        return False
    return 7 <= sum(map(len, groups)) <= 15 and value.count("(") == value.count(")")
