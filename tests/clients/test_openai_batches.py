"""`/v1/batches`, `/v1/files` and `/v1/uploads` by the real `openai` client against a real server."""

import hashlib
import json
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch

from tests.assembly.bulk import CHAT, BulkModel, line, lines
from tests.clients.keyed import client_of
from tests.server_process import ADMIN, ServerProcess, greenroom

pytestmark = pytest.mark.slow  # starts processes

CPF = "529.982.247-25"
OPEN = {"validating", "in_progress", "finalizing", "cancelling"}


class Room:
    """A server with clients of two projects."""

    def __init__(self, server: ServerProcess, model: BulkModel) -> None:
        self.server = server
        self.model = model
        self.client = self.client_of(project="one")

    def client_of(self, **wanted: object) -> openai.OpenAI:
        return client_of(self.server, wanted)


def client_for(server: ServerProcess, key: str) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{server.url}/v1", api_key=key, max_retries=0, _strict_response_validation=True
    )


def begun(client: openai.OpenAI, data: bytes, **more: Any) -> Batch:
    file = client.files.create(file=("in.jsonl", data), purpose="batch")
    wanted: dict[str, Any] = {"endpoint": CHAT, **more}
    return client.batches.create(input_file_id=file.id, completion_window="24h", **wanted)


def ended(client: openai.OpenAI, id: str, within_s: float = 60) -> Batch:
    deadline = time.monotonic() + within_s
    while (found := client.batches.retrieve(id)).status in OPEN:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def read(client: openai.OpenAI, id: str | None) -> list[dict[str, Any]]:
    return [] if id is None else [json.loads(one) for one in client.files.content(id).text.splitlines()]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with (
        BulkModel() as model,
        ServerProcess(tmp_path_factory.mktemp("batches") / "data", model.config) as server,
    ):
        yield Room(server, model)


def test_a_portuguese_batch_is_masked_for_the_model_and_unmasked_for_who_asked(room: Room) -> None:
    client = room.client
    asked: list[dict[str, Any]] = [
        {
            "model": "main",
            "messages": [{"role": "user", "content": f"Meu CPF é {CPF}. Pedido {n}: onde está?"}],
        }
        for n in range(4)
    ]

    batch = begun(
        client, b"\n".join(line(n, **body) for n, body in enumerate(asked)), metadata={"equipe": "pós-venda"}
    )
    done = ended(client, batch.id)

    assert (done.status, done.metadata) == ("completed", {"equipe": "pós-venda"})
    assert done.usage is not None
    assert done.usage.total_tokens == 8000
    heard = [one for one in room.model.asked if "Pedido" in one]
    assert len(heard) == 4
    assert not any(CPF in one for one in heard)
    said = {
        one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"]
        for one in read(client, done.output_file_id)
    }
    assert said == {f"c{n}": f"Meu CPF é {CPF}. Pedido {n}: onde está?" for n in range(4)}
    stored = b"".join(path.read_bytes() for path in room.server.data.glob("traces.db*"))
    assert b"529.982.247" not in stored
    with sqlite3.connect(room.server.data / "batches.db") as db:
        assert db.execute("SELECT count(*) FROM results").fetchone() == (0,)


def test_files_of_a_batch_are_listed_expire_and_are_read_byte_for_byte(room: Room) -> None:
    client = room.client_of(project="files")
    data = lines(3) + b"\n"
    batch = begun(client, data, output_expires_after={"anchor": "created_at", "seconds": 3600})
    done = ended(client, batch.id)

    assert client.files.content(batch.input_file_id).read() == data
    (made,) = client.files.list(purpose="batch_output").data
    assert (made.id, made.filename) == (done.output_file_id, f"{batch.id}_output.jsonl")
    assert made.expires_at == made.created_at + 3600
    assert made.bytes == len(client.files.content(made.id).read())


def test_a_list_is_paged_and_another_project_finds_nothing(room: Room) -> None:
    client, stranger = room.client_of(project="pages"), room.client_of(project="else")
    ids = [begun(client, line(n)).id for n in range(5)]

    assert [one.id for one in client.batches.list(limit=2)] == ids[::-1]
    assert stranger.batches.list().data == []
    for ask in (stranger.batches.retrieve, stranger.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            ask(ids[0])
    file = client.batches.retrieve(ids[0]).input_file_id
    with pytest.raises(openai.NotFoundError):
        stranger.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h")
    for id in ids:
        ended(client, id)


def test_a_budget_in_the_body_is_kept(room: Room) -> None:
    client = room.client_of(project="poor")
    more: dict[str, Any] = {"extra_body": {"greenroom": {"budget_usd": 0.0101}}}

    done = ended(client, begun(client, lines(20), **more).id)

    assert done.errors is not None
    assert done.errors.data is not None
    assert [one.code for one in done.errors.data] == ["budget_exceeded"]
    assert done.request_counts is not None
    assert (done.request_counts.completed, done.request_counts.failed) == (6, 14)
    more = {"extra_body": {"greenroom": {"budget_usd": -1}}}
    with pytest.raises(openai.BadRequestError, match="budget_usd"):
        begun(client, lines(1), **more)


def test_a_large_file_comes_in_parts(room: Room, tmp_path: Path) -> None:
    client = room.client_of(project="parts")
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines(3_000))
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()

    made = client.uploads.upload_file_chunked(
        file=path, mime_type="application/jsonl", purpose="batch", part_size=50_000, md5=md5
    )

    assert made.status == "completed"
    assert made.file is not None
    assert client.files.content(made.file.id).read() == path.read_bytes()
    assert list((room.server.data / "uploads").iterdir()) == []
    with pytest.raises(openai.BadRequestError, match="MD5"):
        client.uploads.upload_file_chunked(
            file=path, mime_type="application/jsonl", purpose="batch", part_size=90_000, md5="0" * 32
        )


