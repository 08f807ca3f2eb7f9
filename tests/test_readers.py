"""Files and bytes to text: encodings, formats, and errors that say what to do."""

import io
import zipfile
from collections.abc import Callable
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from als_redflags.errors import InputError
from als_redflags.readers import decode, extract, read, read_page
from tests.conftest import Run

QUOTED = "\u201cWe don\u2019t promise\u201d \u2013 5 \u20ac a caf\u00e9"
RUSSIAN = "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("caf\u00e9 cures".encode(), "caf\u00e9 cures"),
        ("\ufeffcures".encode(), "cures"),
        ("cures".encode("utf-16"), "cures"),
        ("\ufeffcures".encode("utf-32-le"), "cures"),
        ("our cells cure".encode("utf-16-be"), "our cells cure"),
        (b"a\r\nb", "a\r\nb"),
        (b"caf\xe9", "caf\u00e9"),
        (QUOTED.encode("cp1252"), QUOTED),
        (QUOTED.encode("mac-roman"), QUOTED),
        (
            "10 \u00b0C, \u00bd tablet, 5 \u00b5g \u00a9 2012".encode("latin-1"),
            "10 \u00b0C, \u00bd tablet, 5 \u00b5g \u00a9 2012",
        ),
        (f"{QUOTED} \u2013 ".encode() + b"it\x92s", f"{QUOTED} \u2013 it\u2019s"),
        ("caf\u00e9 \u2013".encode()[:-1], "caf\u00e9 "),
    ],
)
def test_encodings(tmp_path: Path, data: bytes, text: str) -> None:
    file = tmp_path / "page.txt"
    file.write_bytes(data)
    assert read(file) == text
    assert decode(data, "page") == text


META = '<meta http-equiv="Content-Type" content="text/html; charset={}"><p>'


@pytest.mark.parametrize(
    ("declared", "real", "text"),
    [
        ("iso-8859-1", "cp1252", QUOTED),
        ("utf-8", "mac-roman", QUOTED),
        ("iso-8859-1", "utf-8", QUOTED),
        ("utf-16", "utf-8", QUOTED),
        ("windows-1251", "cp1251", RUSSIAN),
        ("macintosh", "mac-roman", QUOTED),
        ("gb2312", "gb18030", "\u4f60\u597d ALS"),
        ("iso-8859-15", "cp1252", QUOTED),
        ("no-such-thing", "cp1252", QUOTED),
        ("rot13", "cp1252", QUOTED),
    ],
)
def test_declared_encodings(declared: str, real: str, text: str) -> None:
    page = extract((META.format(declared) + text).encode(real), "page.html")
    assert page.text == text
    guessed = real != "utf-8" and declared not in ("iso-8859-1", "windows-1251", "macintosh", "gb2312")
    assert bool(page.notes) is guessed, page.notes


def test_a_guess_is_said_to_be_one() -> None:
    assert extract(b"caf\xe9 cures", "page.txt").notes == (
        "the text is not UTF-8; it was read as Windows-1252, which is a guess",
    )
    assert extract(b"cures", "page.txt").notes == ()


@given(st.text(st.characters(codec="cp1252", exclude_categories=("Cc",)), max_size=200))
def test_utf8_is_never_taken_for_something_else(text: str) -> None:
    assert decode(f"x{text}".encode(), "page") == f"x{text}"


