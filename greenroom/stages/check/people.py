"""Names and birthdays, where the words around them say that they are.

High precision before recall: a capitalised word alone is no name, and a date is nobody's birthday unless
the text says so. Names in lower case are not found, nor are names that nothing introduces (that is the
entity tagger's work).
"""

import re
from collections.abc import Iterable, Iterator

from greenroom.stages.check.candidate import Candidate
from greenroom.stages.check.identifiers import is_date
from greenroom.stages.check.linear import Span, spots
from greenroom.stages.check.tables import words

CAPITALS = "A-ZÀ-ÖØ-ÞĀŁŚŠŻŽČĆĐŞİ"
"""With which a name may begin, in the three languages and in names common among their speakers."""

_SAID = (
    r"(?:o )?(?:meu|nosso) nome(?: completo)? é|me chamo|chamo-me|aqui é [oa]|em nome "
    r"d[eoa]|"
    r"titular(?: d[oa] (?:conta|cartão))?|favorecid[oa]|beneficiári[oa]|"
    r"my (?:full )?name is|my name's|i am called|i'm called|on behalf of|account holder|cardholder|in "
    r"the name of|"
    r"me llamo|mi nombre(?: completo)? es|a nombre de"
)
_FIELD = (
    r"nome(?: completo)?|nombre(?: completo)?|(?:full )?name|paciente|patient|cliente|alun[oa]|titular|"
    r"funcionári[oa]|emplead[oa]|employee|applicant|solicitante|contact|contat?o|contacto|remetente|"
    r"destinatári[oa]"
)
_PERHAPS = (
    r"paciente|patient|cliente|clienta|customer|"
    r"(?:carta|letter|e-?mail|mensagem|mensaje|message|correo)(?: (?:de|of) [\pL?]+)? (?:para|to|a)|"
    r"fale com|falar com|hable con|hablar con|speak (?:to|with)|talk to|contact|"
    r"segurad[oa]|inquilin[oa]|locatári[oa]|devedora?|réu|alun[oa]|colaboradora?|asegurad[oa]|"
    r"(?:eu )?sou [oa]|funcionári[oa]|emplead[oa]|tenant|employee named|a senhora|o senhor|"
    r"el señor|la señora|named"
)
_TITLE = r"mrs|mr|ms|dra|dr|srta|sra|sr|dona|señora|señor|senhora|senhor"
_BEGIN, _END = "(?:^|[^0-9A-Za-z_])", "(?:[^0-9A-Za-z_]|$)"
_INTRODUCED = rf"(?i:(?:{_SAID}) |(?:{_FIELD}) ?: ?|(?:{_PERHAPS}) |(?:{_TITLE})(?:\. ?| ))[{CAPITALS}]"
CUE = f"{_BEGIN}{_INTRODUCED}"
"""Words after which a name may stand, and the first character of it."""

AFTER = (
    r"(?i)[^ \d] (?:(?:mora(?:va)? (?:em|n[oa])|reside (?:em|en|n[oa])|vive (?:en|em)|lives (?:at|in|on)|"
    r"nasceu|nació|was born"
    r"|born|nascid[oa]|nacid[oa]) |[(<][\w.+\-]{1,40}@\w)"
)
"""What follows a name: where someone lives, when they were born, or their mail address in brackets."""
AFTER_WORDS = "mora morava reside vive lives was em no na en at in on"

_BORN = (
    r"(?i)\b(?:nasc(?:id[oa]|imento|eu|i|\b)|d\.?n\.?:|born\b|birth|dob\b|d\.o\.b"
    r"|nac(?:id[oa]|imiento|i\b|í|ió)|fecha de nac)"
)
BIRTH = _BORN.replace(r"(?i)\b", f"(?i){_BEGIN}").replace(r"\b", _END)
"""Words behind which a date is a birthday."""

introductions = spots(rf"\b{_INTRODUCED}")
subjects = spots(AFTER)
births = spots(_BORN)
_is_strong = re.compile(rf"(?:(?:{_SAID}) |(?:{_FIELD}) ?: ?)\Z", re.IGNORECASE).match