def test_an_upload_takes_what_it_was_made_for_and_no_more(room: Room) -> None:
    client, stranger = room.client_of(project="shares"), room.client_of(project="else")
    uploads = client.uploads
    made = uploads.create(filename="a", purpose="user_data", bytes=6, mime_type="text/plain")
    first = uploads.parts.create(made.id, data=b"one")

    with pytest.raises(openai.BadRequestError, match="more than the 6 bytes"):
        uploads.parts.create(made.id, data=b"four")
    with pytest.raises(openai.BadRequestError, match="3 bytes together"):
        uploads.complete(made.id, part_ids=[first.id])
    with pytest.raises(openai.BadRequestError, match="twice"):
        uploads.complete(made.id, part_ids=[first.id, first.id])
    with pytest.raises(openai.BadRequestError, match="no part"):
        uploads.complete(made.id, part_ids=["part_none"])
    for ask in (
        lambda: stranger.uploads.cancel(made.id),
        lambda: stranger.uploads.parts.create(made.id, data=b"x"),
        lambda: stranger.uploads.complete(made.id, part_ids=[first.id]),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()
    second = uploads.parts.create(made.id, data=b"two")
    done = uploads.complete(made.id, part_ids=[second.id, first.id])
    assert done.file is not None
    assert client.files.content(done.file.id).read() == b"twoone"
    with pytest.raises(openai.BadRequestError, match="completed"):
        uploads.cancel(made.id)
    gone = uploads.create(filename="a", purpose="user_data", bytes=1, mime_type="text/plain")
    assert uploads.cancel(gone.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        uploads.parts.create(gone.id, data=b"x")
    with pytest.raises(openai.APIStatusError, match="512 MB"):
        uploads.create(filename="a", purpose="user_data", bytes=1 << 40, mime_type="text/plain")


def test_the_command_line_begins_a_batch_that_the_server_does(room: Room, tmp_path: Path) -> None:
    path, data = tmp_path / "in.jsonl", room.server.data
    path.write_bytes(lines(5))

    made = greenroom(data, "batch", "create", str(path), "--json", "--budget-usd", "1")
    id = json.loads(made.stdout)["id"]
    deadline = time.monotonic() + 20
    while (shown := greenroom(data, "batch", "show", id)).returncode == 2:
        assert time.monotonic() < deadline
    results = greenroom(data, "batch", "results", id)

    assert "5 answered, 0 failed, of 5\n$0.01 of $1" in shown.stdout
    assert [json.loads(one)["custom_id"] for one in results.stdout.splitlines()] == [
        f"c{n}" for n in range(5)
    ]
    path.write_bytes(b"{\n")
    refused = greenroom(data, "batch", "create", str(path))
    assert (refused.returncode, refused.stderr) == (
        1,
        "Line 1: The line is not valid JSON: Input data was truncated.\n",
    )


def test_killed_again_and_again_no_line_is_lost_or_stands_twice(tmp_path: Path) -> None:
    count, kills = 160, 3
    chance = random.Random(7)
    with BulkModel(delay_s=0.03) as model:
        id = ""
        for number in range(kills + 1):
            with ServerProcess(tmp_path / "data", model.config) as server:
                client = client_for(server, ADMIN)
                id = id or begun(client, lines(count)).id
                if number == kills:
                    done = ended(client, id)
                    output = read(client, done.output_file_id)
                    break
                time.sleep(chance.uniform(0.05, 0.5))
                server.stop(signal.SIGKILL)

    assert (done.status, done.error_file_id) == ("completed", None)
    assert Counter(one["custom_id"] for one in output) == Counter(f"c{n}" for n in range(count))
    assert done.request_counts is not None
    assert done.request_counts.completed == count
    again = model.asked.total() - count
    assert again <= kills * 8  # what was on its way
    assert max(model.asked.values()) <= kills + 1


def test_of_two_workers_one_asks_and_both_tell(tmp_path: Path) -> None:
    with BulkModel(delay_s=0.01) as model:
        config = "[server]\nworkers = 2\n" + model.config
        with ServerProcess(tmp_path / "data", config) as server:
            client = client_for(server, ADMIN)
            batches = [begun(client, lines(60)) for _ in range(3)]
            told = [ended(client, one.id) for one in batches]
            outputs = [read(client, one.output_file_id) for one in told]

    assert [one.status for one in told] == ["completed"] * 3
    assert [len({line["custom_id"] for line in one}) for one in outputs] == [60] * 3
    assert set(model.asked.values()) == {3}
