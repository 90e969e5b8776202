"""What a trainer sees of an example: token ids, and which of them it learns; the linter shows the very same.

The text is what the chat template makes of the whole conversation, which is what the server makes of it too. Learnt are
the words of the assistant and the token that ends its turn, and nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from zhiku_services.finetune.datasets.examples import Example, Turn
from zhiku_services.finetune.errors import NoTemplateError


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is needed here."""

    chat_template: Any
    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int | None
    all_special_tokens: list[str]

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...

    def __call__(self, text: str, **options: Any) -> Any: ...

    def convert_ids_to_tokens(self, ids: Any) -> Any: ...

    def decode(self, token_ids: Any, **options: Any) -> Any: ...


class Problem(StrEnum):
    """What the linter finds; each has spoilt somebody's model."""

    NO_END = "no_end"
    """The last token learnt does not end a turn: the model will not stop."""
    DOUBLE_START = "double_start"
    """The text begins with the start token, and the tokenizer adds another."""
    NOTHING_LEARNT = "nothing_learnt"
    CUT_OFF = "cut_off"
    """It is longer than what is trained on, so that the end of the answer is lost."""
    CONTROL_IN_TEXT = "control_in_text"
    """Somebody's words hold a control token: they could end a turn, or begin one in another's name."""
    UNSTABLE_TEMPLATE = "unstable_template"
    """The template writes an earlier turn differently once another follows: training and serving would differ."""
    SPLIT_TOKEN = "split_token"  # noqa: S105 - the name of a problem
    """A token reaches from the prompt into the answer, which the server, who has the prompt alone, never produces."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of one example, and for each whether it is learnt."""

    ids: list[int]
    is_learnt: list[bool]
    problems: tuple[Problem, ...]

    @property
    def labels(self) -> list[int]:
        """The ids where they are learnt, and -100 where they are not, as PyTorch's losses take it."""
        return [token if learnt else -100 for token, learnt in zip(self.ids, self.is_learnt, strict=True)]


