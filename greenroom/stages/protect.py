"""What prose rules must leave alone: code, links, numbers, quotations and their like, as spans of a text.

Every pass is linear in the text: quantifiers are bounded or cannot overlap, brackets are matched by a stack,
and nothing is tried that a cheap look for its first character rules out. Knows text; no language.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Literal, get_args

Kind = Literal[
    "code", "json", "table", "math", "inline_code", "heading", "link", "markup",
    "quote", "url", "email", "path", "number", "identifier",
]  # fmt: skip
Span = tuple[int, int, str]

KINDS: frozenset[str] = frozenset(get_args(Kind))
VERBATIM: frozenset[str] = frozenset({"code", "inline_code", "url", "email", "path", "json", "table", "math"})
"""The kinds whose every visible character means something to a machine."""

_LONG_TOKEN = 4096
_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[^\n]*$", re.MULTILINE)
_COMMAND = re.compile(
    r"(?<![\w./-])(?:sudo|git|gh|npm|npx|pnpm|yarn|bun|pip3?|pipx|poetry|uv|conda|python3?|node|deno|docker|podman|"
    r"kubectl|helm|terraform|aws|gcloud|az|ssh|scp|rsync|curl|wget|grep|rg|sed|awk|find|xargs|tar|chmod|chown|ls|cp|"
    r"mv|rm|cat|tail|head|ps|kill|systemctl|journalctl|apt|apt-get|brew|make|cargo|go|java|mvn|gradle|psql|mysql|"
    r"sqlite3|redis-cli|ffmpeg|openssl|pytest|ruff|eslint|tsc)"
    r"[ \t][^\n]{0,120}?(?:(?<=[ \t])--?[A-Za-z]|&&|(?<=[ \t])\|(?=[ \t]))[^\n]*"
)
_FLAG = re.compile(r"[-&|](?:(?<=[ \t]-)-?[A-Za-z]|(?<=&)&|(?<=[ \t]\|)[ \t])").search
"""What makes a line a command: without one `_COMMAND`, ten times as dear, finds nothing."""
_SQL = re.compile(
    r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|(?:CREATE|ALTER|DROP) (?:TABLE|INDEX|VIEW))\b[^;\n]{0,600};?"
)
_ASSIGNMENT = re.compile(
    r"[ \t]{0,40}(?:(?:const|let|var|final|static|public|private|int|float|double|auto|export)[ \t]+){0,4}"
    r"[\w.\[\]'\"]{1,80}(?:[ \t]?:[ \t]?[\w\[\]., |]{1,60})?[ \t]{0,8}[-+*/|&:]?=[ \t]"
).match
_BRACKETS = frozenset("(){}[]=")
_TICKS = re.compile(r"`+")
_BRACKET = re.compile(r'\\.|["{}\[\]\n]', re.DOTALL)
_JSON_KEY = re.compile(r"""["']\s{0,4}:""")
_TABLE_RULE = re.compile(r"^[ \t]{0,8}\|?[ \t]{0,8}:?-{2,}[ \t|:-]*$", re.MULTILINE)
_GAP = re.compile(r"(?<=\S)(?:[ ]{2,}|\t+)(?=\S)")
_HEADING = re.compile(r"^[ ]{0,3}#{1,6}[ \t][^\n]*$", re.MULTILINE)
_DOUBLE_MATH = re.compile(r"\$\$[^$]{1,2000}\$\$")
_SINGLE_MATH = re.compile(r"\$(?<![\\$\w]\$)(?=[^\s$])[^$\n]{0,300}?(?<=\S)\$(?!\d)")
_MATH_MARK = re.compile(r"[\\^_{}=+<>*/]|^\$[A-Za-z]\$$")
_TEX = re.compile(r"\\\((?:[^\n\\]|\\(?![()])){0,600}\\\)|\\\[(?:[^\\]|\\(?![\[\]])){0,2000}\\\]")
_TEX_BLOCK = re.compile(r"\\(begin|end)\{([A-Za-z*]{1,20})\}")
_LINK = re.compile(
    r"!?\[[^\[\]\n]{0,300}\](?:\([^()\s]{0,2000}(?:[ \t]\"[^\"\n]{0,200}\")?\)|\[[^\[\]\n]{0,100}\])"
)
_MARKUP = re.compile(
    r"</?[A-Za-z][\w:-]{0,40}(?:\s[^<>]{0,500})?/?>|<!--[^<>]{0,2000}-->|"
    r"&(?:#\d{1,7}|#x[\da-fA-F]{1,6}|[A-Za-z]{2,12});"
)
_QUOTES = (
    ("“", re.compile(r"“[^“”]{1,2000}”")),
    ("«", re.compile(r"«[^«»]{1,2000}»")),
    ("„", re.compile(r"„[^„“”]{1,2000}[“”]")),
    ("‘", re.compile(r"‘[^‘’\n]{1,500}’(?!\w)")),
    ('"', re.compile(r'"(?<![\w"]")[^"\n]{1,1000}"(?!\w)')),
    (
        "'",
        re.compile(r"'(?<![\w']')(?=\S)[^'\n]{0,300}(?:(?<=\w)'(?=\w)[^'\n]{0,300}){0,6}(?<=\S)'(?![\w'])"),
    ),
)
_QUOTE_LINE = re.compile(r"^[ ]{0,3}>[^\n]*$", re.MULTILINE)
_SPACE = re.compile(r"\s")
_HOT = re.compile(
    r"[\d_/\\@=<>#{}\[\]$|~^:A-Z.()-]"
    r"(?:(?<=[\d_/\\@=<>#{}\[\]$|~^:])|(?<=[a-z][A-Z])|(?<=\w\.)(?=\w)|(?<=\()(?=\))"
    r"|(?<!\S-)(?<=-)(?=-?[A-Za-z]))"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://|www\.\w|mailto:\w", re.IGNORECASE).search
_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9-]{1,63}\.){1,8}(?:com|org|net|gov|edu|io|dev|ai|app|info|br|pt|es|mx|ar|co|cl|pe|uk|eu|us|de|fr|it)"
    r"(?::\d{1,5})?(?:[/?#]\S*)?$"
).match
_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}").search
_PATH = re.compile(
    r"(?:~|\.{1,2})?/[\w.@~-]|[A-Za-z]:[\\/]|\\\\[\w.-]|~$|[\w.@-]{1,255}(?:[\\/][\w.@*-]{1,255}){2,}|"
    r"[\w.@-]{1,255}[\\/](?:[\w-]{1,255}\.\w{1,8}|\.\w)|[\w-]{1,255}[\\/]$"
).match
_FILE = re.compile(
    r"[\w.-]{1,255}\.(?:py|js|jsx|ts|tsx|md|txt|pdf|docx?|xlsx?|pptx?|csv|tsv|json|jsonl|ya?ml|toml|ini|cfg|conf|"
    r"html?|css|scss|xml|svg|png|jpe?g|gif|webp|mp[34]|wav|zip|tar|gz|sh|bat|ps1|sql|db|log|lock|c|h|cc|cpp|hpp|"
    r"rs|go|java|kt|rb|php|swift|ipynb|env|exe|dll|so)$",
    re.IGNORECASE,
).match
_NUMBER = re.compile(r"[+\-±~≈<>≤≥=]{0,2}(?:[A-Z]{0,3}[$€£¥])?[.,]?\d|[A-Z]{0,3}[$€£¥]$").match
_NAME = re.compile(
    r"\w*[\d_]|[A-Za-z]*[a-z][A-Z]|[#@$]\w|-{1,2}[A-Za-z]|[A-Za-z_][\w-]*(?:\.[a-z_][\w-]*)+|\w+\(\)|"
    r"[^\s=]{1,200}={1,3}\S|\w+(?:::|->)\w|[{<\[|^\\]"
).match
_WRAPPING = "()[]{}<>\"'“”‘’«»*,.;:!?…`"


