"""Files and vector stores through the real `openai` client, unchanged, against a real server."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.clients.files_stage import Library
from tests.server_process import ADMIN, ServerProcess

pytestmark = pytest.mark.slow  # each starts processes of its own
HANDBOOKS = {
    "en": ("handbook.md", "# Leave\n\nEvery employee has thirty days of leave a year.\n\n# Travel\n\nTrains are paid.\n"),
    "pt": ("manual.md", "# Férias\n\nCada funcionário tem trinta dias de férias por ano.\n\n# Viagens\n\nO trem é pago.\n"),
    "es": ("manual-es.md", "# Vacaciones\n\nCada empleado tiene treinta días de vacaciones al año.\n\n# Viajes\n\nEl tren se paga.\n"),
}  # fmt: skip
QUESTIONS = {
    "en": ("How many days of leave do I have?", "thirty days of leave"),
    "pt": ("Quantos dias de férias eu tenho?", "trinta dias de férias"),
    "es": ("¿Cuántos días de vacaciones tengo?", "treinta días de vacaciones"),
}


@pytest.mark.parametrize("language", HANDBOOKS)
def test_a_document_is_uploaded_read_and_found(library: Library, language: str) -> None:
    client, (name, text) = library.client, HANDBOOKS[language]
    store = client.vector_stores.create(name=f"handbook-{language}", metadata={"team": "people"})
    attached = client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=(name, text.encode())
    )

    question, answer = QUESTIONS[language]
    found = client.vector_stores.search(store.id, query=question)

    assert attached.status == "completed"
    assert attached.usage_bytes == len(text.encode())
    assert answer in found.data[0].content[0].text
    assert found.data[0].file_id == attached.id
    assert found.data[0].filename == name
    assert 0 < found.data[0].score <= 1
    assert client.files.content(attached.id).read() == text.encode()
    assert client.files.retrieve(attached.id).filename == name
    content = client.vector_stores.files.content(attached.id, vector_store_id=store.id)
    assert next(one.text for one in content) is not None
    ready = client.vector_stores.retrieve(store.id)
    assert ready.status == "completed"
    assert ready.file_counts.completed == ready.file_counts.total == 1
    assert ready.metadata == {"team": "people"}


def test_answers_cite_the_file_that_can_be_fetched(library: Library) -> None:
    client = library.client
    id = library.upload("# Parking\n\nThe parking garage opens at seven in the morning.\n", "parking.md")
    store = client.vector_stores.create(name="parking", file_ids=[id])
    client.vector_stores.files.poll(id, vector_store_id=store.id)

    answer = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": "When does the parking garage open?"}]
    )

    message: Any = answer.choices[0].message
    cited = [one.model_dump()["file_citation"]["file_id"] for one in message.annotations]
    assert id in cited
    assert b"parking garage" in client.files.content(id).read()


def test_a_batch_is_read_and_says_what_failed(library: Library) -> None:
    client = library.client
    store = client.vector_stores.create(name="batch")
    good, bad = (
        library.upload("A good text about otters."),
        library.upload("\x7fELF\0\0\0\0 program", "x.bin"),
    )

    batch = client.vector_stores.file_batches.create_and_poll(
        vector_store_id=store.id, file_ids=[good, bad, good]
    )

    assert (batch.status, batch.object) == ("completed", "vector_store.files_batch")
    assert (batch.file_counts.completed, batch.file_counts.failed, batch.file_counts.total) == (1, 1, 2)
    failed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, filter="failed")
    (row,) = failed.data
    assert row.id == bad
    assert row.last_error is not None
    assert row.last_error.code == "unsupported_file"
    assert row.last_error.message.endswith(".")
    assert (
        client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id).status == "completed"
    )
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.file_batches.retrieve("vsfb_none", vector_store_id=store.id)


def test_a_batch_of_uploads_with_attributes_each(library: Library) -> None:
    client = library.client
    store = client.vector_stores.create(name="uploads")
    batch = client.vector_stores.file_batches.upload_and_poll(
        store.id, files=[("one.txt", b"Otters sleep on their backs."), ("two.txt", b"Beavers build dams.")]
    )

    assert batch.file_counts.completed == 2
    assert {one.status for one in client.vector_stores.files.list(store.id)} == {"completed"}


def test_a_cancelled_batch_reads_no_more(library: Library) -> None:
    client = library.client
    store = client.vector_stores.create(name="cancelled")
    ids = [library.upload(f"<html><body>Page number {n}.</body></html>", f"{n}.html") for n in range(6)]
    batch = client.vector_stores.file_batches.create(store.id, file_ids=ids)

    cancelled = client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
    ended = client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id)

    assert cancelled.file_counts.cancelled > 0
    assert ended.status == "cancelled"
    assert ended.file_counts.total == 6
    again = client.vector_stores.files.create_and_poll(ids[-1], vector_store_id=store.id)
    assert again.status == "completed"


def test_filters_choose_by_attributes(library: Library) -> None:
    client = library.client
    store = client.vector_stores.create(name="filters")
    for year, draft in ((2021, False), (2023, True), (2025, False)):
        id = library.upload(f"Report of the year {year}: the bridge was repaired.", f"{year}.txt")
        client.vector_stores.files.create_and_poll(
            id, vector_store_id=store.id, attributes={"year": year, "draft": draft, "kind": "report"}
        )

    def names(filters: Any) -> set[str]:
        found = client.vector_stores.search(store.id, query="was the bridge repaired?", filters=filters)
        return {one.filename for one in found}

    def one(type: str, key: str, value: object) -> dict[str, object]:
        return {"type": type, "key": key, "value": value}

    assert names(one("eq", "year", 2023)) == {"2023.txt"}
    assert names(one("ne", "year", 2023)) == {"2021.txt", "2025.txt"}
    assert names(one("gt", "year", 2021)) == {"2023.txt", "2025.txt"}
    assert names(one("gte", "year", 2021)) == {"2021.txt", "2023.txt", "2025.txt"}
    assert names(one("lt", "year", 2023)) == {"2021.txt"}
    assert names(one("lte", "year", 2023.0)) == {"2021.txt", "2023.txt"}
    assert names(one("in", "year", [2021, 2025])) == {"2021.txt", "2025.txt"}
    assert names(one("nin", "year", [2021, 2025])) == {"2023.txt"}
    assert names(one("eq", "draft", True)) == {"2023.txt"}
    assert names(one("eq", "draft", 1)) == set()
    assert names(one("eq", "nothing", "x")) == set()
    both = {"type": "and", "filters": [one("gt", "year", 2021), one("eq", "draft", False)]}
    assert names(both) == {"2025.txt"}
    assert names({"type": "or", "filters": [both, one("eq", "year", 2021)]}) == {"2021.txt", "2025.txt"}
    with pytest.raises(openai.BadRequestError) as refused:
        names({"type": "and", "filters": []})
    assert refused.value.param == "filters"


def test_attributes_are_changed_and_shown(library: Library) -> None:
    client = library.client
    store = client.vector_stores.create()
    id = library.upload("Otters eat clams.")
    client.vector_stores.files.create_and_poll(id, vector_store_id=store.id, attributes={"a": "1"})

    changed = client.vector_stores.files.update(
        id, vector_store_id=store.id, attributes={"b": 2.5, "c": True}
    )
    found = client.vector_stores.search(store.id, query=["what do otters eat?", "clams"], max_num_results=1)

    assert changed.attributes == {"b": 2.5, "c": True}
    assert found.data[0].attributes == {"b": 2.5, "c": True}
    with pytest.raises(openai.BadRequestError):
        client.vector_stores.files.update(
            id, vector_store_id=store.id, attributes={str(n): "x" for n in range(17)}
        )


def test_a_threshold_leaves_out_what_matches_less(library: Library) -> None:
    client = library.client
    store = client.vector_stores.create(name="threshold")
    id = library.upload("The lighthouse keeper counts ships.")
    client.vector_stores.files.create_and_poll(id, vector_store_id=store.id)

    def found(threshold: float) -> int:
        page = client.vector_stores.search(
            store.id, query="lighthouse elephants umbrella", rewrite_query=True,
            ranking_options={"ranker": "auto", "score_threshold": threshold},
        )  # fmt: skip
        return len(page.data)

    assert found(0.01) == 1
    assert found(1.0) == 0


def test_static_chunks_are_as_long_as_asked(library: Library) -> None:
    client = library.client
    text = " ".join(f"Sentence number {n} says something about rivers and lakes." for n in range(200))
    store = client.vector_stores.create(name="chunks")
    id = library.upload(text, "rivers.txt")
    attached = client.vector_stores.files.create_and_poll(
        id, vector_store_id=store.id,
        chunking_strategy={"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}},
    )  # fmt: skip
    pieces = [one.text or "" for one in client.vector_stores.files.content(id, vector_store_id=store.id)]

    assert attached.chunking_strategy is not None
    assert attached.chunking_strategy.type == "static"
    assert attached.chunking_strategy.static.max_chunk_size_tokens == 100
    assert max(map(len, pieces)) <= 400
    assert all(second[:40] in first for first, second in pairwise(pieces))
    with pytest.raises(openai.BadRequestError):
        client.vector_stores.files.create(
            store.id, file_id=id,
            chunking_strategy={"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51}},
        )  # fmt: skip


def test_lists_are_walked_page_by_page(library: Library) -> None:
    client = library.client
    store = client.vector_stores.create(name="pages")
    ids = [library.upload(f"Text {n}.", f"{n}.txt") for n in range(7)]
    client.vector_stores.file_batches.create_and_poll(store.id, file_ids=ids)

    def listed(**how: Any) -> list[str]:
        return [one.id for one in client.vector_stores.files.list(store.id, limit=3, **how)]

    assert listed(order="asc") == ids
    assert listed() == ids[::-1]
    assert listed(order="asc", after=ids[4]) == ids[5:]
    page = client.vector_stores.files.list(store.id, limit=2, order="asc", before=ids[5])
    assert [one.id for one in page.data] == ids[3:5]
    assert page.has_more
    assert [one.id for one in client.files.list(limit=3, order="asc")][-7:] == ids
    assert store.id in [one.id for one in client.vector_stores.list(limit=2)]
    assert client.files.list(purpose="batch").data == []
    for wrong in ({"limit": -1}, {"limit": 101}, {"order": "up"}, {"after": "file-none"}, {"filter": "lost"}):
        with pytest.raises(openai.BadRequestError):
            client.vector_stores.files.list(store.id, **wrong)


def test_attaching_again_changes_nothing(library: Library) -> None:
    client = library.client
    store = client.vector_stores.create()
    id = library.upload("Moles dig tunnels.")
    client.vector_stores.files.create_and_poll(id, vector_store_id=store.id)

    again = client.vector_stores.files.create(store.id, file_id=id)

    assert again.status == "completed"
    assert client.vector_stores.retrieve(store.id).file_counts.total == 1
    assert len(client.vector_stores.search(store.id, query="moles tunnels").data) == 1


def test_a_file_in_two_stores_leaves_one_and_then_both(library: Library) -> None:
    client = library.client
    id = library.upload("Herons stand still in shallow water.")
    one, two = client.vector_stores.create(file_ids=[id]), client.vector_stores.create(file_ids=[id])
    for store in (one, two):
        client.vector_stores.files.poll(id, vector_store_id=store.id)

    def found(store: str) -> int:
        return len(client.vector_stores.search(store, query="herons in water").data)

    gone = client.vector_stores.files.delete(id, vector_store_id=one.id)
    assert (gone.id, gone.deleted, gone.object) == (id, True, "vector_store.file.deleted")
    assert (found(one.id), found(two.id)) == (0, 1)
    assert client.files.retrieve(id).id == id

    assert client.files.delete(id).deleted
    assert found(two.id) == 0
    assert client.vector_stores.retrieve(two.id).file_counts.total == 0
    with pytest.raises(openai.NotFoundError):
        client.files.content(id)
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.files.create(two.id, file_id=id)


def test_a_deleted_store_leaves_its_files(library: Library) -> None:
    client = library.client
    id = library.upload("Owls turn their heads.")
    store = client.vector_stores.create(file_ids=[id])

    gone = client.vector_stores.delete(store.id)

    assert (gone.id, gone.deleted, gone.object) == (store.id, True, "vector_store.deleted")
    assert client.files.retrieve(id).id == id
    for missing in (
        lambda: client.vector_stores.retrieve(store.id),
        lambda: client.vector_stores.delete(store.id),
        lambda: client.vector_stores.search(store.id, query="owls"),
        lambda: client.vector_stores.files.list(store.id),
    ):
        with pytest.raises(openai.NotFoundError) as error:
            missing()
        assert error.value.code == "not_found"
        assert error.value.request_id


def test_a_store_is_renamed_and_set_to_expire(library: Library) -> None:
    client = library.client
    store = client.vector_stores.create(name="old", expires_after={"anchor": "last_active_at", "days": 3})
    assert store.expires_at is not None
    assert store.expires_at - (store.last_active_at or 0) == 3 * 86400

    renamed = client.vector_stores.update(store.id, name="new", metadata={"k": "v"})
    kept = client.vector_stores.update(store.id, expires_after=None)

    assert (renamed.name, renamed.expires_at) == ("new", store.expires_at)
    assert (kept.name, kept.expires_at, kept.metadata) == ("new", None, {"k": "v"})
    with pytest.raises(openai.BadRequestError):
        client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 366})


def test_a_store_with_a_missing_file_is_not_made(library: Library) -> None:
    before = len(list(library.client.vector_stores.list()))

    with pytest.raises(openai.NotFoundError) as error:
        library.client.vector_stores.create(file_ids=["file-none"])

    assert error.value.param == "file_id"
    assert len(list(library.client.vector_stores.list())) == before


def test_the_description_names_every_route(library: Library) -> None:
    document = openai.OpenAI(base_url=library.server.url, api_key=ADMIN).get(
        "/openapi.json", cast_to=dict[str, Any]
    )

    told = {path for path in document["paths"] if path.startswith(("/v1/files", "/v1/vector_stores"))}

    assert len(told) == 13
    form = document["paths"]["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert form["schema"]["required"] == ["purpose", "file"]


def test_a_restart_goes_on_with_what_waits(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=ADMIN)
        ids = [
            client.files.create(
                file=(f"{n}.html", f"<p>Seals number {n} bark.</p>".encode()), purpose="assistants"
            ).id
            for n in range(12)
        ]
        store = client.vector_stores.create(name="seals", file_ids=ids)
        server.process.kill()
        server.process.wait()
    with ServerProcess(tmp_path / "data") as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=ADMIN)
        states = [client.vector_stores.files.poll(id, vector_store_id=store.id) for id in ids]

        assert {one.status for one in states if one is not None} == {"completed"}
        assert len(client.vector_stores.search(store.id, query="seals bark", max_num_results=50).data) > 0
        assert client.vector_stores.retrieve(store.id).file_counts.completed == 12
