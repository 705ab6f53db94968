"""What names one thing exactly: addresses of mail and web, telephone numbers, numbers of persons and orders.

Values say which register they are of: `cpf:52998224725`, `order:48213`. That a number is somebody's is the
business of `pii`; here check digits only tell a CPF from a telephone number.
"""

import re
from collections.abc import Iterator

from greenroom.stages.check.linear import spots
from greenroom.stages.ground.found import Found, Setting

LINK = r"@|://|www\."
"""What a text has that names an address."""
_link_spots = spots(r"(?i)\b(?:https?://|www\.)[^ \t\r\n<>\"]+|[0-9a-z_.+-]+@[0-9a-z-]+(?:\.[0-9a-z-]+)+")
_OPEN = {")": "(", "]": "[", "}": "{"}

FORMED = (
    r"[0-9]{3}-[0-9]{2}|/[0-9A-Z]{4}-[0-9]{2}|[0-9]-[0-9]{2}\.[0-9]{4}\.|-[0-9a-f]{4}-[0-9a-f]{4}-"
    r"|[A-Z]{2}[0-9]{9}|[A-Z]{2}-[0-9]"
)
"""What a text has that holds a number known by its form."""
_number_spots = spots(
    r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-[0-9]{2}"
    r"|[0-9]{5}-[0-9]{3}|[0-9]{2}\.[0-9]{3}-[0-9]{3}|[0-9]{7}-[0-9]{2}\.[0-9]{4}\.[0-9]\.[0-9]{2}\.[0-9]{4}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[A-Z]{2}[0-9]{9}[A-Z]{2}|[A-Z]{2,10}-[0-9]{1,7}"
)
_KINDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", "cpf"),
        (r"[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-[0-9]{2}", "cnpj"),
        (r"[0-9]{5}-[0-9]{3}|[0-9]{2}\.[0-9]{3}-[0-9]{3}", "cep"),
        (r"[0-9]{7}-[0-9]{2}\.[0-9]{4}\.[0-9]\.[0-9]{2}\.[0-9]{4}", "case"),
        (r"[0-9a-f]{8}-.*", "uuid"),
        (r"[A-Z]{2}[0-9]{9}[A-Z]{2}", "parcel"),
        (r"[A-Z]{2,10}-[0-9]{1,7}", "ticket"),
    )
)
_SAYS = {
    "pedido": "order", "order": "order", "orden": "order", "encomenda": "order", "compra": "order",
    "protocolo": "ticket", "chamado": "ticket", "ticket": "ticket", "tíquete": "ticket",
    "incidente": "ticket",
    "incident": "ticket", "issue": "ticket", "case": "case", "caso": "case", "processo": "case",
    "expediente": "case", "invoice": "invoice", "fatura": "invoice", "factura": "invoice",
    "nota fiscal": "invoice", "boleto": "invoice", "contrato": "contract", "contract": "contract",
    "apólice": "policy", "póliza": "policy", "policy": "policy", "matrícula": "registration",
    "rastreio": "parcel", "tracking": "parcel", "reserva": "booking", "booking": "booking",
    "reservation": "booking", "cpf": "cpf", "cnpj": "cnpj", "cep": "cep", "rg": "rg", "dni": "dni",
    "nif": "nif",
    "sku": "sku", "isbn": "isbn",
}  # fmt: skip
_SAY = "|".join(sorted(_SAYS, key=len, reverse=True))
_NUMBERED = r"(?: (?:id|code|código|number|número|num\.?|no\.?|nº|n°|n\.º|n\.?))?"
NUMBERED = rf"(?i)\b(?:{_SAY}){_NUMBERED} ?[:#]? ?#?[0-9A-Z./-]*[0-9]"
"""What a text has that holds a number known by the word before it."""
_said_spots = spots(rf"(?i)\b(?:{_SAY}){_NUMBERED} ?[:#]? ?#?[0-9A-Z][0-9A-Z./-]{{2,40}}")
_said = re.compile(rf"({_SAY}){_NUMBERED} ?[:#]? ?(#?)([0-9A-Z][0-9A-Z./\-]{{2,40}})", re.IGNORECASE).match

