"""Responses and conversations on disk: found at once, erased whole, within their room, and no other project's."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import StorageFull, StoreError
from greenroom.store.conversations import MOST_ITEMS, ConversationFull, StoredConversations
from greenroom.store.response_file import ResponseFile
from greenroom.store.responses import MOST_BEFORE, MOST_CONTEXT_BYTES, Kept, StoredResponses, TooLong


class Kit:
    """A file, and both stores over it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self.file = ResponseFile(self.path)
        self.responses = StoredResponses(self.file)
        self.conversations = StoredConversations(self.file)

    def reopen(self) -> None:
        """As a restart does."""
        self.file.close()
        self._open()

    def keep(self, id: str, asked: str = "asked", answered: str = "answered", **fields: Any) -> None:
        given = {
            "project": "p", "key": "k", "session": id, "status": "completed", "created_at": int(time.time()),
            "body": {"id": id, "status": "completed"}, "input": [item(f"{id}-in", asked)],
            "output": [item(f"{id}-out", answered)],
        }  # fmt: skip
        self.responses.keep(Kept(id=id, **{**given, **fields}))

    def holds(self, words: str) -> bool:
        """Whether the file, free pages included, has these words."""
        self.file.flush()
        with closing(sqlite3.connect(self.path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return words.encode() in self.path.read_bytes()


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(tmp_path / "responses.db")
    yield made
    made.file.close()


def item(id: str, text: str) -> dict[str, Any]:
    return {"id": id, "type": "message", "text": text}


def texts(items: list[dict[str, Any]]) -> list[str]:
    return [one["text"] for one in items]


def test_what_was_kept_is_found_at_once_and_after_a_restart(kit: Kit) -> None:
    kit.keep("r1", cuts=[0, 0, 3], queued=True)
    row = kit.responses.get("p", "r1")
    kit.reopen()

    again = kit.responses.get("p", "r1")
    assert row is not None
    assert again is not None
    assert row.body == again.body == {"id": "r1", "status": "completed"}
    assert list(again.cuts) == [0, 0, 3]
    assert again.queued
    assert texts(kit.responses.output("r1")) == ["answered"]


def test_another_project_finds_nothing(kit: Kit) -> None:
    kit.keep("r1")
    kit.conversations.create("c1", "p", "k", {}, [item("i1", "x")])

    assert kit.responses.get("q", "r1") is None
    assert kit.responses.context("q", "r1") == []
    assert kit.responses.item("q", "r1-in") is None
    assert not kit.responses.delete("q", "r1")
    assert kit.conversations.get("q", "c1") is None
    assert kit.conversations.context("q", "c1") == []
    assert kit.conversations.items("q", "c1", limit=5, newest_first=True, after=None) == ([], False)
    assert not kit.conversations.add("q", "c1", [item("i2", "y")])
    assert not kit.conversations.remove("q", "c1", "i1")
    kit.conversations.delete("q", "c1")
    kit.conversations.update("q", "c1", {"a": "b"})
    assert kit.conversations.get("p", "c1") == ("c1", "k", kit.conversations.get("p", "c1").created_at, {})  # type: ignore[union-attr]  # it is there


def test_a_chain_is_all_that_was_said_and_its_pages_walk_it(kit: Kit) -> None:
    kit.keep("r1", "one", "uno")
    kit.keep("r2", "two", "dos", previous="r1")
    kit.keep("r3", "three", "tres", previous="r2")

    assert texts(kit.responses.context("p", "r3")) == ["one", "uno", "two", "dos", "three", "tres"]

    def walk(*, newest_first: bool) -> list[str]:
        found: list[str] = []
        after = None
        more = True
        while more:
            page = kit.responses.input_items("p", "r3", limit=2, newest_first=newest_first, after=after)
            assert page is not None
            items, more = page
            found += texts(items)
            after = items[-1]["id"]
        return found

    assert walk(newest_first=False) == ["one", "uno", "two", "dos", "three"]
    assert walk(newest_first=True) == ["three", "dos", "two", "uno", "one"]
    assert kit.responses.input_items("p", "r3", limit=2, newest_first=False, after="none") is None


def test_what_was_deleted_is_gone_from_what_builds_on_it_and_from_the_disk(kit: Kit) -> None:
    kit.keep("r1", "herons", "nest")
    kit.keep("r2", "two", "dos", previous="r1")
    kit.file.flush()

    assert kit.responses.delete("p", "r1")
    assert not kit.responses.delete("p", "r1")

    assert texts(kit.responses.context("p", "r2")) == ["two", "dos"]
    assert not kit.holds("herons")


def test_a_chain_has_an_end(kit: Kit) -> None:
    kit.keep("r0", "first")
    for number in range(MOST_BEFORE + 5):
        kit.keep(f"r{number + 1}", "x", "y", previous=f"r{number}")

    assert "first" not in texts(kit.responses.context("p", f"r{MOST_BEFORE + 5}"))
    kit.keep("loop", "x", "y", previous="loop")
    assert len(kit.responses.context("p", "loop")) == 2 * (MOST_BEFORE + 1)


def test_what_is_too_long_to_build_on_is_refused_before_it_is_read(kit: Kit) -> None:
    half = "x" * (MOST_CONTEXT_BYTES // 2)
    kit.keep("r1", half)
    kit.keep("r2", half, previous="r1")
    kit.conversations.create("c1", "p", "k", {}, [item("a", half), item("b", half)])

    with pytest.raises(TooLong):
        kit.responses.context("p", "r2")
    with pytest.raises(TooLong):
        kit.conversations.context("p", "c1")


def test_an_update_takes_the_place_and_a_deleted_one_does_not_come_back(kit: Kit) -> None:
    kit.keep("r1", status="queued", input=[], output=[])
    kit.keep("r1", "asked", "said", is_update=True)
    kit.keep("r1", "asked", "said again", is_update=True)
    assert texts(kit.responses.output("r1")) == ["said again"]

    kit.responses.delete("p", "r1")
    kit.keep("r1", "asked", "said", is_update=True)

    assert kit.responses.get("p", "r1") is None
    assert kit.responses.output("r1") == []


def test_a_crash_leaves_no_response_at_work(kit: Kit) -> None:
    kit.keep("r1", status="queued", body={"status": "queued", "error": None})
    kit.keep("r2", status="in_progress", body={"status": "in_progress", "error": None})
    kit.keep("r3")
    assert kit.responses.fail_unfinished({"code": "server_error", "message": "m"}) == 0
    kit.reopen()

    assert kit.responses.fail_unfinished({"code": "server_error", "message": "m"}) == 2
    assert kit.responses.fail_unfinished({"code": "server_error", "message": "m"}) == 0

    for id in ("r1", "r2"):
        row = kit.responses.get("p", id)
        assert row is not None
        assert (row.status, row.body["status"], row.body["error"]["message"]) == ("failed", "failed", "m")
    assert kit.responses.get("p", "r3").status == "completed"  # type: ignore[union-attr]  # it is there


def test_another_process_is_asked_to_end_its_response_and_is_seen_to_live(kit: Kit) -> None:
    kit.keep("r1", status="queued", input=[], output=[])
    kit.keep("r2", status="queued", input=[], output=[])
    kit.keep("r3", status="queued", input=[], output=[])
    kit.responses.begin("r1")
    kit.file.flush()
    other = Kit(kit.path)

    assert other.responses.fail_unfinished({"code": "c", "message": "m"}) == 0
    row = other.responses.get("p", "r1")
    assert row is not None
    assert (row.status, row.body["status"]) == ("in_progress", "in_progress")
    other.responses.end("r1")
    other.responses.delete("p", "r2")

    assert kit.responses.unwanted(["r1", "r2", "r3"]) == ["r1", "r2"]
    kit.file.close()
    assert other.responses.fail_unfinished({"code": "c", "message": "m"}) == 2
    assert list(kit.path.parent.glob("*-process-*")) != []
    other.file.close()
    assert list(kit.path.parent.glob("*-process-*")) == []
    kit.reopen()


def test_a_response_adds_to_its_conversation_once_it_has_ended(kit: Kit) -> None:
    kit.conversations.create("c1", "p", "k", {}, [item("i1", "before")])
    kit.keep("r1", status="queued", conversation="c1", input=[], output=[])
    kit.keep("r1", "asked", "said", conversation="c1", is_update=True)
    kit.keep("r2", "lost", "lost", conversation="c1", status="failed")
    kit.keep("r3", "elsewhere", conversation="c9")

    assert texts(kit.conversations.context("p", "c1")) == ["before", "asked", "said"]
    assert kit.conversations.context("p", "c9") == []


def test_a_conversation_has_an_end(kit: Kit) -> None:
    kit.conversations.create("c1", "p", "k", {}, [item(str(n), "x") for n in range(MOST_ITEMS - 1)])
    assert kit.conversations.add("p", "c1", [item("last", "x")])

    with pytest.raises(ConversationFull):
        kit.conversations.add("p", "c1", [item("more", "x")])
    assert kit.conversations.item("p", "c1", "more") is None


def test_a_user_is_forgotten_everywhere_and_does_not_come_back(kit: Kit) -> None:
    kit.conversations.create("c1", "p", "k", {}, [item("i1", "stays")])
    kit.keep("r1", "herons", "nest", user="ana", conversation="c1")
    kit.keep("r2", "storks", "nest", user="bia")
    kit.keep("r3", "herons", "nest", user="ana", project="q")

    assert kit.responses.forget("p", "ana") == 1
    kit.keep("late", "herons", "again", user="ana", created_at=int(time.time()) - 5)

    assert kit.responses.get("p", "r1") is None
    assert kit.responses.get("p", "late") is None
    assert texts(kit.conversations.context("p", "c1")) == ["stays"]
    assert kit.responses.get("p", "r2") is not None
    assert kit.responses.get("q", "r3") is not None


def test_what_is_past_its_time_goes(kit: Kit) -> None:
    old = int(time.time()) - 3 * 86_400
    kit.keep("old", created_at=old)
    kit.keep("new")
    kit.conversations.create("c1", "p", "k", {}, [item("i1", "x")])

    assert kit.responses.purge(2) == 1
    assert kit.responses.get("p", "old") is None
    assert kit.responses.get("p", "new") is not None
    assert kit.conversations.get("p", "c1") is not None


def test_what_can_never_be_written_does_not_hold_up_the_rest(kit: Kit) -> None:
    kit.keep("r1", "first")
    kit.file.flush()
    kit.keep("r1", "the same id once more")
    kit.keep("r2", "second")

    assert texts(kit.responses.context("p", "r2")) == ["second", "answered"]
    assert texts(kit.responses.context("p", "r1")) == ["first", "answered"]
    assert kit.file.lost == 1


def test_what_can_not_be_written_now_waits(kit: Kit) -> None:
    kit.keep("r1", "first")
    kit.file.flush()
    with kit.file.open() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
    kit.keep("r2", "x" * 100_000)

    with pytest.raises(StoreError):
        kit.responses.get("p", "r1")
    kit.file.check_room("p")
    kit.file._connection.execute("PRAGMA max_page_count = 1000000")

    assert kit.responses.get("p", "r2") is not None


def test_a_project_has_its_share_which_erasing_gives_back(kit: Kit) -> None:
    kit.keep("r1", "x" * 4000)
    kit.conversations.create("c1", "p", "k", {"a": "b"}, [item("i1", "y" * 4000)])
    kit.keep("q1", "x", project="q")
    kit.file.flush()
    assert 8_000 < kit.file.used("p") < 9_000
    kit.file.quota_bytes = 8_000

    with pytest.raises(StorageFull) as error:
        kit.file.check_room("p")
    kit.file.check_room("q")
    kit.responses.delete("p", "r1")
    kit.file.check_room("p")
    kit.conversations.update("p", "c1", {"a": "c"})
    kit.conversations.delete("p", "c1")

    assert error.value.param == "store"
    assert kit.file.used("p") == 0
