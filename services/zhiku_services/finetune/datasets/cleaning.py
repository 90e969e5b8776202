"""What is left out of a dataset before anybody learns from it, and why, example by example."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from zhiku_platform.text.language import Language, detect_language
from zhiku_services.finetune.datasets.examples import Example
from zhiku_services.finetune.datasets.facts import disagreement
from zhiku_services.finetune.datasets.likeness import Seen, near_pairs, plain
from zhiku_services.finetune.datasets.quality import quality


class Reason(StrEnum):
    """Why an example is left out; the order is the order in which they are looked for."""

    BAD_ORDER = "bad_order"
    EMPTY_ANSWER = "empty_answer"
    TOO_LONG = "too_long"
    NO_LICENCE = "no_licence"
    NO_CONSENT = "no_consent"
    AUDIENCE = "audience"
    LANGUAGE = "language"
    SECRET = "secret"  # noqa: S105 - the name of a reason
    PERSONAL = "personal"
    EVALUATION = "evaluation"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    ONE_AUTHOR = "one_author"
    SAME_ANSWER = "same_answer"
    CONTRADICTION = "contradiction"
    POOR = "poor"


@dataclass(frozen=True)
class Rules:
    """What is let through. Lengths are in characters; `None` switches a rule off.

    `licences` are those that allow training; `most_of_author` and `most_of_answer` are shares of the dataset, and never
    strike below twenty examples.
    """

    languages: frozenset[Language] | None = None
    longest: int = 24_000
    licences: frozenset[str] | None = None
    needs_consent: bool = False
    near_duplicate: float = 0.8
    same_question: float = 0.85
    most_of_author: float = 0.2
    most_of_answer: float = 0.05
    least_quality: float = 0.35


@dataclass(frozen=True)
class LeftOut:
    """One example that is not learnt from: its place in what was given, why, and the example it collides with."""

    place: int
    reason: Reason
    detail: str
    other: int | None = None


@dataclass
class Cleaned:
    """What is left, in its order, with the place that each had; and what was left out."""

    kept: list[Example] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def reasons(self) -> dict[Reason, int]:
        return dict(Counter(each.reason for each in self.left_out))


MayLearn = Callable[[Example], bool]
"""Whether the audience of the adapter lies within the readers of all that an example stems from."""
HoldsSecret = Callable[[Sequence[str]], Sequence[bool]]
"""Which texts hold a key, a token or a password; or, asked so, what names or reaches a person."""


def clean(
    examples: Sequence[Example],
    rules: Rules | None = None,
    *,
    evaluation: Iterable[tuple[str, str]] = (),
    may_learn: MayLearn | None = None,
    holds_secret: HoldsSecret | None = None,
    holds_personal: HoldsSecret | None = None,
) -> Cleaned:
    """Leave out what must not, or need not, be learnt.

    `evaluation` are (name, text) of everything that a model will be measured with. Of two examples that are alike the
    first stays; of two that contradict each other neither does, for nobody here knows which one is right.
    """
    return _Cleaning(examples, rules or Rules()).run(Seen(evaluation), may_learn, holds_secret, holds_personal)


class _Cleaning:
    def __init__(self, examples: Sequence[Example], rules: Rules) -> None:
        self._examples = examples
        self._rules = rules
        self._out: dict[int, LeftOut] = {}

    def run(
        self,
        seen: Seen,
        may_learn: MayLearn | None,
        holds_secret: HoldsSecret | None,
        holds_personal: HoldsSecret | None,
    ) -> Cleaned:
        self._one_by_one(seen, may_learn)
        self._leaks(holds_secret, Reason.SECRET, "holds a key, a token or a password")
        self._leaks(holds_personal, Reason.PERSONAL, "names or reaches a person")
        self._duplicates()
        self._flooding()
        self._contradictions()
        self._poor()
        places = self._left()
        left_out = [self._out[place] for place in sorted(self._out)]
        return Cleaned([self._examples[place] for place in places], places, left_out)

    def _left(self) -> list[int]:
        return [place for place in range(len(self._examples)) if place not in self._out]

    def _leave_out(self, place: int, reason: Reason, detail: str, other: int | None = None) -> None:
        self._out.setdefault(place, LeftOut(place, reason, detail, other))

    def _one_by_one(self, seen: Seen, may_learn: MayLearn | None) -> None:
        for place, example in enumerate(self._examples):
            if found := self._wrong(example, seen, may_learn):
                self._leave_out(place, *found)

    def _wrong(self, example: Example, seen: Seen, may_learn: MayLearn | None) -> tuple[Reason, str] | None:
        if problem := _order(example):
            return Reason.BAD_ORDER, problem
        if not plain(example.answer) or (example.rejected is not None and not plain(example.rejected.content)):
            return Reason.EMPTY_ANSWER, "the answer has no words"
        if len(example.text) > self._rules.longest:
            return Reason.TOO_LONG, f"{len(example.text)} characters"
        return self._not_allowed(example, may_learn) or self._unsuitable(example, seen)

    def _unsuitable(self, example: Example, seen: Seen) -> tuple[Reason, str] | None:
        language = detect_language(example.answer)
        if self._rules.languages is not None and language not in self._rules.languages:
            return Reason.LANGUAGE, f"the answer is in {language}"
        for text in (example.messages[-2].content, example.prompt, example.answer):
            if name := seen.find(text):
                return Reason.EVALUATION, f"repeats {name}"
        return None

    def _not_allowed(self, example: Example, may_learn: MayLearn | None) -> tuple[Reason, str] | None:
        where = example.provenance
        if self._rules.licences is not None and where.licence not in self._rules.licences:
            return Reason.NO_LICENCE, f"its licence is {where.licence or 'not known'}"
        if self._rules.needs_consent and not where.has_consent:
            return Reason.NO_CONSENT, "its author has not consented"
        if may_learn is not None and not may_learn(example):
            return Reason.AUDIENCE, "the adapter's audience may not read all that it stems from"
        return None

    def _leaks(self, holds: HoldsSecret | None, reason: Reason, detail: str) -> None:
        if holds is None:
            return
        places = self._left()
        for place, found in zip(places, holds([_whole(self._examples[n]) for n in places]), strict=True):
            if found:
                self._leave_out(place, reason, detail)

    def _duplicates(self) -> None:
        first: dict[str, int] = {}
        for place in self._left():
            whole = _identity(self._examples[place])
            if whole in first:
                self._leave_out(place, Reason.DUPLICATE, "the same", first[whole])
            else:
                first[whole] = place
        places = self._left()
        texts = [_identity(self._examples[place]) for place in places]
        for other, place, alike in near_pairs(texts, self._rules.near_duplicate):
            # Almost the same words with other facts are no copy: see `_contradictions`.
            one, two = self._examples[places[other]], self._examples[places[place]]
            if disagreement(one.prompt, one.answer, two.answer) is None:
                detail = f"{alike:.0%} of its stretches"
                self._leave_out(places[place], Reason.NEAR_DUPLICATE, detail, places[other])

    def _flooding(self) -> None:
        """One person, or one answer, must not weigh more than the others: that is how datasets are poisoned."""
        authors = Counter(self._examples[place].provenance.author for place in self._left())
        self._cap(
            lambda example: example.provenance.author if len(authors) > 1 else None,
            self._rules.most_of_author,
            Reason.ONE_AUTHOR,
        )
        self._cap(lambda example: plain(example.answer) or None, self._rules.most_of_answer, Reason.SAME_ANSWER)

    def _cap(self, key_of: Callable[[Example], str | None], share: float, reason: Reason) -> None:
        places = self._left()
        most = max(20, int(share * len(places)))
        counts: Counter[str] = Counter()
        for place in places:
            key = key_of(self._examples[place])
            if key is None:
                continue
            counts[key] += 1
            if counts[key] > most:
                self._leave_out(place, reason, f"more than {most} of them")

    def _contradictions(self) -> None:
        places = self._left()
        prompts = [self._examples[place].prompt for place in places]
        for other, place, _ in near_pairs(prompts, self._rules.same_question):
            one, two = self._examples[places[other]], self._examples[places[place]]
            if why := disagreement(one.prompt, one.answer, two.answer):
                self._leave_out(places[other], Reason.CONTRADICTION, why, places[place])
                self._leave_out(places[place], Reason.CONTRADICTION, why, places[other])

    def _poor(self) -> None:
        for place in self._left():
            score, worst = quality(self._examples[place])
            if score < self._rules.least_quality:
                self._leave_out(place, Reason.POOR, f"quality {score:.2f}: {worst}")


def _order(example: Example) -> str | None:
    """What is wrong with the order of the turns, or None."""
    turns = [*example.messages]
    if turns[0].role == "system":
        turns = turns[1:]
    if any(turn.role == "system" for turn in turns):
        return "the system speaks in the middle"
    if not turns or turns[0].role != "user":
        return "it does not begin with the user"
    if turns[-1].role != "assistant":
        return "it does not end with an answer"
    for before, after in pairwise(turns):
        if before.role == after.role != "tool":
            return f"the {before.role} speaks twice in a row"
    return "a question has no words" if any(t.role == "user" and not plain(t.content) for t in turns) else None


def _identity(example: Example) -> str:
    rejected = "" if example.rejected is None else example.rejected.content
    return f"{plain(example.text)}|{plain(rejected)}|{example.is_good}"


def _whole(example: Example) -> str:
    """All that a trainer might show to a model, the worse answer too."""
    return example.text if example.rejected is None else f"{example.text}\n{example.rejected.content}"
