"""What the reflection model is asked, in the prompt's language, and what is taken from its answer."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

_NEW_TEXT = re.compile(r"<new_text>\n?(.*?)\n?</new_text>", re.DOTALL)


class Case(Struct, kw_only=True, frozen=True):
    """One answer of the prompt as it is, and what is to be said of it."""

    asked: str
    answered: str
    expected: str | None
    score: str
    """The metric's value, or why there is none."""
    notes: tuple[str, ...] = ()


class Tried(NamedTuple):
    """An earlier rewrite of the same text."""

    text: str
    said: str
    """How it did, or why it was rejected."""


class _Words(NamedTuple):
    task: str
    current: str
    cases: str
    case: str
    asked: str
    answered: str
    expected: str
    score: str
    notes: str
    tried: str
    keep: str
    empty: str
    end: str


_WORDS = {
    "en": _Words(
        task="You improve a prompt. A language model works by it; below you see the part of it that you may "
        "rewrite, and how the answers turned out on some inputs.",
        current="Text of '{component}' as it is:",
        cases="Inputs, answers and what was found:",
        case="Case {number}", asked="Input", answered="Answer", expected="Expected", score="Score",
        notes="Found",
        tried="These rewrites were tried before; do something else:",
        keep="Keep these marks exactly, each at least once; values are put there: {marks}",
        empty="(There is no text yet.)",
        end="Find out what the weak answers have in common and what the good ones do right: the form that is "
        "wanted, rules of the subject, facts the model can't know. Write a new text for the same purpose "
        "that says this in general rules. Do not list the answers of single cases. Write in English, keep "
        "what works, and be brief.\n"
        "Reason first. Then write the whole new text between <new_text> and </new_text>.",
    ),
    "pt": _Words(
        task="Você melhora um prompt. Um modelo de linguagem trabalha com ele; abaixo estão a parte que você "
        "pode reescrever e o resultado das respostas em algumas entradas.",
        current="Texto de '{component}' como está:",
        cases="Entradas, respostas e o que foi encontrado:",
        case="Caso {number}", asked="Entrada", answered="Resposta", expected="Esperado", score="Nota",
        notes="Encontrado",
        tried="Estas versões já foram tentadas; faça outra coisa:",
        keep="Mantenha estas marcas exatamente assim, cada uma ao menos uma vez; nelas entram valores: "
        "{marks}",
        empty="(Ainda não há texto.)",
        end="Descubra o que as respostas fracas têm em comum e o que as boas fazem certo: a forma desejada, "
        "as regras do assunto, os fatos que o modelo não pode saber. Escreva um novo texto para o mesmo fim "
        "que diga isso em regras gerais. Não liste as respostas de casos isolados. Escreva em português, "
        "conserve o que funciona e seja breve.\n"
        "Primeiro raciocine. Depois escreva o novo texto completo entre <new_text> e </new_text>.",
    ),
    "es": _Words(
        task="Usted mejora un prompt. Un modelo de lenguaje trabaja con él; abajo están la parte que puede "
        "reescribir y cómo resultaron las respuestas en algunas entradas.",
        current="Texto de '{component}' tal como está:",
        cases="Entradas, respuestas y lo que se encontró:",
        case="Caso {number}", asked="Entrada", answered="Respuesta", expected="Esperado", score="Nota",
        notes="Encontrado",
        tried="Estas versiones ya se probaron; haga otra cosa:",
        keep="Conserve estas marcas exactamente así, cada una al menos una vez; ahí van valores: {marks}",
        empty="(Todavía no hay texto.)",
        end="Averigüe qué tienen en común las respuestas débiles y qué hacen bien las buenas: la forma "
        "deseada, las reglas del tema, los hechos que el modelo no puede saber. Escriba un texto nuevo para "
        "el mismo fin que lo diga en reglas generales. No enumere las respuestas de casos sueltos. Escriba "
        "en español, conserve lo que funciona y sea breve.\n"
        "Primero razone. Después escriba el texto nuevo completo entre <new_text> y </new_text>.",
    ),
}  # fmt: skip


def ask(
    component: str,
    text: str,
    marks: Sequence[str],
    cases: Sequence[Case],
    tried: Sequence[Tried],
    language: str,
) -> str:
    """The message that asks for a new text. Other languages than en, pt and es are asked in English."""
    words = _WORDS.get(language, _WORDS["en"])
    lines = [
        words.task, "",
        words.current.format(component=component), "<text>", text or words.empty, "</text>",
    ]  # fmt: skip
    if marks:
        lines += ["", words.keep.format(marks=" ".join(marks))]
    lines += ["", words.cases]
    for number, case in enumerate(cases, 1):
        lines += ["", f"## {words.case.format(number=number)}"]
        lines += [f"{words.asked}: {case.asked}", f"{words.answered}: {case.answered}"]
        if case.expected is not None:
            lines.append(f"{words.expected}: {case.expected}")
        lines.append(f"{words.score}: {case.score}")
        if case.notes:
            lines.append(f"{words.notes}:")
            lines += [f"- {note}" for note in case.notes]
    if tried:
        lines += ["", words.tried]
        for one in tried:
            lines += ["<tried>", one.text, f"({one.said})", "</tried>"]
    return "\n".join([*lines, "", words.end])


def new_text(answer: str) -> str | None:
    """The text that a reflection gives: the last one between its marks; None where there is none."""
    found = _NEW_TEXT.findall(answer)
    return found[-1].strip() if found and found[-1].strip() else None
