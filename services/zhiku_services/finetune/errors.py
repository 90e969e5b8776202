"""What can go wrong in the fine-tuning service.

ZhikuError
├── UnprocessableError
│   ├── UnknownFormatError        422  unknown_format
│   ├── NotExpressibleError       422  not_expressible
│   ├── EmptyDatasetError         422  empty_dataset
│   ├── NoTemplateError           422  no_template
│   ├── BadRecipeError            422  bad_recipe
│   ├── NothingToTrainError       422  nothing_to_train
│   ├── NotExportableError        422  not_exportable
│   └── RunFailedError            422  run_failed
└── ConflictError
    ├── RunTakenError             409  run_taken
    ├── RunEndedError             409  run_ended
    ├── NoLongerLearnableError    409  no_longer_learnable
    └── NotReadyError             409  not_ready
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from zhiku_platform.errors import ConflictError, UnprocessableError


class UnknownFormatError(UnprocessableError):
    """A file whose first record is in none of the formats that can be read."""

    code = "unknown_format"

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where} is in none of the formats alpaca, sharegpt, qa and openai.",
            remedy="Name the format, or convert the file: one JSON object a line, or one array of them.",
        )


class NotExpressibleError(UnprocessableError):
    """An example that a format has no place for."""

    code = "not_expressible"

    def __init__(self, form: str, what: str) -> None:
        super().__init__(f"The format {form} has no place for {what}.", remedy="Export it as `openai` or `sharegpt`.")


class EmptyDatasetError(UnprocessableError):
    """Nothing is left to learn from."""

    code = "empty_dataset"

    def __init__(self, reasons: Mapping[str, int]) -> None:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        super().__init__(
            f"No example is left; left out: {why or 'none, for there was none'}.",
            remedy="See in docs/finetune.md what each reason means.",
        )


class NoTemplateError(UnprocessableError):
    """A tokenizer without a chat template: nobody can say what the server would make of a conversation."""

    code = "no_template"

    def __init__(self) -> None:
        super().__init__(
            "The base model's tokenizer has no chat template.",
            remedy="Choose an instruction-tuned base model, or add a `chat_template.jinja` to its folder.",
        )


class BadRecipeError(UnprocessableError):
    """What is no recipe."""

    code = "bad_recipe"

    def __init__(self, why: str) -> None:
        super().__init__(f"This is no recipe: {why}.", remedy="See docs/finetune.md for what a recipe has.")

    @classmethod
    def of(cls, error: ValidationError) -> "BadRecipeError":
        """Name each field that is wrong."""
        return cls("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()))


class NothingToTrainError(UnprocessableError):
    """A dataset without an example of the kind that the method learns from."""

    code = "nothing_to_train"

    def __init__(self, method: str, wanted: str) -> None:
        super().__init__(
            f"The dataset has too little that `{method}` learns from: {wanted}.",
            remedy="Choose another method (`zhiku finetune plan`), or a dataset that has it.",
        )


class RunFailedError(UnprocessableError):
    """A training run ended without a result."""

    code = "run_failed"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The run failed: {why}.",
            remedy="Read `run.log` in its folder; start it again to go on from its last checkpoint.",
        )


class NotExportableError(UnprocessableError):
    """What was trained has no such form, or its parts do not fit each other."""

    code = "not_exportable"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The run cannot be exported so: {why}.", remedy="Name the base that it was trained on, or another form."
        )


class RunTakenError(ConflictError):
    """The folder of a run with another recipe."""

    code = "run_taken"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"`{folder}` holds a run of another recipe.", remedy="Name another folder.")


class RunEndedError(ConflictError):
    """A run that has ended cannot be cancelled."""

    code = "run_ended"

    def __init__(self) -> None:
        super().__init__("This run has ended already.", remedy="Look at its result.")


class NotReadyError(ConflictError):
    """A run to learn from that has nothing to learn from."""

    code = "not_ready"

    def __init__(self) -> None:
        super().__init__(
            "That run has no result that this method learns from.",
            remedy="Wait for its end; `gkd` learns from a run with an adapter, `rloo` from one of `reward`.",
        )


class NoLongerLearnableError(ConflictError):
    """A dataset of feedback of which something may not be learnt any more."""

    code = "no_longer_learnable"

    def __init__(self) -> None:
        super().__init__(
            "Somebody took their consent back, or part of the audience may no longer read a source.",
            remedy="Make the dataset anew from what may be learnt now.",
        )
