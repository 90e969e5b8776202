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
    assert document.notes == (Note("attachment", "发票.pdf"),)


def test_mail_with_only_html_is_read_as_html(parse: ParseBytes) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "News"
    message.set_content("<h2>Title</h2><p>Text &amp; more</p><script>x</script>", subtype="html")
    document = parse("mail.eml", message.as_bytes())
    assert document.blocks[-2:] == (Heading("Title", 2), Paragraph("Text & more"))


def test_a_mail_is_read_on_after_a_picture_in_its_text(parse: ParseBytes) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "Plan"
    message.make_mixed()
    message.attach(mail_part("Here is the picture:"))
    picture = EmailMessage()
    picture.set_content(b"png", maintype="image", subtype="png", disposition="inline", filename="plan.png")
    message.attach(picture)
    message.attach(mail_part("<p>The deadline is the 4th of May.</p>", subtype="html"))
    message.attach(mail_part("You get this mail as a member of the list."))
    message.attach(mail_part("name,amount", filename="costs.txt", disposition="attachment"))
    document = parse("mail.eml", message.as_bytes())
    assert [getattr(block, "text", "") for block in document.blocks[2:]] == [
        "Here is the picture:",
        "The deadline is the 4th of May.",
        "You get this mail as a member of the list.",
        "Attachments: plan.png, costs.txt",
    ]


def test_of_alternatives_one_is_read_and_what_hangs_on_the_other_is_named(parse: ParseBytes) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "Plan"
    message.make_alternative()
    message.attach(mail_part("The plan is attached."))
    rich = EmailMessage()
    rich.make_mixed()
    rich.attach(mail_part("<p>The plan is attached.</p>", subtype="html"))
    rich.attach(mail_part("the plan", filename="plan.txt", disposition="attachment"))
    message.attach(rich)
    document = parse("mail.eml", message.as_bytes())
    assert [getattr(block, "text", "") for block in document.blocks[2:]] == [
        "The plan is attached.",
        "Attachments: plan.txt",
    ]


def test_a_forwarded_mail_is_read_with_its_headers(parse: ParseBytes) -> None:
    inner = EmailMessage()
    inner["From"], inner["Subject"] = "c@example.com", "Canteen"
    inner.set_content("It opens at noon.")
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "Fwd: Canteen"
    message.set_content("See below.")
    message.add_attachment(inner)
    document = parse("mail.eml", message.as_bytes())
    assert [getattr(block, "text", "") for block in document.blocks[2:]] == [
        "See below.",
        "Canteen",
        "From: c@example.com",
        "It opens at noon.",
    ]
    assert document.notes == ()


def test_a_mail_whose_parts_cannot_be_told_apart_keeps_its_text(parse: ParseBytes) -> None:
    data = b"From: a@example.com\r\nContent-Type: multipart/mixed\r\n\r\nThe canteen opens at noon.\r\n"
    assert parse("mail.eml", data).blocks[-1] == Paragraph("The canteen opens at noon.")


def mail_part(
    text: str, *, subtype: str = "plain", filename: str | None = None, disposition: str | None = None
) -> EmailMessage:
    part = EmailMessage()
    part.set_content(text, subtype=subtype, filename=filename, disposition=disposition)
    del part["MIME-Version"]
    return part


def test_text_between_two_rules_is_no_front_matter(parse: ParseBytes) -> None:
    blocks = parse("a.md", b"---\nsection one\n\nmore of it\n---\n\nrest").blocks
    assert [getattr(block, "text", "") for block in blocks] == ["section one", "more of it", "rest"]


def test_front_matter_is_kept_whole(parse: ParseBytes) -> None:
    text = """---
# for the site
title: >
  The leave
  policy
owner: HR department of Lisbon
limit: "42 days"
tags:
- leave
- holidays
draft:
summary: |
  Who may leave:
  all.
---

Body.
"""
    document = parse("a.md", text.encode())
    assert document.title == "The leave policy"
    assert document.blocks == (
        Heading("The leave policy", 1),
        Paragraph("Who may leave:\nall."),
        Paragraph("owner: HR department of Lisbon\nlimit: 42 days\ntags: - leave\n- holidays"),
        Paragraph("Body."),
    )


def test_characters_that_were_lost_are_noted(parse: ParseBytes) -> None:
    document = parse("a.txt", ("员工每年享有年假。" * 20).encode() + b"\xff\xff")
    assert document.notes == (Note("unreadable_characters", count=2),)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.md", b"# How a PDF is built\n\nA file starts with `%PDF-1.7`.\n"),
        ("a.txt", b"GIF89a is what some pictures begin with."),
        ("a.txt", b"BM is a shop; II* is a mark."),
    ],
)
def test_a_text_may_speak_of_other_formats(parse: ParseBytes, name: str, data: bytes) -> None:
    assert data.decode().split()[-1].strip(".`") in str(parse(name, data).blocks)


def test_of_several_articles_none_is_the_main_content_alone(parse: ParseBytes) -> None:
    html = b"<body><article><h2>One</h2><p>First text.</p></article><article><h2>Two</h2><p>More text.</p></article>"
    assert [getattr(block, "text", "") for block in parse("a.html", html).blocks] == [
        "One",
        "First text.",
        "Two",
        "More text.",
    ]


def test_text_between_the_items_of_a_list_is_kept(parse: ParseBytes) -> None:
    html = b"<ul>Bring: <li>a passport</li> and <li>a visa</li></ul>"
    assert [getattr(block, "text", "") for block in parse("a.html", html).blocks] == [
        "Bring:",
        "- a passport",
        "and",
        "- a visa",
    ]
