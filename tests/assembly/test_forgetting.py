"""Answers kept for a user go in every process of a server, not only in the one that was told."""

from pathlib import Path

from greenroom.assembly.forgetting import Forgetting
from greenroom.models.cache import AnswerCache, Kept
from greenroom.store.shared import SharedFile
from greenroom.usage import Usage


def cache_of(*users: tuple[str, str]) -> AnswerCache:
    cache = AnswerCache(1_000_000)
    for project, user in users:
        key = f"{project}/{user}".encode()
        cache.put(
            Kept(
                key=key, project=project, user=user, text="hello", usage=Usage(), target=None,
                until=float("inf"), size=100,
            )
        )  # fmt: skip
    return cache


def test_what_one_process_forgets_the_others_forget_when_they_look(tmp_path: Path) -> None:
    users = ("red", "ana"), ("red", "bo"), ("blue", "ana")
    here, there = cache_of(*users), cache_of(*users)
    one, other = (Forgetting(cache, SharedFile(tmp_path / "shared.db", bytes(32))) for cache in (here, there))

    one.forget("red", "ana")
    assert (len(here), len(there)) == (2, 3)
    other.notice()
    assert there.get(b"red/ana") is None
    assert (len(here), len(there)) == (2, 2)

    one.forget(None, "ana")
    other.notice()
    other.notice()
    assert len(there) == 1
    assert there.get(b"red/bo") is not None
    assert b"ana" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_process_alone_tells_nobody() -> None:
    cache = cache_of(("red", "ana"))
    alone = Forgetting(cache, None)
    alone.forget("red", "ana")
    alone.notice()
    assert len(cache) == 0
