"""HTML as Markdown."""

from html.parser import HTMLParser

MAX_DEPTH = 1_000


class WebPage(HTMLParser):
    """An HTML page as Markdown. Keeps no tree: nesting costs nothing, past 1,000 levels it is ignored."""

    _UNSEEN = frozenset(
        {"script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "select"}
    )
    _VOID = frozenset(
        {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
    )
    _BLOCK = frozenset(
        {"p", "div", "section", "article", "main", "aside", "header", "footer", "nav", "ul", "ol", "dl",
         "dt", "dd", "table", "thead", "tbody", "tr", "blockquote", "figure", "figcaption", "form", "details",
         "summary", "body"}
    )  # fmt: skip
    _HEADING = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})

    def __init__(self, most: int) -> None:
        """`most` characters are kept."""
        super().__init__(convert_charrefs=True)
        self._most = most
        self._pieces: list[str] = []
        self._size = 0
        self._hidden = ""
        self._hidden_depth = 0
        self._in_title = False
        self._title: list[str] = []
        self._pre = 0
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden:
            self._hidden_depth += tag == self._hidden
            return
        if tag in self._VOID:
            if tag in {"br", "hr"}:
                self._add("\n" if tag == "br" else "\n\n")
            return
        if tag in self._UNSEEN or _is_hidden(attrs):
            self._hidden, self._hidden_depth = tag, 1
            return
        self._depth += 1
        if self._depth > MAX_DEPTH:
            return
        if tag == "title":
            self._in_title = True
        elif tag in self._HEADING:
            self._add("\n\n" + "#" * int(tag[1]) + " ")
        elif tag == "li":
            self._add("\n- ")
        elif tag == "pre":
            self._pre += 1
            self._add("\n\n```\n")
        elif tag in {"td", "th"}:
            self._add(" | ")
        elif tag in self._BLOCK:
            self._add("\n" if tag in {"tr", "ul", "ol", "dt", "dd"} else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag == self._hidden:
                self._hidden_depth -= 1
                if self._hidden_depth == 0:
                    self._hidden = ""
            return
        self._depth = max(0, self._depth - 1)
        if tag == "title":
            self._in_title = False
        elif tag in self._HEADING:
            self._add("\n\n")
        elif tag == "pre" and self._pre:
            self._pre -= 1
            self._add("\n```\n\n")
        elif tag in self._BLOCK:
            self._add("\n")

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._in_title:
            if len(self._title) < 100:
                self._title.append(data)
        elif self._pre:
            self._add(data)
        else:
            words = " ".join(data.split())
            lead = " " if data[:1].isspace() else ""
            self._add(f"{lead}{words}{' ' if words and data[-1:].isspace() else ''}")

    def _add(self, text: str) -> None:
        self._size += len(text)
        if self._size <= self._most:
            self._pieces.append(text)

    def result(self) -> tuple[str, str]:
        """Text and title."""
        lines: list[str] = []
        code = False
        for line in "".join(self._pieces).split("\n"):
            fence = line.startswith("```")
            code ^= fence
            kept = line.rstrip() if code or fence else " ".join(line.split())
            if kept or (lines and lines[-1]):
                lines.append(kept)
        return "\n".join(lines).strip("\n"), " ".join("".join(self._title).split())


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    for name, value in attrs:
        if name == "hidden":
            return True
        if name == "style" and value:
            style = value.lower().replace(" ", "")
            if (
                "display:none" in style
                or "visibility:hidden" in style
                or "font-size:0" in style
                or "opacity:0;" in style
            ):
                return True
    return False
