"""Whether the extra `embed` is installed decides what a house offers."""

import sys
from pathlib import Path

import pytest

from greenroom.assembly import stores
from greenroom.assembly.house import House
from greenroom.errors import ExtraMissing, ModelNotFound
from greenroom.grounding.embedding import Embedding
from greenroom.models.encoder import INSTALL, is_installed

ENCODER = "greenroom/minilm"
QUESTION = b'{"model": "default", "messages": [{"role": "user", "content": "How do I add a provider?"}]}'


def open_house(tmp_path: Path) -> House:
    return House.open(None, tmp_path / "data", {})


async def test_without_the_extra_words_find_and_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "is_installed", lambda: False)
    async with open_house(tmp_path).running() as house:
        record = await house.inspect(QUESTION)

        assert record["passages"]
        assert ENCODER not in house.gateway.rooms.names()
        embed = next(stage for stage in record["stages"] if stage["step"] == "embed")
        assert embed["notes"] == {"missing": INSTALL}
        with pytest.raises(ExtraMissing, match=INSTALL):
            house.gateway.rooms.embedder(ENCODER)
        with pytest.raises(ModelNotFound):
            house.gateway.rooms.embedder("default")


@pytest.mark.skipif(not is_installed(), reason=INSTALL)
async def test_with_it_nothing_is_loaded_until_a_vector_is_of_use(tmp_path: Path) -> None:
    async with open_house(tmp_path).running() as house:
        record = await house.inspect(QUESTION)

        assert record["passages"]
        assert ENCODER in house.gateway.rooms.names()
        assert house.encoder is not None
        assert house.encoder._loaded is None


@pytest.mark.skipif(not is_installed(), reason=INSTALL)
async def test_a_question_in_other_words_is_answered_from_an_operators_document(tmp_path: Path) -> None:
    question = (
        b'{"model": "default", "messages": [{"role": "user", "content": "How many vacation days do I get?"}]}'
    )
    async with open_house(tmp_path).running() as house:
        assert house.encoder is not None
        house.documents.add("default", "hr", "leave.txt", b"Employees may take 25 days of paid leave a year.")
        Embedding(house.documents, house.encoder, spared=["greenroom"]).catch_up()

        record = await house.inspect(question)

    assert record["passages"][0]["document"] == "leave.txt"
    embed = next(stage for stage in record["stages"] if stage["step"] == "embed")
    assert embed["notes"]["dimensions"] == 384
    assert "onnxruntime" in sys.modules
