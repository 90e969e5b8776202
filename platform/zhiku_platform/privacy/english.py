"""English people and organisations by lists and by the words at their edges, beside what the model finds.

First names are those of the United States census of 1990, in the package `names`.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

from zhiku_platform.privacy.findings import Entity, Finding

_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        aide all alpha america and anderson angel angle any april are art asia august austin bell bill brain buck
        bud buddy but candy carolina carry chance charlotte chase cherry chi china chinese christian clay cleveland
        conception coral cornell crystal dakota dale dallas dawn dean dear delta desire destiny diamond dot drew
        easter echo else emery english era fairy faith fern flora florence florida for forest foster fran france
        frank freeman gay gene general genesis georgia german ginger golden grant had hang has hazel heather hello
        her his holly honey hope houston how hue india israel ivory ivy jackson jade jan january jewel jordan june
        junior kansas kenya king kit lacy lady lane lang lavender lee liberty lily lincoln loan long louis love mac
        madison major man manual many marine mark martin max may melody mercedes mercy meta milan miles miss misty
        mon moon myrtle not numbers olive one our page paris patience pearl penny ping please precious preston
        prince princess queen rae ray reid rich robin rose royal ruby sage sang savannah season see september she
        sidney sierra sky son song soon spanish spring star sterling storm str sue summer sun sunday sung sunshine
        sydney tawny taylor temple ten thanks the thu tiny treasure trinity troy tuesday two unique val van venus
        vera violet virgil virginia von walker war ward warren was washington wednesday who why will williams willow
        wilson winter wynn you young zone
        """,
    )
)
"""First names that are words or places as well."""
_LATIN = r"0-9A-Za-z_À-ž"
"""What a Latin word is made of: to `\\w` a Chinese character is a letter too."""
_PART = r"[A-ZÀ-ÖØ-ÞĀ-Ž][a-zß-öø-ÿā-ž'’]+(?:-[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]+)?"
_INITIAL = r"(?: [A-ZÀ-ÖØ-Þ](?:\.|(?!\w)))"
_WORD = re.compile(rf"{_PART}|[A-Z]\.?")
_FULL = re.compile(
    rf"(?<![{_LATIN}.@/\-])({_PART}){_INITIAL}?(?: +(?:van|von|de|da|di|del|ten|der|den|la|le|bin|al)){{0,2}}"
    rf"(?: +({_PART}))?(?![{_LATIN}\-])"
)
_LEAD = re.compile(
    rf"(?:\b[Mm]y name is|\b[Nn]amed|\b(?:Mr|Mrs|Ms|Dr|Prof)\.|\b(?:Mr|Mrs|Ms|Miss|Dr|Sir|Madam|Dear)|\b[Ss]igned by:?"
    rf"|\b(?:Best|Kind|Warm) regards,?|\b[Ss]incerely,?|\bYours,?)\s{{1,4}}({_PART}{_INITIAL}?(?: +{_PART}){{0,2}})"
)
_LEAD_LOWER = re.compile(r"\b[Mm]y name is ([a-zß-ÿ]{3,}(?: [a-z]\.?)?(?: [a-zß-ÿ]{3,})?)(?=[.,!?\n]|$)")
_COMPANY = re.compile(
    r"(?<![\w@.])((?:[A-Z0-9][\w'’&.\-]*,? (?:(?:and|of|&) )?){1,5}"
    r"(?:Inc|Incorporated|Ltd|Limited|LLC|LLP|PLC|plc|Corp|Corporation|Co|GmbH|AG|S\.A|Pty|Technologies|Investments|Holdings|Bank))\b\.?"
)
_OPENING = re.compile(
    r"^(?:The|A|An|At|In|From|For|I|My|We|Our|To|Is|Are|And|Of|By|With|This|That|Does|Do|Can|When|As) "
)
_SURNAME = re.compile(
    r".{2,}(?:i[ćc]|ovi[ćč]|ov[aá]|[eo]v|ev[aá]|sen|s?son|d[óo]ttir|nen|enko|sk[iyaá]|berg|ström|strom|mann|ez|escu|yan|idis|poulos|czyk|ini|etti"
    r"|ella|elli|eira|ier|aux|qvist|lund|gaard|gård|stad|veld|stra|shvili|oğlu|yama|moto|hara|mura)$"
)
"""How family names end in the languages of Europe, and Japanese ones in Latin letters."""


@lru_cache(maxsize=1)
def _first_names() -> frozenset[str]:
    lists = (files("names").joinpath(f"dist.{sex}.first").read_text(encoding="ascii") for sex in ("female", "male"))
    names = {line.split()[0].lower() for lines in lists for line in lines.splitlines()}
    return frozenset(name for name in names if len(name) > 2) - _WORDS


def reads_as_person(name: str) -> bool:
    """Whether two to four words are shaped like a person's name: capitals throughout, a family name at the end."""
    first, *rest = name.split()
    if not 1 <= len(rest) <= 3 or not all(_WORD.fullmatch(word) for word in (first, *rest)):
        return False
    return first.lower() not in _WORDS and (first.lower() in _first_names() or bool(_SURNAME.match(rest[-1])))


def find_english(text: str, language: str) -> Iterator[Finding]:
    """Find people by first name and by title or greeting, and companies by their form of business.

    In Chinese text a first name alone is none: there it is as often a product.
    """
    companies = [*_companies(text)]
    yield from companies
    for match in (*_LEAD.finditer(text), *_LEAD_LOWER.finditer(text)):
        yield Finding(*match.span(1), Entity.PERSON, 0.57, "name-position")
    for start, end, is_full in _by_first_name(text):
        if (is_full or language == "en") and all(end <= company.start or company.end <= start for company in companies):
            yield Finding(start, end, Entity.PERSON, 0.56 if is_full else 0.555, "first-name")


def _by_first_name(text: str) -> Iterator[tuple[int, int, bool]]:
    at = 0
    while match := _FULL.search(text, at):
        at = match.end(1)
        if match[1].lower() in _first_names():
            at = match.end()
            yield match.start(), at, bool(match[2])


def _companies(text: str) -> Iterator[Finding]:
    for match in _COMPANY.finditer(text):
        start = match.start()
        while opening := _OPENING.match(text[start : match.end()]):
            start += opening.end()
        if " " in text[start : match.end()]:
            yield Finding(start, match.end(), Entity.ORGANIZATION, 0.58, "company-form")
