"""What a recogniser says, and the types it may say it of."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Sensitivity(StrEnum):
    """PIPL article 28 and GB/T 35273-2020, annex B."""

    SENSITIVE = "sensitive"
    """Sensitive personal information: identity documents, accounts, health, home address, credentials."""
    PERSONAL = "personal"
    """Personal information that identifies or reaches a person."""
    PUBLIC = "public"
    """No personal information by itself: organisations and places."""


class Entity(StrEnum):
    """The types of findings, named as Presidio names its own."""

    CN_ID_CARD = "CN_ID_CARD"
    CN_MOBILE = "CN_MOBILE"
    CN_LANDLINE = "CN_LANDLINE"
    CN_BANK_CARD = "CN_BANK_CARD"
    CN_PASSPORT = "CN_PASSPORT"
    CN_TRAVEL_PERMIT = "CN_TRAVEL_PERMIT"
    CN_DRIVER_LICENSE = "CN_DRIVER_LICENSE"
    CN_LICENSE_PLATE = "CN_LICENSE_PLATE"
    CN_USCC = "CN_USCC"
    CN_SOCIAL_SECURITY = "CN_SOCIAL_SECURITY"
    CN_MILITARY_ID = "CN_MILITARY_ID"
    WECHAT_ID = "WECHAT_ID"
    QQ = "QQ"
    EMAIL = "EMAIL"
    IP_ADDRESS = "IP_ADDRESS"
    MAC_ADDRESS = "MAC_ADDRESS"
    CREDIT_CARD = "CREDIT_CARD"
    PHONE_NUMBER = "PHONE_NUMBER"
    PERSON = "PERSON"
    LOCATION = "LOCATION"
    ORGANIZATION = "ORGANIZATION"
    ADDRESS = "ADDRESS"
    DATE_OF_BIRTH = "DATE_OF_BIRTH"
    HEALTH = "HEALTH"
    SECRET = "SECRET"  # noqa: S105 - the name of a type


PARENTS: dict[str, Entity] = {
    Entity.CN_MOBILE: Entity.PHONE_NUMBER,
    Entity.CN_LANDLINE: Entity.PHONE_NUMBER,
    Entity.CN_BANK_CARD: Entity.CREDIT_CARD,
    Entity.ADDRESS: Entity.LOCATION,
}
"""What each type also is."""

_PUBLIC = {Entity.CN_USCC, Entity.LOCATION, Entity.ORGANIZATION}
_PERSONAL = {
    Entity.CN_MOBILE,
    Entity.CN_LANDLINE,
    Entity.CN_LICENSE_PLATE,
    Entity.WECHAT_ID,
    Entity.QQ,
    Entity.EMAIL,
    Entity.IP_ADDRESS,
    Entity.MAC_ADDRESS,
    Entity.PHONE_NUMBER,
    Entity.PERSON,
    Entity.DATE_OF_BIRTH,
}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A stretch of text that is personal data: `text[start:end]` of the text as it was given."""

    start: int
    end: int
    type: Entity
    score: float
    """0 to 1: 1 where a check digit holds, lower where only shape and words nearby speak for it."""
    recogniser: str

    @property
    def sensitivity(self) -> Sensitivity:
        """The class of the finding's type."""
        return sensitivity_of(self.type)


def sensitivity_of(entity: Entity) -> Sensitivity:
    """The class that values of a type belong to."""
    if entity in _PUBLIC:
        return Sensitivity.PUBLIC
    return Sensitivity.PERSONAL if entity in _PERSONAL else Sensitivity.SENSITIVE


def is_a(found: str, wanted: str) -> bool:
    """Say whether one type is the other or a declared parent of it, in either direction."""
    return found == wanted or PARENTS.get(found) == wanted or PARENTS.get(wanted) == found


def resolve(findings: Iterable[Finding], text: str) -> list[Finding]:
    """Keep, where findings of `text` overlap, the surest, then the longest, then the first; in order of the text.

    What of another one stands beside them stays found: an address that runs into a date of birth ends before it, and
    is not lost.
    """
    kept: list[Finding] = []
    for found in sorted(set(findings), key=lambda f: (-f.score, f.start - f.end, f.start, f.type)):
        over = [other for other in kept if found.start < other.end and other.start < found.end]
        kept += _beside(found, sorted(over), text) if over else [found]
    return sorted(kept)


def _beside(found: Finding, over: Sequence[Finding], text: str) -> Iterator[Finding]:
    """What is left of a finding beside others: of a secret all but spaces, else from the first to the last letter."""
    starts = [found.start, *(other.end for other in over)]
    ends = [*(other.start for other in over), found.end]
    for start, end in zip(starts, ends, strict=True):
        is_part = _is_no_space if found.type is Entity.SECRET else str.isalnum
        left = [at for at in range(start, end) if is_part(text[at])]
        if left:
            yield replace(found, start=left[0], end=left[-1] + 1)


def _is_no_space(character: str) -> bool:
    return not character.isspace()
