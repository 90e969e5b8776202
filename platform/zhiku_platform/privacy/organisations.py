"""Chinese names of organisations, put together from the words that the model cut them into."""

import re
from collections.abc import Iterable, Sequence

Word = tuple[int, int, str]
"""Start, end and label of a word."""

_NAMES = frozenset({"PER", "LOC", "ORG"})
_HEAD = re.compile(
    r"(?:公司|集团|企业|厂|大学|学院|学校|中学|小学|党校|医院|银行|[支分总]行|研究[院所]|设计院|实验室|学会|协会|商会|工会|研究会|联合会|委员会"
    r"|基金会|办公室|事务所|[管总分]局|理局|法院|检察院|政府|军区|部队|军队|军方|[空海陆美俄日国]军|总队|支队|大队|舰队|[^内外全总]部|部门"
    r"|报社|出版社|杂志社|电视台|证券|保险|信托|实业|股份|租赁|制药|药业|置业|重工|俱乐部|总站|门市部|[^服业任义特刻四各到好何]处)$"
)
"""What an organisation is: the last word of its name."""
_INSIDE = frozenset({"n", "vn", "nz", "an", "a", "s", "f", "PER", "LOC", "ORG"})
_NUMBERED = re.compile(r"\d|第")
_NOBODY = re.compile(r".|.+族")
_LONGEST = 9


def join_names(piece: str, words: Sequence[Word]) -> list[Word]:
    """The people, places and organisations among the words; what belongs to the name of an organisation is one.

    A name begins at a person, place or organisation and ends at the last word that says what it is.
    """
    found: list[Word] = []
    n = 0
    while n < len(words):
        start, end, label = words[n]
        last = _end(piece, words, n) if label in _NAMES else n
        if last > n or (label == "LOC" and _HEAD.search(piece, start, end)):
            found.append((start, words[last][1], "ORG"))
        elif label in _NAMES and not (label == "ORG" and _NOBODY.fullmatch(piece, start, end)):
            found.append((start, end, label))
        n = last + 1
    return found


def _end(piece: str, words: Sequence[Word], first: int) -> int:
    """The last word of the name that begins at `first`; `first` where it is a name by itself."""
    last, n = first, first + 1
    while n < len(words) and n - first < _LONGEST:
        start, end, _ = words[n]
        if piece[start] == "(" and (closing := _closing(piece, words, n)):
            n = closing + 1
            continue
        if not _goes_on(piece, words, n):
            break
        if _HEAD.search(piece, words[first][0], end):
            last = n
        n += 1
    return last


def _goes_on(piece: str, words: Sequence[Word], n: int) -> bool:
    """Whether a word can stand inside a name: a noun, a number that orders, 和 before what is no name by itself."""
    start, end, label = words[n]
    if label == "m":
        return bool(_NUMBERED.match(piece, start, end))
    if label == "c":
        return n + 1 < len(words) and words[n + 1][2] not in _NAMES
    return label in _INSIDE


def _closing(piece: str, words: Sequence[Word], opening: int) -> int | None:
    """The bracket that closes behind one or two words."""
    near: Iterable[int] = range(opening + 2, min(opening + 4, len(words)))
    return next((n for n in near if piece[words[n][0]] == ")"), None)
