"""Conversations to train on, made up in three languages, and what is planted among them.

A seeded generator fills frames. Half of the frames were there to choose thresholds by, the other half is what
is reported on. Look-alikes come by themselves: rows of one frame differ in a number, a place or a thing.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

Row = dict[str, Any]  # Any: JSON
LANGUAGES = ("en", "pt", "es")

_THINGS = {
    "en": (
        "lamp kettle printer heater camera router scanner blender monitor speaker bicycle mattress "
        "keyboard toaster drill"
    ),
    "pt": (
        "lâmpada chaleira impressora câmera batedeira bicicleta furadeira geladeira cafeteira "
        "torradeira mochila poltrona"
    ),
    "es": (
        "lámpara tetera impresora cámara batidora bicicleta taladradora nevera cafetera tostadora "
        "mochila aspiradora"
    ),
}
_PLACES = {
    "en": ("Leeds Boston Dublin Perth Austin Bristol Toronto Cardiff Denver Auckland Glasgow Phoenix"),
    "pt": (
        "Recife Curitiba Manaus Goiânia Salvador Niterói Florianópolis Campinas Belém Fortaleza "
        "Vitória Santos"
    ),
    "es": (
        "Sevilla Bogotá Rosario Valencia Quito Monterrey Zaragoza Lima Bilbao Cuenca Montevideo Guadalajara"
    ),
}
_FRAMES: dict[str, list[tuple[str, str]]] = {language: [] for language in LANGUAGES}
for _line in (Path(__file__).parent / "own" / "training_frames.tsv").read_text(encoding="utf-8").splitlines():
    _language, _question, _answer = _line.split("\t")
    _FRAMES[_language].append((_question, _answer))
_GREETINGS = {
    "en": ("Hi, ", "Hello there! ", "Please tell me: "),
    "pt": ("Oi, ", "Bom dia! ", "Por favor: "),
    "es": ("Hola, ", "Buenos días. ", "Por favor: "),
}
_THANKS = {"en": " Thank you!", "pt": " Obrigado!", "es": " ¡Gracias!"}


class Made(NamedTuple):
    """A row, its language, and which filled frame it is."""

    row: Row
    language: str
    question: str
    answer: str


def rows(random: Random, half: int) -> Iterator[Made]:
    """All different: rows of the frames of one half (0: to choose by, 1: to report on), without an end."""
    seen = set()
    while True:
        language = random.choice(LANGUAGES)
        asked, told = random.choice(_FRAMES[language][half::2])
        slots = {
            "thing": random.choice(_THINGS[language].split()),
            "place": random.choice(_PLACES[language].split()),
            "n": str(random.randint(2, 99)), "m": str(random.randint(2, 60)),
        }  # fmt: skip
        question, answer = asked.format(**slots), told.format(**slots)
        if question not in seen:
            seen.add(question)
            yield Made(conversation(question, answer), language, question, answer)


def conversation(question: str, answer: str) -> Row:
    """A row of the form that training takes."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def _slip(text: str, random: Random) -> str:
    """Two letters of one long word change places."""
    words = text.split(" ")
    places = [at for at, one in enumerate(words) if len(one) > 5 and one[:5].isalpha() and one[1] != one[2]]
    if places:
        at = random.choice(places)
        word = words[at]
        words[at] = word[0] + word[2] + word[1] + word[3:]
    return " ".join(words)


def _without_a_letter(text: str, random: Random) -> str:
    words = text.split(" ")
    places = [at for at, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if places:
        at = random.choice(places)
        cut = random.randint(1, len(words[at]) - 2)
        words[at] = words[at][:cut] + words[at][cut + 1 :]
    return " ".join(words)


def _without_marks(text: str, random: Random) -> str:
    return "".join(one for one in text if one.isalnum() or one == " ")


def _plain_letters(text: str, random: Random) -> str:
    return text.translate(str.maketrans("áàâãéêíóôõúüçñÁÉÍÓÚ", "aaaaeeiooouucnAEIOU"))


def _spaced(text: str, random: Random) -> str:
    return text.replace(" ", "  ").replace("?", " ?") + "\n"


_SYNONYMS = {
    "guarantee": "warranty", "store": "shop", "shows": "displays", "send": "ship", "shop": "branch",
    "ordered": "bought", "technician": "workshop", "clean": "wash", "return": "send back", "deliver": "bring",
    "garantia": "cobertura", "retirar": "buscar", "mostra": "exibe", "enviar": "mandar",
    "estoque": "depósito",
    "Pedi": "Comprei", "conserta": "arruma", "limpo": "lavo", "devolver": "retornar", "entregam": "levam",
    "garantía": "cobertura", "recoger": "retirar", "muestra": "indica", "mandar": "despachar",
    "disponible": "en existencia", "Pedí": "Compré", "repara": "arregla", "limpio": "lavo",
    "Entregan": "Llevan",
}  # fmt: skip


def _other_word(text: str, random: Random) -> str:
    """The first word that has a synonym here."""
    words = text.split(" ")
    place = next((at for at, one in enumerate(words) if one in _SYNONYMS), None)
    if place is not None:
        words[place] = _SYNONYMS[words[place]]
    return " ".join(words)


REWRITINGS: dict[str, Callable[[str, Random], str]] = {
    "lower case": lambda text, _: text.lower(),
    "capitals": lambda text, _: text.upper(),
    "no marks": _without_marks,
    "no accents": _plain_letters,
    "spacing": _spaced,
    "letters swapped": _slip,
    "letter lost": _without_a_letter,
    "other word": _other_word,
}
"""Light changes that leave the meaning alone."""


def rewritten(made: Made, random: Random) -> tuple[str, Made]:
    """The same said a little differently: what was done, and the row."""
    how = random.choice([*REWRITINGS, "greeting", "thanks"])
    question, answer = made.question, made.answer
    if how == "greeting":
        question = random.choice(_GREETINGS[made.language]) + question
    elif how == "thanks":
        question += _THANKS[made.language]
    else:
        question = REWRITINGS[how](question, random)
        if how != "other word" and random.random() < 0.5:
            answer = REWRITINGS[how](answer, random)
    return how, Made(conversation(question, answer), made.language, question, answer)
