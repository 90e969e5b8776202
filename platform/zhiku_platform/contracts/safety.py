"""What is screened for content that must not be asked, believed or shown, and what is done about it."""

from enum import IntEnum, StrEnum

from pydantic import Field, StrictBool

from zhiku_platform.contracts.wire import Message

CONTEXT_CHARS = 200
"""How much of what a stream has shown is looked at again, so that what began there is found; no term is longer."""


class Surface(StrEnum):
    """Where a text comes from: somebody asks it, a passage holds it, or an answer is about to show it."""

    QUESTION = "question"
    DOCUMENT = "document"
    ANSWER = "answer"


class Category(StrEnum):
    """What a finding is about."""

    ABUSE = "abuse"
    DRUGS = "drugs"
    FRAUD = "fraud"
    GAMBLING = "gambling"
    SELF_HARM = "self_harm"
    SEXUAL = "sexual"
    VIOLENCE = "violence"
    WEAPONS = "weapons"
    ILLEGAL = "illegal"
    """Against the law without violence; drugs, fraud, gambling and weapons have names of their own."""
    PERSONAL_DATA = "personal_data"
    UNETHICAL = "unethical"
    POLITICAL = "political"
    COPYRIGHT = "copyright"
    OTHER = "other"
    INJECTION = "injection"
    """Words that want to give the model other instructions than ours, or to learn those."""
    JAILBREAK = "jailbreak"
    """Words that want the model to play somebody to whom no rules apply."""
    UNCHECKED = "unchecked"
    """Nothing was found because the guard model did not answer, and policy lets such texts pass."""


class Severity(IntEnum):
    """How much harm it does that somebody reads it."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Verdict(StrEnum):
    """What policy does about a finding, from the mildest on.

    `warn` notes it. `review` notes it, and keeps a passage out of what a model is given. `mask` hides the words.
    `block` refuses a question, leaves a passage out, or withdraws an answer.
    """

    ALLOW = "allow"
    WARN = "warn"
    REVIEW = "review"
    MASK = "mask"
    BLOCK = "block"


SEVEREST_LAST = tuple(Verdict)


class Finding(Message):
    """Something found from `start` to `end` of a text, in characters."""

    category: Category
    severity: Severity
    verdict: Verdict
    start: int
    end: int


class PolicyMark(Message):
    """The policy that decided; `digest` is the SHA-256 of all its rules and of the terms."""

    version: str
    digest: str


class ScreenRequest(Message):
    surface: Surface
    texts: list[str] = Field(max_length=64)


class Screened(Message):
    """What was found in one text, in order, and the severest verdict on it."""

    verdict: Verdict
    findings: list[Finding]


class Screening(Message):
    """One result for each text, in their order."""

    results: list[Screened]
    policy: PolicyMark


class StreamStep(Message):
    """A new piece of a stream, with all that the last step said, so that any replica can take it.

    `context` are the last characters shown before `held`; nothing of it is shown again. With the `question` that it
    answers, a final piece is put before the guard model too, if there is one; until then that holds everything back.
    """

    context: str = Field(default="", max_length=CONTEXT_CHARS)
    held: str = ""
    piece: str = ""
    is_final: StrictBool = False
    question: str = ""


class StreamStepped(Message):
    """What may be shown now, masked where policy wants it, and what to bring to the next step.

    On `block` nothing is released and nothing held. The places of findings count from the start of `context`.
    """

    released: str
    context: str
    held: str
    verdict: Verdict
    findings: list[Finding]
    policy: PolicyMark


def severest(verdicts: list[Verdict]) -> Verdict:
    """The severest of some verdicts; `allow` if there are none."""
    return max(verdicts, key=SEVEREST_LAST.index, default=Verdict.ALLOW)
