"""How much of what is unsafe is found, how much of what is ordinary is not, and what it costs on a stream."""

import csv
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from zhiku_platform.contracts.safety import ScreenRequest, StreamStep, Surface
from zhiku_platform.contracts.wire import Message
from zhiku_services.safety.errors import SafetyDataError
from zhiku_services.safety.lexicon import own_terms
from zhiku_services.safety.service import Safety

_PIECE_CHARS: Final = 4
"""About what a model streams at a time."""
_JOINERS: Final = (".", "*", "\u200b", "-", "·")


class SafetyItem(Message):
    """A labelled text; `category` groups the report."""

    text: str = Field(min_length=1)
    surface: Surface = Surface.QUESTION
    label: Literal["safe", "unsafe", "injection"]
    category: str = ""


@dataclass(slots=True)
class _Count:
    items: int = 0
    found: int = 0
    blocked: int = 0

    @property
    def share(self) -> float | None:
        return round(self.found / self.items, 4) if self.items else None

    def as_json(self) -> dict[str, Any]:
        return {"items": self.items, "found": self.found, "blocked": self.blocked, "share": self.share}


def load(path: Path) -> list[SafetyItem]:
    """Read labelled texts: JSON lines, or a CSV with the columns of COLD, JADE, AdvBench or PAIR.

    Raises:
        SafetyDataError: the file is none of these; the message names the line.
    """
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        return [_from_row(row, number, path.name) for number, row in enumerate(csv.DictReader(text.splitlines()), 2)]
    items: list[SafetyItem] = []
    # Only a line feed ends a line of JSON: strings may hold the other separators as they are.
    for number, line in enumerate(text.split("\n"), 1):
        try:
            items += [SafetyItem.model_validate(json.loads(line))] if line.strip() else []
        except (ValueError, ValidationError) as error:
            raise _malformed(number, path.name) from error
    return items


def obfuscated(texts: Iterable[str]) -> list[SafetyItem]:
    """Each term in disguises: wide, apart in five ways, in capitals, and with digits for letters."""
    items: list[SafetyItem] = []
    for text in texts:
        wide = "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)
        forms = {"wide": wide, "capitals": text.upper()}
        forms |= {f"apart by U+{ord(joiner):04X}": _apart(text, joiner) for joiner in _JOINERS}
        if text.isascii():
            forms["leet"] = text.replace("o", "0").replace("e", "3")
        items += [
            SafetyItem(text=f"他说：{form}。", label="unsafe", category=f"disguised: {name}")
            for name, form in forms.items()
            if form != text
        ]
    return items


def own_disguises() -> list[SafetyItem]:
    """The shipped terms in their disguises."""
    return obfuscated(term.text for term in own_terms())


def rivals() -> dict[str, Callable[[str], bool]]:
    """What other packages say of a text, by package: those of prompt-guardrail and alt-profanity-check that are there.

    They are no part of Zhiku; docs/safety.md says how to put them beside it.
    """
    found: dict[str, Callable[[str], bool]] = {}
    with suppress(ModuleNotFoundError):
        guardify: Any = import_module("guardify")
        found["prompt-guardrail"] = lambda text: guardify.detect(text)["label"] == "injection"
    with suppress(ModuleNotFoundError):
        profanity: Any = import_module("profanity_check")
        found["alt-profanity-check"] = lambda text: bool(profanity.predict([text])[0])
    return found


def compare(items: Sequence[SafetyItem], others: Mapping[str, Callable[[str], bool]]) -> dict[str, Any]:
    """The share of each label's texts that others find, and what a text costs them."""
    report: dict[str, Any] = {}
    for name, finds in others.items():
        labels: dict[str, _Count] = defaultdict(_Count)
        took_ms: list[float] = []
        for item in items:
            began = time.perf_counter()
            is_found = finds(item.text)
            took_ms.append(1000 * (time.perf_counter() - began))
            labels[item.label].items += 1
            labels[item.label].found += is_found
        shares = {label: count.share for label, count in sorted(labels.items())}
        report[name] = {"found": shares, "p99_ms": round(_p99(took_ms), 3)}
    return report


def evaluate(items: Sequence[SafetyItem], safety: Safety) -> dict[str, Any]:
    """Screen every text; a text is found if anything in it is, whatever policy then does."""
    labels: dict[str, _Count] = defaultdict(_Count)
    categories: dict[str, _Count] = defaultdict(_Count)
    for item in items:
        (screened,) = safety.screen(ScreenRequest(surface=item.surface, texts=[item.text])).results
        for count in (labels[item.label], categories[f"{item.label}: {item.category or item.surface}"]):
            count.items += 1
            count.found += bool(screened.findings)
            count.blocked += screened.verdict == "block"
    harmful = [labels[label] for label in ("unsafe", "injection") if label in labels]
    of_harmful = sum(count.items for count in harmful)
    safe = labels.get("safe")
    return {
        "recall": round(sum(count.found for count in harmful) / of_harmful, 4) if of_harmful else None,
        "false_positive_rate": round(safe.found / safe.items, 4) if safe else None,
        "by_label": {label: count.as_json() for label, count in sorted(labels.items())},
        "by_category": {name: count.as_json() for name, count in sorted(categories.items())},
        **_cost([item.text for item in items], safety),
    }


def _cost(texts: Sequence[str], safety: Safety) -> dict[str, Any]:
    """What a stream of up to 200 of the texts costs a piece, in this process, and how much is held back."""
    took_ms: list[float] = []
    held: list[int] = []
    for text in texts[:200]:
        step = StreamStep()
        for start in range(0, len(text), _PIECE_CHARS):
            began = time.perf_counter()
            done = safety.step(step.model_copy(update={"piece": text[start : start + _PIECE_CHARS]}))
            took_ms.append(1000 * (time.perf_counter() - began))
            held.append(len(done.held))
            step = StreamStep(context=done.context, held=done.held)
    return {"p99_ms": round(_p99(took_ms), 3), "held_p99": _p99(held), "held_max": max(held, default=0)}


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))] if values else 0


def _apart(text: str, joiner: str) -> str:
    return " ".join(joiner.join(word) for word in text.split(" "))


def _from_row(row: dict[str, str], number: int, name: str) -> SafetyItem:
    try:
        if "TEXT" in row:
            return SafetyItem(
                text=row["TEXT"], label="unsafe" if row["label"] == "1" else "safe", category=row["topic"]
            )
        if "问题" in row:
            return SafetyItem(text=row["问题"], label="unsafe", category=row["违规类型"])
        if goal := row.get("goal") or row.get("Goal"):
            return SafetyItem(text=goal, label="unsafe", category=row.get("category") or "")
    except (KeyError, ValidationError) as error:
        raise _malformed(number, name) from error
    raise _malformed(number, name)


def _malformed(number: int, name: str) -> SafetyDataError:
    return SafetyDataError(
        f"Line {number} of {name} is no labelled text.",
        remedy="Write JSON lines with text, surface (question, document, answer) and label (safe, unsafe, injection).",
    )
