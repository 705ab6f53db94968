"""Rules about words, in English, Portuguese and Spanish: contradictions, and what a model need not be told.

Only what is said as an instruction counts: a sentence with a condition, or a negation right before the words,
is left alone. All three languages are looked for in every prompt, since prompts mix them.
"""

import re
from collections.abc import Iterator

from greenroom.prompts.lint.finding import Finding
from greenroom.prompts.techniques import reasons
from greenroom.prompts.version import PromptVersion

_FLAGS = re.IGNORECASE
_SHORT = re.compile(
    r"\bbe (?:very |as )?(?:concise|brief|short|terse|succinct)\b"
    r"|\b(?:keep|make) (?:it|(?:your |the |all )?(?:answers?|repl(?:y|ies)|responses?)) (?:very )?"
    r"(?:short|brief|concise)\b"
    r"|\b(?:answer|respond|reply) (?:very )?(?:briefly|concisely|succinctly|in (?:one|a single) "
    r"(?:word|line|sentence))\b"
    r"|\b(?:seja|sê) (?:muito |bem )?(?:conciso|concisa|breve|sucinto|sucinta|objetivo|objetiva)\b"
    r"|\brespond[ae] (?:sempre )?(?:de forma |de maneira )?(?:breve|brevemente|concisa|curta|sucinta|em uma "
    r"(?:frase|linha|palavra)|em poucas palavras)\b|\brespostas? (?:curtas?|breves?|concisas?)\b"
    r"|\bs[eé] (?:muy )?(?:conciso|concisa|breve|escueto|escueta)\b"
    r"|\brespond[ea] (?:siempre )?(?:de forma |de manera )?(?:breve|brevemente|concisa|en una (?:frase|línea|"
    r"palabra)|en pocas palabras)\b|\brespuestas? (?:cortas?|breves?|concisas?)\b",
    _FLAGS,
)
_LONG = re.compile(
    r"\bbe (?:very |as )?(?:thorough|detailed|exhaustive|comprehensive|verbose)\b"
    r"|\bin (?:great|full|as much) detail\b|\b(?:explain|answer|describe|respond)\b[^.\n]{0,30}\bin detail\b"
    r"|\b(?:answer|respond|explain) (?:\w+ )?(?:thoroughly|exhaustively|comprehensively|at length)\b"
    r"|\b(?:long|detailed|exhaustive|comprehensive) (?:answers?|explanations?|responses?)\b"
    r"|\bseja (?:muito |bem )?(?:detalhado|detalhada|minucioso|minuciosa|exaustivo|exaustiva|completo e "
    r"detalhado)\b|\b(?:explique|responda|descreva)\b[^.\n]{0,30}\b(?:em detalhes?|detalhadamente|com "
    r"(?:muitos )?detalhes)\b|\brespostas? (?:longas?|detalhadas?|exaustivas?)\b"
    r"|\bs[eé] (?:muy )?(?:detallado|detallada|minucioso|minuciosa|exhaustivo|exhaustiva)\b"
    r"|\b(?:explica|responde|describe)\b[^.\n]{0,30}\b(?:en detalle|detalladamente"
    r"|con (?:muchos )?detalles?)\b"
    r"|\brespuestas? (?:largas?|detalladas?|exhaustivas?)\b",
    _FLAGS,
)
_FORMAL = re.compile(
    r"\b(?:be|stay|sound) (?:very )?formal\b"
    r"|\b(?:use|in|with) (?:an? )?formal (?:tone|language|style|register)\b"
    r"|\bseja (?:muito )?formal\b|\b(?:tom|linguagem|estilo|registro) formal\b"
    r"|\bs[eé] (?:muy )?formal\b|\b(?:tono|lenguaje|estilo|registro) formal\b",
    _FLAGS,
)
_CASUAL = re.compile(
    r"\b(?:be|stay|sound) (?:very )?(?:informal|casual)\b"
    r"|\b(?:use|in|with) (?:an? )?(?:informal|casual) (?:tone|language|style|register)\b|\buse slang\b"
    r"|\bseja (?:muito )?(?:informal|descontraíd[oa])\b"
    r"|\b(?:tom|linguagem|estilo) (?:informal|descontraíd[oa])\b"
    r"|\buse gírias\b"
    r"|\bs[eé] (?:muy )?informal\b|\b(?:tono|lenguaje|estilo) (?:informal|coloquial)\b|\busa jerga\b",
    _FLAGS,
)
_ONLY_JSON = re.compile(
    r"\b(?:only|just|nothing but|solely) (?:with )?(?:valid )?(?:a )?json\b"
    r"|\bjson (?:only|and nothing else|alone)\b"
    r"|\b(?:apenas|somente|só) (?:com |um )?json\b|\bnada além d[eo] json\b"
    r"|\b(?:solo|sólo|únicamente|solamente) (?:con |un )?json\b|\bnada más que json\b",
    _FLAGS,
)
_EXPLAIN = re.compile(
    r"\bexplain (?:your|the) (?:reasoning|answer|thinking|steps)\b|\bshow your (?:reasoning|work|steps)\b"
    r"|\bexplique (?:o )?seu raciocínio\b|\bmostre (?:o )?seu raciocínio\b|\bjustifique (?:a )?sua resposta\b"
    r"|\bexplica tu (?:razonamiento|respuesta)\b|\bmuestra tu razonamiento\b|\bjustifica tu respuesta\b",
    _FLAGS,
)
_NEVER_ASK = re.compile(
    r"\b(?:never|do not|don't) ask (?:the user )?(?:any |back|for clarification|clarifying |questions)"
    r"|\b(?:nunca|não) (?:faça|pergunte)\b[^.\n]{0,15}(?:perguntas|ao usuário|de volta)"
    r"|\b(?:nunca|no) (?:hagas|preguntes)\b[^.\n]{0,15}(?:preguntas|al usuario)",
    _FLAGS,
)
_ASK = re.compile(
    r"\b(?:always )?ask (?:the user )?(?:a |some )?(?:clarifying|follow-up) questions?\b|\balways ask back\b"
    r"|\b(?:sempre )?faça perguntas (?:de esclarecimento|ao usuário)\b|\bsempre pergunte\b"
    r"|\b(?:siempre )?haz preguntas (?:de aclaración|al usuario)\b|\bsiempre pregunta\b",
    _FLAGS,
)
_PAIRS = (
    ("be short", "be thorough", _SHORT, _LONG),
    ("be formal", "be casual", _FORMAL, _CASUAL),
    ("give JSON alone", "explain the answer", _ONLY_JSON, _EXPLAIN),
    ("never ask back", "ask back", _NEVER_ASK, _ASK),
)
_LANGUAGES = {
    "english": "en", "inglês": "en", "inglés": "en", "portuguese": "pt", "português": "pt", "portugués": "pt",
    "spanish": "es", "espanhol": "es", "español": "es", "french": "fr", "francês": "fr", "francés": "fr",
    "german": "de", "alemão": "de", "alemán": "de", "italian": "it", "italiano": "it",
}  # fmt: skip
_IN_LANGUAGE = re.compile(
    r"\b(?:answer|reply|respond|write|respond[ae]|escreva|escribe|contesta)\b(?: \w+){0,2} (?:in|em|en) ("
    + "|".join(_LANGUAGES) + r")\b(?! (?:or|and|ou|e|o|y) )",
    _FLAGS,
)  # fmt: skip
_NEGATED = re.compile(
    r"(?:n['’]t|\b(?:not|cannot|never|avoid|without|no|não|nunca|evite|evita|sem|sin|jamais|jamás))\b"
    r"[^.!?\n]{0,24}\Z",
    _FLAGS,
)
_CONDITION = re.compile(
    r"\b(?:if|when|whenever|unless|except|otherwise|se|quando|caso|exceto|salvo|senão|si|cuando|excepto|"
    r"a menos que|depending|dependendo|según)\b",
    _FLAGS,
)
_SENTENCE = 300
"""Characters before and behind words that count as their sentence, at most: bounds the time of long texts."""
_STEPS = re.compile(
    r"\b(?:think|reason|work|solve|proceed)\b[^.\n]{0,40}\bstep[- ]by[- ]step\b|\blet'?s think\b"
    r"|\bthink (?:carefully |hard |deeply )?before (?:you )?answer"
    r"|\bchain[- ]of[- ]thought\b|\btake a deep breath\b"
    r"|\b(?:pense|pensa|raciocine|resolva|vamos pensar)\b[^.\n]{0,40}\bpasso a passo\b"
    r"|\bpense (?:bem |com calma )?antes de responder\b|\bcadeia de (?:pensamento|raciocínio)\b"
    r"|\b(?:piensa|piense|razona|razone|resuelve|resuelva|pensemos)\b[^.\n]{0,40}\bpaso a paso\b"
    r"|\b(?:piensa|piense) (?:bien )?antes de responder\b|\bcadena de (?:pensamiento|razonamiento)\b",
    _FLAGS,
)
_NAMES_FORM = re.compile(
    r"\b(?:json|schema|esquema|formato?|format|fields?|campos?|keys?|chaves?|claves?)\b", _FLAGS
)


