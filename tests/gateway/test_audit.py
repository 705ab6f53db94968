"""From verdicts to lines of the audit log: never the value, always the right keyed hash of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.exchange import Exchange, Passage, StepRecord, Verdict
from greenroom.gateway.audit import lines_of
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.pipeline import StepEntry, finish_whole, prepare
from greenroom.gateway.recorder import Recorder
from greenroom.stages.check.pii import Pii, PiiConfig, PiiDetector
from greenroom.stages.check.policy import Policies, PolicyConfig
from greenroom.stages.check.secrets import SecretDetector
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.store.audit import AuditFilter, keyed_hash
from greenroom.store.traces import TraceStore
from greenroom.testing import EchoUpstream, make_app, make_exchange
from greenroom.wire import openai_request
from greenroom.wire.openai import encode
from tests.store.exchanges import CPF, make_masked

KEY = b"k" * 32
MAIL = "maria@exemplo.com.br"


def hashed(value: str) -> str:
    return keyed_hash(KEY, "default", value)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    yield opened
    opened.close()


async def checked(exchange: Exchange, action: Any = "mask", **policies: dict[str, Any]) -> Exchange:
    made = Policies({name: PolicyConfig(**table) for name, table in policies.items()})
    app = make_app(EchoUpstream(), [StepEntry(Pii(PiiConfig(action=action), None, made), True)])
    await prepare(exchange, app)
    return exchange


def test_no_verdict_no_line() -> None:
    assert lines_of(make_exchange("hello"), KEY) == ()


@pytest.mark.parametrize("action", ["mask", "redact", "block", "warn", "log"])
@pytest.mark.parametrize(
    "text", ["My CPF is {}.", "Meu CPF é {}, ção.", "Mi CPF es {}, ¿sí?"], ids=["en", "pt", "es"]
)
async def test_whatever_is_done_the_line_knows_the_value_by_its_hash(action: str, text: str) -> None:
    (found,) = lines_of(await checked(make_exchange(text.format("390.533.447-05")), action), KEY)

    assert found.value == hashed("390.533.447-05")
    assert (found.rule, found.action, found.place, found.step) == ("br.cpf", action, "input", "pii")


async def test_the_policy_and_the_shadow_are_named() -> None:
    exchange = await checked(
        make_exchange(f"mail {MAIL}"), trial={"action": "block", "shadow": True}, real={"action": "redact"}
    )

    (found,) = lines_of(exchange, KEY)

    assert (found.action, found.policy, found.shadow, found.would) == ("redact", "real", "trial", "block")


async def test_of_a_message_in_parts_the_right_one_is_hashed() -> None:
    parts = [
        {"type": "text", "text": "hello there, how are you today?"},
        {"type": "text", "text": f"mail {MAIL}"},
    ]
    exchange = make_exchange()
    exchange.request = openai_request.parse_chat(
        encode({"model": "m", "messages": [{"role": "user", "content": parts}]})
    )

    (found,) = lines_of(await checked(exchange, "warn"), KEY)

    assert found.value == hashed(MAIL)


@pytest.mark.parametrize("action", ["redact", "warn"])
async def test_a_finding_in_the_answer_knows_its_value(action: Any) -> None:
    exchange = make_exchange("who?")
    detectors = (PiiDetector(("email",)), SecretDetector())
    guard = Guard(GuardConfig(personal_data=action), detectors)
    upstream = EchoUpstream([f"Write to {MAIL}."])
    app = make_app(upstream, post=[PostEntry(guard, True)])
    finish_whole(exchange, app, await upstream(exchange))

    (found,) = lines_of(exchange, KEY)

    assert (found.place, found.action, found.value) == ("output", action, hashed(MAIL))


def test_where_it_is_not_sure_what_was_found_there_is_no_hash() -> None:
    exchange = make_exchange("hello")
    exchange.passages.append(Passage(id="1", document="d", title="t", text="a bad word", score=1.0))
    record = StepRecord("check", "offense")
    exchange.steps.append(record)
    for where, category, start in (
        ("passage", "insult", 2),
        ("input", "personal_data", 0),
        ("output", "insult", 0),
        ("input", "insult", 90),
    ):
        record.verdicts.append(
            Verdict(step="offense", rule="r", category=category, severity=1, score=1.0, start=start, end=start + 3,
                    where=where, action="warn", index=0)  # type: ignore[arg-type]  # these are places
        )  # fmt: skip

    assert [one.value for one in lines_of(exchange, KEY)] == [hashed("bad"), "", "", ""]


def test_the_recorder_writes_lines_with_the_traces_and_no_value_reaches_the_file(
    store: TraceStore, tmp_path: Path
) -> None:
    recorder = Recorder(store, audit_key=KEY)
    recorder.start()
    recorder.put(make_masked("a"))
    recorder.stop()

    (row,) = store.audit.list(AuditFilter())

    assert row["exchange"] == "a"
    assert row["value"] == hashed(CPF)
    assert store.audit.verify().broken is None
    assert CPF.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("traces.db*"))


@pytest.mark.parametrize("capture", ["off", "redacted", "full"])
def test_lines_are_written_whatever_of_the_texts_is_kept(store: TraceStore, capture: Any) -> None:
    recorder = Recorder(store, capture=capture, audit_key=KEY)
    recorder.start()
    recorder.put(make_masked("a"))
    recorder.stop()

    assert len(store.audit.list(AuditFilter())) == 1


def test_a_full_queue_loses_texts_but_no_line(store: TraceStore) -> None:
    recorder = Recorder(store, queue_limit=1, audit_key=KEY)
    for number in range(4):
        recorder.put(make_masked(str(number)))
    recorder.start()
    recorder.stop()

    assert recorder.counts().lost_bodies == 3
    assert len(store.audit.list(AuditFilter())) == 4
