"""A document's bytes as text, with its title: Markdown, HTML, PDF, DOCX; all else is plain text or refused.

HTML comes out as Markdown, so that everything after knows one form of heading, list and code. What a reader
of the page would not see (scripts, hidden elements, comments, invisible characters) is left out: it is where
instructions to models are hidden. Large and foreign input is read in a child process with limits on memory,
time and output. Pages and word processors' files: `office`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal, NamedTuple

from greenroom.errors import MalformedRequest, TooLarge

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MediaType = Literal[
    "text/markdown",
    "text/plain",
    "text/html",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
]

MAX_BYTES = 20 * 1024 * 1024
MAX_CHARACTERS = 20_000_000
MAX_TITLE = 200
OWN_PROCESS_BYTES = 256 * 1024
"""Above this, and for all HTML, a child process reads."""
CHILD_MEMORY_BYTES = 1024 * 1024 * 1024
CHILD_CPU_S = 10
CHILD_WALL_S = 30
_BEYOND = "The document can't be read within the limits. Split or simplify it."

_SUFFIXES: dict[str, MediaType] = {
    ".md": "text/markdown", ".markdown": "text/markdown", ".mdx": "text/markdown",
    ".html": "text/html", ".htm": "text/html", ".xhtml": "text/html",
}  # fmt: skip
_FOREIGN = (
    b"PK\x03\x04", b"\x7fELF", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b", b"\xd0\xcf\x11\xe0", b"GIF8",
    b"7z\xbc\xaf", b"\xfd7zXZ",
)  # fmt: skip
_HEAD = 1024
"""A PDF may begin with so many bytes of something else."""
_INVISIBLE = dict.fromkeys(
    (
        *(n for n in range(0x20) if n not in (0x09, 0x0A)), *range(0x7F, 0xA0),
        0xAD, 0x061C, 0x115F, 0x1160, 0x180E, 0x200B, 0x200E, 0x200F,
        *range(0x202A, 0x202F), *range(0x2060, 0x2070),
        0x3164, 0xFEFF, 0xFFA0, *range(0xE0000, 0xE0080),
    )
)  # fmt: skip
"""Characters nobody sees; the joiners U+200C and U+200D stay, since scripts and emoji need them."""


class Unsupported(MalformedRequest):
    """The document is of a format that is not read."""

    code = "unsupported_file"


class Document(NamedTuple):
    """What was read."""

    text: str
    title: str
    media_type: MediaType


def media_type_of(filename: str, data: bytes) -> MediaType:
    """By what the bytes begin with where that is sure, else by the name's ending; plain text if in doubt."""
    suffix = Path(filename).suffix.lower()
    if data.startswith(b"%PDF-") or (suffix == ".pdf" and b"%PDF-" in data[:_HEAD]):
        return PDF
    if suffix == ".docx" and data.startswith(b"PK\x03\x04"):
        return DOCX
    known = _SUFFIXES.get(suffix)
    if known is not None:
        return known
    head = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "text/html" if head.startswith((b"<!doctype html", b"<html")) else "text/plain"