def contradictions(version: PromptVersion) -> Iterator[Finding]:
    """Instructions that can't both be followed."""
    said = [(f"messages[{place}].text", one.text) for place, one in enumerate(version.messages)]
    for this, other, first, second in _PAIRS:
        one = next(_instructions(first, said), None)
        two = next(_instructions(second, said), None)
        if one is not None and two is not None:
            yield _contradiction(one, two, this, other)
    languages = [(found, _LANGUAGES[found[1][1].lower()]) for found in _instructions(_IN_LANGUAGE, said)]
    for found, language in languages[1:]:
        if language != languages[0][1]:
            yield _contradiction(languages[0][0], found, "answer in one language", "answer in another")
            break


def steps(version: PromptVersion, model: str | None) -> Iterator[Finding]:
    """Asked to think in steps: of a model that does by itself, or twice."""
    thinks = reasons(model) or version.settings.reasoning_effort not in {None, "none"}
    by_technique = version.techniques.step_by_step == "auto"
    said = [
        (f"messages[{place}].text", one.text)
        for place, one in enumerate(version.messages)
        if one.role != "assistant"
    ]
    for place, found in _instructions(_STEPS, said):
        if thinks:
            why = f"'{found[0]}' is said to {model or 'a model'}, which reasons by itself"
        elif by_technique:
            why = f"'{found[0]}' is said twice: step_by_step says it, too"
        else:
            continue
        yield Finding(
            rule="redundant-step-by-step", severity="warning", place=place, message=f"{why}.",
            remedy='Leave it out; techniques.step_by_step = "auto" says it to the models that need it.',
            start=found.start(), end=found.end(),
        )  # fmt: skip
    if by_technique and thinks:
        yield Finding(
            rule="redundant-step-by-step", severity="warning", place="techniques.step_by_step",
            message=f"{model or 'The model'} reasons by itself, so this adds nothing.",
            remedy="Take it out, or leave it for other models.",
        )  # fmt: skip


