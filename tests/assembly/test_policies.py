"""Policies in greenroom.toml: wrong ones are refused with line and nearest name; right ones decide."""

from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.errors import ConfigError

RIGHT = """
[models.near]
targets = ["greenroom/reader"]

[policies.local]
action = "route"
category = "personal_data"
rule = ["br.*", "email"]
route_to = "near"

[policies."no cards"]
action = "block"
rule = "credit_card"
origin = ["user", "tool"]
min_severity = 1
"""


def refused(tmp_path: Path, text: str) -> str:
    file = tmp_path / "greenroom.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        House.open(file, tmp_path / "data", {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("table", "line", "said"),
    [
        ('actoin = "mask"', 3, "did you mean 'action'?"),
        ('action = "hide"', 3, "policies.one.action"),
        ('action = "mask"\nrule = "br.cfp"', 4, "nothing is called 'br.cfp'; did you mean 'br.cpf'?"),
        ('action = "mask"\nrule = "bra.*"', 4, "nothing is called 'bra.*'"),
        ('action = "mask"\nrule = ["email", "secret.githup_token"]', 4, "did you mean 'secret.github_token'?"),
        ('action = "mask"\ncategory = "personal-data"', 4, "did you mean 'personal_data'?"),
        ('action = "mask"\norigin = "users"', 4, "did you mean 'user'?"),
        ('action = "mask"\ndirection = "in"', 4, "nothing is called 'in'"),
        ('action = "mask"\napp = "suport"', 4, "did you mean 'support'?"),
        ('action = "mask"\nstep = "pi"', 4, "did you mean 'pii'?"),
        ('action = "route"', 2, "needs 'route_to'"),
        ('action = "mask"\nallow = ["("]', 2, "cannot be read"),
        ('action = "mask"\nmin_severity = 99', 4, "min_severity"),
    ],
)  # fmt: skip
def test_a_wrong_policy_is_refused_with_its_line_and_the_nearest_name(
    tmp_path: Path, table: str, line: int, said: str
) -> None:
    message = refused(tmp_path, f"# policies\n[policies.one]\n{table}\n[apps.support]\n")

    assert said in message
    assert f"line {line}" in message


def test_the_line_is_that_of_the_right_policy(tmp_path: Path) -> None:
    text = '[policies.one]\naction = "mask"\nrule = "email"\n[policies."the other"]\naction = "mask"\nrule = "emial"\n'

    assert "line 6" in refused(tmp_path, text)


def test_a_wrong_refusal_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert "Did you mean 'secret'?" in refused(tmp_path, '[refusals.secrets]\nen = "No."\n')
    assert "'ptt'" in refused(tmp_path, '[refusals.secret]\nptt = "Não."\n')


async def test_a_route_to_nowhere_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "greenroom.toml"
    file.write_text(RIGHT.replace('route_to = "near"', 'route_to = "nowhere/model"'), encoding="utf-8")

    with pytest.raises(ConfigError, match=r"policies\.local\.route_to"):
        async with House.open(file, tmp_path / "data", {}).running():
            pass


async def test_policies_of_the_file_decide_and_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "greenroom.toml"
    file.write_text(RIGHT, encoding="utf-8")
    async with House.open(file, tmp_path / "data", {}).running() as house:
        routed = await house.ask("O CPF é 390.533.447-05, como adiciono um provedor?")
        blocked = await house.ask("Meu cartão é 4237 8565 3357 7492, você pode ver isso?")
        plain = await house.ask("How do I add a provider?")

    assert routed["model"]["why"] == "a policy sends it to 'near'"
    assert [(one["action"], one["policy"]) for one in routed["verdicts"]] == [("route", "local")]
    assert blocked["outcome"] == "refused"
    assert "dados pessoais" in blocked["reply"]["text"]
    assert blocked["verdicts"][0]["policy"] == "no cards"
    assert plain["verdicts"] == []


async def test_an_operators_own_sentence_is_said(tmp_path: Path) -> None:
    file = tmp_path / "greenroom.toml"
    file.write_text(
        '[refusals.personal_data]\npt = "Aqui não, por favor."\n[policies.one]\naction = "block"\n',
        encoding="utf-8",
    )
    async with House.open(file, tmp_path / "data", {}).running() as house:
        pt = await house.ask("Meu CPF é 390.533.447-05, você pode ver isso?")
        en = await house.ask("My CPF is 390.533.447-05, can you see it?")

    assert pt["reply"]["text"] == "Aqui não, por favor."
    assert en["reply"]["text"].startswith("I can't take this message")


@pytest.mark.parametrize("mode", ["observe", "suggest"])
async def test_a_step_that_only_looks_sends_nothing_elsewhere(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "greenroom.toml"
    file.write_text(f'{RIGHT}\n[steps.pii]\nmode = "{mode}"\n', encoding="utf-8")
    async with House.open(file, tmp_path / "data", {}).running() as house:
        record = await house.ask("O CPF é 390.533.447-05, como adiciono um provedor?")

    assert "policy" not in record["model"]["why"]
    assert [(one["action"], one["policy"]) for one in record["verdicts"]] == [("route", "local")]


async def test_topics_are_left_out_where_there_are_none_and_work_on_both_sides_where_there_are(
    tmp_path: Path,
) -> None:
    file = tmp_path / "greenroom.toml"
    file.write_text(
        '[apps.shop.steps.topics.deny.rivals]\nwords = ["Globex"]\naction = "redact"\n[apps.blind]\ncheck = []\n',
        encoding="utf-8",
    )
    async with House.open(file, tmp_path / "data", {}).running() as house:
        rooms = house.gateway.rooms.apps
        record = await house.inspect(
            b'{"model":"shop","messages":[{"role":"user","content":"Is Globex cheap?"}],"reply":"Globex is."}'
        )

    assert "topics" not in [entry.step.name for entry in rooms["default"].steps]
    checks = {entry.step.name for entry in rooms["default"].checks}
    assert {"clean", "pii", "secrets"} <= checks
    assert checks.isdisjoint({"fit", "history", "documents", "topics"})
    assert rooms["blind"].checks == ()
    assert [(one["step"], one["rule"], one["where"]) for one in record["verdicts"]] == [
        ("topics", "topic.rivals", "input"), ("guard", "topic.rivals", "output"),
    ]  # fmt: skip
    assert record["sent"]["messages"][0]["content"] == "Is [RIVALS] cheap?"
    assert record["reply"]["text"] == "[RIVALS] is."
