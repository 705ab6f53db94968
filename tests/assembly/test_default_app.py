"""App `default` as it is: every step runs, and the record of a masked, grounded, styled answer is stored whole."""

from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.config import CHECK, GROUND, POSTPROCESS, PREPROCESS

QUESTIONS = {
    "en": "My e-mail is ana@example.com. How do I add a provder to the configuration?",
    "pt": "Meu CPF é 390.533.447-05. Como adiciono um provedor à configuracao?",
    "es": "Mi correo es ana@example.com. ¿Cómo agrego un proveedor a la configuracion?",
}


@pytest.mark.parametrize("language", QUESTIONS)
async def test_every_step_runs_and_its_record_is_stored(language: str, tmp_path: Path) -> None:
    house = House.open(None, tmp_path / "data", {})
    async with house.running():
        shown = await house.ask(QUESTIONS[language])

    stored = house.traces.get(None, shown["id"])
    assert stored is not None
    assert [step["step"] for step in stored["stages"]] == [
        *PREPROCESS, *GROUND, *(name for name in CHECK if name != "topics"), *POSTPROCESS
    ]  # fmt: skip
    assert not [step for step in stored["stages"] if step["outcome"] == "failed"]
    assert "390.533.447-05" not in str(stored)
    assert "ana@example.com" not in str(stored)
    assert stored["language"]["code"] == language