_LINK = r"(?:de|da|do|das|dos|del|la|las|los|e|y|van|von|di|der|den|du|le|el|bin|ibn)"
_WORD = (
    rf"[{CAPITALS}][^\W\d_]{{0,15}}(?:['’][{CAPITALS}][^\W\d_]{{0,11}}|-[^\W\d_]{{1,12}})?"
    r"(?!\w|['’](?:m|ll|re|ve|d)\b)"
)
_INITIAL = rf"[{CAPITALS}]\."
_name = re.compile(
    rf"(?:{_WORD}|{_INITIAL})(?: (?:{_LINK} ){{0,2}}(?:{_WORD}|{_INITIAL})){{0,4}}",
).match
_name_at_end = re.compile(rf"(?<![\w'’\-])(?:{_WORD} (?:{_LINK} ){{0,2}}){{1,4}}{_WORD}\Z").search

LINKS = _LINK[3:-1]
"""Small words inside names; a detector that reads a stream must expect them."""

# Words that are no part of a name: things, offices, functions.
_NEVER = words(
    """
    api app apps server service services servidor serviço servicio serviços servicios support suporte
    soporte team equipe equipo company empresa inc ltd llc ltda sa gmbh corp corporation bank banco care
    center centre centro hospital clinic clínica portal system sistema data dados datos health saúde
    salud name nome nombre sobrenome apellido customer cliente client patient paciente user usuário
    usuario admin premium gold vip id key code number número department departamento setor sector
    ministry ministério ministerio government governo gobierno university universidade universidad
    school escola escuela atendimento sac rh financeiro jurídico comercial marketing hr relations
    manager gerente diretor director presidente president ceo cto cfo editor redação hiring recruiter
    chatgpt gpt claude assistant assistente asistente bot openai google microsoft amazon json xml html
    sql http https url pdf csv none null undefined unknown desconhecido anonymous anônimo anónimo policy
    success journey experience
    """
)
# Capitalised words that begin a sentence or name a time or place; a name does not begin with them.
_NOT_FIRST = words(
    """
    the a an i we you he she it they this that these those my your our his her their and or but if so
    not no yes o os as um uma eu ele ela nós eles elas este esta isso meu minha seu sua nosso não sim se
    que para por com como el los las un una yo él ella nosotros ellos esto mi tu su nuestro sí si con
    first last sales finance legal staff church igreja iglesia deus dios god lord papai noel january
    february march april june july october november december monday tuesday wednesday thursday friday
    saturday sunday janeiro fevereiro março maio junho julho setembro outubro novembro dezembro ti
    vendas ventas dear hello hi olá hola prezado prezada estimado estimada sir madam all todos everyone
    estado state city cidade ciudad país country brasil brazil españa spain méxico mexico portugal
    argentina são rio new nova york united states estados unidos reino unido kingdom one someone hoje
    hoy today ontem ayer yesterday cadastro pedido contrato order invoice account conta cuenta
    """
)

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janeiro january enero jan ene",
            "fevereiro february febrero feb fev",
            "março marco march marzo mar",
            "abril april abr apr",
            "maio may mayo mai",
            "junho june junio jun",
            "julho july julio jul",
            "agosto august ago aug",
            "setembro september septiembre setiembre set sep sept",
            "outubro october octubre out oct",
            "novembro november noviembre nov",
            "dezembro december diciembre dez dec dic",
        ),
        1,
    )
    for name in names.split()
}
MONTHS = "|".join(sorted(_MONTHS, key=len, reverse=True))
"""Month names of the three languages; a detector that reads a stream must expect them."""
MONTHS_FIRST = "january|february|march|april|may|june|july|august|september|october|november|december"
"""Months that may stand before the day: the first word of a date without a digit or capital."""