def names_no_form(version: PromptVersion) -> bool:
    """Whether no text says what form the answer has."""
    return not any(_NAMES_FORM.search(one.text) for one in version.messages)


def _instructions(
    pattern: re.Pattern[str], texts: list[tuple[str, str]]
) -> Iterator[tuple[str, re.Match[str]]]:
    for place, text in texts:
        for found in pattern.finditer(text):
            first, last = max(0, found.start() - _SENTENCE), found.end() + _SENTENCE
            start = max(first, *(text.rfind(mark, first, found.start()) + 1 for mark in ".!?\n"))
            ends = [at for mark in ".!?\n" if (at := text.find(mark, found.end(), last)) >= 0]
            sentence = text[start : min(ends, default=last)]
            if not (_NEGATED.search(text[start : found.start()]) or _CONDITION.search(sentence)):
                yield place, found


def _contradiction(
    one: tuple[str, re.Match[str]], two: tuple[str, re.Match[str]], this: str, other: str
) -> Finding:
    place, found = one
    return Finding(
        rule="contradiction", severity="warning", place=place,
        message=f"It says to {this} ('{found[0]}') and to {other} ('{two[1][0]}', {two[0]}).",
        remedy="Keep one of them, or say when each holds.",
        start=found.start(), end=found.end(),
    )  # fmt: skip
