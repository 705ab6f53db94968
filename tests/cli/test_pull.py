"""`greenroom models pull`, `list`, `remove` and `doctor`: GGUF files in the data folder."""

import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.models.engine import is_installed
from tests.cli.conftest import Run
from tests.faults.certificates import OPENSSL, Certificate, make_certificate
from tests.models import tiny_gguf
from tests.models.hub import Hub, Visit, folder_of, whole
from tests.server_process import environment_of

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates of these tests")

DATA = tiny_gguf.content()
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls") / "own")


@pytest.fixture
def hub(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that the commands of this process trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))
    with Hub(certificate, whole(DATA, ETag='"1"')) as made:
        yield made


def test_what_can_be_pulled_by_name_is_listed_with_licence_and_checksum(run: Run, folder: Path) -> None:
    rows = run("models", "pull", "--json").json

    assert {name for name, one in rows.items() if one["sha256"]} >= {"qwen3-0.6b", "qwen3-4b"}
    for one in rows.values():
        assert one["url"].startswith("https://")
        assert one["url"].endswith(".gguf")
        assert one["licence"]
        assert one["sha256"] is None or len(one["sha256"]) == 64
    assert "not known beforehand" in run("models", "pull").out


def test_a_model_is_pulled_listed_and_removed(run: Run, folder: Path, hub: Hub) -> None:
    pulled = run("models", "pull", hub.url("/some/Alphabet.gguf?download=true"), "--sha256", SHA)
    assert pulled.code == 0, pulled.err
    assert "right, by what was given" in pulled.out
    assert "llama/Alphabet" in pulled.out
    assert "(100 %)" in pulled.err

    row = next(one for one in run("models", "list", "--json").json["data"] if one["id"] == "llama/Alphabet")
    assert row["kind"] == ("target" if is_installed() else "file")
    assert row["file"]["sha256"] == SHA
    assert row["file"]["checked"] is True
    assert row["file"]["size_bytes"] == len(DATA)
    assert "models/Alphabet.gguf" in run("models", "list").out

    assert run("models", "remove", "llama/Alphabet").code == 0
    assert folder_of(folder / "data" / "models") == []
    assert "There is no model" in run("models", "remove", "Alphabet").err


def test_an_unknown_checksum_is_said(run: Run, folder: Path, hub: Hub) -> None:
    pulled = run("models", "pull", hub.url(), "--name", "mine")

    assert "Nobody said beforehand" in pulled.out
    assert SHA in pulled.out
    assert folder_of(folder / "data" / "models") == ["mine.gguf", "mine.json"]


def test_the_answer_for_programs(run: Run, folder: Path, hub: Hub) -> None:
    found = run("models", "pull", hub.url(), "--json")

    assert found.err == ""
    assert found.json["sha256"] == SHA
    assert found.json["parameters"] == tiny_gguf.parameters()
    assert (found.json["checked"], found.json["licence"], found.json["resumed_from"]) == (False, None, 0)


def test_what_is_here_is_not_brought_again(run: Run, folder: Path, hub: Hub) -> None:
    run("models", "pull", hub.url())

    again = run("models", "pull", hub.url())
    other = run("models", "pull", hub.url(), "--sha256", "0" * 64)

    assert (again.code, len(hub.visits)) == (0, 1)
    assert "is here already" in again.err
    assert other.code == 1
    assert "another checksum" in other.err


def test_a_wrong_checksum_is_exit_3_and_leaves_nothing(run: Run, folder: Path, hub: Hub) -> None:
    found = run("models", "pull", hub.url(), "--sha256", "0" * 64)

    assert found.code == 3
    assert SHA in found.err
    assert folder_of(folder / "data" / "models") == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("qwen9",), 64, "neither an https:// address nor one of: qwen3-0.6b"),
        (("http://127.0.0.1/x.gguf",), 1, "https://"),
        (("https://127.0.0.1/x.gguf", "--name", "../x"), 1, "is not a name"),
        (("https://127.0.0.1/",), 1, "--name"),
        (("https://127.0.0.1/..%2F..%2Fx%00.gguf",), 1, "--name"),
    ],
)
def test_wrong_usage_is_a_sentence(
    run: Run, folder: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found = run("models", "pull", *arguments)

    assert found.code == code
    assert said in found.err
    assert not (folder / "data" / "models").exists()


def test_doctor_tells_of_the_engine_and_of_every_file(run: Run, folder: Path, hub: Hub) -> None:
    run("models", "pull", hub.url(), "--name", "good")
    (folder / "data" / "models" / "bad.gguf").write_bytes(DATA[:-9])
    (folder / "greenroom.toml").write_text(
        '[providers.near]\nkind = "llama"\nmodel = "away"\n', encoding="utf-8"
    )

    found = {one["what"]: one for one in run("doctor", "--json").json}

    assert "embedded engine" in found
    assert found["model good"]["state"] == "fine"
    assert found["model bad"]["state"] == "wrong"
    assert "cut off" in found["model bad"]["said"]
    assert found["model of near"]["mend"] == "greenroom models pull away"


@pytest.mark.slow
def test_an_interrupted_pull_says_how_to_go_on_and_goes_on(folder: Path, certificate: Certificate) -> None:
    half = threading.Event()

    def stalls(visit: Visit) -> None:
        visit.send(200, DATA[:70_000], length=len(DATA), ETag='"1"')
        half.wait(20)

    command = [sys.executable, "-m", "greenroom", "--data", str(folder / "data"), "models", "pull"]
    environment = environment_of() | {"SSL_CERT_FILE": str(certificate.cert)}
    with Hub(certificate, stalls, whole(DATA, ETag='"1"')) as hub:
        first = subprocess.Popen([*command, hub.url()], env=environment, stderr=subprocess.PIPE, text=True)
        part = folder / "data" / "models" / "tiny.gguf.part"
        while not part.exists() or part.stat().st_size == 0:
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGINT)
        said = first.communicate(timeout=15)[1]
        half.set()
        second = subprocess.run(
            [*command, hub.url(), "--sha256", SHA],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert first.returncode == 2
    assert "goes on from there" in said
    assert second.returncode == 0, second.stderr
    assert hub.visits[1][1].get("Range", "").startswith("bytes=")
    assert (folder / "data" / "models" / "tiny.gguf").read_bytes() == DATA
