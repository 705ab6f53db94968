"""Trained models: whose they are, who else may use them, and that other processes see it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import Conflict, ModelNotFound, NotFound, RequestError
from greenroom.store.trained import FILE, TrainedModel, TrainedModels


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrainedModels]:
    store = TrainedModels(tmp_path / FILE)
    yield store
    store.close()


def model(name: str = "ft:tiny:acme:clerk:1", **other: Any) -> TrainedModel:
    fields: dict[str, Any] = {
        "project": "acme", "created_ns": 1, "base": "tiny", "job": "ftjob-1", "kind": "model",
        "gguf": "jobs/ftjob-1/model.gguf",
    }  # fmt: skip
    return TrainedModel(name=name, **fields | other)


def test_a_model_is_its_projects_and_of_those_it_is_permitted(store: TrainedModels) -> None:
    store.register(model(card={"digest": "abc"}))

    assert store.find("ft:tiny:acme:clerk:1", "acme").card == {"digest": "abc"}
    assert store.find("ft:tiny:acme:clerk:1", None).project == "acme"
    with pytest.raises(ModelNotFound):
        store.find("ft:tiny:acme:clerk:1", "other")
    (given,) = store.permit("ft:tiny:acme:clerk:1", ["other"])
    assert [one.name for one in store.all("other")] == ["ft:tiny:acme:clerk:1"]
    assert store.find("ft:tiny:acme:clerk:1", "other").job == "ftjob-1"
    store.revoke("ft:tiny:acme:clerk:1", given.id)
    assert store.all("other") == []
    with pytest.raises(NotFound, match="no permission"):
        store.revoke("ft:tiny:acme:clerk:1", given.id)


def test_who_is_permitted_neither_deletes_nor_permits(store: TrainedModels) -> None:
    store.register(model("a"))
    store.permit("a", ["other"])

    with pytest.raises(ModelNotFound):
        store.delete("a", "other")
    with pytest.raises(ModelNotFound):
        store.permit("a", ["third"], owner="other")
    with pytest.raises(ModelNotFound):
        store.permitted("a", owner="other")
    assert [one.project for one in store.permitted("a", owner="acme")] == ["other"]


def test_registering_twice_is_once_and_a_taken_name_is_a_conflict(store: TrainedModels) -> None:
    store.register(model("a"))
    store.register(model("a", created_ns=2))

    assert [one.created_ns for one in store.all()] == [1]
    with pytest.raises(Conflict, match="already"):
        store.register(model("a", job="ftjob-2"))
    with pytest.raises(Conflict):
        store.register(model("a", project="other"))


def test_permitting_twice_keeps_the_first(store: TrainedModels) -> None:
    store.register(model("a"))
    (first,) = store.permit("a", ["b"])

    assert store.permit("a", ["c", "b", "c"])[1] == first
    assert {one.project for one in store.permitted("a")} == {"b", "c"}


def test_a_deleted_model_is_gone_but_its_history_stays(store: TrainedModels) -> None:
    store.register(model("a"))
    store.permit("a", ["other"])

    assert store.delete("a", "acme").job == "ftjob-1"
    for project in ("acme", "other", None):
        with pytest.raises(ModelNotFound):
            store.find("a", project)
    store.register(model("a", job="ftjob-2"))
    assert store.permitted("a") == []
    assert [one.job for one in store.ever("a")] == ["ftjob-2", "ftjob-1"]


@pytest.mark.parametrize(
    "other",
    [
        {"name": "no/slash"},
        {"name": ""},
        {"name": "x" * 201},
        {"gguf": "/etc/model.gguf"},
        {"gguf": "../model.gguf"},
        {"gguf": "model.bin"},
        {"kind": "adapter"},
        {"base_gguf": "base.gguf"},
    ],
)
def test_what_can_be_no_model_is_refused(store: TrainedModels, other: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        store.register(model(**other))
    assert store.all() == []


def test_another_process_sees_the_change_by_its_number(store: TrainedModels, tmp_path: Path) -> None:
    reader = TrainedModels(tmp_path / FILE)
    before = reader.generation()
    store.register(model("a"))

    assert reader.generation() > before
    assert [one.name for one in reader.all("acme")] == ["a"]
    reader.close()


def test_only_files_that_no_other_model_needs_are_doomed(store: TrainedModels) -> None:
    store.register(model("base", gguf="j/base.gguf"))
    store.register(model("over", kind="adapter", gguf="j/over.gguf", base_gguf="j/base.gguf"))
    store.register(model("same", gguf="j/base.gguf", job="ftjob-2"))
    store.delete("same", "acme")
    store.delete("base", "acme")
    assert store.doomed() == []

    store.delete("over", "acme")

    assert sorted(store.doomed()) == ["j/base.gguf", "j/over.gguf"]


def test_who_may_use_what_is_told_at_once(store: TrainedModels) -> None:
    store.register(model("a"))
    store.register(model("b"))
    store.permit("a", ["x", "y"])
    store.permit("b", ["x"])
    store.delete("b", None)

    assert {name: sorted(projects) for name, projects in store.who_may().items()} == {"a": ["x", "y"]}
