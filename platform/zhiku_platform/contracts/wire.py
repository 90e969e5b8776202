"""The base of every message: strict about what comes in, frozen once built."""

import re
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

T = TypeVar("T")

_NUMBER: Final = re.compile(r"\s*[-+]?[0-9.]+\s*")


def _no_number(value: Any) -> Any:
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise ValueError("a moment is written as in RFC 3339, such as 2026-11-23T09:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_no_number)]
"""A point in time with its zone, in the form of RFC 3339; a bare number would be read as seconds or milliseconds."""


SEARCHABLE: Final = r"^[^\x00]*$"
"""What can stand in a column of text: PostgreSQL takes no zero byte."""


PlainText = Annotated[str, Field(pattern=SEARCHABLE)]
"""Text that comes in from outside, and that every database can hold."""


class Message(BaseModel):
    """A frozen wire message; unknown fields are refused, so a typo is an error and not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(Message, Generic[T]):
    """One page of a listing; `next_cursor` is None on the last page."""

    items: list[T]
    next_cursor: str | None = None
