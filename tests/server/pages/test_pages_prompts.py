"""The pages of prompts over a real house: versions, labels, the editor, and who may what."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from greenroom.assembly.house import House
from greenroom.assembly.promptpages import PromptPagesDesk
from greenroom.prompts.version import Message, PromptVersion, Variable
from greenroom.server.pages.doors import Room
from greenroom.server.pages.prompt_editor import PromptEditor
from greenroom.server.pages.prompts import PromptPages
from greenroom.store.by_prompt import tag_of
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from tests.assembly.experiments import until
from tests.faults.conftest import upstream
from tests.faults.upstream import FaultUpstream
from tests.server.pages.office import Office, office

__all__ = ["upstream"]
ROLES: tuple[Literal["operator", "viewer"], ...] = ("operator", "viewer")
EDIT = "/prompts/greet/edit"
REST = '[variables.city]\ndefault = "unknown"\n\n[settings]\nmax_tokens = 50\n'
HOSTILE = "<script>window.hit=1</script>"


def rooms(house: House) -> Sequence[Room]:
    desk = PromptPagesDesk(house)
    return (PromptEditor(desk).routes, PromptPages(desk).routes)


def add_versions(house: House) -> None:
    desk = PromptPagesDesk(house)
    for text in ("Be kind to {{city}}.", f"Be brief to {{{{city}}}}. {HOSTILE}"):
        desk.add(
            PromptVersion(
                name="greet",
                messages=(Message(role="system", text=text),),
                variables={"city": Variable(default="Leeds", trusted=True)},
            ),
            force=True,
            by="me",
        )
    desk.promote("greet", 1, "production", by="me")
    house.refresh_prompts()


def draft(**changed: str) -> dict[str, str]:
    given = {
        "role-0": "system", "text-0": "Be kind to the people of {{city}}.\r\n", "role-1": "user", "text-1": "",
        "rest": REST, "note": "kinder", "after": "2", "do": "save", "force": "yes",
    }  # fmt: skip
    return {**given, **changed}


async def ask(house: House, version: int, city: str) -> str:
    body = {
        "model": "support", "messages": [{"role": "user", "content": "Hello."}],
        "prompt": {"id": "greet", "version": version, "variables": {"city": city}},
    }  # fmt: skip
    exchange, room, grant = house.begin(json.dumps(body).encode(), {b"x-greenroom-tags": b"@prompt=greet@9"})
    await house.gateway.whole(exchange, room, grant, 0)
    return exchange.id


async def test_a_prompt_shows_its_versions_with_what_their_exchanges_came_to(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with office(tmp_path, "", rooms, upstream) as one:
        add_versions(one.house)
        ids = [await ask(one.house, version, "York") for version in (1, 2, 2)]
        await until(lambda: len(one.house.traces.list(TraceFilter()).rows) == 3)
        one.house.traces.score(None, ids[1], Score(name="helpful", value=0.5))
        listed = await one.see("/prompts")
        shown = await one.json("/prompts/greet.json")
        page = await one.get("/prompts/greet?version=2")
        found = one.house.traces.list(TraceFilter(tag=tag_of("greet", 2))).rows
        spoofed = one.house.traces.list(TraceFilter(tag=tag_of("greet", 9))).rows
        record = one.house.traces.get(None, ids[0])

    assert listed.all("a", href="/prompts/greet")
    figures = {each["number"]: each for each in shown["figures"]}
    assert [figures[n]["exchanges"] for n in (1, 2)] == [1, 2]
    assert figures[2]["scores"] == [{"name": "helpful", "count": 1, "mean": 0.5}]
    assert figures[1]["cost_usd_each"] is not None
    assert {each["id"] for each in found} == set(ids[1:])
    assert spoofed == []
    assert record is not None
    assert record["tags"] == {}
    assert record["request"]["prompt"]["variables"] == {"city": "York"}
    assert "Be brief" in page.text
    assert HOSTILE not in page.text
    assert "Roll back" not in page.text


async def test_labels_are_moved_and_rolled_back_by_admins_and_written_down(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        add_versions(one.house)
        promote = {"do": "promote", "label": "production", "version": "2", "note": "brief is better"}
        moved = await one.post("/prompts/greet", promote)
        label = one.house.prompts.labels()["greet"]["production"]
        back = await one.post("/prompts/greet", {"do": "rollback", "label": "production"})
        again = await one.post("/prompts/greet", {"do": "rollback", "label": "production"})
        odd = await one.post("/prompts/greet", {"do": "promote", "label": "latest", "version": "2"})
        elsewhere = await one.post("/prompts/greet", promote, origin="https://evil.example")
        guessed = await one.post("/prompts/greet", {**promote, "csrf": "guessed"})
        admin, changes = one.key_id, one.changes()
        refused = []
        for role in ROLES:
            await one.sign_in(role)
            seen = (await one.get("/prompts/greet")).status_code
            refused.append((seen, (await one.post("/prompts/greet", promote)).status_code))
        labels = one.house.prompts.labels()["greet"]

    assert (moved.status_code, label, back.status_code) == (303, 2, 303)
    assert (again.status_code, "nothing to go back to" in again.text) == (409, True)
    assert (odd.status_code, elsewhere.status_code, guessed.status_code) == (400, 403, 403)
    assert refused == [(200, 403), (403, 403)]
    assert labels == {"production": 1}
    assert [what for who, what in changes if who == admin] == ["prompt.rollback", "prompt.label", "login"]


async def test_the_editor_saves_what_it_shows_and_never_over_somebody_elses_version(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        add_versions(one.house)
        opened = await one.see(f"{EDIT}?version=2")
        saved = await one.post(EDIT, draft())
        late = await one.post(EDIT, draft(**{"text-0": "Somebody else was quicker: {{city}}"}))
        fresh = await one.get("/prompts?new=hello-2")
        first = await one.post(
            "/prompts/hello-2/edit",
            {"role-0": "system", "text-0": "Say hello.", "rest": "", "after": "", "do": "save"},
        )
        twice = await one.post(
            "/prompts/hello-2/edit",
            {"role-0": "system", "text-0": "Say bye.", "rest": "", "after": "", "do": "save"},
        )
        version = PromptPagesDesk(one.house).registry.find("greet@latest")
        who = one.key_id
        await one.sign_in("operator")
        refused = await one.post(EDIT, draft(after="3"))

    assert "Be brief to {{city}}." in opened.text
    assert (saved.status_code, saved.headers["location"]) == (303, "/prompts/greet?version=3")
    assert (version.number, version.note, version.created_by) == (3, "kinder", who)
    assert version.messages == (Message(role="system", text="Be kind to the people of {{city}}.\n"),)
    assert version.settings.max_tokens == 50
    assert (late.status_code, "quicker" in late.text, "not 2" in late.text) == (409, True, True)
    assert fresh.headers["location"] == "/prompts/hello-2/edit"
    assert (first.status_code, twice.status_code, refused.status_code) == (303, 409, 403)


FAULTY: dict[str, dict[str, str]] = {
    "no TOML": {"rest": "[settings\n"},
    "has no place": {"rest": 'name = "other"\n'},
    "temperature": {"rest": "[settings]\ntemperature = 9\n"},
    "at least one message": {"text-0": " "},
    "nobody": {"text-0": "{{ nobody }}", "force": "no"},
}
"""What is said of a draft, and what makes it wrong."""


async def test_what_cannot_be_a_prompt_is_said_and_nothing_written_is_lost(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        add_versions(one.house)
        for said, changed in FAULTY.items():
            answer = await one.post(EDIT, draft(**changed))
            assert answer.status_code == 400, said
            assert said in answer.text
            assert 'value="kinder"' in answer.text
        numbers = list(PromptPagesDesk(one.house).registry.versions["greet"])

    assert numbers == [1, 2]


async def test_a_preview_is_filled_with_what_a_request_really_asked(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with office(tmp_path, "", rooms, upstream) as one:
        add_versions(one.house)
        id = await ask(one.house, 1, "York <b>Minster</b>")
        await until(lambda: one.house.traces.get(None, id))
        answer = await one.post(EDIT, draft(do="preview", trace=id))
        opened = await one.get(EDIT)
        wrong = await one.post(EDIT, draft(do="preview", values='{"town": 1}'))
        twin = await one.json(f"{EDIT}.json")

    assert "York &lt;b&gt;Minster&lt;/b&gt;" in answer.text
    assert "Be kind to the people of " in answer.text
    assert "York &lt;b&gt;" in opened.text
    assert "has no variable &#39;town&#39;" in wrong.text
    assert twin["past"][0]["values"] == {"city": "York <b>Minster</b>"}


async def test_two_versions_are_compared_word_by_word(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        add_versions(one.house)
        page = await one.see("/prompts/greet/diff?from=1&to=2")
        twin = await one.json("/prompts/greet/diff.json?from=1&to=2")
        unnamed = await one.get("/prompts/greet/diff?from=1")
        unknown = await one.get("/prompts/greet/diff?from=1&to=7")
        missing = await one.get("/prompts/nobody")

    assert len(page.all("ins")) >= 1
    assert twin["differences"][0]["place"] == "messages[0].text"
    assert [one.status_code for one in (unnamed, unknown, missing)] == [400, 404, 404]


async def test_nobody_sees_prompts_without_signing_in(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        stranger = Office(one.house, rooms)
        for path in ("/prompts", "/prompts/greet", EDIT, "/prompts/greet/diff?from=1&to=2"):
            assert (await stranger.get(path)).headers["location"].startswith("/login")
        for path in ("/prompts.json", "/prompts/greet.json", f"{EDIT}.json", "/prompts/greet/diff.json"):
            assert (await stranger.get(path)).status_code == 401
