"""What the Office formats share: a ZIP of XML parts tied together by relationships.

Namespaces are dropped when a part is read, so that the transitional and the strict variant look the
same; attributes of the relationships namespace get the prefix `r:`.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException  # type: ignore[import-untyped]  # has no types
from defusedxml.ElementTree import DefusedXMLParser  # type: ignore[import-untyped]  # has no types

from zhiku_services.ingestion.parsing import errors

_READ_BYTES = 1 << 16


class Package:
    """An open Office file."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self._names = {name.lower().lstrip("/"): name for name in self._zip.namelist()}

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Generator[Self]:
        """Open a file; a damaged one raises CorruptFileError, here or when a part is read."""
        with reading():
            package = cls(path)
            with package._zip:
                yield package

    def has(self, part: str) -> bool:
        return part.lower() in self._names

    def tree(self, part: str) -> Element:
        """Read a part; raises CorruptFileError if it is missing."""
        name = self._names.get(part.lower())
        if name is None:
            raise errors.CorruptFileError(f"The file lacks its part {part}.")
        parser = DefusedXMLParser(target=_Builder(), forbid_dtd=True)
        with self._zip.open(name) as stream:
            while data := stream.read(_READ_BYTES):
                parser.feed(data)
        root = parser.close()
        assert isinstance(root, Element)
        return root

    def stream(self, part: str, tags: Collection[str]) -> Iterator[Element]:
        """Yield the elements of these kinds as they end, and forget them; raises like `tree`."""
        name = self._names.get(part.lower())
        if name is None:
            raise errors.CorruptFileError(f"The file lacks its part {part}.")
        builder = _Builder()
        done: list[Element] = []
        builder.on_end = lambda element: done.append(element) if element.tag in tags else None
        parser = DefusedXMLParser(target=builder, forbid_dtd=True)
        with self._zip.open(name) as stream:
            while data := stream.read(_READ_BYTES):
                parser.feed(data)
                for element in done:
                    yield element
                    element.clear()
                done.clear()
        parser.close()

    def tree_or_none(self, part: str | None) -> Element | None:
        return self.tree(part) if part is not None and self.has(part) else None

    def main_part(self) -> str:
        """Name the part that the package begins with."""
        target = self.related("", "/officeDocument")
        if target is None:
            raise errors.CorruptFileError("The file does not say where its content begins.")
        return target

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Map relationship ids of a part to (type, target part); external targets are left out."""
        folder, _, name = part.rpartition("/")
        root = self.tree_or_none(f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels")
        if root is None:
            return {}
        return {
            entry.get("Id", ""): (entry.get("Type", ""), _resolve(folder, entry.get("Target", "")))
            for entry in root
            if entry.get("TargetMode") != "External"
        }

    def related(self, part: str, type_suffix: str) -> str | None:
        """Name the first part related to `part` by a type that ends so."""
        targets = (target for kind, target in self.relations(part).values() if kind.endswith(type_suffix))
        return next(targets, None)


@contextmanager
def reading() -> Generator[None]:
    """Turn what a damaged or hostile file makes the readers raise into typed errors."""
    try:
        yield
    except DefusedXmlException as error:
        raise errors.ArchiveBombError("The file declares XML entities, as attacks do.") from error
    except (zipfile.BadZipFile, zlib.error, ParseError, EOFError, KeyError, NotImplementedError, ValueError) as error:
        raise errors.CorruptFileError("The file is damaged: a part of it cannot be read.") from error


def _resolve(folder: str, target: str) -> str:
    if target.startswith("/"):
        return target.lstrip("/")
    return posixpath.normpath(posixpath.join(folder, target))


class _Builder(TreeBuilder):
    """Builds elements under their local names; `on_end` sees each when it is complete."""

    on_end: Callable[[Element], None] | None = None

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        return super().start(_local(tag), {_attribute(name): value for name, value in attrs.items()})

    def end(self, tag: str, /) -> Element:
        element = super().end(_local(tag))
        if self.on_end is not None:
            self.on_end(element)
        return element


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _attribute(name: str) -> str:
    namespace, _, local = name.rpartition("}")
    return f"r:{local}" if namespace.endswith("/relationships") else local


def is_on(element: Element | None) -> bool:
    """Tell whether a toggle such as `w:b` is present and not switched off."""
    return element is not None and element.get("val", "1") not in {"0", "false", "off", "none"}


def chosen(element: Element) -> Iterator[Element]:
    """Yield the children of the first choice of an `mc:AlternateContent`, else of its fallback."""
    branch = element.find("Choice")
    if branch is None:
        branch = element.find("Fallback")
    if branch is not None:
        yield from branch
