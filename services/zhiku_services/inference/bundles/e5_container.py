"""The E5S1 container: multilingual-e5-small with 4-bit weights and its tokenizer in one file.

    magic "E5S1" · u32 version
    i32 hidden, layers, heads, feed_forward, vocabulary, positions, token_types · f32 epsilon · i32 block
    i32 pieces, bos, eos, pad, unk · u64 text bytes
    u32[pieces + 1] offsets · f32[pieces] scores · pieces as UTF-8, back to back
    i32 entries · u32 bytes · character map, which `bundles.e5_folder` restates as normalizer rules
    i32 tensors, each: u16 name length · name · u8 type · u32 count · u64 offset · u64 bytes

Numbers are little-endian. Matrices are Q4_0: blocks of 32 weights along a row, a float16 scale and 16 bytes
whose low halves are weights 0 to 15 and high halves 16 to 31, each offset by 8.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zhiku_services.inference.errors import ModelCorruptError

Float32 = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]

_MAGIC = b"E5S1"
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])


@dataclass(frozen=True)
class Shape:
    """The architecture, in the order of the header."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    block: int


@dataclass(frozen=True)
class Vocabulary:
    """Unigram pieces with their log probabilities; an id is a place in the list."""

    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unk: int

    def token(self, index: int) -> str:
        return self.pieces[index][0]


class E5Container:
    """Random access to the tensors of one container.

    Raises:
        ModelCorruptError: the file is not an E5S1 container.
    """

    def __init__(self, path: Path) -> None:
        self._bytes = path.read_bytes()
        self._at = len(_MAGIC)
        if not self._bytes.startswith(_MAGIC):
            raise ModelCorruptError(f"`{path.name}` is not an E5S1 container.", remedy="Run `zhiku models fetch`.")
        self._read("I")
        self.shape = Shape(*self._read("7i"), *self._read("f"), *self._read("i"))
        self.vocabulary = self._read_vocabulary()
        self._skip_character_map()
        self._offsets = dict(self._read_entry() for _ in range(self._read("i")[0]))

    def vector(self, name: str, *shape: int) -> Float32:
        """A tensor that is stored as float32, in this shape."""
        return np.frombuffer(self._bytes, "<f4", int(np.prod(shape)), self._offsets[name]).reshape(shape).copy()

    def matrix(self, name: str, rows: int, columns: int) -> Float32:
        """A Q4_0 tensor, dequantised exactly: float32 of shape (rows, columns)."""
        whole, scales = self.blocks(name, rows, columns)
        shape = (rows, columns // self.shape.block, self.shape.block)
        return (whole.reshape(shape).astype(np.float32) * scales[:, :, None]).reshape(rows, columns)

    def blocks(self, name: str, rows: int, columns: int) -> tuple[Int8, Float32]:
        """A Q4_0 tensor as stored: whole numbers from -8 to 7, (rows, columns), and each block's scale."""
        count = rows * columns // self.shape.block
        blocks = np.frombuffer(self._bytes, _BLOCK, count, self._offsets[name])
        halves = blocks["halves"]
        whole = np.concatenate([halves & 15, halves >> 4], axis=1).astype(np.int8) - np.int8(8)
        return whole.reshape(rows, columns), blocks["scale"].astype(np.float32).reshape(rows, -1)

    def _read(self, layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        values = struct.unpack_from(layout, self._bytes, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _read_vocabulary(self) -> Vocabulary:
        count, bos, eos, pad, unk = self._read("5i")
        (text_bytes,) = self._read("Q")
        offsets = self._read(f"{count + 1}I")
        scores = self._read(f"{count}f")
        text = self._bytes[self._at : self._at + text_bytes]
        self._at += text_bytes
        pieces = [(text[offsets[i] : offsets[i + 1]].decode(), scores[i]) for i in range(count)]
        return Vocabulary(pieces, bos=bos, eos=eos, pad=pad, unk=unk)

    def _skip_character_map(self) -> None:
        _, size = self._read("iI")
        self._at += size

    def _read_entry(self) -> tuple[str, int]:
        (length,) = self._read("H")
        name = self._bytes[self._at : self._at + length].decode()
        self._at += length
        _, _, offset, _ = self._read("BIQQ")
        return name, offset