def protected_spans(text: str, kinds: frozenset[str] = KINDS) -> list[Span]:
    """The stretches that rules for prose must not touch: (start, end, kind), sorted, not overlapping.

    Where kinds lie within one another the outer structure names the stretch: a URL in a code block is "code".
    Unclosed fences and unclosed JSON reach to the end of the text. With `kinds`, only those are looked for.
    Linear time; about 0.1 ms for 2,000 characters of prose.
    """
    covered = bytearray(len(text))
    spans: list[Span] = []
    for kind, found in _candidates(text, kinds):
        for start, end in found:
            _claim(covered, spans, start, end, kind)
    if kinds & {"url", "email", "path", "number", "identifier"}:
        for start, end, kind in _tokens(text, covered):
            if kind in kinds:
                _claim(covered, spans, start, end, kind)
    spans.sort()
    return spans


def _claim(covered: bytearray, spans: list[Span], start: int, end: int, kind: str) -> None:
    """Take what of the stretch is still free."""
    while start < end:
        start = covered.find(0, start, end)
        if start < 0:
            return
        stop = covered.find(1, start, end)
        if stop < 0:
            stop = end
        covered[start:stop] = b"\1" * (stop - start)
        spans.append((start, stop, kind))
        start = stop


def _candidates(text: str, kinds: frozenset[str]) -> Iterator[tuple[str, Iterable[tuple[int, int]]]]:
    has_ticks = "`" in text
    if "code" in kinds and (has_ticks or "~~~" in text):
        yield "code", _fences(text)
    if "code" in kinds:
        if _FLAG(text):
            yield "code", _all(_COMMAND, text)
        if "SELECT" in text or "INSERT" in text or "UPDATE" in text or "DELETE" in text or "TABLE" in text:
            yield "code", _all(_SQL, text)
    if "inline_code" in kinds and has_ticks:
        yield "inline_code", _inline_code(text)
    if "code" in kinds and ("= " in text or ";" in text or "{" in text):
        yield "code", _code_lines(text)
    if "json" in kinds and ("{" in text or "[" in text) and ":" in text:
        yield "json", _json(text)
    if "table" in kinds and ("--" in text or "  " in text or "\t" in text) and "\n" in text:
        yield "table", _tables(text)
    if "math" in kinds and ("$" in text or "\\" in text):
        yield "math", _math(text)
    if "heading" in kinds and "#" in text:
        yield "heading", _all(_HEADING, text)
    if "link" in kinds and ("](" in text or "][" in text):
        yield "link", _all(_LINK, text)
    if "markup" in kinds and ("<" in text or "&" in text):
        yield "markup", _all(_MARKUP, text)
    if "quote" in kinds:
        for mark, pattern in _QUOTES:
            if mark in text:
                yield "quote", _all(pattern, text)
        if ">" in text:
            yield "quote", _all(_QUOTE_LINE, text)


