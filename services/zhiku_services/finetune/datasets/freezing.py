"""Freezes a dataset: from then on its name is its content, and anybody can check that nothing was changed."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from zhiku_platform.errors import ConflictError
from zhiku_platform.text.language import detect_language
from zhiku_services.finetune.datasets.cleaning import Cleaned
from zhiku_services.finetune.datasets.examples import Example
from zhiku_services.finetune.datasets.quality import quality
from zhiku_services.finetune.errors import EmptyDatasetError

_EXAMPLES, _MANIFEST = "examples.jsonl", "manifest.json"


class DatasetChangedError(ConflictError):
    """A frozen dataset is not what it was."""

    code = "dataset_changed"

    def __init__(self, what: str) -> None:
        super().__init__(f"The frozen dataset was changed: {what}.", remedy="Take it from its backup, or freeze anew.")


@dataclass(frozen=True)
class Frozen:
    """A version of a dataset. `root` is the hex root of a Merkle tree (RFC 6962) over its canonical examples."""

    root: str
    count: int
    card: dict[str, Any]


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaves (RFC 6962, section 2.1)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + merkle_root(leaves[:left]) + merkle_root(leaves[left:])).digest()


def freeze(cleaned: Cleaned, folder: Path) -> Frozen:
    """Write a dataset into a folder that is named by its root; the same examples give the same folder.

    Raises:
        EmptyDatasetError: no example is left.
    """
    if not cleaned.kept:
        raise EmptyDatasetError({str(reason): count for reason, count in cleaned.reasons.items()})
    lines = [example.canonical() for example in cleaned.kept]
    frozen = Frozen(merkle_root(lines).hex(), len(lines), quality_card(cleaned))
    target = folder / frozen.root
    target.mkdir(parents=True, exist_ok=True)
    _write(target / _EXAMPLES, b"".join(line + b"\n" for line in lines))
    manifest = {"root": frozen.root, "count": frozen.count, "card": frozen.card}
    _write(target / _MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True).encode())
    return frozen


def thaw(folder: Path) -> tuple[Frozen, list[Example]]:
    """Read a frozen dataset, and see that it is the one that its name says.

    Raises:
        DatasetChangedError: an example was changed, added, removed or moved.
    """
    manifest = orjson.loads((folder / _MANIFEST).read_bytes())
    lines = (folder / _EXAMPLES).read_bytes().splitlines()
    root = merkle_root(lines).hex()
    if root != manifest["root"] or len(lines) != manifest["count"]:
        raise DatasetChangedError(f"its root is {root[:12]}…, and {manifest['root'][:12]}… was frozen")
    frozen = Frozen(root, len(lines), manifest["card"])
    return frozen, [Example.model_validate_json(line) for line in lines]


def quality_card(cleaned: Cleaned) -> dict[str, Any]:
    """What a person wants to know before a model learns from it."""
    kept = cleaned.kept
    lengths = sorted(len(example.text) for example in kept)
    scores = sorted(quality(example)[0] for example in kept)
    return {
        "examples": len(kept),
        "left_out": {str(reason): count for reason, count in sorted(cleaned.reasons.items())},
        "languages": dict(Counter(detect_language(example.answer) for example in kept).most_common()),
        "origins": dict(Counter(str(example.provenance.origin) for example in kept).most_common()),
        "sources": dict(Counter(example.provenance.source for example in kept).most_common(50)),
        "licences": dict(Counter(example.provenance.licence or "unknown" for example in kept).most_common()),
        "preference_pairs": sum(example.rejected is not None for example in kept),
        "thumbs": sum(example.is_good is not None for example in kept),
        "turns": dict(Counter(str(len(example.messages)) for example in kept).most_common()),
        "characters": {"median": _at(lengths, 0.5), "p95": _at(lengths, 0.95), "longest": _at(lengths, 1.0)},
        "quality": {"p5": round(_at(scores, 0.05), 3), "median": round(_at(scores, 0.5), 3)},
    }


def _at(values: Sequence[Any], share: float) -> Any:
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0


def _write(path: Path, content: bytes) -> None:
    """A name that is a digest is written once; after a crash, what is there is replaced by the same."""
    scratch = path.with_suffix(".part")
    scratch.write_bytes(content)
    scratch.replace(path)
