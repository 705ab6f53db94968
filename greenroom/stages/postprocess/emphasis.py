"""Asterisks of Markdown that a text leaves open. Knows one paragraph."""

import re

_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\W\d_])|(?<=[\w.,!?:;)\"'»”…])(\*{1,3})(?!\w)")
_CODE = re.compile(r"`[^`]*`")


def open_emphasis(paragraph: str) -> str:
    """The asterisks that would close what the last paragraph leaves open; a footnote's star opens nothing."""
    opened: list[str] = []
    for match in _EMPHASIS.finditer(_CODE.sub("", paragraph)):
        if match[1]:
            begins_line = match.start() == 0 or match.string[match.start() - 1] == "\n"
            if match[1] != "*" or not begins_line:
                opened.append(match[1])
        elif opened and opened[-1] == match[2]:
            opened.pop()
    return "".join(reversed(opened)) if len(opened) <= 2 else ""
