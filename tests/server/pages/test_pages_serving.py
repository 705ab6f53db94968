"""The pages of models at work: their figures, their twins, and what is hostile in a name."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from greenroom.errors import ModelNotFound
from greenroom.server.pages.serving import ServingPages
from tests.server.pages.backend import FakeBackend
from tests.server.pages.visitor import Clock, Visitor

NAME = "trained/ft:tiny:acme:<b>clerk</b>:1"


def figures(target: str, **other: Any) -> dict[str, Any]:
    return {
        "target": target, "at_work": 2, "waiting": 1, "parallel": None, "circuit": "closed", "answered": 1200,
        "failed": 3, "errors": {"upstream_timeout": 3}, "input_tokens": 9, "output_tokens": 9,
        "first_token_ms": 41.5, "tokens_per_second": 1234.5, "context_window": 2048, "engine": None,
        "trained": None,
    } | other  # fmt: skip


ENGINE = {
    "state": "ready", "memory_mb": 64.0, "memory_limit_mb": 2000, "restarts": 4, "waiting": 6, "kv_tokens": 512,
    "kv_limit": 2048, "ends": [{"at": 1.0, "said": "it ended with <i>SIGSEGV</i>"}],
}  # fmt: skip


class Models:
    """Two models by hand."""

    def all_models(self) -> list[dict[str, Any]]:
        return [
            figures("openai/gpt-5-mini", first_token_ms=None, tokens_per_second=None, circuit="open"),
            figures(NAME, engine=ENGINE, trained={"job": "ftjob-1"}),
        ]

    def model(self, name: str) -> dict[str, Any]:
        found = {one["target"]: one for one in self.all_models()}
        if name not in found:
            raise ModelNotFound(f"No model goes by '{name}'.")
        return found[name]

    def lineage_of(self, name: str) -> dict[str, Any]:
        return {
            "model": name, "project": "acme", "job": "ftjob-1", "base": None, "data": {"digest": "abc123"},
            "rows": 1500, "traces": ["t1"],
        }  # fmt: skip


@pytest.fixture
def admin() -> Iterator[Visitor]:
    with Visitor(FakeBackend(), Clock(), more=(ServingPages(Models()).routes,)) as visitor:
        visitor.sign_in()
        yield visitor


def test_all_models_are_listed_with_what_is_known_of_each(admin: Visitor) -> None:
    page = admin.see("/models")

    for words in (
        "openai/gpt-5-mini",
        "left alone",
        "1,234.5",
        "41.5",
        "1,200",
        "trained here",
        "25 %",
        "67\u202fMB",
    ):
        assert words in page.text, words
    assert page.all("a", href="/models/openai%2Fgpt-5-mini")
    assert [one["target"] for one in json.loads(admin.get("/models.json").text)["data"]][1] == NAME


def test_one_model_shows_its_ends_and_its_origin_as_text(admin: Visitor) -> None:
    (address,) = [one["href"] for one in admin.see("/models").all("a") if "trained%2F" in one.get("href", "")]
    answer = admin.get(address)

    assert answer.status_code == 200
    assert "<b>clerk" not in answer.text
    assert "<i>SIGSEGV" not in answer.text
    page = admin.see(address)
    for words in (
        "it ended with",
        "ftjob-1",
        "abc123",
        "1,500 training rows",
        "upstream_timeout 3",
        "of 2,000 MiB",
    ):
        assert words in page.text, words
    twin = json.loads(admin.get(f"{address}.json").text)
    assert (twin["engine"]["restarts"], twin["lineage"]["job"]) == (4, "ftjob-1")


def test_a_model_that_is_not_there_is_not_found(admin: Visitor) -> None:
    assert admin.get("/models/no%2Fsuch").status_code == 404
    assert admin.get("/models/no%2Fsuch.json").status_code == 404


def test_they_are_for_those_who_are_signed_in() -> None:
    with Visitor(FakeBackend(), Clock(), more=(ServingPages(Models()).routes,)) as visitor:
        assert visitor.get("/models").status_code == 303
        assert visitor.get("/models/openai%2Fgpt-5-mini.json").status_code == 401
