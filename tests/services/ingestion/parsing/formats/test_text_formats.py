"""CSV, HTML, Markdown, plain text and mail."""

from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from zhiku_platform.text.document import (
    Code,
    Heading,
    ListItem,
    Note,
    Paragraph,
    ParsedDocument,
    Table,
    document_text,
)
from zhiku_services.ingestion.parsing import errors

ParseBytes = Callable[[str, bytes], ParsedDocument]


@pytest.fixture
def parse(tmp_path: Path, parsed: Callable[..., ParsedDocument]) -> ParseBytes:
    def run(name: str, data: bytes) -> ParsedDocument:
        path = tmp_path / name
        path.write_bytes(data)
        return parsed(path)

    return run


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_csv_of_any_delimiter_and_encoding_is_one_table(parse: ParseBytes, delimiter: str, encoding: str) -> None:
    rows = (("姓名", "部门", "说明"), ("张三", "财务部", "按月, 结算; 的|员工"), ("李四", "人事", "无"))
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    assert parse("staff.csv", text.encode(encoding)).blocks == (Table(rows),)


def test_a_quote_that_never_closes_does_not_swallow_the_file_silently(parse: ParseBytes) -> None:
    document = parse("odd.csv", b'a,b\n1,"two\n3,4\n')
    assert "3,4" in document_text(document).replace(" ", "")


def test_html_keeps_the_content_and_drops_what_surrounds_it(parse: ParseBytes) -> None:
    page = """<html><head><title>Leave policy</title><style>p{}</style></head><body>
    <nav>Home | About</nav><script>alert(1)</script>
    <main><h1>Leave</h1><p>You have <b>15</b> days.<br>Ask early.</p>
    <ul><li>Paid<ul><li>Annual</li></ul></li><li>Unpaid</li></ul>
    <ol start="3"><li>Third</li></ol>
    <table><caption>Days</caption><tr><th>Kind</th><th>Days</th></tr>
    <tr><td rowspan=2>Paid</td><td>15</td></tr>
    <tr><td>20</td></tr></table><pre>  keep\n    this</pre><p style="display: none">hidden</p></main>
    <footer>Imprint</footer></body></html>"""
    document = parse("leave.html", page.encode())
    assert document.title == "Leave policy"
    assert document.blocks == (
        Heading("Leave", 1),
        Paragraph("You have 15 days.\nAsk early."),
        ListItem("- Paid"),
        ListItem("- Annual", depth=1),
        ListItem("- Unpaid"),
        ListItem("3. Third"),
        Table((("Kind", "Days"), ("Paid", "15"), ("Paid", "20")), title="Days"),
        Code("  keep\n    this"),
    )


def test_html_is_decoded_by_what_it_declares(parse: ParseBytes) -> None:
    page = '<html><head><meta charset="gb2312"></head><body><p>价格表䶮</p></body></html>'
    assert document_text(parse("a.html", page.encode("gb18030"))) == "价格表䶮"


def test_html_nested_beyond_reason_is_refused(parse: ParseBytes) -> None:
    with pytest.raises(errors.ParsingError):
        parse("deep.html", b"<div>" * 2_000 + b"x")


def test_html_without_text_is_an_error(parse: ParseBytes) -> None:
    with pytest.raises(errors.NoTextLayerError):
        parse("empty.html", b"<html><body><script>1</script></body></html>")


def test_markdown_keeps_structure_and_front_matter_title(parse: ParseBytes) -> None:
    text = """---
title: "Deploy"
---
# Overview

Run **it** with `helm`, see [the docs](http://x).

1. First
2. Second
   - Nested

| Key | Value |
|-----|-------|
| a   | `1`   |

```sh
helm install
  --wait
```
"""
    document = parse("deploy.md", text.encode())
    assert document.title == "Deploy"
    assert document.blocks == (
        Heading("Deploy", 1),
        Heading("Overview", 1),
        Paragraph("Run it with helm, see the docs."),
        ListItem("1. First"),
        ListItem("2. Second"),
        ListItem("- Nested", depth=1),
        Table((("Key", "Value"), ("a", "1"))),
        Code("helm install\n  --wait"),
    )


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16", "utf-16-le"])
def test_a_statute_as_text_has_its_chapters_as_headings(parse: ParseBytes, encoding: str) -> None:
    text = "第一章　总则\n\n第一条　为了保护员工的权益，制定本规定。\n\n第二章　休假\n\n第二条　员工享有年假。\n"
    blocks = parse("law.txt", text.encode(encoding)).blocks
    assert [(b.text, b.level) for b in blocks if isinstance(b, Heading)] == [
        ("第一章 总则", 1 + 2),
        ("第二章 休假", 3),
    ]
    assert [b.text[:3] for b in blocks if isinstance(b, Paragraph)] == ["第一条", "第二条"]


def test_text_in_no_encoding_is_refused(parse: ParseBytes) -> None:
    with pytest.raises(errors.ParsingError) as caught:
        parse("a.txt", b"text \x81\x8d\x8f\x90\x9d\x81\xff\xfe\xfd" * 30)
    assert caught.value.code in {"undecodable_text", "wrong_extension"}


def test_white_space_alone_is_an_empty_file(parse: ParseBytes) -> None:
    with pytest.raises(errors.EmptyFileError):
        parse("a.txt", b" \n\t \n")


def test_mail_gives_headers_body_and_names_of_attachments(parse: ParseBytes) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "报销流程"
    message.set_content("请在月底前提交报销单。\n\n谢谢", charset="gb2312")
    message.add_alternative("<p>ignored</p>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="发票.pdf")
    document = parse("mail.eml", message.as_bytes())
    assert document.title == "报销流程"
    assert [getattr(block, "text", "") for block in document.blocks] == [
        "报销流程",
        "From: a@example.com\nTo: b@example.com",
        "请在月底前提交报销单。",
        "谢谢",
        "Attachments: 发票.pdf",
    ]
    assert document.notes == (Note("attachment", "The attachment 发票.pdf was not read."),)


def test_mail_with_only_html_is_read_as_html(parse: ParseBytes) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "News"
    message.set_content("<h2>Title</h2><p>Text &amp; more</p><script>x</script>", subtype="html")
    document = parse("mail.eml", message.as_bytes())
    assert document.blocks[-2:] == (Heading("Title", 2), Paragraph("Text & more"))
