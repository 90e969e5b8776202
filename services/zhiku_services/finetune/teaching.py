"""Answers of a larger model as examples for a smaller one: the simplest distillation, and the one to begin with."""

from collections.abc import Callable, Iterator, Sequence

from zhiku_services.finetune.datasets.examples import Example, Origin, Provenance, Turn

Teacher = Callable[[Sequence[Turn]], str | None]
"""Answers a conversation; None where it did not come to an end."""


def taught(examples: Sequence[Example], ask: Teacher, *, teacher: str, licence: str) -> Iterator[Example | None]:
    """The same questions with the teacher's answers, in their order; None where it had none.

    `licence` is what the teacher's own terms let be done with its words. What was known of an answer's worth was of
    another answer, so it is left out; documents and audience stay those of the question.
    """
    for example in examples:
        asked = example.messages[:-1]
        answer = ask(asked)
        if not answer:
            yield None
            continue
        yield Example(
            messages=(*asked, Turn(role="assistant", content=answer)),
            provenance=Provenance(
                origin=Origin.TEACHER,
                source=teacher,
                line=example.provenance.line,
                documents=example.provenance.documents,
                author=example.provenance.author,
                parent=example.digest,
                licence=licence,
                has_consent=example.provenance.has_consent,
            ),
        )
