"""What in an answer claims nothing of its passages: greetings, questions, «I found nothing», asides."""

import re

from greenroom.contracts import Stretch

_SAYS_NOTHING = re.compile(
    r"""^(?:[*_>#\s¡¿-]*)(?:
    (?:hi|hello|hey|thanks|thank\ you|you're\ welcome|let\ me\ know|i\ hope|here\ (?:is|are)|here's|feel\ free
      |i\ found\ (?:no|nothing)|i\ (?:could\ not|couldn't|did\ not|didn't|can't|cannot)\ find|i\ don't\ know
      |i\ do\ not\ know|i\ am\ (?:the\ built-in|an\ ai|not\ sure|sorry)|i'm\ (?:an\ ai|not\ sure|sorry)|sorry
      |unfortunately,?\ (?:i|the\ (?:passages|documents|sources))|there\ is\ no\ (?:information|mention)
      |the\ (?:passages|documents|sources|context|text)\ (?:do(?:es)?\ not|don't|doesn't|say:|contain\ no)
      |no\ information|add\ some\ with)
    |(?:olá|oi\b|obrigad[oa]|de\ nada|espero\ (?:ter|que)|qualquer\ dúvida|se\ (?:precisar|quiser)|segue
      |não\ encontrei|não\ (?:sei|há\ (?:informaç|menç))|desculpe|infelizmente,?\ (?:não|os)|aqui\ est
      |os\ (?:documentos|trechos|textos)\ (?:não|dizem:)|nenhuma\ informação|sou\ (?:o\ leitor|uma?\ ia)
      |adicione\ alguns)
    |(?:hola|gracias|espero\ (?:que|haber)|si\ (?:necesita|quiere)|no\ encontré|no\ sé\b|lo\ siento
      |lamentablemente,?\ (?:no|los)|aquí\ (?:est|tien)|no\ hay\ (?:informaci|menci)|ninguna\ información
      |los\ (?:documentos|fragmentos|textos)\ (?:no|dicen:)|soy\ (?:el\ lector|una?\ ia)|añada\ algunos)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
"""How sentences begin that claim nothing of what the passages are about."""
_TALKS = re.compile(
    r"""^(?:[*_>#\s¡¿-]*)(?:
    (?:sure|certainly|of\ course|great|i\ can|i\ could|i'll|i\ will|i'd|please|if\ you|note\ that\ i|you\ can)
    |(?:claro|certamente|com\ certeza|ótimo|posso|vou|você\ pode|por\ favor)
    |(?:por\ supuesto|desde\ luego|puedo|voy\ a|puede\b|por\ favor)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""How talk between people begins; with a number or a name in it, it may claim something all the same."""


def is_talk(sentence: str) -> bool:
    """Whether it begins as talk between people does."""
    return _TALKS.match(sentence) is not None


def is_aside(text: str, start: int, end: int) -> bool:
    """Whether a sentence stands in a line that is in italics as a whole: a remark about the answer itself."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    line = (text[first:] if last < 0 else text[first:last]).strip()
    return len(line) > 2 and line[0] == line[-1] == "*" and line[1] not in "* "


def may_claim(sentence: str) -> bool:
    """Whether a sentence may say something of what the passages are about."""
    bare = sentence.strip().rstrip("*_ ")
    if not bare or bare.endswith(("?", ":")) or _SAYS_NOTHING.match(sentence) is not None:
        return False
    return not (bare.startswith("**") and sentence.strip().endswith("**") and "\n" not in bare)


def lines_of(text: str, unit: Stretch) -> list[tuple[int, int]]:
    """Where the lines of a list or a table stand that say something."""
    spans: list[tuple[int, int]] = []
    at = unit.start
    for line in text[unit.start : unit.end].splitlines(keepends=True):
        bare = line.strip()
        if bare and bare.strip("|-: "):
            start = at + line.index(bare[0])
            spans.append((start, start + len(bare)))
        at += len(line)
    return spans
