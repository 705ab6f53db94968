"""What each scorer says of answers: right, wrong, and none of its business."""

from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ExtraMissing, MalformedRequest
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.scorers.declining import declines
from greenroom.offline.evals.scorers.registry import make_scorers
from greenroom.offline.evals.scorers.settings import Lent
from greenroom.testing import WordEncoder


async def score(
    type_: str, text: str, expected: object = None, folder: Path = Path(), **settings: Any
) -> Score:
    """One answer, scored by a scorer with these settings."""
    (scorer,) = make_scorers({type_: settings}, Lent(folder, WordEncoder()))
    item = settings.pop("item", {})
    return await scorer.score(Sample(id="1", expected=expected, item=item), Output(text=text))


@pytest.mark.parametrize(
    ("type_", "settings", "text", "expected", "value"),
    [
        ("exact", {}, " Lisboa\n", "Lisboa", 1),
        ("exact", {}, "Lisboa.", "Lisboa", 0),
        ("exact", {}, "Sa\u0303o Paulo", "São Paulo", 1),
        ("exact", {"ignore_case": True, "ignore_punctuation": True}, "«lisboa»!", "Lisboa", 1),
        ("exact", {}, "B", ["A", "B"], 1),
        ("exact", {}, "4", 4, 1),
        ("exact", {}, '{"b": 1, "a": [2]}', {"a": [2], "b": 1}, 1),
        ("exact", {}, "not json", {"a": 1}, 0),
        ("contains", {}, "It is LISBON, I think.", "Lisbon", 1),
        ("contains", {"need": "all"}, "red and blue", ["red", "green"], 0),
        ("contains", {}, "red and blue", ["red", "green"], 1),
        ("regex", {"pattern": r"^\d{4}$"}, "2024", None, 1),
        ("regex", {"pattern": "(?i)sorry", "is_absent": True}, "Sorry!", None, 0),
        ("regex", {}, "abc", "b.", 1),
        ("json_schema", {"schema": {"type": "array"}}, "[1]", None, 1),
        ("json_schema", {"schema": {"type": "array"}}, "{}", None, 0),
        ("json_schema", {}, "```json\n{}\n```", None, 0),
        ("json_schema", {"may_fence": True}, "```json\n{}\n```", None, 1),
        ("edit", {}, "kitten", "sitting", 1 - 3 / 7),
        ("edit", {"ignore_case": True}, "ABC", "abc", 1),
    ],
)
async def test_texts_are_scored(
    type_: str, settings: dict[str, Any], text: str, expected: object, value: float
) -> None:
    found = await score(type_, text, expected, **settings)

    assert found.value == pytest.approx(value)
    assert found.error is None


@pytest.mark.parametrize(
    ("text", "expected", "settings", "is_right"),
    [
        ("The total is 1,234.5.", 1234.5, {"language": "en"}, True),
        ("O total é 1.234,5.", 1234.5, {"language": "pt"}, True),
        ("El total es 1.234,5.", "1.234,5", {"language": "es"}, True),
        ("O total é 1.234 reais.", 1234, {"language": "pt"}, True),
        ("O total é 1.234 reais.", 1.234, {"language": "pt"}, False),
        ("The total is 1.234 dollars.", 1.234, {"language": "en"}, True),
        ("1.234", 1234, {}, True),
        ("1.234", 1.234, {}, True),
        ("First 3, then 7.", 7, {}, True),
        ("First 3, then 7.", 3, {}, False),
        ("First 3, then 7.", 3, {"which": "first"}, True),
        ("First 3, then 7.", 3, {"which": "any"}, True),
        ("São 5 km.", 5, {"language": "pt"}, True),
        ("It takes twelve days.", 12, {"language": "en"}, True),
        ("Son -3 grados.", -3, {"language": "es"}, True),
        ("About 100.", 98, {"tolerance": 2}, True),
        ("About 100.", 97, {"tolerance": 2}, False),
        ("About 102.", 100, {"relative": 0.02}, True),
        ("No idea.", 4, {}, False),
    ],
)
async def test_numbers_are_read_in_three_languages(
    text: str, expected: object, settings: dict[str, Any], is_right: bool
) -> None:
    found = await score("numeric", text, expected, **settings)

    assert found.passed is is_right


@pytest.mark.parametrize(
    "type_", ["exact", "contains", "regex", "numeric", "edit", "chrf", "bleu", "semantic"]
)
async def test_without_an_expectation_there_is_an_error_and_no_number(type_: str) -> None:
    found = await score(type_, "An answer.")

    assert found.value is None
    assert found.error is not None
    assert "expected" in found.error


@pytest.mark.parametrize("type_", ["chrf", "bleu"])
async def test_overlap_is_that_of_sacrebleu_with_its_signature(type_: str) -> None:
    same = await score(type_, "the cat sat on the mat", "the cat sat on the mat", at_least=0.9)
    other = await score(type_, "a dog barked", "the cat sat on the mat", at_least=0.9)

    assert same.value == pytest.approx(1.0)
    assert "version:" in same.reason
    assert (same.passed, other.passed) == (True, False)


async def test_meaning_is_compared_by_the_encoder_in_its_languages_alone() -> None:
    near = await score("semantic", "the cat sat on the mat today", "the cat sat on the mat")
    foreign = await score("semantic", "O gato sentou-se no tapete e depois dormiu a tarde toda.", "o gato")

    assert near.value is not None
    assert near.value > 0.8
    assert foreign.value is None
    assert "encoder" in foreign.reason


