"""The playground over a real house: streams, money, places, prompts, and what is made of answers."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from greenroom.assembly.house import House
from greenroom.assembly.playing import MOST_OF_ONE, PlayDesk
from greenroom.assembly.promptpages import PromptPagesDesk
from greenroom.offline.evals.kept import kept_data
from greenroom.prompts.version import Message, PromptVersion, Variable
from greenroom.server.pages.doors import Room
from greenroom.server.pages.event_stream import EventStream, Tape
from greenroom.server.pages.playground import Column, Playground
from greenroom.store.keys import Limits
from greenroom.store.listing import TraceFilter
from tests.assembly.experiments import until
from tests.faults.conftest import upstream
from tests.faults.recipes import Stall, error, openai_events, recipe, streamed
from tests.faults.upstream import FaultUpstream
from tests.server.pages.office import Office, office

__all__ = ["upstream"]
RUN, SAVE, KEEP = "/playground/run", "/playground/save", "/playground/keep"
PROMPTED = '[apps.greeter]\nmodel = "sound"\nprompt = "greet@production"\n'


def rooms(house: House) -> Sequence[Room]:
    return (Playground(PlayDesk(house)).routes,)


def add_versions(house: House) -> None:
    desk = PromptPagesDesk(house)
    for manner in ("kind", "brief"):
        messages = (
            Message(role="system", text=f"Be {manner}."),
            Message(role="user", text="I am in {{city}}."),
        )
        version = PromptVersion(name="greet", messages=messages, variables={"city": Variable()})
        desk.add(version, force=False, by="me")
    desk.promote("greet", 1, "production", by="me")
    house.refresh_prompts()


def events(text: str) -> list[tuple[str, Any]]:
    """Names and values of events; those of the answer itself have no name."""
    found = []
    for event in text.split("\n\n"):
        name, mark, data = event.rpartition("data: ")
        if mark and data != "[DONE]":
            found.append((name.removeprefix("event: ").strip(), json.loads(data)))
    return found


async def stored(one: Office, id: str) -> dict[str, Any]:
    return await until(lambda: one.house.traces.get(None, id))


def said(found: list[tuple[str, Any]]) -> str:
    pieces = [
        one["choices"][0]["delta"].get("content") or "" for name, one in found if not name and one["choices"]
    ]
    return "".join(pieces)


def sent(upstream: FaultUpstream) -> list[str]:
    return [one["content"] for one in json.loads(upstream.requests[-1].body)["messages"]]


async def run(one: Office, **fields: str) -> list[tuple[str, Any]]:
    answer = await one.post(
        RUN, {"model": "sound", "question": "Hello, I am ana@example.com.", **fields}, at="/playground"
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events(answer.text)


async def test_a_column_is_a_streamed_request_of_the_persons_own_project(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with office(tmp_path, "", rooms, upstream) as one:
        await one.sign_in("operator", "shop")
        found = await run(one, max_tokens="30")
        done = found[-1][1]
        record = await until(lambda: one.house.traces.get("shop", done["id"]))

    assert [found[0][0], found[-1][0]] == ["begun", "done"]
    assert {step["stage"] for step in found[0][1]["steps"]} == {"preprocess", "ground", "check"}
    assert said(found) == done["text"] == "Good morning."
    assert (done["outcome"], done["model"]) == ("answered", "box/sound")
    assert float(done["cost_usd"]) > 0
    assert done["total_ms"] >= done["first_token_ms"] > 0
    assert (record["key"], record["tags"]) == (one.key_id, {"playground": "yes"})
    assert "ana@example.com" not in "".join(sent(upstream))
    assert json.loads(upstream.requests[-1].body)["max_tokens"] == 30


async def test_a_budget_that_is_used_up_holds_here_too(tmp_path: Path, upstream: FaultUpstream) -> None:
    async with office(tmp_path, "", rooms, upstream) as one:
        await one.sign_in("operator", limits=Limits(budget_nano_usd=1))
        await run(one)  # a budget may be passed by one request
        found = await run(one)

    assert [name for name, _ in found] == ["failed", "done"]
    assert (found[0][1]["status"], "used up" in found[0][1]["message"]) == (429, True)
    assert len(upstream.requests) == 1


async def test_viewers_strangers_and_other_sites_ask_nothing(tmp_path: Path, upstream: FaultUpstream) -> None:
    asked = {"model": "sound", "question": "Hello."}
    async with office(tmp_path, "", rooms, upstream) as one:
        elsewhere = await one.post(RUN, asked, at="/playground", origin="https://evil.example")
        guessed = await one.post(RUN, {**asked, "csrf": "guessed"}, at="/playground")
        empty = await one.post(RUN, {"question": "Hello."}, at="/playground")
        odd = await one.post(RUN, {**asked, "values": "[1]"}, at="/playground")
        await one.sign_in("viewer")
        viewer = [await one.post(path, asked, at="/playground") for path in (RUN, SAVE, KEEP, "/playground")]
        stranger = await Office(one.house, rooms).client.post(RUN, data=asked)

    assert [each.status_code for each in (elsewhere, guessed, empty, odd)] == [403, 403, 400, 400]
    assert [each.status_code for each in viewer] == [403] * 4
    assert stranger.status_code == 401
    assert upstream.requests == []


async def test_versions_are_pinned_and_changed_words_are_sent_as_messages(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    filled = {"values": '{"city": "York"}', "question": ""}
    async with office(tmp_path, PROMPTED, rooms, upstream) as one:
        add_versions(one.house)
        prompt = await one.json("/playground/prompt.json?reference=greet@2")
        results = []
        for model, chosen, system in (
            ("sound", "greet@2", ""),
            ("sound", "greet@2", "Be brief."),
            ("greeter", "", ""),
            ("greeter", "greet@2", ""),
            ("greeter", "greet@production", "Be gruff."),
            ("sound", "", "Be gruff."),
        ):
            question = "" if chosen or model == "greeter" else "Hello."
            found = await run(
                one, model=model, prompt=chosen, system=system, **{**filled, "question": question}
            )
            assert found[-1][0] == "done", found
            record = await stored(one, found[-1][1]["id"])
            results.append((sent(upstream)[0].partition("\n")[0], record["prompt"]["version"]))
        unknown = await run(one, prompt="greet@9", **filled)

    assert (prompt["system"], prompt["variables"]) == ("Be brief.", {"city": ""})
    assert results == [
        ("Be brief.", 2), ("Be brief.", 2), ("Be kind.", 1), ("Be brief.", 2), ("Be gruff.", None), ("Be gruff.", None),
    ]  # fmt: skip
    assert unknown[0][0] == "failed"
    assert "no version 9" in unknown[0][1]["message"]


async def test_one_person_has_four_places_and_who_leaves_frees_one_and_ends_the_call(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    started = streamed(openai_events()).actions[:2]
    upstream.script("sound", recipe(*started, Stall()))
    async with office(tmp_path, "", rooms, upstream) as one:
        desk, gone = PlayDesk(one.house), asyncio.Event()
        _, secret = one.house.keys.create("default", "fifth", role="operator")
        one.house.refresh_keys()
        column = Column("sound", question="Hello.")
        heads: list[Any] = []

        async def leave() -> dict[str, str]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def take(message: Any) -> None:
            heads.append(message)

        async with asyncio.TaskGroup() as group:
            for _ in range(MOST_OF_ONE):
                stream = EventStream(lambda tape: desk.play(secret, column, tape))
                group.create_task(stream({"type": "http"}, leave, take))
            await until(lambda: len(upstream.requests) == MOST_OF_ONE)
            refused = EventStream(lambda tape: desk.play(secret, column, tape))
            told: list[Any] = []

            async def note(message: Any) -> None:
                told.append(message.get("body", b""))

            await refused({"type": "http"}, leave, note)
            gone.set()
        await until(lambda: upstream.open_connections == 0 or None)
        await until(lambda: len(one.house.traces.list(TraceFilter()).rows) == MOST_OF_ONE)
        outcomes = {row["outcome"] for row in one.house.traces.list(TraceFilter()).rows}
        tape = Tape()
        upstream.script("sound", streamed(openai_events()))
        await desk.play(secret, column, tape)
        at_work = one.house.gateway.at_work

    assert b"4 columns of yours" in b"".join(told)
    assert outcomes == {"cancelled"}
    assert at_work == 0
    assert b"event: done" in await tape.take()


async def test_a_column_becomes_a_version_and_a_row(tmp_path: Path, upstream: FaultUpstream) -> None:
    async with office(tmp_path, PROMPTED, rooms, upstream) as one:
        add_versions(one.house)
        filled = {"values": '{"city": "York"}', "question": ""}
        ids = [(await run(one, prompt="greet@2", **filled))[-1][1]["id"], (await run(one))[-1][1]["id"]]
        await stored(one, ids[1])
        kept = [await one.post(KEEP, {"id": id, "name": "good"}, at="/playground") for id in (*ids, ids[1])]
        samples = kept_data(one.house.evals, "good").samples
        wanted = {"model": "sound", "prompt": "greet@2", "system": "Be gruff.", **filled}
        saved = await one.post(SAVE, wanted, at="/playground")
        renamed = await one.post(SAVE, {**wanted, "prompt": "", "name": "gruff"}, at="/playground")
        nothing = await one.post(SAVE, {**wanted, "prompt": "", "system": ""}, at="/playground")
        unknown = await one.post(KEEP, {"id": "none", "name": "good"}, at="/playground")
        registry = PromptPagesDesk(one.house).registry
        changes = one.changes()
        await one.sign_in("operator")
        refused = await one.post(SAVE, wanted, at="/playground")

    assert [each.json()["version"] for each in kept] == [1, 2, 2]
    assert [(one.variables, one.expected) for one in samples] == [
        ({"city": "York"}, "Good morning."), ({}, "Good morning."),
    ]  # fmt: skip
    assert "ana@example.com" not in str(samples)
    assert saved.json() == {"reference": "greet@3", "address": "/prompts/greet?version=3"}
    assert [one.text for one in registry.find("greet@3").messages] == ["Be gruff.", "I am in {{city}}."]
    assert renamed.json()["reference"] == "gruff@1"
    assert [each.status_code for each in (nothing, unknown, refused)] == [404, 404, 403]
    assert [what for _, what in changes if what != "login"][:5] == ["prompt.version", "prompt.version", "data_set.add",
        "data_set.add", "data_set.add"]  # fmt: skip


async def test_without_scripts_the_whole_form_is_answered_side_by_side(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("other", error(400))
    async with office(tmp_path, PROMPTED, rooms, upstream) as one:
        add_versions(one.house)
        opened = await one.see("/playground?column=sound|greet@2&column=other|")
        asked = {"question": "Hello <b>.", "model-0": "sound", "prompt-0": "", "model-1": "other"}
        answer = await one.post("/playground", asked, at="/playground")
        done = await run(one)
        await stored(one, done[-1][1]["id"])
        again = await one.get(f"/playground?trace={done[-1][1]['id']}")
        unknown = await one.get("/playground?trace=nobody")
        twin = await one.json("/playground.json")

    assert len(opened.all("section", **{"data-column": ""})) == 3  # the blank one among them
    assert '"city"' in opened.text
    assert "Good morning." in answer.text
    assert "Hello &lt;b&gt;." in answer.text
    assert answer.text.count('role="alert" hidden') == 2
    assert "Hello, I am" in again.text
    assert unknown.status_code == 404
    assert {"sound", "greeter"} <= set(twin["models"])