PHONE = (
    r"\+[0-9]|\([0-9]{2,3}\) ?[0-9]|[0-9]-[0-9]{4}|[0-9]{3}[.-][0-9]{3}[.-]|[0-9] [0-9]{3} [0-9]{3}\b|\b0800"
)
"""What a text has that holds a telephone number."""
_phone_spots = spots(
    r"\+[0-9]{1,3}[ .-]?(?:\([0-9]{1,4}\)|[0-9]{1,4})(?:[ .-]?[0-9]{2,5}){1,4}"
    r"|\([0-9]{2,3}\) ?[0-9]{3,5}[ .-]?[0-9]{4}|\b[0-9]{2} 9?[0-9]{4}-[0-9]{4}"
    r"|\b[0-9]{3}[.-][0-9]{3}[.-][0-9]{4}"
    r"|\b[6-9][0-9]{2} [0-9]{3} [0-9]{3}\b|\b9[0-9]{4}-[0-9]{4}\b|\b0800 ?[0-9]{3} ?[0-9]{4}"
)


def find_links(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """Web addresses without what ends their sentence, and mail addresses."""
    for start, end in _link_spots(encoded):
        piece = text[start:end]
        if "@" in piece and "//" not in piece:
            trimmed = piece.rstrip(".-")
            lead = len(trimmed) - len(trimmed.lstrip(".-+"))
            if "." in trimmed[trimmed.index("@") :]:
                yield Found(start + lead, start + len(trimmed), "EMAIL", trimmed[lead:].lower())
            continue
        while piece and (
            piece[-1] in ".,;:!?'*_»”’" or (piece[-1] in _OPEN and _OPEN[piece[-1]] not in piece)
        ):
            piece = piece[:-1]
        if len(piece) > 8:
            yield Found(start, start + len(piece), "URL", piece)


def find_formed(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """Numbers that their form tells."""
    for start, end in _number_spots(encoded):
        if _is_part(text, start, end):
            continue
        piece = text[start:end]
        kind = next(name for pattern, name in _KINDS if pattern.fullmatch(piece))
        bare = piece if kind in ("uuid", "ticket", "case") else re.sub(r"[./-]", "", piece)
        yield Found(start, end, "ID", f"{kind}:{bare}")


def find_numbered(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """Numbers that the word before them tells."""
    for start, end in _said_spots(encoded):
        one = _said(text, start, end)
        if one is None or text[start - 1 : start].isalnum():
            continue
        piece = one[3].rstrip("./-")
        if sum(map(str.isdigit, piece)) < 3 or text[one.start(3) + len(piece) :][:1].isalnum():
            continue
        at = one.start(3)
        kind = _SAYS[one[1].lower()]
        bare = re.sub(r"[./-]", "", piece) if kind in ("cpf", "cnpj", "cep", "rg", "dni", "nif") else piece
        yield Found(at, at + len(piece), "ID", f"{kind}:{bare}")


def find_phones(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """Telephone numbers in the forms of Brazil, Portugal, Spain and North America, and international ones."""
    for start, end in _phone_spots(encoded):
        if _is_part(text, start, end):
            continue
        piece = text[start:end]
        digits = re.sub(r"\D", "", piece)
        if 8 <= len(digits) <= 15:
            yield Found(start, end, "PHONE", f"+{digits}" if piece[0] == "+" else digits)


def _is_part(text: str, start: int, end: int) -> bool:
    """Whether letters, digits or the signs between digits go on at either end."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return (
        before.isalnum()
        or (before in ("-", ".", "/", "_") and bool(before))
        or after.isalnum()
        or (after in ("-", "/", "_", ".") and text[end + 1 : end + 2].isalnum())
    )
