"""Examples in the documentation are true: TOML loads, links lead somewhere, commands and keys exist."""

import re
from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.assembly.steps import STEPS
from greenroom.cli import reference
from greenroom.cli.app import COMMANDS
from greenroom.config import CHECK, GROUND, POSTPROCESS, PREPROCESS

ROOT = Path(__file__).parent.parent.parent
SAMPLE = ROOT / "greenroom" / "data" / "sample"
PAGES = [page for folder in (ROOT, ROOT / "docs", SAMPLE) for page in sorted(folder.glob("*.md"))]
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
COMMAND = re.compile(r"[`\n/]greenroom ([a-z]+)\b")

EXAMPLES = [
    pytest.param(example, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, example in enumerate(TOML.findall(page.read_text(encoding="utf-8")), 1)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_toml_example_is_a_configuration_that_loads(example: str, tmp_path: Path) -> None:
    file = tmp_path / "greenroom.toml"
    file.write_text(example, encoding="utf-8")

    house = House.open(file, tmp_path / "data", {})

    assert house.config_path == file


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_named_is_one_that_exists(page: Path) -> None:
    named = set(COMMAND.findall(page.read_text(encoding="utf-8")))

    assert named <= set(COMMANDS)


@pytest.mark.parametrize("page", ["steps.md", "steps.pt.md", "steps.es.md"])
def test_the_page_of_steps_names_each_step_and_no_other(page: str) -> None:
    text = (SAMPLE / page).read_text(encoding="utf-8")

    told = set(re.findall(r"^- `([a-z]+)` ", text, re.MULTILINE))

    assert told == set(STEPS)
    assert told == {"template", *PREPROCESS, *GROUND, *CHECK, *POSTPROCESS}  # runs where an app has a prompt


@pytest.mark.parametrize("page", ["providers.md", "providers.pt.md", "providers.es.md"])
def test_the_page_of_providers_names_each_kind_and_no_other(page: str) -> None:
    text = (SAMPLE / page).read_text(encoding="utf-8")

    told = set(re.findall(r"^- `([a-z_]+)` (?:is|é|es) ", text, re.MULTILINE))

    key = reference.find("providers.openai.kind", reference.tables({}))
    assert isinstance(key, reference.Key)
    assert told == {word.strip('"') for word in key.type.split(" | ")}