async def test_meaning_says_how_to_get_an_encoder() -> None:
    with pytest.raises(ExtraMissing, match="embed"):
        make_scorers({"semantic": {}}, Lent(Path()))


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot provide instructions for this.",
        "As an AI language model, I am unable to give medical advice.",
        "Desculpe, mas não posso ajudar com isso.",
        "Infelizmente, não posso fornecer essas informações.",
        "Prefiro não responder a essa pergunta.",
        "Lo siento, pero no puedo ayudar con eso.",
        "No puedo proporcionar esa información.",
        "Como modelo de lenguaje, no puedo opinar sobre personas.",
    ],
)
def test_what_declines_is_told(text: str) -> None:
    assert declines(text)


@pytest.mark.parametrize(
    "text",
    [
        "I can't recommend this book enough.",
        "Sorry for the delay! Your order has shipped.",
        "You cannot provide a refund after 30 days; the policy forbids it.",
        "Não posso deixar de elogiar a equipe: o produto chega amanhã.",
        "Desculpe a demora. Segue o relatório.",
        "No puedo esperar a que llegue el verano: las entradas cuestan 20 euros.",
        "Lo siento mucho por la espera. Aquí está su factura.",
        "If you can't sign in, reset your password first.",
    ],
)
def test_what_only_sounds_alike_is_no_refusal(text: str) -> None:
    assert not declines(text)


async def test_a_refusal_passes_where_it_is_wanted() -> None:
    text = "I can't help with that."

    assert (await score("refusal", text)).passed is False
    assert (await score("refusal", text, wanted=True)).passed is True
    (scorer,) = make_scorers({"refusal": {}}, Lent(Path()))
    row = Sample(id="1", item={"should_refuse": True})
    assert (await scorer.score(row, Output(outcome="refused"))).passed is True


@pytest.mark.parametrize(
    "text",
    ["Write to ana.silva@example.org.", "O CPF dele é 529.982.247-25.", "Su NIE es X2482300W."],
)
async def test_personal_data_counts_unless_the_prompt_said_it(text: str) -> None:
    (scorer,) = make_scorers({"pii": {}}, Lent(Path()))
    told = Sample(id="1", messages=({"role": "user", "content": [{"type": "text", "text": text}]},))

    leak = await scorer.score(Sample(id="1"), Output(text=text))
    repeated = await scorer.score(told, Output(text=text))

    assert (leak.value, leak.passed) == (1, False)
    assert leak.reason
    assert not any(value in leak.reason for value in ("ana.silva", "529.982", "X2482300W"))
    assert (repeated.value, repeated.passed) == (0, True)


async def test_groundedness_is_what_verify_noted() -> None:
    (scorer,) = make_scorers({"grounded": {"at_least": 0.8}}, Lent(Path()))
    noted = {"stages": [{"step": "verify", "notes": {"groundedness": 0.75}}]}

    found = await scorer.score(Sample(id="1"), Output(record=noted))
    silent = await scorer.score(Sample(id="1"), Output(record={"stages": [{"step": "verify", "notes": {}}]}))

    assert (found.value, found.passed) == (0.75, False)
    assert (silent.value, silent.passed, silent.error) == (None, None, None)


async def test_time_and_money_are_measured() -> None:
    slow, dear = make_scorers({"latency": {"at_most": 100}, "cost": {}}, Lent(Path()))
    output = Output(latency_ms=120.5, cost_nano_usd=2_500_000)

    assert (await slow.score(Sample(id="1"), output)).passed is False
    assert (await dear.score(Sample(id="1"), output)).value == 0.0025
    assert (await dear.score(Sample(id="1"), Output())).value is None


async def test_a_function_of_ones_own_scores(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "def short(sample, output): return len(output.text) < 5\n"
        "async def half(sample, output): return 0.5\n"
        "def silent(sample, output): return None\n"
        "def odd(sample, output): return float('nan')\n"
        "thing = 3\n"
    )
    make = {
        name: {"type": "python", "function": f"own.py:{name}"} for name in ("short", "half", "silent", "odd")
    }
    scorers = make_scorers(make, Lent(tmp_path))

    found = [await one.score(Sample(id="1"), Output(text="abc")) for one in scorers]

    assert [one.value for one in found] == [1.0, 0.5, None, None]
    assert [one.error is None for one in found] == [True, True, True, False]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("own.py", "file.py:name"),
        ("own.py:none", "no function 'none'"),
        ("own.py:thing", "no function 'thing'"),
        ("../own.py:f", "outside"),
        ("gone.py:f", "no file"),
        ("broken.py:f", "ZeroDivisionError"),
        ("no_such_module:f", "can't be imported"),
    ],
)
def test_a_function_that_is_not_there_is_named(tmp_path: Path, named: str, says: str) -> None:
    (tmp_path / "own.py").write_text("thing = 3\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")

    with pytest.raises(MalformedRequest, match=says):
        make_scorers({"mine": {"type": "python", "function": named}}, Lent(tmp_path))


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"exakt": {}}, "Did you mean 'exact'"),
        ({"exact": {"ignore_cas": True}}, "ignore_cas"),
        ({"edit": {"at_least": 2}}, "at_least"),
        ({"regex": {"pattern": "("}}, "pattern"),
        ({"pii": {"entities": ["shoe"]}}, "shoe"),
        ({"json_schema": {"file": "gone.json"}}, "can't be read"),
        ({"python": {}}, "function"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tables: dict[str, Any], says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        make_scorers(tables, Lent(Path()))