class Encoder:
    """Encodes examples for one base model.

    Raises:
        NoTemplateError: the tokenizer has no chat template.
    """

    def __init__(self, tokenizer: Tokenizer, *, end_ids: Iterable[int] = (), max_tokens: int = 2048) -> None:
        if not tokenizer.chat_template:
            raise NoTemplateError
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        own = () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
        self.end_ids = frozenset([*end_ids, *own])

    @classmethod
    def at(cls, folder: Path, *, max_tokens: int = 2048) -> "Encoder":
        """The encoder of a model's folder; its generation settings may name more tokens that end a turn."""
        from transformers import AutoTokenizer, GenerationConfig

        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        ends: Sequence[int] = ()
        if (folder / "generation_config.json").exists():
            found = GenerationConfig.from_pretrained(folder).eos_token_id
            ends = [] if found is None else [found] if isinstance(found, int) else found
        return cls(tokenizer, end_ids=ends, max_tokens=max_tokens)

    def encode(self, example: Example) -> Encoded:
        """The ids and the mask of one example, with all that is wrong with it."""
        problems: list[Problem] = []
        if any(token in turn.content for turn in example.messages for token in self._control):
            problems.append(Problem.CONTROL_IN_TEXT)
        whole = self._render(example.messages)
        spans = self._answers(example.messages, whole, problems)
        ids, offsets = self._tokens(whole)
        inside = [any(start <= first < last <= end for start, end in spans) for first, last in offsets]
        is_learnt = self._until_end(ids, inside)
        problems += self._check(ids, is_learnt, offsets, spans)
        return Encoded(ids[: self._max_tokens], is_learnt[: self._max_tokens], tuple(dict.fromkeys(problems)))

    def prompt_ids(self, messages: Sequence[Turn]) -> list[int]:
        """The ids that a server computes for a conversation that it shall answer."""
        return self._tokens(self._render(messages, asks=True))[0]

    def shown(self, encoded: Encoded) -> list[tuple[str, bool]]:
        """Each token as text, and whether it is learnt."""
        pieces = [self._tokenizer.decode([token]) for token in encoded.ids]
        return list(zip(pieces, encoded.is_learnt, strict=True))

    @property
    def _control(self) -> list[str]:
        return [token for token in self._tokenizer.all_special_tokens if token]

    def _render(self, messages: Sequence[Turn], *, asks: bool = False) -> str:
        conversation = [{"role": turn.role, "content": turn.content} for turn in messages]
        text: str = self._tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=asks)
        return text

    def _answers(self, messages: Sequence[Turn], whole: str, problems: list[Problem]) -> list[tuple[int, int]]:
        """Where, in the whole text, each answer stands with what ends its turn."""
        spans: list[tuple[int, int]] = []
        for place, turn in enumerate(messages):
            if turn.role != "assistant":
                continue
            before, after = self._render(messages[:place], asks=True), self._render(messages[: place + 1])
            if not after.startswith(before) or not whole.startswith(after):
                problems.append(Problem.UNSTABLE_TEMPLATE)
                continue
            spans.append((len(before), len(after)))
        return spans

    def _tokens(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        # The template has written the control tokens; the tokenizer must not add them a second time.
        found = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return list(found["input_ids"]), [tuple(pair) for pair in found["offset_mapping"]]

    def _until_end(self, ids: Sequence[int], is_learnt: Sequence[bool]) -> list[bool]:
        """Take what a template writes after the end of a turn, such as a line break, out of what is learnt."""
        kept = list(is_learnt)
        for place in range(1, len(ids)):
            if kept[place] and is_learnt[place - 1] and (ids[place - 1] in self.end_ids or not kept[place - 1]):
                kept[place] = False
        return kept

    def _check(
        self,
        ids: Sequence[int],
        is_learnt: Sequence[bool],
        offsets: Sequence[tuple[int, int]],
        spans: Sequence[tuple[int, int]],
    ) -> list[Problem]:
        problems: list[Problem] = []
        learnt = [token for token, is_one in zip(ids, is_learnt, strict=True) if is_one]
        if not learnt:
            problems.append(Problem.NOTHING_LEARNT)
        elif learnt[-1] not in self.end_ids:
            problems.append(Problem.NO_END)
        start = self._tokenizer.bos_token_id
        if start is not None and len(ids) > 1 and ids[0] == ids[1] == start:
            problems.append(Problem.DOUBLE_START)
        if len(ids) > self._max_tokens and any(is_learnt[self._max_tokens :]):
            problems.append(Problem.CUT_OFF)
        if any(first < begin < last for first, last in offsets for begin, _ in spans):
            problems.append(Problem.SPLIT_TOKEN)
        return problems


@dataclass
class Lint:
    """What the linter says of a dataset. `share_learnt` is of all tokens; `places` name the first examples of each."""

    examples: int = 0
    tokens: int = 0
    learnt: int = 0
    longest: int = 0
    problems: dict[Problem, int] = field(default_factory=dict)
    places: dict[Problem, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def share_learnt(self) -> float:
        return self.learnt / self.tokens if self.tokens else 0.0

    @property
    def is_sound(self) -> bool:
        return self.examples > 0 and not self.problems


_NAMED = 10
_LITTLE = 0.02


def lint(examples: Iterable[Example], encoder: Encoder) -> Lint:
    """Encode every example as the trainer will, and count what is wrong."""
    found = Lint()
    for place, example in enumerate(examples):
        encoded = encoder.encode(example)
        found.examples += 1
        found.tokens += len(encoded.ids)
        found.learnt += sum(encoded.is_learnt)
        found.longest = max(found.longest, len(encoded.ids))
        for problem in encoded.problems:
            found.problems[problem] = found.problems.get(problem, 0) + 1
            if len(places := found.places.setdefault(problem, [])) < _NAMED:
                places.append(place)
    if found.examples and found.share_learnt < _LITTLE:
        found.notes.append(f"Only {found.share_learnt:.1%} of the tokens are learnt: the prompts are long.")
    return found