def _all(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in pattern.finditer(text))


def _fences(text: str) -> Iterator[tuple[int, int]]:
    opened: tuple[int, str] | None = None
    for match in _FENCE.finditer(text):
        ticks = match[1]
        if opened is None:
            if ticks[0] == "~" or "`" not in text[match.end(1) : match.end()]:
                opened = (match.start(), ticks)
        elif ticks[0] == opened[1][0] and len(ticks) >= len(opened[1]) and match.end(1) == _line_body(match):
            yield opened[0], match.end()
            opened = None
    if opened is not None:
        yield opened[0], len(text)


def _code_lines(text: str) -> Iterator[tuple[int, int]]:
    """Lines that assign something, or end like a statement or a block and have brackets."""
    start = 0
    for line in text.split("\n"):
        ends = line.rstrip()[-1:]
        if _ASSIGNMENT(line) or (ends and ends in ";{}" and not _BRACKETS.isdisjoint(line)):
            yield start, start + len(line)
        start += len(line) + 1


def _line_body(match: re.Match[str]) -> int:
    return match.start() + len(match[0].rstrip())


def _inline_code(text: str) -> Iterator[tuple[int, int]]:
    runs = [match.span() for match in _TICKS.finditer(text)]
    places: dict[int, list[int]] = {}
    for number, (start, end) in enumerate(runs):
        places.setdefault(end - start, []).append(number)
    number = 0
    while number < len(runs):
        start, end = runs[number]
        same = places[end - start]
        at = bisect_right(same, number)
        if at < len(same) and "\n\n" not in text[end : runs[same[at]][0]]:
            number = same[at]
            yield start, runs[number][1]
        number += 1


