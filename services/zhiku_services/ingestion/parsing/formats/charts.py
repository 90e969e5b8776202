"""Charts of Office files as tables of the values that they store."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from zhiku_platform.text.document import Block, Paragraph, Table
from zhiku_platform.text.normalisation import one_line


def chart_blocks(root: Element, page: int | None = None) -> Iterator[Block]:
    """Write a chart as a table, a row a category and a column a series; or its title alone."""
    title = chart_title(root)
    columns: list[dict[int, str]] = []
    labels: dict[int, str] = {}
    names: list[str] = []
    for number, series in enumerate(root.iter("ser"), start=1):
        names.append(" ".join(_points(series.find("tx")).values()) or f"Series {number}")
        for source in ("cat", "xVal"):
            labels = labels or _points(series.find(source))
        columns.append(_points(series.find("val")) or _points(series.find("yVal")))
    indices = sorted(set(labels).union(*columns))
    rows = [("", *names)]
    rows += [(labels.get(i, ""), *(column.get(i, "") for column in columns)) for i in indices]
    if len(rows) > 1:
        yield Table(tuple(rows), title=title, page=page)
    elif title:
        yield Paragraph(title, page=page)


def chart_title(root: Element) -> str:
    heading = root.find("chart/title")
    return one_line(" ".join(t.text or "" for t in heading.iter("t"))) if heading is not None else ""


def _points(source: Element | None) -> dict[int, str]:
    """Read cached values by their index."""
    if source is None:
        return {}
    if (plain := source.find("v")) is not None and plain.text:
        return {0: one_line(plain.text)}
    return {int(point.get("idx", "0")): one_line(point.findtext("v") or "") for point in source.iter("pt")}
