"""Files and vector stores through the real `openai` client, unchanged, against a real server."""

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest

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


class Library:
    """A server with clients of two projects and of a key that is limited to an app."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.admin = openai.OpenAI(base_url=f"{server.url}/api", api_key=ADMIN)
        self.client = self.client_of(project="one")
        self.other = self.client_of(project="two")
        self.limited = self.client_of(project="one", apps=["default"])

    def client_of(self, **wanted: object) -> openai.OpenAI:
        made = self.admin.post("/keys", body={"name": "k", **wanted}, cast_to=dict[str, Any])
        client = openai.OpenAI(base_url=f"{self.server.url}/v1", api_key=made["key"], max_retries=0)
        deadline = time.monotonic() + 5
        while True:
            try:
                client.models.list()
                return client
            except openai.AuthenticationError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def upload(self, text: str, name: str = "a.md") -> str:
        return self.client.files.create(file=(name, text.encode()), purpose="assistants").id


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    config = "[store]\nfiles_mb = 8\n[server]\nfile_limit_mb = 4\n"
    with ServerProcess(tmp_path_factory.mktemp("library") / "data", config) as server:
        yield Library(server)


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


def test_no_project_sees_another_ones(library: Library) -> None:
    client, other = library.client, library.other
    id = library.upload("The vault code is written nowhere.")
    store = client.vector_stores.create(name="private", file_ids=[id])
    client.vector_stores.files.poll(id, vector_store_id=store.id)
    theirs = other.vector_stores.create(name="private")

    assert other.files.list().data == []
    assert [one.id for one in other.vector_stores.list()] == [theirs.id]
    for foreign in (
        lambda: other.files.retrieve(id),
        lambda: other.files.content(id),
        lambda: other.files.delete(id),
        lambda: other.vector_stores.retrieve(store.id),
        lambda: other.vector_stores.update(store.id, name="mine"),
        lambda: other.vector_stores.delete(store.id),
        lambda: other.vector_stores.search(store.id, query="vault"),
        lambda: other.vector_stores.files.list(store.id),
        lambda: other.vector_stores.files.retrieve(id, vector_store_id=store.id),
        lambda: other.vector_stores.files.content(id, vector_store_id=store.id),
        lambda: other.vector_stores.files.create(theirs.id, file_id=id),
        lambda: other.vector_stores.file_batches.create(theirs.id, file_ids=[id]),
    ):
        with pytest.raises(openai.NotFoundError):
            foreign()
    assert client.files.retrieve(id).id == id


def test_every_route_with_an_id_hides_it_from_other_projects(library: Library) -> None:
    client = library.client
    id = library.upload("The lighthouse is grey.")
    store = client.vector_stores.create(name="hidden", file_ids=[id])
    batch = client.vector_stores.file_batches.create_and_poll(store.id, file_ids=[id])
    document = openai.OpenAI(base_url=library.server.url, api_key=ADMIN).get(
        "/openapi.json", cast_to=dict[str, Any]
    )
    bodies = {"search": {"query": "x"}, "files": {"file_id": id}, "file_batches": {"file_ids": [id]}}
    tried = 0
    for path, operations in document["paths"].items():
        if not path.startswith(("/v1/files/", "/v1/vector_stores/")):
            continue
        place = path.format(file_id=id, vector_store_id=store.id, batch_id=batch.id).removeprefix("/v1")
        for method in operations:
            body = bodies.get(place.rpartition("/")[2], {"attributes": {}}) if method == "post" else None
            with pytest.raises(openai.NotFoundError):
                _ask(library.other, method, place, body)
            tried += 1
    assert tried == 17
    assert client.vector_stores.retrieve(store.id).file_counts.completed == 1


def _ask(client: openai.OpenAI, method: str, path: str, body: object) -> object:
    if method == "post":
        return client.post(path, body=body, cast_to=object)
    return (client.get if method == "get" else client.delete)(path, cast_to=object)


def test_changes_stand_in_the_audit_log(library: Library) -> None:
    client = library.client
    id = library.upload("A text.")
    store = client.vector_stores.create(file_ids=[id])
    client.vector_stores.delete(store.id)
    client.files.delete(id)

    page = library.admin.get("/audit?kind=change&limit=20", cast_to=dict[str, Any])
    told = [
        (one["what"], one["after"]["id"]) for one in page["data"] if one["after"].get("id") in {id, store.id}
    ]

    assert told == [
        ("file.delete", id), ("vector_store.delete", store.id), ("vector_store.create", store.id), ("file.create", id),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "header", "code"),
    [
        ({"requests_per_minute": 1}, "retry-after", "rate_limit_exceeded"),
        ({"budget_usd": 0}, "x-should-retry", "insufficient_quota"),
    ],
    ids=["requests", "budget"],
)
def test_the_limits_of_a_key_hold_for_uploads_too(
    library: Library, limit: dict[str, object], header: str, code: str
) -> None:
    client = library.client_of(project="limits", **limit)

    if "requests_per_minute" in limit:
        client.files.create(file=("a.txt", b"text"), purpose="user_data")

    with pytest.raises(openai.RateLimitError) as error:
        client.files.create(file=("a.txt", b"text"), purpose="user_data")

    assert error.value.code == code
    assert header in error.value.response.headers
    assert client.files.list() is not None


def test_a_key_limited_to_apps_has_no_files(library: Library) -> None:
    for denied in (
        library.limited.files.list,
        lambda: library.limited.files.create(file=("a.txt", b"x"), purpose="assistants"),
        library.limited.vector_stores.list,
        lambda: library.limited.vector_stores.create(name="x"),
    ):
        with pytest.raises(openai.PermissionDeniedError) as error:
            denied()
        assert error.value.code == "not_allowed"


@pytest.mark.parametrize("purpose", ["assistants", "batch", "evals", "fine-tune", "user_data", "vision"])
def test_each_purpose_is_kept(library: Library, purpose: Any) -> None:
    made = library.other.files.create(
        file=io.BytesIO(b"{}\n"), purpose=purpose, expires_after={"anchor": "created_at", "seconds": 3600}
    )

    assert made.purpose == purpose
    assert made.expires_at == made.created_at + 3600
    assert made.status == "processed"
    library.other.files.delete(made.id)


@pytest.mark.parametrize(
    ("file", "fields", "status", "param"),
    [
        (("a.txt", b"text"), {"purpose": "everything"}, 400, "purpose"),
        (("a.txt", b""), {"purpose": "user_data"}, 400, "file"),
        (("a.txt", b"x" * (4 * 1024 * 1024 + 1)), {"purpose": "user_data"}, 413, "file"),
        (("a.txt", b"x" * (6 * 1024 * 1024)), {"purpose": "user_data"}, 413, None),
        (("a.txt", b"x"), {"purpose": "user_data", "expires_after": {"anchor": "created_at", "seconds": 1}}, 400, "expires_after[seconds]"),
    ],
    ids=["purpose", "empty", "larger than a file", "larger than a body", "expires too soon"],
)  # fmt: skip
def test_what_can_not_be_kept_is_refused(
    library: Library, file: Any, fields: dict[str, Any], status: int, param: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as error:
        library.client.files.create(file=file, **fields)

    assert error.value.status_code == status
    assert error.value.param == param
    assert list((library.server.data / "files").glob(".*")) == []


def test_a_project_has_its_share_of_the_disk(library: Library) -> None:
    client = library.client_of(project="full")
    kept = [client.files.create(file=("a.bin", b"x" * 3_000_000), purpose="user_data").id for _ in range(2)]

    with pytest.raises(openai.APIStatusError) as error:
        client.files.create(file=("a.bin", b"x" * 3_000_000), purpose="user_data")

    assert (error.value.status_code, error.value.code) == (413, "storage_quota_exceeded")
    client.files.delete(kept[0])
    assert client.files.create(file=("a.bin", b"x" * 3_000_000), purpose="user_data").bytes == 3_000_000


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\\b\\c.txt", "c.txt"),
        ("ação.md", "ação.md"),
        ("x" * 4000, "x" * 200),
    ],
)
def test_names_are_names_and_never_paths(library: Library, name: str, kept: str) -> None:
    made = library.client.files.create(file=(name, b"text"), purpose="user_data")

    assert made.filename == kept
    answer = library.client.files.with_raw_response.content(made.id)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_many_upload_at_once(library: Library) -> None:
    client = library.client_of(project="many")
    texts = [f"Document {n} " * 5_000 for n in range(24)]

    def upload(text: str) -> str:
        return client.files.create(file=("a.txt", text.encode()), purpose="user_data").id

    with ThreadPoolExecutor(12) as threads:
        ids = list(threads.map(upload, texts))
    store = client.vector_stores.create(name="many")
    batch = client.vector_stores.file_batches.create_and_poll(store.id, file_ids=ids)

    assert batch.file_counts.completed == 24
    assert [client.files.content(id).read().decode() for id in ids[:3]] == texts[:3]


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
