"""The house around the code: dependencies said once, locks without hosts, a licence that is whole."""

import re
import tomllib
from pathlib import Path

import pytest

import greenroom

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
BUILD = {"setuptools", "wheel"}


def requirements(name: str) -> set[str]:
    """The requirements of an `.in` file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith(("#", "-"))}


def package(requirement: str) -> str:
    """The name before the version."""
    return re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def project() -> dict[str, object]:
    """The project table of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def test_pyproject_and_requirements_name_the_same_dependencies() -> None:
    named = {one for one in requirements("requirements.in") if package(one) not in BUILD}

    assert project()["dependencies"] == sorted(named)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_everything_with_hashes_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^(\S+)==(\S+)( ;.*?)? \\\n {4}--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)

    assert len(pins) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 20
    assert "://" not in text
    assert "index" not in re.sub(r"#.*", "", text)


@pytest.mark.parametrize(
    ("source", "lock"), [("requirements.in", LOCKS[0]), ("requirements-dev.in", LOCKS[1])]
)
def test_a_lock_holds_what_its_source_asks_for(source: str, lock: str) -> None:
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))

    assert {package(one) for one in requirements(source)} <= pinned


def test_every_dependency_has_its_reason() -> None:
    told = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")

    assert [one for one in requirements("requirements.in") if package(one) not in told] == []


def test_the_core_stays_small() -> None:
    text = (ROOT / LOCKS[0]).read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))

    assert len(pinned) <= 40
    assert pinned.isdisjoint({"pydantic", "torch", "fastapi", "httpx"})


def test_the_version_is_said_once() -> None:
    assert project()["version"] == greenroom.__version__
    assert f"## [{greenroom.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert project()["license"] == "Apache-2.0"


def test_shipped_data_is_listed_with_its_licence() -> None:
    told = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    folders = {path.name for path in (ROOT / "greenroom" / "data").iterdir() if path.is_dir()}

    assert [name for name in folders - {"__pycache__"} if f"greenroom/data/{name}/" not in told] == []
