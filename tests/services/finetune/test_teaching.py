"""A teacher's answers as examples: whose they are, under which licence, and of which question."""

from collections.abc import Sequence

from zhiku_services.finetune.datasets.examples import Example, Origin, Provenance, Turn
from zhiku_services.finetune.teaching import taught

OWN = Example(
    messages=(Turn(role="system", content="Be brief."), Turn(role="user", content="How long?"),
              Turn(role="assistant", content="A week.")),
    rejected=Turn(role="assistant", content="No idea."),
    is_good=True,
    provenance=Provenance(source="file", line=3, documents=("d1",), licence="MIT", has_consent=True),
)  # fmt: skip


def test_the_question_stays_and_the_answer_is_the_teachers() -> None:
    def ask(turns: Sequence[Turn]) -> str:
        assert [turn.role for turn in turns] == ["system", "user"]
        return "Six weeks."

    (made,) = taught([OWN], ask, teacher="big@1", licence="Apache-2.0")
    assert made is not None
    assert made.messages == (*OWN.messages[:-1], Turn(role="assistant", content="Six weeks."))
    assert (made.rejected, made.is_good) == (None, None)
    where = made.provenance
    assert (where.origin, where.source, where.licence, where.line) == (Origin.TEACHER, "big@1", "Apache-2.0", 3)
    assert (where.parent, where.documents, where.has_consent) == (OWN.digest, ("d1",), True)


def test_an_answer_without_end_or_words_is_none() -> None:
    answers = iter([None, "", "Six weeks."])
    made = list(taught([OWN] * 3, lambda _: next(answers), teacher="big", licence="MIT"))
    assert [each is None for each in made] == [True, True, False]
