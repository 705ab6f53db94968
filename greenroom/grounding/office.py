"""The text of PDF and DOCX files. For the child process that `text` starts: it has the limits, this has not.

A DOCX comes out as Markdown: headings, lists, tables. Of both formats only text is looked at: no macros,
links, forms, attachments or pictures. XML with a document type is refused, so that no entity is expanded.
"""

import io
import zipfile
from collections.abc import Iterator
from xml.parsers import expat

from greenroom.errors import MalformedRequest

PAGES = 5_000
CHARACTERS = 5_000_000
"""Of text, at most: about 2,000 pages."""
PART_BYTES = 64 * 1024 * 1024
"""What the text of a DOCX may unpack to."""
RATIO = 200
"""How many bytes may come out of one."""
_DEPTH = 512
_TOO_LONG = f"The document holds more than {CHARACTERS:,} characters of text. Split it."
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
_STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main "


def pdf(data: bytes) -> tuple[str, str]:
    """Text, page after page, and title. Raises MalformedRequest."""
    import pypdf  # noqa: PLC0415 - the child alone loads it

    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise MalformedRequest("The PDF is locked with a password. Unlock it first.", "file")
        if len(reader.pages) > PAGES:
            raise MalformedRequest(f"The PDF has more than {PAGES:,} pages. Split it.", "file")
        pages: list[str] = []
        room = CHARACTERS
        for page in reader.pages:
            pages.append(_joined(page.extract_text()))
            room -= len(pages[-1])
            if room < 0:
                raise MalformedRequest(_TOO_LONG, "file")
        title = reader.metadata.title if reader.metadata is not None else None
        return "\n\n".join(pages), title if isinstance(title, str) else ""
    except (MalformedRequest, MemoryError):
        raise
    except Exception as error:  # whatever a broken file makes the library do
        raise MalformedRequest(
            "The PDF is broken, or written in a way that can't be read.", "file"
        ) from error


def _joined(page: str) -> str:
    """Lines as they stand on a page, with words that were broken at a line's end put together."""
    lines: list[str] = []
    for line in page.split("\n"):
        bare = line.strip()
        last = lines[-1] if lines else ""
        if last.endswith("-") and last[-2:-1].isalpha() and bare[:1].islower():
            lines[-1] = last[:-1] + bare
        else:
            lines.append(bare)
    return "\n".join(lines)


def docx(data: bytes) -> tuple[str, str]:
    """Text as Markdown, and title. Raises MalformedRequest."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            text = _Body().read(_part(archive, "word/document.xml", len(data)))
            title = _Title().read(_part(archive, "docProps/core.xml", len(data)))
    except MalformedRequest:
        raise
    except (
        zipfile.BadZipFile,
        expat.ExpatError,
        NotImplementedError,
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
    ) as error:
        raise MalformedRequest("The DOCX file is broken, or locked with a password.", "file") from error
    return text, title


def _part(archive: zipfile.ZipFile, name: str, size: int) -> Iterator[bytes]:
    """The unpacked bytes of one part; none where there is no such part."""
    if name not in archive.namelist():
        if name == "word/document.xml":
            raise MalformedRequest("The file is no DOCX: it holds no document.", "file")
        return
    room = min(PART_BYTES, RATIO * size)
    with archive.open(name) as part:
        while piece := part.read(65_536):
            room -= len(piece)
            if room < 0:
                raise MalformedRequest("The DOCX file unpacks to more than can be read. Split it.", "file")
            yield piece


class _Reader:
    """Walks through XML without building it."""

    def read(self, pieces: Iterator[bytes]) -> str:
        """The text of it."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        is_empty = True
        for piece in pieces:
            parser.Parse(piece, False)
            is_empty = False
        if not is_empty:
            parser.Parse(b"", True)
        return self.result()

    def _doctype(self, *_: object) -> None:
        raise MalformedRequest("The DOCX file holds a document type, which no such file has.", "file")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """Characters."""

    def result(self) -> str:
        """What was read."""
        return ""


class _Title(_Reader):
    """`dc:title` of the properties."""

    def __init__(self) -> None:
        self._inside = False
        self._pieces: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._inside = name.endswith("/dc/elements/1.1/ title")

    def end(self, name: str) -> None:
        self._inside = False

    def text(self, text: str) -> None:
        if self._inside and len(self._pieces) < 100:
            self._pieces.append(text)

    def result(self) -> str:
        return "".join(self._pieces)


class _Body(_Reader):
    """Paragraphs of a document. Deleted text and field codes are not text; hidden runs are not read."""

    def __init__(self) -> None:
        self._room = CHARACTERS
        self._pieces: list[str] = []
        self._line: list[str] = []
        self._depth = 0
        self._in_text = False
        self._in_properties = False
        self._is_hidden = False
        self._lead = ""
        self._rows = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEPTH:
            raise MalformedRequest("The DOCX file nests too deep.", "file")
        tag = _tag(name)
        if tag == "t":
            self._in_text = not self._is_hidden
        elif tag == "r":
            self._is_hidden = False
        elif tag == "rPr":
            self._in_properties = True
        elif tag == "vanish":
            self._is_hidden = self._in_properties and _value(attributes) not in {"0", "false", "off"}
        elif tag in {"tab", "br", "cr"} and not self._in_properties:
            self._line.append("\t" if tag == "tab" else "\n")
        elif tag == "pStyle":
            style = _value(attributes).lower()
            level = style[-1:] if style[-1:].isdigit() else ""
            if style.startswith(("heading", "ttulo", "título", "titulo")) and level:
                self._lead = "#" * min(6, max(1, int(level))) + " "
            elif style in {"title", "ttulo", "título", "titulo"}:
                self._lead = "# "
        elif tag == "numPr":
            self._lead = self._lead or "- "
        elif tag == "tbl":
            self._rows += 1
        elif tag == "tc" and self._rows:
            self._line.append("| ")

    def end(self, name: str) -> None:
        self._depth -= 1
        tag = _tag(name)
        if tag == "t":
            self._in_text = False
        elif tag == "rPr":
            self._in_properties = False
        elif tag == "r":
            self._is_hidden = False
        elif tag == "p":
            if self._rows:
                self._line.append(" ")
            else:
                self._close("\n\n" if not self._lead.startswith("-") else "\n")
        elif tag == "tr":
            self._line.append("|")
            self._close("\n")
        elif tag == "tbl":
            self._rows -= 1
            self._add("\n")

    def text(self, text: str) -> None:
        if self._in_text:
            self._line.append(text)

    def _close(self, end: str) -> None:
        line = "".join(self._line).strip()
        if line:
            self._add(self._lead + line + end)
        self._line = []
        self._lead = ""

    def _add(self, text: str) -> None:
        self._room -= len(text)
        if self._room < 0:
            raise MalformedRequest(_TOO_LONG, "file")
        self._pieces.append(text)

    def result(self) -> str:
        self._close("")
        return "".join(self._pieces).strip()


def _tag(name: str) -> str:
    """The local name of an element of WordprocessingML."""
    return name.removeprefix(_WORD).removeprefix(_STRICT)


def _value(attributes: dict[str, str]) -> str:
    return attributes.get(f"{_WORD}val") or attributes.get(f"{_STRICT}val") or ""