def read(filename: str, data: bytes) -> Document:
    """Read a document.

    Raises: TooLarge past 20 MB; Unsupported for what is no text; MalformedRequest for what is broken, or
    can't be read within the limits.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"The document is larger than {MAX_BYTES // 1024 // 1024} MB. Split it.", "file")
    media_type = media_type_of(filename, data)
    if media_type not in {PDF, DOCX} and data.startswith(_FOREIGN):
        raise Unsupported(
            "The document is not text. Markdown, plain text, HTML, PDF and DOCX can be read; convert it.",
            "file",
        )
    if media_type not in {"text/plain", "text/markdown"} or len(data) > OWN_PROCESS_BYTES:
        return _read_in_child(filename, data, media_type)
    return parse(filename, data, media_type)


def parse(filename: str, data: bytes, media_type: MediaType) -> Document:
    """Read in this process. Raises Unsupported for what is not text, MalformedRequest for what is broken."""
    title = ""
    if media_type in {PDF, DOCX}:
        from greenroom.grounding import office  # noqa: PLC0415 - the child alone reads these

        text, title = (office.pdf if media_type == PDF else office.docx)(data)
        if not text.strip():
            raise MalformedRequest("The document holds no text; pictures of pages are not read.", "file")
    else:
        text = decode(data)
        if "\0" in text:
            raise Unsupported("The document is not text: it holds NUL characters.", "file")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if media_type == "text/html":
        from greenroom.grounding.web_page import WebPage  # noqa: PLC0415 - few documents are pages

        page = WebPage(MAX_CHARACTERS)
        page.feed(_without_comments(text, unclosed_hides=True))
        page.close()
        text, title = page.result()
    elif media_type == "text/markdown":
        text, title = _plain_markdown(text)
    text = text.translate(_INVISIBLE)[:MAX_CHARACTERS]
    title = " ".join(
        (title or _first_heading(text, media_type) or Path(filename).stem).translate(_INVISIBLE).split()
    )
    return Document(text, title[:MAX_TITLE], media_type)


def decode(data: bytes) -> str:
    """Bytes as text: by byte order mark, as UTF-8, as UTF-16 if every other byte is zero, else as Western."""
    for mark, name in (
        (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):  # fmt: skip
        if data.startswith(mark):
            return data.decode(name, "replace")
    sample = data[:4096]
    if sample.count(0) * 3 > len(sample) > 3:
        return data.decode(
            "utf-16-le" if sample[1::2].count(0) >= sample[::2].count(0) else "utf-16-be", "replace"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _first_heading(text: str, media_type: MediaType) -> str:
    if media_type in {"text/plain", PDF}:
        return ""
    for line in text[:20_000].split("\n"):
        bare = line.strip()
        if bare.startswith("#") and bare.lstrip("#").startswith(" "):
            return bare.strip("# ").strip()
    return ""


def _plain_markdown(text: str) -> tuple[str, str]:
    """Without front matter and comments, underlined headings written with `#`. Returns text and title."""
    title = ""
    if text.startswith("---\n"):
        end = text.find("\n---\n", 3)
        if 0 < end < 10_000:
            for line in text[4:end].split("\n"):
                name, _, value = line.partition(":")
                if name.strip() == "title":
                    title = value.strip().strip("\"'")
            text = text[end + 5 :]
    text = _without_comments(text)
    lines = text.split("\n")
    for number in range(1, len(lines)):
        rule = lines[number].rstrip()
        if len(rule) < 3 or (rule.strip("=") and rule.strip("-")):
            continue
        above = lines[number - 1]
        if above.strip() and above[0] not in "#|>-*+ \t`=" and (number < 2 or not lines[number - 2].strip()):
            lines[number - 1 : number + 1] = [("# " if rule[0] == "=" else "## ") + above.strip(), ""]
    return "\n".join(lines), title


def _without_comments(text: str, *, unclosed_hides: bool = False) -> str:
    pieces: list[str] = []
    at = 0
    while True:
        start = text.find("<!--", at)
        end = text.find("-->", start) if start >= 0 else -1
        if end < 0:
            pieces.append(text[at:start] if start >= 0 and unclosed_hides else text[at:])
            return "".join(pieces)
        pieces.append(text[at:start])
        at = end + 3


def _read_in_child(filename: str, data: bytes, media_type: MediaType) -> Document:
    head = json.dumps({"filename": filename, "media_type": media_type, "cpu_s": CHILD_CPU_S}).encode() + b"\n"
    root = str(Path(__file__).resolve().parents[2])
    start = "import sys; sys.path.append(sys.argv[1]); from greenroom.grounding.text import main; main()"
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and words; the document goes in by stdin
            [sys.executable, "-I", "-c", start, root],
            input=head + data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=CHILD_WALL_S,
            env={}, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MalformedRequest("Reading the document took too long. Split or simplify it.", "file") from None
    if done.returncode == 0:
        found = json.loads(done.stdout)
        if "error" in found:
            raise (Unsupported if found["unsupported"] else MalformedRequest)(found["error"], "file")
        return Document(found["text"], found["title"], media_type)
    raise MalformedRequest(_BEYOND, "file")


def main() -> None:
    """The child: a line of JSON and the bytes on standard input, JSON on standard output."""
    head = json.loads(sys.stdin.buffer.readline())
    _limit_self(head["cpu_s"])
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    answer: dict[str, object]
    try:
        read_one = parse(head["filename"], data, head["media_type"])
        answer = {"text": read_one.text, "title": read_one.title}
    except MalformedRequest as error:
        answer = {"error": str(error), "unsupported": isinstance(error, Unsupported)}
    except MemoryError:
        answer = {"error": _BEYOND, "unsupported": False}
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))


def _limit_self(cpu_s: int) -> None:
    import resource  # noqa: PLC0415 - only the child needs it, and only Unix has it

    wanted = (
        (resource.RLIMIT_AS, CHILD_MEMORY_BYTES), (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
    )  # fmt: skip
    for kind, size in wanted:
        try:
            resource.setrlimit(kind, (size, size))
        except (ValueError, OSError):
            continue


if __name__ == "__main__":
    main()