def text_or_refusal(data: bytes, name: str) -> str:
    try:
        return extract(data, name).text
    except InputError as error:
        return str(error)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert any(map(str.isalnum, text_or_refusal(data, "page")))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\x00\x01\x02", "is a binary file"),
        (bytes(range(256)) * 4, "is a binary file"),
        (RUSSIAN.encode("cp1251"), r"is not UTF-8 \(byte 0\), and its encoding cannot be told\. Convert it"),
        (b"\xff\xfea", "is not UTF-16"),
        (b"x" * 20_000_001, "larger than 20 MB"),
        (b"\x89PNG\r\n\x1a\n", "a picture; run text recognition"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"save it as \.docx"),
        (b"{\\rtf1 cures}", "an RTF file"),
        (b"bplist00", "Safari web archive"),
        (b"<html><body><p> \xc2\xa0 </p></body></html>", "holds no visible text"),
        (b"<html><script src=app.js></script></html>", "holds no visible text; the page builds its text with scripts"),
        (b"%PDF-1.7 and no more", "the PDF is damaged"),
        (b"PK\x03\x04 and no more", "the Word document is damaged"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b--", "holds no web page"),
    ],
)
def test_what_cannot_be_read(data: bytes, message: str) -> None:
    if data.startswith(b"%PDF"):
        pytest.importorskip("pypdf", reason="PDF is read with the extra docs")
    with pytest.raises(InputError, match=message):
        extract(data, "page")


def test_the_limit_is_an_argument(tmp_path: Path) -> None:
    file = tmp_path / "page.txt"
    file.write_text("Our cells cure ALS.", "utf-8")
    assert read(file, max_bytes=19) == "Our cells cure ALS."
    with pytest.raises(InputError, match="is larger than 18 bytes"):
        read(file, max_bytes=18)


@pytest.mark.parametrize("address", ["https://example.org/page", "HTTP://example.org", "www.example.org", "file:///home/x.html"])
def test_an_address_is_not_fetched(address: str) -> None:
    with pytest.raises(InputError, match="Save the page in the browser"):
        read(address)


@pytest.mark.parametrize(
    ("name", "source", "kind"),
    [
        ("page.html", "Our cells cure", "html"),
        ("page.HTM", "Our cells cure", "html"),
        ("page.php", "<?php x ?><div>Our cells</div> <p>cure</p>", "html"),
        ("page.txt", "<!DOCTYPE html><title>t</title><p>Our cells cure", "html"),
        ("page.txt", "<?xml version='1.0'?>\n<!-- saved -->\n<html><p>Our cells cure", "html"),
        ("standard input", "<div class=x>Our cells cure</div>", "html"),
        ("standard input", "Our <b>cells</b> <b>cure</b><br><p>a</p>", "html"),
        ("standard input", "If x < 5 and y > 3, our cells cure", "text"),
        ("page.txt", "<p>Our cells</p> is how a page writes it: <b>cure</b>", "text"),
        ("page.md", "# Our cells\n\ncure", "markdown"),
    ],
)
def test_the_format_is_told_by_the_content_and_then_by_the_name(name: str, source: str, kind: str) -> None:
    page = extract(source.encode(), name)
    assert page.kind == kind
    assert ("<" in page.text) is ("<" in source and kind == "text")


def test_markdown() -> None:
    source = (
        "---\ntitle: Page\n---\n# Our *cells*\n\n"
        '![A vial](v.png) [They **cure** ALS](https://a.example/x "t"), see [prices][1].\n'
        "- **guaranteed**\n\n<https://a.example>\n[1]: https://b.example\n"
    )
    assert extract(source.encode(), "page.md").text.split("\n")[:4] == [
        "# Our *cells*", "", "A vial They cure ALS, see prices.", "- guaranteed",
    ]  # fmt: skip
    assert "example" not in extract(source.encode(), "page.md").text


def web_archive(charset: str) -> bytes:
    """A page with a frame, as browsers save it."""
    archive = MIMEMultipart("related", type="text/html")
    archive["Snapshot-Content-Location"] = "https://clinic.example/"
    for source in ("<title>Clinic</title><p>Our cells don\u2019t fail", "<p>A frame"):
        archive.attach(MIMEText(source, "html", charset))
    return archive.as_bytes()


@pytest.mark.parametrize("charset", ["utf-8", "windows-1252"])
@pytest.mark.parametrize("name", ["page.mhtml", "standard input"])
def test_web_archives(name: str, charset: str) -> None:
    page = extract(web_archive(charset), name)
    assert (page.text, page.title, page.kind) == ("Our cells don\u2019t fail", "Clinic", "mhtml")


