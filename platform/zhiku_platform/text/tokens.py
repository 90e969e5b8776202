"""Token counts as an embedding model sees them, without the model: only its `tokenizer.json` is read."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer


class TokenCounter:
    """Counts tokens with the tokenizer of a model folder.

    Counts are of the text alone: without the model's special tokens and without its prefix.

    Raises:
        FileNotFoundError: the folder has no `tokenizer.json`.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise FileNotFoundError(path)
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        """How many tokens `text` has."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, in order; faster than one by one."""
        return [len(found.ids) for found in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
