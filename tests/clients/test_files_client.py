"""Files through the real `openai` client: what is kept, under which name, for whom, and how much of it."""

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.clients.files_stage import Library
from tests.server_process import ADMIN

pytestmark = pytest.mark.slow  # each starts processes of its own


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
