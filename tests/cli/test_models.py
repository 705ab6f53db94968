"""`greenroom models`: who can answer, and who would be asked first."""

from pathlib import Path

from tests.cli.conftest import Run

FILE = """
[providers.near]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"

[models.mixed]
targets = ["near/large", "near/small"]
route = "rules"

[[models.mixed.rules]]
targets = ["near/small"]
languages = ["pt"]
"""


def test_apps_models_and_targets_are_listed(run: Run, folder: Path) -> None:
    (folder / "greenroom.toml").write_text(FILE, encoding="utf-8")

    rows = run("models", "list", "--json").json["data"]

    assert {(one["id"], one["kind"]) for one in rows} >= {
        ("default", "app"), ("mixed", "model"), ("near/large", "target"), ("near/small", "target"),
    }  # fmt: skip
    target = next(one for one in rows if one["id"] == "near/small")
    assert target["usd_per_million_tokens"] is None
    assert (target["circuit"], target["at_work"], target["left_alone_s"]) == ("closed", 0, 0)


def test_a_prompt_is_explained_without_a_call(run: Run, folder: Path) -> None:
    (folder / "greenroom.toml").write_text(FILE, encoding="utf-8")

    portuguese = run("models", "explain", "Qual é o prazo para devolver o produto?", "--app", "mixed")
    english = run("models", "explain", "How do I return the product?", "--app", "mixed", "--json")

    assert portuguese.code == 0
    assert "rule 1 fits" in portuguese.out
    assert [line.split("\t")[1] for line in portuguese.out.splitlines()[1:3]] == ["near/small", "near/large"]
    assert english.json["order"] == ["near/large", "near/small"]


def test_a_prompt_that_a_step_refuses_would_ask_nobody(run: Run, folder: Path) -> None:
    blocked = '[steps.secrets]\naction = "block"\n'
    (folder / "greenroom.toml").write_text(FILE + blocked, encoding="utf-8")

    found = run("models", "explain", "My key is AKIAIOSFODNN7EXAMPLQ, use it.", "--app", "mixed")

    assert found.code == 1
    assert found.out.startswith("Nobody: the step 'secrets' refuses.")


def test_a_name_that_leads_nowhere_is_said(run: Run, folder: Path) -> None:
    found = run("models", "explain", "Hello", "--app", "nothing")

    assert found.code == 1
    assert "'nothing'" in found.err


def test_routes_that_can_not_be_are_refused(run: Run, folder: Path) -> None:
    wrong = {
        'route = "weighted"\nweights = { "near/other" = 1 }': "weights names 'near/other'",
        'route = "rules"': "need each other",
        'route = "random"': "route",
    }
    for lines, said in wrong.items():
        text = (
            FILE.split("[models.mixed]", maxsplit=1)[0]
            + f'[models.mixed]\ntargets = ["near/large"]\n{lines}\n'
        )
        (folder / "greenroom.toml").write_text(text, encoding="utf-8")

        found = run("config", "check")

        assert found.code == 1
        assert said in found.err