PDF_PAGE = "BT /F1 12 Tf 50 700 Td 14 TL ({}) Tj ET"


def pdf(*pages: str) -> bytes:
    """A PDF whose pages hold these lines; parentheses would have to be escaped."""
    contents = [PDF_PAGE.format(") Tj T* (".join(page.split("\n"))) if page else "" for page in pages]
    kids = [3 + 2 * number for number in range(len(pages))]
    font = 3 + 2 * len(pages)
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Count {len(pages)}/Kids[{' '.join(f'{k} 0 R' for k in kids)}]>>"]
    for kid, content in zip(kids, contents, strict=True):
        objects += [
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {kid + 1} 0 R/Resources<</Font<</F1 {font} 0 R>>>>>>",
            f"<</Length {len(content)}>>stream\n{content}\nendstream",
        ]
    objects.append("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
    data, offsets = "%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(data))
        data += f"{number} 0 obj{content}endobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    end = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(data)}\n%%EOF"
    return f"{data}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode("ascii")


class TestPdf:
    """Brochures in PDF."""

    @pytest.fixture(autouse=True)
    def _pypdf(self) -> None:
        pytest.importorskip("pypdf", reason="PDF is read with the extra docs")

    def test_text_of_the_pages(self) -> None:
        page = extract(pdf("Our cells stop ALS.\nThey regen-\nerate nerves.", "Only $9,000."), "brochure")
        assert (page.text, page.kind, page.notes) == ("Our cells stop ALS.\nThey regenerate nerves.\n\nOnly $9,000.", "pdf", ())

    def test_running_heads_and_page_numbers_are_left_out(self) -> None:
        pages = [f"Cells Inc.\nClaim {name} is true.\n{number}" for number, name in enumerate("abcd")]
        assert extract(pdf(*pages), "brochure.pdf").text.split("\n\n") == [f"Claim {name} is true." for name in "abcd"]

    def test_a_page_without_text_is_mentioned(self) -> None:
        assert extract(pdf("Our cells stop ALS.", ""), "brochure.pdf").notes == (
            "1 of 2 pages hold no text, perhaps pictures of it",
        )

    def test_a_scan_is_refused(self) -> None:
        with pytest.raises(InputError, match="holds no text, only pictures of it"):
            extract(pdf("", ""), "brochure.pdf")

    @pytest.mark.parametrize("password", ["secret", ""], ids=["locked", "may only not be printed"])
    def test_encryption(self, password: str) -> None:
        from pypdf import PdfWriter

        writer = PdfWriter(clone_from=io.BytesIO(pdf("Our cells stop ALS.")))
        writer.encrypt(password, "owner", algorithm="RC4-128")
        stream = io.BytesIO()
        writer.write(stream)
        if password:
            with pytest.raises(InputError, match="is encrypted; open it with its password"):
                extract(stream.getvalue(), "brochure.pdf")
        else:
            assert extract(stream.getvalue(), "brochure.pdf").text == "Our cells stop ALS."

    @pytest.mark.parametrize("cut", range(20, 900, 80))
    def test_a_damaged_file_is_read_or_refused(self, cut: int) -> None:
        result = text_or_refusal(pdf("Our cells stop ALS.")[:cut], "brochure.pdf")
        assert "Our cells stop ALS." in result or "the PDF" in result


def test_pdf_without_pypdf_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pypdf", None)
    with pytest.raises(InputError, match=r'pip install "als-redflags\[docs\]"'):
        extract(pdf("Our cells stop ALS."), "brochure.pdf")


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx(body: str, **members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        if body:
            archive.writestr("word/document.xml", f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>')
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
    return stream.getvalue()


def paragraph(text: str, style: str = "", run: str = "") -> str:
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:rPr>{run}</w:rPr><w:t>{text}</w:t></w:r></w:p>'


class TestDocx:
    """Brochures in Word."""

    def test_structure(self) -> None:
        cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("One dose", "$9,000"))
        page = extract(
            docx(
                paragraph("Our cells", "Heading1") + paragraph("They stop ALS.") + paragraph("safe", "ListParagraph")
                + paragraph("proven", "ListParagraph") + f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>" + paragraph(" "),
                docProps__core='<p xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Brochure</dc:title></p>',
            ),
            "brochure.docx",
        )  # fmt: skip
        assert page.text == "Our cells\n\nThey stop ALS.\n\n- safe\n- proven\n\nOne dose\n$9,000"
        assert (page.title, page.kind) == ("Brochure", "docx")

    def test_runs_breaks_and_links_are_joined(self) -> None:
        runs = "<w:r><w:t>Our ce</w:t></w:r><w:hyperlink><w:r><w:t>lls</w:t><w:tab/><w:t>cure.</w:t><w:br/><w:t>Call!</w:t></w:r>"
        assert extract(docx(f"<w:p>{runs}</w:hyperlink></w:p>"), "b.docx").text == "Our cells cure.\nCall!"

    def test_hidden_and_deleted_text_is_left_out(self) -> None:
        deleted = "<w:p><w:del><w:r><w:delText>cure</w:delText></w:r></w:del><w:ins><w:r><w:t>help</w:t></w:r></w:ins></w:p>"
        shown = paragraph("shown", run='<w:vanish w:val="0"/>')
        assert extract(docx(deleted + paragraph("hidden", run="<w:vanish/>") + shown), "b.docx").text == "help\n\nshown"

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (lambda: docx("", other="x"), "is a zip file and no Word document"),
            (lambda: docx("<w:p>"), "the Word document is damaged"),
            (lambda: docx("<w:p>" * 5_000), "the Word document is damaged"),
            (lambda: docx(paragraph("Our cells cure."))[:-40], "the Word document is damaged"),
            (lambda: docx(paragraph("")), "holds no visible text"),
            (lambda: docx("x" * 100_000_001), "unpacks to more than 100 MB"),
        ],
        ids=["other zip", "broken xml", "nested", "cut", "empty", "bomb"],
    )
    def test_what_cannot_be_read(self, data: Callable[[], bytes], message: str) -> None:
        with pytest.raises(InputError, match=message):
            extract(data(), "brochure.docx")

    def test_entities_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "secret.txt").write_text("secret", "utf-8")
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            xml = (
                f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret.txt">]>'
                f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>Our cells &e;</w:t></w:r></w:p></w:body></w:document>'
            )
            archive.writestr("word/document.xml", xml)
        assert extract(stream.getvalue(), "brochure.docx").text == "Our cells"


def test_html_on_standard_input(run: Run) -> None:
    source = b"<nav><a href=/>Home</a></nav><h1>ALS can be stopped</h1><p>Our stem cells cure ALS, guaranteed.</p>"
    done = run("score", "--show-text", stdin=source)
    out = done.stdout.decode()
    assert done.returncode == 0
    assert out.startswith("--- -\n    1  ALS can be stopped\n    2  \n    3  Our stem cells cure ALS, guaranteed.\n")
    assert "Home" not in out


def test_notes_go_to_standard_error_and_leave_json_alone(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_bytes("<p>Our stem cells cure ALS, and we don\u2019t ask for a referral.".encode("cp1252"))
    done = run("score", file, "--format", "json", "--show-text")
    assert done.returncode == 0
    assert done.stdout.startswith(b"{")
    assert f"als-redflags: {file}: the text is not UTF-8; it was read as Windows-1252" in done.stderr.decode()
    assert "    1  Our stem cells cure ALS" in done.stderr.decode()


def test_a_file_name_that_is_none() -> None:
    with pytest.raises(InputError, match="is no file name"):
        read_page("a\0b")
