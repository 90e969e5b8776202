"""What can go wrong in the fine-tuning service.

UnprocessableError
├── UnknownFormatError        422  unknown_format
├── NotExpressibleError       422  not_expressible
├── EmptyDatasetError         422  empty_dataset
└── NoTemplateError           422  no_template
"""

from zhiku_platform.errors import UnprocessableError


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

    def __init__(self) -> None:
        super().__init__("No example is left.", remedy="See in the report why each one was left out.")


class NoTemplateError(UnprocessableError):
    """A tokenizer without a chat template: nobody can say what the server would make of a conversation."""

    code = "no_template"

    def __init__(self) -> None:
        super().__init__(
            "The base model's tokenizer has no chat template.",
            remedy="Choose an instruction-tuned base model, or add a `chat_template.jinja` to its folder.",
        )
