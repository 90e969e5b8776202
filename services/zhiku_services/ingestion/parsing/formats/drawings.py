"""Text in the drawings of Office files: shapes and diagrams."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from zhiku_platform.text.normalisation import normalise
from zhiku_services.ingestion.parsing.formats.ooxml import chosen


def paragraphs(shape: Element) -> Iterator[tuple[int, str]]:
    """Yield (depth, text) of each paragraph that has text."""
    body = shape.find("txBody")
    if body is None:
        body = shape.find("t")
    for paragraph in body.findall("p") if body is not None else ():
        parts = []
        for element in paragraph.iter():
            if element.tag == "t":
                parts.append(element.text or "")
            elif element.tag in {"br", "tab"}:
                parts.append("\n" if element.tag == "br" else " ")
        text = "\n".join(normalise(line).strip() for line in "".join(parts).split("\n")).strip()
        if text:
            properties = paragraph.find("pPr")
            depth = properties.get("lvl", "0") if properties is not None else "0"
            yield int(depth) if depth.isdigit() else 0, text


def diagram_texts(root: Element) -> Iterator[str]:
    """Yield the texts of a diagram's points, in the order of its data."""
    for point in root.iter("pt"):
        if text := _text(point):
            yield text


def shape_texts(parent: Element) -> Iterator[str]:
    """Yield the texts of all shapes in a drawing, those in groups too."""
    for child in parent:
        if child.tag == "sp":
            if text := _text(child):
                yield text
        else:
            yield from shape_texts(_chosen(child) if child.tag == "AlternateContent" else child)


def _chosen(element: Element) -> Element:
    branch = Element("branch")
    branch.extend(chosen(element))
    return branch


def _text(shape: Element) -> str:
    return "\n".join(text for _, text in paragraphs(shape))
