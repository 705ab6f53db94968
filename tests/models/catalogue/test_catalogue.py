"""The catalogue itself: what it holds, where it is from, and that a broken one changes nothing."""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import RequestError
from greenroom.models.catalogue.catalogue import (
    LIMIT_BYTES,
    REPLACEMENT,
    SHIPPED,
    Catalogue,
    open_catalogue,
    replace_catalogue,
)
from greenroom.models.prices import PriceBook

HOSTS = ("openai", "anthropic", "gemini", "mistral", "groq", "deepseek", "xai", "cohere")

Json = dict[str, Any]  # Any: JSON


def small(**changes: Any) -> Json:  # Any: JSON
    model = {"name": "own/a", "kind": "hosted", "context": [8192, "us"], "tools": [True, "us"]}
    return {
        "edition": "2027-01-01",
        "notice": "",
        "sources": {"us": {"title": "Our own page", "url": "https://own.example", "date": "2027-01-01"}},
        "models": [model],
        **changes,
    }


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_it_holds_hosted_models_of_all_eight_providers_and_open_ones_with_their_shapes() -> None:
    models = open_catalogue().models.values()
    hosted = [one for one in models if one.kind == "hosted"]
    shaped = [one for one in models if one.is_open and one.shape is not None]

    assert {one.name.partition("/")[0] for one in hosted} == set(HOSTS)
    assert len(hosted) >= 40
    assert len(shaped) >= 20
    assert all(one.licence is not None and one.parameters is not None for one in shaped)


def test_every_hosted_model_has_a_price_and_a_room_for_prompts() -> None:
    book = PriceBook.load()
    hosted = [one for one in open_catalogue().models.values() if one.kind == "hosted"]

    assert [one.name for one in hosted if book.price(*one.name.split("/", 1)) is None] == []
    assert [one.name for one in hosted if not one.room or one.room < 4096] == []


def test_every_fact_has_a_source_with_a_day() -> None:
    catalogue = open_catalogue()
    named = {fact.source for one in catalogue.models.values() for _, fact in one.facts() if fact is not None}

    assert named <= set(catalogue.sources)
    for source in catalogue.sources.values():
        assert date.fromisoformat(source.date) <= date.fromisoformat(catalogue.edition)
    ends = [one.end_of_life for one in catalogue.models.values() if one.end_of_life is not None]
    assert len(ends) > 10
    assert all(date.fromisoformat(one.value) for one in ends)
    assert all(one.url.startswith("https://") for one in ends if one.url)


def test_what_no_source_says_is_unknown() -> None:
    model = open_catalogue().find("openai/gpt-5-mini")
    assert model is not None

    assert model.languages is None
    assert model.parameters is None
    assert dict(model.facts())["shape"] is None


def test_names_are_found_in_any_case_and_as_targets() -> None:
    catalogue = open_catalogue()

    assert catalogue.find("OpenAI/GPT-5-mini") is catalogue.find("openai/gpt-5-mini")
    assert catalogue.find("llama/qwen3-4b") is catalogue.models["qwen3-4b"]
    assert catalogue.find("nothing") is None


def test_a_model_is_over_on_the_day_its_provider_names() -> None:
    catalogue = Catalogue(
        json.dumps(
            small(models=[{"name": "a", "kind": "hosted", "end_of_life": ["2026-12-11", "us"]}])
        ).encode(),
        "x",
    )
    model = catalogue.models["a"]

    assert not model.is_over(date(2026, 12, 10))
    assert model.is_over(date(2026, 12, 11))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no catalogue"),
        (b"<html>", "is no catalogue"),
        (b"[" * 100_000, "is no catalogue"),
        (json.dumps(small(models=[])).encode(), "holds no models"),
        (json.dumps(small(models=[{"name": "a", "kind": "hosted"}] * 2)).encode(), "twice"),
        (
            json.dumps(small(models=[{"name": "a", "kind": "hosted", "tools": [True, "who"]}])).encode(),
            "'who'",
        ),
        (
            json.dumps(small(models=[{"name": "a", "kind": "hosted", "tools": ["yes", "us"]}])).encode(),
            "tools",
        ),
        (json.dumps(small(more=1)).encode(), "is no catalogue"),
    ],
    ids=["empty", "page", "deep", "none", "twice", "sourceless", "type", "field"],
)
def test_what_is_no_catalogue_is_refused_and_changes_nothing(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        replace_catalogue(tmp_path, content, digest(content), "it")

    assert list(tmp_path.iterdir()) == []
    assert open_catalogue(tmp_path).edition == open_catalogue().edition


def test_another_catalogue_counts_once_its_checksum_is_right(tmp_path: Path) -> None:
    content = json.dumps(small()).encode()

    with pytest.raises(RequestError, match="Nothing was changed"):
        replace_catalogue(tmp_path, content, "0" * 64, "it")
    replace_catalogue(tmp_path, content, digest(content).upper(), "it")

    assert list(open_catalogue(tmp_path).models) == ["own/a"]
    assert [one.name for one in tmp_path.iterdir()] == [REPLACEMENT]
    (tmp_path / REPLACEMENT).unlink()
    assert open_catalogue(tmp_path).sha256 == digest(SHIPPED.read_bytes())


def test_a_replaced_catalogue_that_was_broken_by_hand_is_told(tmp_path: Path) -> None:
    (tmp_path / REPLACEMENT).write_text("{", encoding="utf-8")
    with pytest.raises(RequestError, match=REPLACEMENT):
        open_catalogue(tmp_path)

    with (tmp_path / REPLACEMENT).open("wb") as file:
        file.truncate(LIMIT_BYTES + 1)
    with pytest.raises(RequestError, match="larger than 16 MB"):
        open_catalogue(tmp_path)
