"""Credentials without a vendor's shape: private keys, passwords in addresses, values with a telling name.

A value counts when something like `password =`, `"token":` or «minha senha é» stands before it and it looks
like no placeholder, no hash, no UUID, no variable and no word. Knows English, Portuguese and Spanish names.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from math import log2

from greenroom.stages.check.candidate import Candidate
from greenroom.stages.check.linear import Span, searcher, spots
from greenroom.stages.check.tables import words

PIECE = 96
"""Long secrets are found as a row of pieces of at most this length: streams need not wait for the end."""

PEM = r"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----"
URL = r"://[^\s/:@\"'<>]{0,30}:[^\s/@\"'<>]{3,50}@[A-Za-z0-9\[]"
_BEARER = r"(?:bearer|basic|token) [\"']?[A-Za-z0-9+/=._~\-]{16}"
HEADER = rf"(?i)(?:^|[^0-9A-Za-z_]){_BEARER}"
"""What a text must have somewhere for the finder of this name to be asked."""
_PASSWORDS = r"pass(?:word|wd|phrase|code)?|pwd|senha|contrase(?:ñ|n)a|palavra-passe|clave"
_KEYS = (
    r"secret[oa]?|segredo|token|api[_\- ]?key|apikey|api[_\- ]?token|chave(?: (?:de|da) (?:api|acesso))?|"
    r"credential|"
    r"(?:access|account|private|storage|auth|encrypt(?:ion)?|signing|master|service|session|shared|app|"
    r"license)[_\- ]?key|"
    r"clave de api"
)
_NAMED = (
    rf"(?i)(?:{_PASSWORDS}|{_KEYS})[A-Za-z0-9_]{{0,20}}(?:\\?[\"'`])?\]?"
    r"(?: {0,2}(?:=>|:=|[:=])|(?: [\w\-]{1,12}){0,3}? (?:is|é|es|era|will be|será)(?: now| agora| "
    r"ahora)?:?) {0,3}"
    r"(?:[rbuf]?\\?[\"'`])?[^\s\"'`\\]"
)
"""A name, a sign of equality and the first character of the value."""

_NAME = rf"(?i)(?:{_PASSWORDS}|{_KEYS})[A-Za-z0-9_]*(?:\\?[\"'`])?\]?"
SET = _NAME + r" {0,2}[:=]>?=? {0,3}[^\s]"
"""«password = x», «"token": x»."""
NAME = _NAME + " "
SAID = (
    r"(?i) (?:is|é|es|era|will be|será)(?: now| agora| ahora)?:? {0,3}"
    r"(?:[rbuf]?\\?[\"'`]|[^\s\"'`\\]*(?:\d|(?-i:[a-zß-ÿ][A-ZÀ-Þ])))"
)
"""«my password for work is 1x»: a verb, and a word with a digit or a capital inside, or a quotation."""

private_keys = spots(PEM)
urls = spots(rf"[A-Za-z][A-Za-z0-9+.\-]{{1,20}}{URL}")
headers = spots(rf"(?i)\b{_BEARER}")
named = spots(_NAMED)

_key_header = re.compile(r"(?:\s|\\n|\\r){0,4}(?:[A-Za-z\-]{3,14}: [^\n\\]{0,60}(?:\s|\\n){1,4}){0,2}").match
_key_line = re.compile(r"(?:[A-Za-z0-9+/=]|\\[nr])+").match
_key_gap = re.compile(r"[ \t\r\n]{1,4}").match
_key_foot = re.compile(r"(?:\\[nr]|\s){0,4}-{5}END [A-Z0-9 ]{0,30}KEY(?: BLOCK)?-{5}").match
_url_rest = re.compile(r"[^\s\"'<>`\\)\]},;]*").match

_identifier = re.compile(r"[\w.\-]*\Z").search
_quoted = re.compile(r"[^\s\"'`\\]+").match
_unquoted = re.compile(r"[^\s\"'`\\,;)}\]<>]+").match

_OTHER_THINGS = re.compile(
    r"(?:hash|type|count|length|len|name|url|uri|path|file|field|size|limit|expir\w*|ttl|policy|required|"
    r"reset|endpoint|"
    r"header|prefix|format|class|index|tokens|public|version|label|regex|pattern|_ref|status|_ids?|"
    r"sha\d*|md5|digest|"
    r"checksum|commit|etag|strength|hint|manager|rotation|bytes|vocab\w*|budget|usage|price|cost|rules?|"
    r"error|message|secretar\w*"
    r"|pass(?:ed|engers?|es|ing|age|ageiro|port|aporte|ivo|ive|ar|ou|o|a|os|as|eio|aro|atempo)|"
    r"publishable)\Z",
    re.IGNORECASE,
).search  # fmt: skip

_PLACEHOLDER = searcher(
    r"(?i)example|exemplo|ejemplo|change[_\-]?(?:me|it|this)|your[_\-]|[_\-<](?:sua|seu|tu|su|my)[_\-]|"
    r"\A(?:sua|seu|tu|your|my)_|placeholder|x{4}|\*{3}|"
    r"\.\.\.|dummy|sample|redacted|insert|replace|fixme|<[^>]*>?|\{\{|\$\{|%\(|#\{|_here\b|here\z|aqui\z|"
    r"123456789012|abcdefgh|0{8}|"
    r"foobar|not[_\-]?(?:set|real|a[_\-])|fake|mock|…|•"
)
_LOOKUP = re.compile(
    r"\$[A-Z_][A-Z0-9_]*\Z|\$[a-z_]+\Z|%[A-Z_]+%|(?:process\.|os\.|env[.\[(]|ENV\[|getenv|System\.|"
    r"config[.\[]|settings\.|self\.|this\.|"
    r"secrets?\.|vault:|ENC\[|request\.|req\.|args\.|params[.\[]|var\.|data\.|ssh-|sha\d+[:\-]|md5:|"
    r"https?:|file:|arn:|\$2[aby]\$|"
    r"\$argon|\{SHA|\w+\(|\w+\[|@\w+@?\Z|=|&|!|-)",
).match
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}").match
_is_password_name = re.compile(rf"(?:{_PASSWORDS})[A-Za-z0-9_]{{0,20}}", re.IGNORECASE).match
_special = re.compile(r"[!@#$%^&*?+=~|/]").search
_word_like = re.compile(r"[A-Za-zÀ-ÿ]+|\d+").fullmatch
_NO_PASSWORDS = frozenset(("pass", "password", "senha", "secret", "passwd", "pwd"))
_COMMON = words(
    "null none true false undefined string number integer boolean required optional hidden bearer basic"
)


def pieces(
    start: int, end: int, rule: str, label: str, score: float, severity: int = 3
) -> Iterator[Candidate]:
    """One secret as findings of at most `PIECE` characters each, end to end."""
    for at in range(start, end, PIECE):
        yield Candidate(at, min(at + PIECE, end), rule, label, score, severity)


def find_private_keys(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """PEM and PGP private keys: the head line, each run of the body, the foot line."""
    for start, end in spans:
        at = end
        gap = _key_header(text, at)
        first = _key_line(text, gap.end() if gap else at)
        if first is None or first.end() - first.start() < 16 or _PLACEHOLDER(first[0][:PIECE]):
            continue
        yield Candidate(start, at, "secret.private_key", "PRIVATE_KEY", 1.0, 3)
        line: re.Match[str] | None = first
        while line is not None and _is_key_line(line[0]):
            yield from pieces(line.start(), line.end(), "secret.private_key", "PRIVATE_KEY", 1.0)
            at = line.end()
            between = _key_gap(text, at)
            line = _key_line(text, between.end()) if between else None
        foot = _key_foot(text, at)
        if foot:
            begin = text.index("-----END", at)
            yield Candidate(begin, foot.end(), "secret.private_key", "PRIVATE_KEY", 1.0, 3)


def _is_key_line(run: str) -> bool:
    """Told by the first characters alone, so that what follows in a stream changes nothing."""
    head = run[:20]
    return len(head) == 20 or not head.isalpha() or not (head.islower() or head.istitle() or head.isupper())


def find_urls(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Addresses with a password in them, whole."""
    done = 0
    for start, end in spans:
        secret = text[start:end].rpartition("@")[0].rpartition(":")[2]
        if start < done or is_placeholder(secret) or secret.lower() in _NO_PASSWORDS:
            continue
        rest = _url_rest(text, end)
        done = rest.end() if rest else end
        yield from pieces(start, done, "secret.url_password", "CONNECTION_STRING", 0.95)


