"""The memory of users over its file: who sees what, what supersedes what, what is gone when it is forgotten."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.assembly.memories import KeptMemories, hear, session_of
from greenroom.errors import NotFound
from greenroom.stages.ground.history import SaidTurn
from greenroom.stages.ground.memory import Recalled
from greenroom.store.turns import StoredTurns


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoredTurns]:
    opened = StoredTurns(tmp_path / "turns.db", hear=hear)
    yield opened
    opened.close()


@pytest.fixture
def memories(store: StoredTurns) -> KeptMemories:
    return KeptMemories(store)


def say(
    memories: KeptMemories, text: str, answer: str = "Ok.", *, user: str = "ana", project: str = "p",
    session: str | None = None, at: float = 1000.0, since: float = 9e9,
) -> None:  # fmt: skip
    turns = [SaidTurn("user", text, at), SaidTurn("assistant", answer, at)]
    memories.remember(project, session, user, turns, since=since)


def ask(memories: KeptMemories, question: str, user: str = "ana", project: str = "p") -> list[Recalled]:
    return memories.recall(project, user, [question], language=None, limit=5, threshold=0.35)


def texts(memories: KeptMemories, question: str, user: str = "ana", project: str = "p") -> list[str]:
    return [one.text for one in ask(memories, question, user, project)]


@pytest.mark.parametrize(
    ("old", "new", "now", "before"),
    [
        ("I live in Leeds.", "I moved to York.", "Where do I live?", "Where did I live before?"),
        ("Moro em Recife.", "Me mudei para Natal.", "Onde eu moro?", "Onde eu morava antes?"),
        ("Vivo en Lima.", "Me mudé a Quito.", "¿Dónde vivo?", "¿Dónde vivía antes?"),
    ],
)
def test_the_newer_of_two_facts_holds_and_the_older_is_known_as_such(
    memories: KeptMemories, old: str, new: str, now: str, before: str
) -> None:
    say(memories, old, at=1.0)
    say(memories, new, at=2.0)

    assert texts(memories, now) == [new]
    former = ask(memories, before)[0]
    assert (former.text, former.is_former) == (old, True)
    current, past = memories.facts("p", "ana")
    assert (current.superseded, past.superseded, past.superseded_by) == (False, True, current.id)
    assert [one.text for one in past.evidence] == [old]


def test_what_comes_in_late_does_not_supersede_what_is_newer(memories: KeptMemories) -> None:
    say(memories, "I live in Bonn.", at=30.0)
    say(memories, "I live in Rome.", at=10.0)
    say(memories, "I live in Oslo.", at=20.0)

    chain = memories.facts("p", "ana")

    assert [(one.text, one.superseded) for one in chain] == [
        ("I live in Bonn.", False), ("I live in Oslo.", True), ("I live in Rome.", True),
    ]  # fmt: skip
    assert [one.superseded_by for one in chain] == [None, chain[0].id, chain[1].id]


def test_a_fact_said_again_is_one_fact_with_more_evidence(memories: KeptMemories) -> None:
    for number in range(5):
        say(memories, "I live in Leeds.", at=float(number), session=f"s{number % 2}")

    [fact] = memories.facts("p", "ana")

    assert len(fact.evidence) == 5
    assert len(ask(memories, "Where do I live?")) == 1


def test_neither_another_user_nor_another_project_sees_it(memories: KeptMemories) -> None:
    say(memories, "I live in Leeds.", session="s")
    say(memories, "I live in Oslo.", user="bo", session="s")
    say(memories, "I live in Rome.", project="q", session="s")

    assert texts(memories, "Where do I live?") == ["I live in Leeds."]
    assert texts(memories, "Where do I live?", "bo") == ["I live in Oslo."]
    assert texts(memories, "Where do I live?", "ana", "q") == ["I live in Rome."]
    assert not memories.knows("q", "bo")
    memories.forget("p", "ana")
    assert texts(memories, "Where do I live?", "ana", "q") == ["I live in Rome."]
    assert texts(memories, "Where do I live?", "bo") == ["I live in Oslo."]


def test_answers_and_questions_make_no_facts(memories: KeptMemories) -> None:
    say(memories, "Where do I live?", "You are from Paris and I live in Rome.")

    assert memories.facts("p", "ana") == []


def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    first = StoredTurns(tmp_path / "turns.db", hear=hear)
    say(KeptMemories(first), "I live in Leeds.")
    first.close()
    second = StoredTurns(tmp_path / "turns.db", hear=hear)

    assert texts(KeptMemories(second), "Where do I live?") == ["I live in Leeds."]
    second.close()


def test_sessions_at_once_keep_every_turn(memories: KeptMemories, store: StoredTurns) -> None:
    def talk(name: str) -> None:
        for number in range(20):
            say(memories, f"My item {name}{number} is round.", session=name, at=float(number))

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert memories.count("p", "ana") == 160
    assert [one.turn for one in store.recent("p", "c", "ana", 99)] == list(range(1, 41))


def test_a_huge_turn_is_kept_and_brought_in_part(memories: KeptMemories) -> None:
    say(memories, "word " * 2_500 + "My parrot is called Coco. " + "word " * 20_000)

    [found] = ask(memories, "What is my parrot called?")

    assert "Coco" in found.text
    assert len(found.text) <= 600


def test_a_fact_written_by_hand_is_found_changed_and_superseded(memories: KeptMemories) -> None:
    say(memories, "I live in Leeds.")
    added = memories.add_fact("p", "ana", "I live in Durham.")
    assert [(one.text, one.session, one.turn) for one in ask(memories, "Where do I live?")] == [
        ("I live in Durham.", None, 0)
    ]

    changed = memories.edit_fact("p", "ana", added.id, "I live in Bath.")

    assert texts(memories, "Where do I live?") == ["I live in Bath."]
    assert [one.id for one in memories.facts("p", "ana") if not one.superseded] == [changed.id]
    note = memories.add_fact("p", "ana", "Short answers, please.")
    memories.edit_fact("p", "ana", note.id, "Long answers, please.")
    newest = next(one for one in memories.facts("p", "ana") if not one.superseded)
    assert newest.text == "Long answers, please."


def test_a_forgotten_fact_is_gone_from_its_turn_too(
    memories: KeptMemories, store: StoredTurns, tmp_path: Path
) -> None:
    say(memories, "I live in Llanfairpwll. My cat is called Mia.", session="s")
    home = next(one for one in memories.facts("p", "ana") if one.slot == "home")

    memories.forget_fact("p", "ana", home.id)

    assert texts(memories, "Where do I live?") == []
    assert texts(memories, "What is my cat called?") == ["[…] My cat is called Mia."]
    assert store.recent("p", "s", "ana", 9)[0].text == "[…] My cat is called Mia."
    assert [one.slot for one in memories.facts("p", "ana")] == ["pet:cat"]
    assert b"Llanfairpwll" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_forgotten_fact_does_not_bring_back_what_it_superseded(memories: KeptMemories) -> None:
    say(memories, "I live in Rome.", at=1.0)
    say(memories, "I live in Bonn.", at=2.0)
    memories.forget_fact("p", "ana", memories.facts("p", "ana")[0].id)

    [former] = memories.facts("p", "ana")

    assert (former.superseded, former.superseded_by) == (True, None)
    assert texts(memories, "Where do I live?") == []


@pytest.mark.parametrize("id", [0, 99, -1])
def test_a_fact_that_is_not_there_cannot_be_touched(memories: KeptMemories, id: int) -> None:
    say(memories, "I live in Rome.")
    memories.facts("p", "ana")

    with pytest.raises(NotFound):
        memories.forget_fact("p", "ana", id)
    with pytest.raises(NotFound):
        memories.edit_fact("p", "bo", 1, "I live in Oslo.")


def test_forgetting_leaves_nothing_and_a_running_request_brings_nothing_back(
    memories: KeptMemories, tmp_path: Path
) -> None:
    began = time.time()
    say(memories, "My rare word is xyzzyplugh.", session="s")
    memories.facts("p", "ana")
    say(memories, "My rare word is xyzzyplugh.", session="s")

    assert memories.forget("p", "ana") == (1, 4)
    say(memories, "My rare word is xyzzyplugh.", session="s", since=began)

    assert not memories.knows("p", "ana")
    assert memories.users(None) == []
    assert b"xyzzyplugh" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    say(memories, "I live in Leeds.", since=time.time() + 1)
    assert texts(memories, "Where do I live?") == ["I live in Leeds."]


def test_another_process_that_forgets_is_noticed(
    memories: KeptMemories, store: StoredTurns, tmp_path: Path
) -> None:
    say(memories, "I live in Leeds.", session="s")
    store.flush()
    other = StoredTurns(tmp_path / "turns.db", hear=hear)
    KeptMemories(other).forget("p", "ana")
    other.close()

    until = time.monotonic() + 10
    while memories.knows("p", "ana") and time.monotonic() < until:
        time.sleep(0.05)

    assert not memories.knows("p", "ana")
    assert store.recent("p", "s", "ana", 9) == []


def test_a_user_without_a_session_has_one(memories: KeptMemories, store: StoredTurns) -> None:
    say(memories, "I live in Leeds.")

    assert [one.text for one in store.recent("p", session_of("ana"), "ana", 9)] == ["I live in Leeds.", "Ok."]


def test_a_file_of_the_first_schema_is_brought_up(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "turns.db")
    old.executescript(
        "CREATE TABLE turns (project TEXT NOT NULL, session TEXT NOT NULL, turn INTEGER NOT NULL, user TEXT,"
        " role TEXT NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (project, session, turn))"
        " WITHOUT ROWID; CREATE INDEX turns_by_user ON turns (project, user) WHERE user IS NOT NULL;"
        "INSERT INTO turns VALUES ('p', 's', 1, NULL, 'user', 'one', '2026-01-01T00:00:00Z'),"
        " ('p', 's', 2, 'ana', 'user', 'two', '2026-01-01T00:00:01Z'); PRAGMA user_version = 1;"
    )
    old.close()

    store = StoredTurns(tmp_path / "turns.db", hear=hear)

    assert [(one.turn, one.text) for one in store.recent("p", "s", None, 9)] == [(1, "one")]
    assert [(one.turn, one.text) for one in store.whole("p", "s", 9)] == [(1, "one"), (2, "two")]
    store.close()
