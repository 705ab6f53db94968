"""`memory`: whole conversations remembered, then asked about, through the store and the rules as they ship.

The threshold was chosen on half of the conversations, by the hash of their names; the other half is
reported. Times are those of one user with 10,000 turns.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from evals.figures import Goal, Row, cpu, read_rows, share
from greenroom.assembly.memories import KeptMemories, hear
from greenroom.stages.ground.memory import MemoryConfig, Recalled
from greenroom.store.said import Turn
from greenroom.store.turns import StoredTurns

_TURNS = 10_000
_GOALS: dict[str, Goal] = {"abstention": (">=", 0.9)}
_GOAL: Goal = (">=", 0.95)
_Rows = list[dict[str, Any]]  # Any: JSON


def measure(data: Path) -> Iterator[Row]:
    """Evidence in the first five by type and language; of contradicting facts the newest first; times."""
    yield from _talks(Path(__file__).parent.parent / "training" / "memory", "own talks, rules made on them")
    turns = read_rows(data / "text" / "memory_own" / "turns.jsonl")
    questions = [
        row for row in read_rows(data / "text" / "memory_own" / "questions.jsonl") if is_reported(row["conv"])
    ]
    with remembering() as (store, memories):
        for conversation in dict.fromkeys(row["conv"] for row in questions):
            tell(store, conversation, [row for row in turns if row["conv"] == conversation])
        answers = [(row, ask(memories, row["conv"], row["question"], row["lang"])) for row in questions]
        yield from figures(answers, "memory_own, half")
    yield from _times(turns, questions)


def _talks(folder: Path, set: str) -> Iterator[Row]:
    """Our own short talks in three languages: free wording, and questions that nothing answers."""
    answers: list[tuple[dict[str, Any], list[Recalled]]] = []
    with remembering() as (store, memories):
        for file in sorted(folder.glob("*.jsonl")):
            for talk in read_rows(file):
                user = f"{file.stem} {talk['lang']}"
                days = [f"2026-{1 + at // 28:02d}-{1 + at % 28:02d}" for at in range(len(talk["turns"]))]
                tell(
                    store,
                    user,
                    [
                        {**row, "turn": "t:", "date": day}
                        for row, day in zip(talk["turns"], days, strict=True)
                    ],
                )
                for row in talk["questions"]:
                    evidence = [f"t:{turn}" for turn in row["evidence"] or ()]
                    asked = {
                        **row,
                        "lang": talk["lang"],
                        "evidence": evidence,
                        "type": "stated" if evidence else "abstention",
                    }
                    answers.append((asked, ask(memories, user, row["question"], talk["lang"])))
    yield from figures(answers, set)


def figures(answers: list[tuple[dict[str, Any], list[Recalled]]], set: str) -> Iterator[Row]:
    """What was recalled against what should have been."""
    for language in ("en", "pt", "es"):
        own = [one for one in answers if one[0]["lang"] == language]
        for kind in dict.fromkeys(row["type"] for row, _ in own):
            asked = [one for one in own if one[0]["type"] == kind]
            hits = sum(is_right(row, found) for row, found in asked)
            name = "says not known" if kind == "abstention" else f"evidence in 5, {kind}"
            yield share("memory", name, set, language, hits, len(asked), _GOALS.get(kind, _GOAL))
            if kind == "knowledge_update":
                first = sum(bool(found) and _place(found[0]) in row["evidence"] for row, found in asked)
                yield share("memory", "newest first", set, language, first, len(asked), _GOAL)


def is_right(row: dict[str, Any], found: list[Recalled]) -> bool:
    """Whether the evidence is among what was recalled; without evidence, whether nothing was."""
    return any(_place(one) in row["evidence"] for one in found) if row["evidence"] else not found


def _place(one: Recalled) -> str:
    return f"{one.session}:{one.turn}"


def is_reported(conversation: str) -> bool:
    """Whether a conversation belongs to the half on which nothing was chosen."""
    return sha256(conversation.encode()).digest()[0] % 2 == 1


@contextmanager
def remembering() -> Iterator[tuple[StoredTurns, KeptMemories]]:
    """A memory in a folder of its own, gone afterwards."""
    with TemporaryDirectory() as folder:
        store = StoredTurns(Path(folder) / "turns.db", hear=hear)
        try:
            yield store, KeptMemories(store)
        finally:
            store.close()


def tell(store: StoredTurns, user: str, turns: _Rows) -> None:
    """Let a user have had these conversations."""
    for row in turns:
        session = row["turn"].partition(":")[0]
        turn = Turn(
            session=session, turn=0, role=row["role"], text=row["text"], at=f"{row['date']}T12:00:00+00:00"
        )
        store.append("p", session, user, [turn], remember=True)
    store.flush()


def ask(memories: KeptMemories, user: str, question: str, language: str | None) -> list[Recalled]:
    """What the step would recall."""
    config = MemoryConfig()
    return memories.recall(
        "p", user, [question], language=language, limit=config.entries, threshold=config.threshold
    )


def _times(turns: _Rows, questions: _Rows) -> Iterator[Row]:
    many = list(islice(cycle(turns), _TURNS))
    with remembering() as (store, memories):
        began = perf_counter()
        tell(store, "many", many)
        taken_ms = (perf_counter() - began) * 1000 / len(many)
        yield Row("memory", "write ms a turn", "10,000 turns", "all", taken_ms, len(many), goal=("<=", 5.0))
        asked = [row["question"] for row in questions]
        yield from cpu(
            "memory",
            "10,000 turns",
            "all",
            asked,
            lambda text: ask(memories, "many", text, None),
            ("<=", 10_000.0),
        )
