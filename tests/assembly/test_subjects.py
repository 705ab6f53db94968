"""Subjects of evaluations: the path of any request, and fingerprints that change with what may change answers."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.assembly.subjects import FunctionSubject, PipelineSubject
from greenroom.errors import InfrastructureError
from greenroom.offline.evals.sample import Output, Sample
from greenroom.store.keys import Limits
from tests.models.scripted import Answer, Scripted

ASK = Sample(id="1", messages=({"role": "user", "content": "Say yes. My e-mail is ana@example.org."},))


def completion(text: str) -> Answer:
    """What a provider answers."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return Answer(json.dumps({**body, "choices": choices}).encode())


def house(folder: Path, origin: str, more: str = "") -> House:
    """A house whose apps ask that provider."""
    (folder / "greenroom.toml").write_text(f"""
        [providers.here]
        kind = "openai_compatible"
        base_url = "{origin}/v1"
        [models.one]
        targets = ["here/m"]
        retries = 0
        [prices."here/*"]
        input_per_mtok_usd = 1.0
        output_per_mtok_usd = 2.0
        [apps.plain]
        model = "one"
        cache = "exact"
        {more}
        [apps.strict]
        model = "one"
        steps = {{ pii = {{ action = "block" }} }}
    """)
    return House.open(folder / "greenroom.toml", folder / "data", {})


async def test_an_answer_has_its_price_its_time_and_its_record(tmp_path: Path) -> None:
    async with (
        Scripted(completion("Yes.")) as upstream,
        house(tmp_path, upstream.origin).running(as_guest=True) as opened,
    ):
        subject = PipelineSubject(opened, app="plain", settings={"max_tokens": 50}, name="mine")
        first, second = await subject.answer(ASK), await subject.answer(ASK)
        worst = subject.worst_nano_usd(ASK)

    assert (first.text, first.outcome, first.model) == ("Yes.", "answered", "here/m")
    assert (first.input_tokens, first.output_tokens, first.cost_nano_usd) == (100, 10, 120_000)
    assert first.latency_ms > 0
    assert first.record["tags"] == {"eval": "mine"}
    assert first.trace_id != second.trace_id
    assert second.outcome == "answered"  # not from the app's own cache
    assert "ana@example.org" not in upstream.asked[0].body.decode()
    assert json.loads(upstream.asked[1].body)["max_tokens"] == 50
    assert worst is not None
    assert first.cost_nano_usd is not None
    assert first.cost_nano_usd < worst < 500_000


async def test_a_model_may_stand_in_for_an_apps_own_and_keeps_its_steps(tmp_path: Path) -> None:
    async with (
        Scripted(completion("Yes.")) as upstream,
        house(tmp_path, upstream.origin).running(as_guest=True) as opened,
    ):
        found = await PipelineSubject(opened, app="strict", model="here/other").answer(ASK)
        plain = await PipelineSubject(opened, app="plain", model="here/other").answer(ASK)

    assert (found.outcome, found.cost_nano_usd) == ("refused", 0)
    assert plain.model == "here/other"
    assert [json.loads(one.body)["model"] for one in upstream.asked] == ["other"]


@pytest.mark.parametrize(("status", "outcome"), [(500, "failed"), (400, "failed")])
async def test_a_failure_of_the_model_is_an_output(tmp_path: Path, status: int, outcome: str) -> None:
    async with (
        Scripted(Answer(b"{}", status)) as upstream,
        house(tmp_path, upstream.origin).running(as_guest=True) as opened,
    ):
        found = await PipelineSubject(opened, app="plain").answer(ASK)

    assert found.outcome == outcome
    assert found.error


async def test_a_key_that_is_not_accepted_ends_the_run(tmp_path: Path) -> None:
    async with (
        Scripted(Answer(b"{}", 401)) as upstream,
        house(tmp_path, upstream.origin).running(as_guest=True) as opened,
    ):
        with pytest.raises(InfrastructureError):
            await PipelineSubject(opened, app="plain").answer(ASK)


async def test_a_run_of_a_key_keeps_to_its_project_and_limits_until_it_is_revoked(tmp_path: Path) -> None:
    async with (
        Scripted(completion("Yes.")) as upstream,
        house(tmp_path, upstream.origin).running(as_guest=True) as opened,
    ):
        usual = PipelineSubject(opened, app="plain").fingerprint
        row, _ = opened.keys.create("team", "mine", limits=Limits(parallel=1))
        opened.asks_as = row.id
        subject = PipelineSubject(opened, app="plain")
        outputs = await asyncio.gather(subject.answer(ASK), subject.answer(ASK))
        opened.keys.revoke(row.id)
        with pytest.raises(InfrastructureError, match="revoked"):
            await subject.answer(ASK)

    assert [one.outcome for one in outputs] == ["answered", "answered"]  # one after the other
    assert {(one.record["project"], one.record["key"]) for one in outputs} == {("team", row.id)}
    assert subject.fingerprint != usual  # another project, other documents


async def test_who_is_not_there_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    async with house(tmp_path, "http://127.0.0.1:9").running(as_guest=True) as opened:
        for app, model in (("gone", None), (None, "gone/m"), ("plain", "gone/m")):
            with pytest.raises(InfrastructureError, match="gone"):
                PipelineSubject(opened, app=app, model=model)


async def prints(
    folder: Path,
    more: str = "",
    *,
    app: str = "plain",
    model: str | None = None,
    settings: dict[str, object] | None = None,
) -> str:
    """A subject's fingerprint under a configuration."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240  # a test waits for nobody
    async with house(folder, "http://127.0.0.1:9", more).running(as_guest=True) as opened:
        return PipelineSubject(opened, app=app, model=model, settings=settings).fingerprint


async def test_a_fingerprint_changes_with_what_may_change_an_answer_and_with_nothing_else(
    tmp_path: Path,
) -> None:
    same = [await prints(tmp_path / name) for name in ("a", "b")]
    others = [
        await prints(tmp_path / "c", 'on_block = "error"'),
        await prints(tmp_path / "d", '[steps.pii]\nmode = "observe"'),
        await prints(
            tmp_path / "e", '[providers.far]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:7/v1"'
        ),
        await prints(tmp_path / "f", settings={"temperature": 0}),
        await prints(tmp_path / "g", model="here/m2"),
        await prints(tmp_path / "h", app="strict"),
    ]

    assert same[0] == same[1] == others.pop(2)
    assert len({*same, *others}) == 6


async def test_a_function_answers_and_what_it_raises_is_a_failed_sample(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from greenroom.offline.evals.sample import Output\n"
        "def plain(sample): return sample.id\n"
        "async def rich(sample): return Output(text='x', cost_nano_usd=5, outcome='refused')\n"
        "def broken(sample): raise KeyError('gone')\n"
    )

    found: list[Output] = [
        await FunctionSubject(f"own.py:{name}", tmp_path).answer(ASK) for name in ("plain", "rich", "broken")
    ]

    assert [one.text for one in found] == ["1", "x", ""]
    assert [one.outcome for one in found] == ["answered", "refused", "failed"]
    assert [one.cost_nano_usd for one in found] == [0, 5, None]
    assert found[2].error == "KeyError: 'gone'"


def test_a_functions_fingerprint_changes_with_its_file(tmp_path: Path) -> None:
    def mark(text: str) -> str:
        (tmp_path / "own.py").write_text(text)
        return FunctionSubject("own.py:f", tmp_path).fingerprint

    texts: Iterable[str] = ("def f(sample): return 1", "def f(sample): return 2", "def f(sample): return 1")
    first, second, third = map(mark, texts)

    assert first == third != second
