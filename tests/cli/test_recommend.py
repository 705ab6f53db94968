"""`greenroom models recommend`, `show` and `update`."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.models.catalogue.catalogue import SHIPPED
from tests.cli.conftest import Run
from tests.faults.certificates import OPENSSL, Certificate, make_certificate
from tests.models.hub import Answer, Hub, Visit, whole

DATA = SHIPPED.read_bytes()
SHA = hashlib.sha256(DATA).hexdigest()


def test_three_answers_come_with_reasons_assumptions_and_commands(run: Run) -> None:
    told = run("models", "recommend", "--task", "rag", "--languages", "pt,en", "--hardware", "ram=16GB")

    assert told.code == 2  # nothing was scored, so nothing is decided
    for word in (
        "Best: ",
        "Best value: ",
        "Private: llama/",
        "Assumed:",
        "Left out: ",
        "To try them:",
        "can't tell",
    ):
        assert word in told.out
    assert "greenroom models compare --models" in told.out


def test_the_same_as_json(run: Run) -> None:
    found = run(
        "models", "recommend", "--private", "--hardware", "ram=8GB", "--context", "8192", "--parallel", "2",
        "--quantisation", "Q8_0", "--json",
    ).json  # fmt: skip

    memory = found["best"]["memory"]
    assert memory["quantisation"] == "Q8_0"
    assert memory["need_bytes"] <= memory["have_bytes"] == 8 * 10**9
    assert found["filtered"]["by_condition"]["private"] > 40
    assert found["wish"]["parallel"] == 2


def test_no_model_is_a_finding_and_the_machine_is_probed_by_itself(run: Run) -> None:
    told = run("models", "recommend", "--private", "--context", "131072", "--hardware", "ram=500MB")
    auto = run("models", "recommend", "--private", "--context", "256", "--json")

    assert told.code == 1
    assert "Private: none. No local model meets the conditions" in told.out
    assert auto.json["best"]["memory"]["have_bytes"] > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--task", "war"), ("--hardware", "much"), ("--context", "0"), ("--languages", "portuguese"),
        ("--budget", "-1"), ("--licence", "mine"),
    ],
)  # fmt: skip
def test_a_wrong_wish_is_wrong_usage(run: Run, arguments: tuple[str, str]) -> None:
    told = run("models", "recommend", *arguments)

    assert told.code == 64
    assert told.out == ""
    assert len(told.err.strip().splitlines()) == 1


def test_an_unknown_quantisation_is_named(run: Run) -> None:
    told = run("models", "recommend", "--quantisation", "Q9", "--hardware", "ram=8GB")

    assert told.code == 1
    assert "Q4_K_M" in told.err


def test_facts_are_shown_with_their_sources_and_gaps_as_unknown(run: Run) -> None:
    hosted, local = (
        run("models", "show", "openai/gpt-5-mini"),
        run("models", "show", "qwen3-4b", "--json").json,
    )

    lines = {line.split("\t")[0]: line.split("\t")[1:] for line in hosted.out.splitlines()}
    assert lines["context"][0] == "400,000"
    assert lines["context"][1].startswith("models.dev")
    assert lines["languages"] == ["unknown", "–", "–"]
    assert "genai-prices" in lines["USD per million tokens"][1]
    assert local["price"] is None
    assert local["facts"]["shape"]["value"]["layers"] == 36
    assert local["facts"]["licence"]["url"].startswith("https://")
    assert run("models", "show", "nobody/nothing").code == 1


def test_lists_show_what_the_catalogue_knows_of_configured_models(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "sk-x")
    (folder / "greenroom.toml").write_text(
        '[providers.openai]\nkind = "openai"\napi_key_env = "KEY"\n\n'
        '[models.fast]\ntargets = ["openai/gpt-5-mini", "openai/own"]\n',
        encoding="utf-8",
    )

    rows = {one["id"]: one for one in run("models", "list", "--json").json["data"]}

    assert rows["openai/gpt-5-mini"]["catalogue"]["tools"] is True
    assert rows["openai/own"]["catalogue"] is None
    assert "text+image, tools" in run("models", "list").out


def test_a_catalogue_is_taken_from_a_file_with_its_checksum_alone(run: Run, folder: Path) -> None:
    file = folder / "models.json"
    file.write_bytes(DATA)

    assert run("models", "update", str(file)).code == 64
    assert run("models", "update", str(file), "--sha256", "1" * 64).code == 1
    assert run("models", "update", str(folder / "none"), "--sha256", SHA).code == 1
    told = run("models", "update", str(file), "--sha256", SHA, "--json")

    assert told.json["sha256"] == SHA
    assert run("models", "show", "qwen3-4b", "--json").json["catalogue"]["sha256"] == SHA
    assert "models.update" in run("audit", "list").out


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls") / "own")


@pytest.fixture
def hub(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))
    with Hub(certificate, whole(DATA)) as made:
        yield made


def answer(status: int, body: bytes = b"", length: int | None = None, **headers: str) -> Answer:
    def give(visit: Visit) -> None:
        visit.send(status, body, length=length, **headers)

    return give


@pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate")
def test_a_catalogue_is_taken_over_https(run: Run, hub: Hub) -> None:
    told = run("models", "update", hub.url("/models.json"), "--sha256", SHA)

    assert told.code == 0, told.err
    assert "counts from now on" in told.out
    assert len(hub.visits) == 1


@pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate")
@pytest.mark.parametrize(
    ("give", "said"),
    [
        (answer(404), "answers 404"),
        (answer(302, Location="http://127.0.0.1:1/x"), "https://"),
        (answer(200, b"x" * 1000), "SHA-256"),
        (answer(200, b"half", length=99), "broke off"),
    ],
    ids=["missing", "elsewhere", "other", "cut"],
)
def test_what_else_comes_over_https_changes_nothing(run: Run, hub: Hub, give: Answer, said: str) -> None:
    hub.answers = (give,)

    told = run("models", "update", hub.url("/models.json"), "--sha256", SHA)

    assert told.code in {1, 3}
    assert said in told.err
    assert run("models", "update", "http://127.0.0.1/x", "--sha256", SHA).code == 1
