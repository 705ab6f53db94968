"""`/v1/evals` by the real `openai` client, in its strict mode, against a real server."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.clients.keyed import client_of
from tests.clients.labelling_model import LabellingModel
from tests.server_process import ADMIN, ServerProcess

pytestmark = pytest.mark.slow  # starts processes

# The client checks what it is given and what it gets: Any keeps its many types out of this file.
SAME: Any = {
    "type": "string_check", "name": "same", "input": "{{sample.output_text}}", "reference": "{{item.a}}",
    "operation": "eq",
}  # fmt: skip
LABEL: Any = {
    "type": "label_model", "name": "label", "model": "main", "labels": ["good", "bad"], "passing_labels": ["good"],
    "input": [{"role": "user", "content": "Is it fine: {{sample.output_text}}"}],
}  # fmt: skip
CUSTOM: Any = {"type": "custom", "item_schema": {"type": "object", "required": ["a"]}}
ASK: Any = {"type": "template", "template": [{"role": "user", "content": "{{item.a}}"}]}


class Room:
    """A server with clients of two projects, and of keys that are limited."""

    def __init__(self, server: ServerProcess, model: LabellingModel) -> None:
        self.server = server
        self.model = model
        self._admin = openai.OpenAI(base_url=f"{server.url}/api", api_key=ADMIN)
        self.client = self.client_of(project="one")

    def client_of(self, **wanted: object) -> openai.OpenAI:
        return client_of(self.server, wanted)


def rows(*texts: str, **sample: object) -> Any:
    more = {"sample": sample} if sample else {}
    return {"type": "file_content", "content": [{"item": {"a": text}, **more} for text in texts]}


def loose(client: openai.OpenAI) -> openai.OpenAI:
    """The same without its strict mode, whose types have no file for evals, and no score that is none."""
    return openai.OpenAI(base_url=client.base_url, api_key=client.api_key, max_retries=0)


def ended(client: openai.OpenAI, eval: str, run: str) -> Any:
    deadline = time.monotonic() + 30
    while True:
        found = client.evals.runs.retrieve(run, eval_id=eval)
        if found.status not in {"queued", "in_progress"}:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with (
        LabellingModel() as model,
        ServerProcess(tmp_path_factory.mktemp("evals") / "data", model.config) as server,
    ):
        yield Room(server, model)


def test_a_model_is_asked_for_each_row_and_its_answers_are_graded(room: Room) -> None:
    client = room.client
    made = client.evals.create(
        name="echo", data_source_config=CUSTOM, testing_criteria=[SAME, LABEL], metadata={"team": "qa"}
    )
    source: Any = {
        "type": "completions", "model": "main", "source": rows("olá", "bad day"), "input_messages": ASK,
        "sampling_params": {"temperature": 0.5, "seed": 7},
    }  # fmt: skip

    run = client.evals.runs.create(made.id, name="first", data_source=source)
    done = ended(client, made.id, run.id)

    assert (done.status, done.model, done.name) == ("completed", "main", "first")
    counts = done.result_counts
    assert (counts.total, counts.passed, counts.failed, counts.errored) == (2, 1, 1, 0)
    assert [(one.testing_criteria, one.passed, one.failed) for one in done.per_testing_criteria_results] == [
        ("same", 2, 0), ("label", 1, 1),
    ]  # fmt: skip
    (usage,) = done.per_model_usage
    assert (usage.run_model_name, usage.invocation_count, usage.total_tokens) == ("up/m", 4, 8000)
    (failed,) = client.evals.runs.output_items.list(run.id, eval_id=made.id, status="fail").data
    assert failed.datasource_item == {"a": "bad day"}
    assert [(one.name, one.passed, one.score) for one in failed.results] == [
        ("same", True, 1),
        ("label", False, 0),
    ]
    assert (failed.sample.input[0].content, failed.sample.output[0].content) == ("bad day", "bad day")
    assert (failed.sample.temperature, failed.sample.seed) == (0.5, 7)
    again = client.evals.runs.output_items.retrieve(failed.id, eval_id=made.id, run_id=run.id)
    assert again.model_dump() == failed.model_dump()


def test_a_file_of_rows_with_their_samples_is_graded_without_a_model(room: Room) -> None:
    client = room.client
    lines = [{"item": {"a": str(n)}, "sample": {"output_text": str(n % 3)}} for n in range(7)]
    file = loose(client).files.create(
        file=("rows.jsonl", "\n".join(map(json.dumps, lines)).encode()), purpose="evals"
    )
    made = client.evals.create(data_source_config=CUSTOM, testing_criteria=[SAME])

    run = client.evals.runs.create(
        made.id, data_source={"type": "jsonl", "source": {"type": "file_id", "id": file.id}}
    )
    done = ended(client, made.id, run.id)

    assert (done.result_counts.passed, done.result_counts.failed) == (3, 4)
    listed = [
        one.datasource_item_id
        for one in islice(
            client.evals.runs.output_items.list(run.id, eval_id=made.id, limit=2, order="desc"), 9
        )
    ]
    assert listed == [6, 5, 4, 3, 2, 1, 0]
    assert not done.per_model_usage


def test_what_answers_said_before_is_graded_from_the_records(room: Room) -> None:
    client = room.client_of(project="logs")
    for text in ("uno", "dos"):
        client.chat.completions.create(
            model="main", messages=[{"role": "user", "content": text}], metadata={"flow": text}
        )
    client.responses.create(model="main", input="tres", store=False)
    said_uno: Any = {**SAME, "reference": "uno"}
    made = client.evals.create(
        data_source_config={"type": "logs", "metadata": {"flow": "uno"}}, testing_criteria=[said_uno]
    )
    responses: Any = {"type": "responses", "source": {"type": "responses", "model": "main"}}
    asked: Any = {**SAME, "input": "{{item.input[0].content}}", "reference": "tres"}
    whole = client.evals.create(data_source_config={"type": "logs"}, testing_criteria=[asked])

    deadline = time.monotonic() + 20
    while True:  # records are written a moment after the answer
        try:
            stored: Any = {"type": "completions", "source": {"type": "stored_completions"}}
            run = client.evals.runs.create(made.id, data_source=stored)
            other = client.evals.runs.create(whole.id, data_source=responses)
            break
        except openai.BadRequestError:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    assert ended(client, made.id, run.id).result_counts.passed == 1
    assert ended(client, whole.id, other.id).result_counts.total == 1
    stranger = room.client_of(project="logs")
    mine = stranger.evals.create(data_source_config={"type": "logs"}, testing_criteria=[SAME])
    with pytest.raises(openai.BadRequestError, match="no record fits"):
        stranger.evals.runs.create(mine.id, data_source=stored)


def test_evals_are_renamed_listed_and_deleted_with_their_runs(room: Room) -> None:
    client = room.client_of(project="lists")
    ids = [client.evals.create(name=n, data_source_config=CUSTOM, testing_criteria=[SAME]).id for n in "abc"]
    run = client.evals.runs.create(
        ids[0], data_source={"type": "jsonl", "source": rows("x", output_text="x")}
    )

    changed = client.evals.update(ids[0], name="z", metadata={"k": "v"})

    assert (changed.name, changed.metadata) == ("z", {"k": "v"})
    assert [one.id for one in client.evals.list(limit=2)] == ids
    assert [one.id for one in client.evals.list(order="desc", order_by="updated_at")] == [
        ids[0],
        ids[2],
        ids[1],
    ]
    assert client.evals.delete(ids[0]).deleted
    with pytest.raises(openai.NotFoundError):
        client.evals.runs.retrieve(run.id, eval_id=ids[0])
    assert [one.id for one in client.evals.list()] == ids[1:]


def test_another_project_and_a_key_of_other_apps_find_nothing(room: Room) -> None:
    made = room.client.evals.create(data_source_config=CUSTOM, testing_criteria=[SAME])
    run = room.client.evals.runs.create(
        made.id, data_source={"type": "jsonl", "source": rows("x", output_text="x")}
    )
    limited = room.client_of(project="one", apps=["default"])

    for client in (room.client_of(project="two"), limited):
        evals = client.evals
        assert evals.list().data == []
        asks: list[Callable[[], object]] = [
            partial(evals.retrieve, made.id),
            partial(evals.delete, made.id),
            partial(evals.runs.list, made.id),
            partial(evals.runs.cancel, run.id, eval_id=made.id),
            partial(evals.runs.output_items.list, run.id, eval_id=made.id),
        ]
        for ask in asks:
            with pytest.raises(openai.NotFoundError):
                ask()
    own = limited.evals.create(data_source_config=CUSTOM, testing_criteria=[SAME])
    with pytest.raises(openai.PermissionDeniedError):
        limited.evals.runs.create(
            own.id,
            data_source={"type": "completions", "model": "main", "source": rows("x"), "input_messages": ASK},
        )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"type": "jsonl", "source": {"type": "file_id", "id": "file-none"}}, "no file"),
        ({"type": "jsonl", "source": {"type": "file_content", "content": []}}, "content"),
        ({"type": "jsonl", "source": {"type": "file_content", "content": [{"item": {"b": 1}}]}}, "Row 1"),
        ({"type": "completions", "source": rows("x"), "input_messages": ASK}, "data_source.model"),
        ({"type": "completions", "source": rows("x"), "model": "main"}, "input_messages"),
        ({"type": "completions", "source": rows("x"), "model": "none", "input_messages": ASK}, "none"),
        ({"type": "responses", "source": {"type": "responses", "temperature": 1}}, "source.temperature"),
        ({"type": "weather"}, "weather"),
    ],
)
def test_a_source_that_can_not_be_used_is_refused_with_the_reason(
    room: Room, source: Any, words: str
) -> None:
    made = room.client.evals.create(data_source_config=CUSTOM, testing_criteria=[SAME])

    with pytest.raises((openai.BadRequestError, openai.NotFoundError), match=words):
        room.client.evals.runs.create(made.id, data_source=source)


def test_python_is_refused(room: Room) -> None:
    with pytest.raises(openai.BadRequestError, match="runs no code") as caught:
        room.client.evals.create(
            data_source_config=CUSTOM,
            testing_criteria=[{"type": "python", "name": "p", "source": "def grade(sample, item): return 1"}],
        )

    assert caught.value.param == "testing_criteria[0]"


def test_a_budget_ends_the_run_with_its_reason(room: Room) -> None:
    client = room.client_of(project="poor", budget_usd=0.01)
    made = client.evals.create(data_source_config=CUSTOM, testing_criteria=[SAME])
    params: Any = {"max_completion_tokens": 1000}

    run = client.evals.runs.create(
        made.id,
        data_source={
            "type": "completions", "model": "main", "source": rows(*map(str, range(40))), "input_messages": ASK,
            "sampling_params": params,
        },
    )  # fmt: skip
    done = ended(client, made.id, run.id)

    assert (done.status, done.error.code) == ("failed", "insufficient_quota")
    assert "budget" in done.error.message
    on_their_way = 4  # what they cost is known only afterwards
    assert 1 <= done.result_counts.passed <= 5 + on_their_way
    assert done.result_counts.errored <= on_their_way


def test_a_row_that_goes_wrong_is_an_error_and_the_others_are_graded(room: Room) -> None:
    client = room.client
    anything: Any = {"type": "custom", "item_schema": {}}
    made = client.evals.create(data_source_config=anything, testing_criteria=[SAME])
    source: Any = {"type": "file_content", "content": [{"item": {"a": "x"}}, {"item": {"b": "y"}}]}

    run = client.evals.runs.create(
        made.id,
        data_source={"type": "completions", "model": "main", "source": source, "input_messages": ASK},
    )
    counts = ended(client, made.id, run.id).result_counts

    assert (counts.passed, counts.failed, counts.errored) == (1, 0, 1)
    items = loose(client).evals.runs.output_items.list(run.id, eval_id=made.id).data
    assert items[1].status == "error"
    assert items[1].results[0].score is None
    assert items[1].sample.error.message == "This row has no 'item.a'."


def test_a_cancelled_run_stops_asking(tmp_path: Path) -> None:
    with LabellingModel(delay_s=0.1) as model, ServerProcess(tmp_path / "data", model.config) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.local_key, max_retries=0)
        made = client.evals.create(data_source_config=CUSTOM, testing_criteria=[SAME])
        source: Any = {
            "type": "completions", "model": "main", "source": rows(*map(str, range(200))), "input_messages": ASK,
        }  # fmt: skip
        run = client.evals.runs.create(made.id, data_source=source)
        while not model.answers:
            time.sleep(0.02)

        stopped = client.evals.runs.cancel(run.id, eval_id=made.id)
        asked = model.answers.total()
        time.sleep(0.4)

        assert stopped.status == "canceled"
        assert model.answers.total() == asked < 50
        assert client.evals.runs.cancel(run.id, eval_id=made.id).status == "canceled"
        assert client.evals.runs.delete(run.id, eval_id=made.id).deleted
        assert client.evals.runs.list(made.id).data == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped in order"])
def test_a_run_goes_on_after_a_restart_and_asks_nothing_twice(tmp_path: Path, number: int) -> None:
    texts = [f"row {n}" for n in range(48)]
    source: Any = {"type": "completions", "model": "main", "source": rows(*texts), "input_messages": ASK}
    with LabellingModel(delay_s=0.06) as model:
        with ServerProcess(tmp_path / "data", model.config) as server:
            client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.local_key, max_retries=0)
            made = client.evals.create(data_source_config=CUSTOM, testing_criteria=[SAME, LABEL])
            run = client.evals.runs.create(made.id, data_source=source)
            while model.labels.total() < 6:
                time.sleep(0.01)
            server.stop(number)
        before = model.answers.total()
        with ServerProcess(tmp_path / "data", model.config) as server:
            client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.local_key, max_retries=0)
            done = ended(client, made.id, run.id)

    assert before < 48
    assert (done.status, done.result_counts.total, done.result_counts.passed) == ("completed", 48, 48)
    on_their_way = 4
    assert 48 <= model.answers.total() <= 48 + on_their_way
    assert 48 <= model.labels.total() <= 48 + on_their_way
    assert max(*model.answers.values(), *model.labels.values()) <= 2
