"""Tokens: one for each value, in its format, and nobody's."""

import random
import re
from ipaddress import ip_address

import pytest

from zhiku_platform.privacy import Entity
from zhiku_platform.privacy.pseudonyms import TOKEN, pseudonym, value_of
from zhiku_platform.privacy.samples import structured
from zhiku_platform.privacy.validators import is_id_card, is_uscc, looks_like_id_card, luhn

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("entity", "written", "again"),
    [
        (Entity.CN_MOBILE, "13800138000", "+86 138-0013-8000"),
        (Entity.CN_MOBILE, "13800138000", "１３８００１３８０００"),
        (Entity.CN_ID_CARD, "11010519491231002x", "110105 19491231 002X"),
        (Entity.CN_LICENSE_PLATE, "京A12345", "京A·12345"),
        (Entity.EMAIL, "Li.Ming@Example.com", "li.ming@example.com"),
        (Entity.PERSON, "李明", "李 明"),
        (Entity.PERSON, "Mary  Smith", "mary\nsmith"),
        (Entity.IP_ADDRESS, "2001:DB8::1", "2001:db8:0:0:0:0:0:1"),
    ],
)
def test_a_value_has_one_token_however_it_is_written(entity: Entity, written: str, again: str) -> None:
    assert pseudonym(KEY, value_of(entity, written)) == pseudonym(KEY, value_of(entity, again))


def test_secrets_that_differ_in_a_capital_are_two() -> None:
    assert value_of(Entity.SECRET, "hunter2") != value_of(Entity.SECRET, "Hunter2")


def test_another_knowledge_base_has_another_token() -> None:
    value = value_of(Entity.PERSON, "李明")

    assert pseudonym(KEY, value) != pseudonym(b"o" * 32, value)
    assert pseudonym(KEY, value) != pseudonym(KEY, value, attempt=1)


SHAPES = [
    (Entity.CN_MOBILE, "13800138000", r"129\d{8}"),
    (Entity.CN_LANDLINE, "010-62345678", r"000-\d{8}"),
    (Entity.PHONE_NUMBER, "+44 20 7946 0018", r"\+0\d{11}"),
    (Entity.CN_ID_CARD, "11010519491231002X", r"00\d{15}[\dX]"),
    (Entity.CN_BANK_CARD, "6222021234567890128", r"00\d{17}"),
    (Entity.CREDIT_CARD, "4111111111111111", r"00\d{14}"),
    (Entity.CN_PASSPORT, "E12345678", r"00\d{7}"),
    (Entity.CN_TRAVEL_PERMIT, "H12345678", r"0Z\d{8}"),
    (Entity.CN_DRIVER_LICENSE, "110012345678", r"00\d{10}"),
    (Entity.CN_LICENSE_PLATE, "京A12345", r"某I[2-9B-Y]{6}"),
    (Entity.CN_USCC, "91350100M000100Y43", r"Z[2-9B-Y]{17}"),
    (Entity.CN_SOCIAL_SECURITY, "1234567890", r"ZZ\d{10}"),
    (Entity.CN_MILITARY_ID, "军字第12345678号", r"某字第\d{8}号"),
    (Entity.WECHAT_ID, "liming_88", r"0wx_[2-9b-y]{8}"),
    (Entity.QQ, "123456789", r"0\d{10}"),
    (Entity.EMAIL, "li@example.com", r"user-[2-9b-y]{8}@redacted\.invalid"),
    (Entity.IP_ADDRESS, "10.1.2.3", r"2[45]\d\.\d+\.\d+\.\d+"),
    (Entity.IP_ADDRESS, "fe80::1", r"2001:db8:[0-9a-f:]+"),
    (Entity.MAC_ADDRESS, "0A:1B:2C:3D:4E:5F", r"03(:[0-9A-F]{2}){5}"),
    (Entity.PERSON, "李明", "人员[2-9B-Y]{8}"),
    (Entity.PERSON, "Mary Smith", "Person [2-9B-Y]{8}"),
    (Entity.ADDRESS, "北京市朝阳区建国路88号", "地址[2-9B-Y]{8}"),
    (Entity.LOCATION, "Paris", "Place [2-9B-Y]{8}"),
    (Entity.ORGANIZATION, "Acme Ltd", "Organisation [2-9B-Y]{8}"),
    (Entity.DATE_OF_BIRTH, "1990年1月2日", "出生日期[2-9B-Y]{8}"),
    (Entity.HEALTH, "糖尿病", "健康信息[2-9B-Y]{8}"),
    (Entity.SECRET, "hunter2", "Redacted secret [2-9B-Y]{8}"),
]


@pytest.mark.parametrize(("entity", "written", "shape"), SHAPES)
def test_a_token_has_the_format_of_its_type(entity: Entity, written: str, shape: str) -> None:
    assert re.fullmatch(shape, pseudonym(KEY, value_of(entity, written)))


def test_every_type_has_a_token() -> None:
    assert {entity for entity, _, _ in SHAPES} == set(Entity)


def test_no_token_is_a_number_that_somebody_may_have() -> None:
    for n in range(2000):
        card = pseudonym(KEY, value_of(Entity.CN_BANK_CARD, f"{6222 * 10**15 + n}"))
        credit = pseudonym(KEY, value_of(Entity.CREDIT_CARD, f"{4111 * 10**12 + n}"))
        person = pseudonym(KEY, value_of(Entity.CN_ID_CARD, f"{110105194912310020 + n}"))
        company = pseudonym(KEY, value_of(Entity.CN_USCC, f"91350100M0001{n:05}"))
        address = pseudonym(KEY, value_of(Entity.IP_ADDRESS, f"10.0.{n // 250}.{n % 250}"))

        assert not luhn(card)
        assert not luhn(credit)
        assert not is_id_card(person)
        assert not looks_like_id_card(person)
        assert not is_uscc(company)
        assert ip_address(address).is_reserved


def test_what_people_write_is_not_taken_for_a_token() -> None:
    rng = random.Random(3)
    numbers = [f"人员{rng.randint(10**7, 10**8 - 1)}" for _ in range(2000)]
    texts = [item.text for item in structured(40, 5, "glued")]

    others = ["人员P2345678", "密钥BCDF5GHJ", "li.user-bcdf5ghj@redacted.invalid", "user-bcdf5ghj@redacted.invalid.org"]

    assert not [text for text in [*numbers, *texts, *others] if TOKEN.search(text)]


def test_every_spoken_token_is_known_by_its_shape() -> None:
    people = [value_of(Entity.PERSON, f"Mary {n}") for n in range(500)]

    assert all(TOKEN.fullmatch(pseudonym(KEY, person)) for person in people)