_date = re.compile(
    r"(?<![\w./\-])(?:"
    r"(?P<d>\d{1,2})(?P<sep>[/.\-])(?P<m>\d{1,2})(?P=sep)(?P<y>\d{4}|\d{2})"
    r"|(?P<Y>\d{4})[/.\-](?P<M>\d{1,2})[/.\-](?P<D>\d{1,2})"
    rf"|(?P<day>\d{{1,2}})(?:º|st|nd|rd|th)?,? (?:de |of )?(?P<month>{MONTHS})\.?,? (?:del? |of "
    rf")?(?P<year>\d{{4}})"
    rf"|(?P<month2>(?-i:[A-Z][a-z]{{2,8}})|{MONTHS_FIRST})\.? "
    r"(?P<day2>\d{1,2})(?:st|nd|rd|th)?,? (?P<year2>\d{4})"
    r")(?![\w]|[./\-]\d)",
    re.IGNORECASE,
).search  # fmt: skip

_BIRTH_REACH = 40
_REACH_BACK, _REACH = 80, 110


def find_introduced(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Names after words that introduce them."""
    for start, after in spans:
        at = after - 1
        words_before = text[start:at]
        one = _name(text, at, at + _REACH)
        if one is None:
            continue
        strong = _is_strong(words_before) is not None
        end = _name_end(text, at, one.end(), least=1 if strong or _is_title(words_before) else 2)
        if end:
            yield Candidate(at, end, "person", "PERSON", 0.9 if strong else 0.8)


def find_subjects(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Names of two words and more before words that only people are followed by."""
    for start, _ in spans:
        candidate = name_before(text, start + 1)
        if candidate is not None:
            yield candidate


def name_before(text: str, end: int) -> Candidate | None:
    """The name of two words and more that ends at `end`."""
    start = max(0, end - _REACH_BACK)
    one = _name_at_end(text[start:end])
    if one is None:
        return None
    at = start + one.start()
    stop = _name_end(text, at, end, least=2)
    return Candidate(at, end, "person", "PERSON", 0.85) if stop == end else None


_is_title = re.compile(rf"(?:{_TITLE})(?:\. ?| )\Z", re.IGNORECASE).match


def _name_end(text: str, start: int, end: int, least: int) -> int:
    """Where the name that begins at `start` ends, or 0 when it is none."""
    parts = [word for word in text[start:end].rstrip(".").split(" ") if word[:1].isupper()]
    kept = 0
    for word in parts:
        low = word.lower().strip(".")
        if low in _NEVER or (kept == 0 and low in _NOT_FIRST):
            break
        if len(word) > 3 and word.isupper() and not parts[0].isupper():
            break
        kept += 1
    shouted = kept > 3 and all(map(str.isupper, parts[:kept]))
    if kept < least or kept < min(len(parts), 2) or shouted:
        return 0
    if kept == len(parts):
        stop = end - (text[end - 1] == ".")
    else:
        stop = start
        for word in parts[:kept]:
            stop = text.index(word, stop) + len(word)
    return 0 if kept == 1 and _is_no_lone_name(parts[0], text[stop : stop + 1]) else stop


def _is_no_lone_name(word: str, after: str) -> bool:
    return len(word.rstrip(".")) < 2 or word.isupper() or after in ("_", "(", "@") or after.isdigit()


def find_birthdays(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Dates said to be someone's birth."""
    for _, begin in spans:
        one = _date(text, begin, min(len(text), begin + _BIRTH_REACH + 40))
        if one is not None and one.start() - begin <= _BIRTH_REACH and _is_birthday(one):
            yield Candidate(one.start(), one.end(), "date_of_birth", "DATE_OF_BIRTH", 0.95)


def _is_birthday(date: re.Match[str]) -> bool:
    parts = date.groupdict()
    if parts["d"]:
        day, month, year = int(parts["d"]), int(parts["m"]), int(parts["y"])
        year += 0 if year > 99 else 1900 if year > 30 else 2000
        return is_date(year, month, day) or is_date(year, day, month)
    if parts["Y"]:
        return is_date(int(parts["Y"]), int(parts["M"]), int(parts["D"]))
    month = _MONTHS.get((parts["month"] or parts["month2"]).lower(), 0)
    return is_date(int(parts["year"] or parts["year2"]), month, int(parts["day"] or parts["day2"]))