def find_headers(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """What follows «Bearer» or «Basic»."""
    done = 0
    for _, end in spans:
        start = end - 16
        head = _unquoted(text, start, start + PIECE)
        if start >= done and head and _is_token(head[0], least=16):
            done = _end_of_run(_unquoted, text, start, ".:")
            yield from pieces(start, done, "secret.bearer", "TOKEN", 0.9)


def find_named(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Values whose name says that they are secret."""
    done = 0
    for first, end in spans:
        start = end - 1
        if start < done:
            continue
        found = text[first:end]
        name, said = _name_of(text, first, found)
        if _OTHER_THINGS(name):
            continue
        quoted = text[start - 1] in "\"'`"
        run = _quoted if quoted else _unquoted
        head = run(text, start, start + PIECE)
        if head is None:
            continue
        marks = ".:,;!?" if said and head[0][-1] in ".,;:" else ".:"
        value = head[0].rstrip(marks)
        if is_placeholder(value) or _LOOKUP(value) or _UUID(value):
            continue
        is_password = _is_password_name(found) is not None
        if is_password and _is_password(value, quoted=quoted, said=said):
            done = _end_of_run(run, text, start, marks)
            yield from pieces(start, done, "secret.password", "PASSWORD", 0.9)
        elif _is_token(value, least=10 if quoted else 12):
            done = _end_of_run(run, text, start, marks)
            yield from pieces(start, done, *_kind(name, done - start), 0.9)


def _end_of_run(run: Callable[[str, int], re.Match[str] | None], text: str, start: int, marks: str) -> int:
    """Where an accepted value ends, without the sentence's marks; read once, so that time stays linear."""
    whole = run(text, start)
    end = whole.end() if whole else start
    while end > start and text[end - 1] in marks:
        end -= 1
    return end


def _name_of(text: str, start: int, found: str) -> tuple[str, bool]:
    """The whole identifier, and whether a verb stands for the sign of equality."""
    before = _identifier(text[max(0, start - 30) : start])
    own = re.match(r"[\w\- ñ]*?(?=\\?[\"'`\]]| *[:=]| |\Z)", found)
    said = not re.search(r"[:=]", found[:-1])
    return (before[0] if before else "") + (own[0] if own else ""), said


def _kind(name: str, length: int) -> tuple[str, str]:
    low = name.lower()
    if "aws" in low and length == 40:
        return "secret.aws_secret_key", "AWS_SECRET_KEY"
    if length in (86, 88) and ("account" in low or "azure" in low or "storage" in low):
        return "secret.azure_storage_key", "AZURE_STORAGE_KEY"
    return "secret.generic", "SECRET"


def is_placeholder(value: str) -> bool:
    """Stands for a secret, or is one that everybody prints."""
    return (
        _PLACEHOLDER(value) is not None
        or len(set(value)) < min(5, len(value) // 2 + 1)
        or value.lower() in _COMMON
    )


def entropy(value: str) -> float:
    """Shannon's, in bits per character."""
    size = len(value)
    return -sum(n / size * log2(n / size) for n in map(value.count, set(value)))


def _is_token(value: str, least: int) -> bool:
    if len(value) < least or not value.isascii() or is_placeholder(value):
        return False
    digits = sum(map(str.isdigit, value))
    if not digits or digits == len(value) or digits == sum(map(str.isalnum, value)):
        return _is_mixed(value) and len(value) >= 20
    if entropy(value) < (2.8 if len(value) < 20 else 3.0):
        return False
    parts = re.split(r"[_\-./:]+", value)
    return not all(
        part == "" or (_word_like(part) and not _is_mixed(part)) or len(part) < 3 for part in parts
    )


def _is_mixed(value: str) -> bool:
    """Capitals and small letters change more often than in camelCase."""
    switches = sum(a.isupper() != b.isupper() for a, b in pairwise(value) if a.isalpha() and b.isalpha())
    return switches * 3 > len(value)


def _is_password(value: str, *, quoted: bool, said: bool) -> bool:
    if not 6 <= len(value) <= 80:
        return False
    has_digit = any(map(str.isdigit, value))
    has_letter = any(map(str.isalpha, value))
    if _special(value):
        return has_letter and (has_digit or quoted or (not said and not value.isalnum()))
    if not has_letter:
        return has_digit and (quoted or not said) and value.isdigit()
    if not has_digit:
        return _is_mixed(value)
    parts = [part for part in re.split(r"[_\-.:]+", value) if part]
    return quoted or len(parts) == 1 or not all(_word_like(part) for part in parts)
