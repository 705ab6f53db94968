"""The house around the code: dependencies said once, locks without hosts, a licence that is whole."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import greenroom

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-finetune.lock")
BUILD = {"setuptools", "wheel"}
MODULES = {
    "ahocorasick-rs": "ahocorasick_rs",
    "google-re2": "re2",
    "harper-py": "harper",
    "json-repair": "json_repair",
    "marisa-trie": "marisa_trie",
    "jsonschema-rs": "jsonschema_rs",
    "pycryptodome": "Crypto",
    "pystemmer": "Stemmer",
    "python-crfsuite": "pycrfsuite",
    "python-multipart": "python_multipart",
    "python-stdnum": "stdnum",
}
"""Packages whose module has another name."""
OPTIONAL = {
    "botocore": "the extra `bedrock`",
    "accelerate": "the extra `finetune`",
    "datasets": "the extra `finetune`",
    "duckdb": "the extra `analytics`",
    "gepa": "the extra `eval`",
    "gguf": "the extra `finetune`",
    "peft": "the extra `finetune`",
    "rapidfuzz": "the extra `eval`",
    "sacrebleu": "the extra `eval`",
    "safetensors": "the extra `finetune`",
    "scipy": "the extra `eval`",
    "tiktoken": "exact counts, where rank files are",
    "tiktoken_ext": "part of tiktoken",
    "onnxruntime": "the extra `embed`",
    "tokenizers": "the extra `embed`",
    "torch": "the extra `finetune`",
    "transformers": "the extra `finetune`",
    "trl": "the extra `finetune`",
    "yaml": "the extra `import`",
    "xllamacpp": "the extra `local`",
}
BY_NAME = re.compile(r"import_module(?:\(|, )\"(\w+)")


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


def modules_in(source: str) -> Iterator[str]:
    """The first names of what a file imports, by statement or by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
    yield from BY_NAME.findall(source)


def test_pyproject_and_requirements_name_the_same_dependencies() -> None:
    named = {one for one in requirements("requirements.in") if package(one) not in BUILD}

    assert project()["dependencies"] == sorted(named)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_everything_with_hashes_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^(\S+)==(\S+)( ;.*?)? \\\n {4}--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)

    assert len(pins) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 20
    assert "://" not in text
    assert [line for line in text.splitlines() if line.startswith("-")] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_its_source_asks_for(lock: str) -> None:
    source = lock.replace(".lock", ".in")
    files = (lock, "requirements-torch.lock") if "finetune" in lock else (lock,)
    pinned = {
        name
        for file in files
        for name in re.findall(r"^([\w.-]+)==", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert {package(one) for one in requirements(source)} <= pinned


def test_pytorch_is_pinned_for_every_python_and_machine_that_greenroom_runs_on() -> None:
    text = (ROOT / "requirements-torch.lock").read_text(encoding="utf-8")

    assert len(set(re.findall(r"--hash=sha256:[0-9a-f]{64}", text))) == 9
    assert "://" not in text


def test_every_dependency_has_its_reason() -> None:
    told = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")

    assert [one for one in requirements("requirements.in") if package(one) not in told] == []


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    imported = {
        name
        for path in (ROOT / "greenroom").rglob("*.py")
        for name in modules_in(path.read_text(encoding="utf-8"))
    }
    named = {package(one) for one in requirements("requirements.in")} - BUILD
    modules = {MODULES.get(name, name.replace("-", "_")) for name in named}

    assert imported - set(sys.stdlib_module_names) - {"greenroom"} - modules - set(OPTIONAL) == set()
    assert modules - imported == set()


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
