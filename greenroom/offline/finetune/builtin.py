"""A small task to try everything on: what is asked of a house, in three languages, becomes a command.

    Set the lamp in the kitchen to 40 percent.  →  {"do":"light","room":"kitchen","to":40}

A model of a million parameters learns it from nothing in a minute; whether an answer is right needs no
judging. Rows are made by rule and seed. Training, validation and test rows are apart by construction: a
command in a language (what, where, how much) falls into one part, with all its wordings.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from greenroom.offline.finetune.plan import Hyperparameters, Plan, Scratch

Part = Literal["train", "valid", "test"]
Language = Literal["en", "pt", "es"]
PARTS: dict[Part, range] = {"test": range(10), "valid": range(10, 15), "train": range(15, 100)}
"""Hundredths of all commands."""

ROOMS: dict[str, dict[Language, str]] = {
    "kitchen": {"en": "the kitchen", "pt": "na cozinha", "es": "en la cocina"},
    "bedroom": {"en": "the bedroom", "pt": "no quarto", "es": "en el dormitorio"},
    "bathroom": {"en": "the bathroom", "pt": "no banheiro", "es": "en el baño"},
    "living_room": {"en": "the living room", "pt": "na sala", "es": "en el salón"},
    "office": {"en": "the office", "pt": "no escritório", "es": "en la oficina"},
    "garage": {"en": "the garage", "pt": "na garagem", "es": "en el garaje"},
    "hall": {"en": "the hall", "pt": "no corredor", "es": "en el pasillo"},
    "garden": {"en": "the garden", "pt": "no jardim", "es": "en el jardín"},
}
NUMBERS: dict[str, range] = {
    "light": range(1, 100),
    "heat": range(5, 31),
    "volume": range(1, 100),
    "timer": range(1, 100),
}
PHRASES: dict[str, dict[Language, tuple[str, ...]]] = {
    "light": {
        "en": (
            "Set the lamp in {room} to {n} percent.",
            "I want {n} % light in {room}.",
            "Dim the lights in {room} to {n}, please.",
        ),
        "pt": (
            "Ponha a luz {room} em {n} por cento.",
            "Quero {n} % de luz {room}.",
            "Ajuste a lâmpada {room} para {n}, por favor.",
        ),
        "es": (
            "Pon la luz {room} al {n} por ciento.",
            "Quiero un {n} % de luz {room}.",
            "Ajusta la lámpara {room} a {n}, por favor.",
        ),
    },
    "heat": {
        "en": (
            "Heat {room} to {n} degrees.",
            "Make it {n} degrees in {room}.",
            "The heating in {room} should be at {n}.",
        ),
        "pt": (
            "Aqueça até {n} graus {room}.",
            "Deixe {n} graus {room}.",
            "O aquecimento {room} deve ficar em {n}.",
        ),
        "es": (
            "Calienta hasta {n} grados {room}.",
            "Deja {n} grados {room}.",
            "La calefacción {room} debe estar a {n}.",
        ),
    },
    "volume": {
        "en": (
            "Turn the music in {room} to {n}.",
            "Volume {n} in {room}.",
            "Play the music at {n} in {room}.",
        ),
        "pt": (
            "Ponha a música {room} em {n}.",
            "Volume {n} {room}.",
            "Toque a música em {n} {room}.",
        ),
        "es": (
            "Pon la música {room} a {n}.",
            "Volumen {n} {room}.",
            "Que suene la música a {n} {room}.",
        ),
    },
    "timer": {
        "en": (
            "Wake me in {n} minutes.",
            "Set a timer for {n} minutes.",
            "Tell me when {n} minutes are over.",
        ),
        "pt": (
            "Acorde-me em {n} minutos.",
            "Marque um tempo de {n} minutos.",
            "Avise quando passarem {n} minutos.",
        ),
        "es": (
            "Despiértame en {n} minutos.",
            "Pon un temporizador de {n} minutos.",
            "Avísame cuando pasen {n} minutos.",
        ),
    },
}
LANGUAGES: tuple[Language, ...] = ("en", "pt", "es")


class Command(NamedTuple):
    """What is asked, in which language."""

    language: Language
    what: str
    room: str | None
    number: int

    @property
    def part(self) -> Part:
        """The part that this command's rows belong to."""
        digest = hashlib.sha256("|".join(map(str, self)).encode()).digest()
        place = int.from_bytes(digest[:4], "big") % 100
        return next(part for part, places in PARTS.items() if place in places)

    @property
    def answer(self) -> str:
        """The command as JSON, the only right answer."""
        room = {} if self.room is None else {"room": self.room}
        return json.dumps({"do": self.what, **room, "to": self.number}, separators=(",", ":"))

    def wordings(self) -> Iterator[str]:
        """Every way to ask for it."""
        room = "" if self.room is None else ROOMS[self.room][self.language]
        for phrase in PHRASES[self.what][self.language]:
            yield phrase.format(room=room, n=self.number)


def commands() -> Iterator[Command]:
    """All of them."""
    for language in LANGUAGES:
        for what, numbers in NUMBERS.items():
            for room in (None,) if what == "timer" else ROOMS:
                for number in numbers:
                    yield Command(language, what, room, number)


def rows(part: Part, count: int, seed: int = 0) -> list[dict[str, Any]]:  # Any: JSON, as clients upload it
    """`count` different rows of a part, as `/v1/fine_tuning/jobs` takes them; the same for the same seed.

    Raises: ValueError when the part has fewer.
    """
    everything = [
        (wording, command) for command in commands() if command.part == part for wording in command.wordings()
    ]
    if count > len(everything):
        raise ValueError(f"The built-in task has {len(everything)} {part} rows, not {count}.")
    chosen = random.Random(seed).sample(everything, count)  # noqa: S311 - to be repeated, not to be secret
    return [
        {"messages": [{"role": "user", "content": wording}, {"role": "assistant", "content": command.answer}]}
        for wording, command in chosen
    ]


def pairs(part: Part, count: int, seed: int = 0) -> list[dict[str, Any]]:  # Any: JSON, as clients upload it
    """Preferences over the same rows: the right answer before one with another number."""
    preferred = []
    for row in rows(part, count, seed):
        asked, answer = row["messages"]
        right = json.loads(answer["content"])
        wrong = json.dumps({**right, "to": right["to"] + 1}, separators=(",", ":"))
        preferred.append(
            {
                "input": {"messages": [asked]},
                "preferred_output": [answer],
                "non_preferred_output": [{"role": "assistant", "content": wrong}],
            }
        )
    return preferred


def share_exact(answers: Sequence[str], expected: Sequence[str]) -> float:
    """The share of answers that are right to the letter, but for space around them; 0 to 1."""
    right = [answer.strip() == wanted.strip() for answer, wanted in zip(answers, expected, strict=True)]
    return sum(right) / max(1, len(right))


def plan(name: str = "house", *, is_short: bool = False, threads: int | None = None) -> Plan:
    """How to learn the task from nothing; the short form is a model of a sixth the size, for trying all.

    Both want 2400 training rows or more. Small steps and many: what has to be learned first is to copy
    digits, and that takes a number of steps, not of rows.
    """
    return Plan(
        name=name,
        start="from_scratch",
        scratch=Scratch(size=2 if is_short else 4, steps=10 if is_short else 30),
        hyperparameters=Hyperparameters(
            epochs=2 if is_short else 4,
            batch_size=16,
            learning_rate=6e-3 if is_short else 3e-3,
            checkpoint_every=100,
            evaluate_every=250,
        ),
        threads=threads,
        data={"source": "the built-in task", "licence": "Apache-2.0"},
    )