def _json(text: str) -> Iterator[tuple[int, int]]:
    depth = 0
    begin = 0
    in_string = False
    for match in _BRACKET.finditer(text):
        mark = match[0]
        if mark == '"':
            in_string = depth > 0 and not in_string
        elif mark == "\n":
            in_string = False
        elif in_string or mark[0] == "\\":
            continue
        elif mark in "{[":
            if depth == 0:
                begin = match.start()
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0 and _JSON_KEY.search(text, begin, match.end()):
                yield begin, match.end()
    if depth and _JSON_KEY.search(text, begin):
        yield begin, len(text)


def _tables(text: str) -> Iterator[tuple[int, int]]:
    lines: list[tuple[int, int]] = []
    at = 0
    for line in text.split("\n"):
        lines.append((at, at + len(line)))
        at += len(line) + 1
    begin: int | None = None
    has_rule = False
    for number, (start, end) in enumerate((*lines, (len(text), len(text)))):
        if number < len(lines) and text.find("|", start, end) >= 0:
            begin = number if begin is None else begin
            has_rule = has_rule or _TABLE_RULE.match(text, start, end) is not None
            continue
        if begin is not None and (has_rule or number - begin > 1):
            yield lines[begin][0], lines[number - 1][1]
        begin, has_rule = None, False
    yield from _columns(text, lines)


def _columns(text: str, lines: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Lines above one another whose gaps end in the same column, or that are parted by tabs."""
    gaps = [
        {found.end() - start for found in _GAP.finditer(text, start, end)}
        if text.find("\t", start, end) < 0
        else {-1}
        for start, end in lines
    ]
    for (above, below), (first, second) in zip(pairwise(gaps), pairwise(lines), strict=True):
        if not above.isdisjoint(below):
            yield first[0], second[1]


def _math(text: str) -> Iterator[tuple[int, int]]:
    if "$" in text:
        yield from _all(_DOUBLE_MATH, text)
        for match in _SINGLE_MATH.finditer(text):
            if _MATH_MARK.search(match[0]):
                yield match.span()
    if "\\" in text:
        yield from _all(_TEX, text)
        opened: tuple[int, str] | None = None
        for match in _TEX_BLOCK.finditer(text):
            if match[1] == "begin" and opened is None:
                opened = (match.start(), match[2])
            elif match[1] == "end" and opened is not None and match[2] == opened[1]:
                yield opened[0], match.end()
                opened = None


def _tokens(text: str, covered: bytearray) -> Iterator[Span]:
    end = 0
    while (hot := _HOT.search(text, end)) is not None:
        at = hot.start()
        start = (
            max(text.rfind(" ", end, at), text.rfind("\n", end, at), text.rfind("\t", end, at), end - 1) + 1
        )
        space = _SPACE.search(text, at)
        end = len(text) if space is None else space.start()
        if covered[at] and covered.find(0, start, end) < 0:
            continue
        token = text[start:end]
        if len(token) > _LONG_TOKEN:
            if token.isascii():
                yield start, end, "identifier"
            continue
        if token.isascii() and token.isdigit():  # most of a table of numbers, at a quarter of the time
            yield start, end, "number"
            continue
        body = token.lstrip(_WRAPPING)
        left = start + len(token) - len(body)
        body = body.rstrip(_WRAPPING if "(" not in body else _WRAPPING.replace(")", ""))
        if body:
            first, last, kind = _classify(body)
            if kind:
                yield left + first, left + last, kind


def _classify(token: str) -> tuple[int, int, str]:
    if "@" in token and "://" not in token and (found := _EMAIL(token)):
        return found.start(), found.end(), "email"
    if (found := _SCHEME(token)) is not None:
        return found.start(), len(token), "url"
    if "." in token and _DOMAIN(token):
        return 0, len(token), "url"
    if ("/" in token or "\\" in token) and _PATH(token) and not _is_fraction(token):
        return 0, len(token), "path"
    if "." in token and _FILE(token):
        return 0, len(token), "path"
    if _NUMBER(token):
        return 0, len(token), "number"
    if _NAME(token):
        return 0, len(token), "identifier"
    return 0, 0, ""


def _is_fraction(token: str) -> bool:
    """Dates and ratios: digits between slashes."""
    return token.replace("/", "").isdigit()
