"""The pages of data sets over a real store: rows in, rows out, versions, parts, and whose they are."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.assembly.data_sets import FILE, DataSetDesk
from greenroom.assembly.house import House
from greenroom.assembly.keeping import keep_exchange
from greenroom.errors import NotFound
from greenroom.offline.evals.data import MOST_UPLOADED_ROWS
from greenroom.offline.evals.kept import extend_data, kept_data
from greenroom.offline.evals.sample import Sample
from greenroom.server.pages.data_sets import MOST_FILE_BYTES, DataSetPages
from tests.server.pages.backend import OPERATOR_KEY, VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Seen, Visitor
from tests.store.exchanges import entry_of, make_exchange

ROWS = b'{"id": "a", "question": "Is <b>pier</b> 7 open?", "expected": "Yes.", "topic": "piers"}\n{"id": "b", "input": "And 8?"}\n'


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House.open(None, tmp_path / "data", {})
    yield found
    found.stop()


@pytest.fixture
def visitor(house: House) -> Iterator[Visitor]:
    pages = DataSetPages(DataSetDesk(house), house.documents.files, 1_000_000)
    with Visitor(FakeBackend(), Clock(), more=(pages.routes,)) as one:
        yield one


def upload(visitor: Visitor, data: bytes, filename: str = "rows.jsonl", **fields: str) -> tuple[int, str]:
    """Send a file; the status, and where the browser goes then or what the page says."""
    sent = visitor.client.post(
        "/datasets/upload", data={"csrf": visitor.token("/datasets"), "name": "piers", **fields},
        files={"file": (filename, data)}, headers={"origin": visitor.origin},
    )  # fmt: skip
    return sent.status_code, sent.headers.get("location") or Seen(sent.text).text


def test_rows_of_files_make_versions_and_come_out_as_they_went_in(house: House, visitor: Visitor) -> None:
    visitor.sign_in()
    empty = visitor.see("/datasets").text
    before = (house.data / FILE).exists()
    first = upload(visitor, ROWS)
    again = upload(visitor, ROWS)
    more = upload(visitor, b"question,expected\nAnd pier 9?,No.\n", "more.csv")
    page = visitor.get("/datasets/piers")
    twin = visitor.get("/datasets/piers.json").json()
    old = visitor.get("/datasets/piers%401.json").json()
    out = visitor.get("/datasets/piers%401.jsonl")
    back = upload(visitor, out.content, name="copy")
    alone = upload(visitor, ROWS, **{"as": "new"})
    changes = [(one.what, one.who) for one in house.keys.audit_log(9)]

    assert "No data set yet" in empty
    assert not before
    assert first == again == (303, "/datasets/piers")
    assert (more[0], alone[0], back) == (303, 303, (303, "/datasets/copy"))
    assert (twin["version"], twin["rows"], old["rows"]) == (2, 3, 2)
    assert "<b>pier" not in page.text
    assert "Is <b>pier</b> 7 open?" in Seen(page.text).text
    assert out.headers["content-disposition"] == "attachment; filename*=UTF-8''piers-1.jsonl"
    copied = visitor.get("/datasets/copy.json").json()
    assert copied["data"] == old["data"]
    assert old["data"][0]["topic"] == "piers"
    assert visitor.get("/datasets/piers.json").json()["version"] == 3
    assert set(changes) == {("data_set.add", "key-admin")}


def test_recorded_requests_become_rows_with_their_answers(house: House, visitor: Visitor) -> None:
    house.traces.write([entry_of(make_exchange(id)) for id in ("a" * 32, "b" * 32)])
    visitor.sign_in()
    form = {"csrf": visitor.token("/datasets"), "name": "asked", "limit": "1", "with_reply": "yes"}
    made = visitor.post("/datasets", form)
    twin = visitor.get("/datasets/asked.json").json()
    page = visitor.see("/datasets/asked")
    none = visitor.post("/datasets", {**form, "app": "none-such"})
    odd = visitor.post("/datasets", {**form, "limit": "many"})

    assert made.headers["location"] == "/datasets/asked"
    assert (twin["rows"], twin["data"][0]["id"]) == (1, "b" * 32)
    assert twin["data"][0]["expected"]
    assert page.all("a", href=f"/requests/{'b' * 32}")
    assert (none.status_code, odd.status_code) == (400, 400)
    assert "No recorded exchange fits" in none.text
    assert Seen(none.text).all("input", name="name", value="asked")


def test_parts_are_kept_and_all_versions_are_erased(house: House, visitor: Visitor) -> None:
    visitor.sign_in()
    upload(visitor, b"\n".join(b'{"question": "Is pier %d open?"}' % n for n in range(60)))
    csrf = visitor.token("/datasets")
    forged = visitor.post("/datasets/piers", {"csrf": "guess", "do": "delete"})
    split = visitor.post("/datasets/piers", {"csrf": csrf, "do": "split"})
    names = [one["name"] for one in visitor.get("/datasets.json").json()["data"]]
    rows = [visitor.get(f"/datasets/piers-{part}.json").json()["rows"] for part in ("train", "dev", "test")]
    second = visitor.see("/datasets/piers?from=50")
    gone = visitor.post("/datasets/piers", {"csrf": csrf, "do": "delete"})
    after = visitor.get("/datasets/piers")

    assert (forged.status_code, split.status_code, gone.status_code) == (403, 303, 303)
    assert names == ["piers", "piers-dev", "piers-test", "piers-train"]
    assert sum(rows) == 60
    assert second.all("tr", id="row-50")
    assert after.status_code == 404


@pytest.mark.parametrize(
    ("data", "filename", "said"),
    [
        (b"{}", "rows.txt", "must end in .jsonl"),
        (b"", "rows.jsonl", "not empty"),
        (b'{"question": "a"}\n{"question": ""}', "rows.jsonl", "rows.jsonl, line 2"),
        (b"\xff\xfea", "rows.jsonl", "UTF-16"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(
    visitor: Visitor, data: bytes, filename: str, said: str
) -> None:
    visitor.sign_in()
    status, page = upload(visitor, data, filename)

    assert status == 400
    assert said in page


def test_a_name_of_anything_has_a_page(visitor: Visitor) -> None:
    visitor.sign_in()
    name = "a/b ção <i>.json"
    _, place = upload(visitor, ROWS, name=name)

    assert visitor.see(place).all("form", action=place)
    assert visitor.get(f"{place}.json").json()["name"] == name
    csrf = visitor.token(place)
    assert visitor.post(place, {"csrf": csrf, "do": "delete"}).headers["location"] == "/datasets"
    assert upload(visitor, ROWS, name="a@b")[0] == 400


def test_others_see_their_own_project_alone(visitor: Visitor) -> None:
    visitor.sign_in()
    upload(visitor, ROWS, project="secret")
    upload(visitor, ROWS, name="open")
    listed = [(one["project"], one["name"]) for one in visitor.get("/datasets.json").json()["data"]]
    visitor.client.cookies.clear()
    visitor.sign_in(OPERATOR_KEY)
    own = [one["name"] for one in visitor.get("/datasets.json").json()["data"]]
    paths = (
        "/datasets/piers?project=secret",
        "/datasets/piers.json?project=secret",
        "/datasets/piers.jsonl?project=secret",
    )
    seen = [visitor.get(path).status_code for path in paths]
    added = upload(visitor, ROWS, project="secret")[0]
    visitor.client.cookies.clear()
    visitor.sign_in(VIEWER_KEY)
    looked = visitor.see("/datasets/open")
    tried = visitor.post(
        "/datasets/open", {"csrf": looked.all("input", name="csrf")[0]["value"], "do": "delete"}
    )

    assert listed == [("default", "open"), ("secret", "piers")]
    assert own == ["open"]
    assert seen == [404, 404, 404]
    assert added == 404
    assert not looked.all("input", name="do")
    assert tried.status_code == 403


def test_whoever_adds_at_the_same_time_loses_nothing(house: House) -> None:
    store = house.evals

    def add(who: int) -> None:
        for n in range(5):
            extend_data(
                store,
                "shared",
                [Sample(id=f"{who}-{n}", messages=({"role": "user", "content": f"{who} {n}"},))],
                "test",
            )

    threads = [threading.Thread(target=add, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(kept_data(store, "shared").samples) == 20


@pytest.mark.parametrize("version", ["9" * 19, "9" * 5_000, "²", "٣", "-1", "1.5"])
def test_a_version_that_is_no_number_of_ours_is_not_there(house: House, version: str) -> None:
    extend_data(house.evals, "piers", [Sample(id="a", messages=({"role": "user", "content": "?"},))], "test")

    with pytest.raises(NotFound, match="no data set"):
        kept_data(house.evals, f"piers@{version}")


def test_a_kept_exchange_stays_in_its_project_and_takes_nothing_away(house: House) -> None:
    ids = [f"{n:032x}" for n in range(8)]
    house.traces.write([entry_of(make_exchange(id, project="north")) for id in ids])
    store = house.evals
    threads = [threading.Thread(target=keep_exchange, args=(house, id, "kept", "")) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.id for one in kept_data(store, "kept", "north").samples) == ids
    with pytest.raises(NotFound):
        kept_data(store, "kept", "default")


def test_a_file_of_more_than_the_page_says_is_refused_with_what_takes_it(house: House) -> None:
    pages = DataSetPages(DataSetDesk(house), house.documents.files, 512 << 20)
    with Visitor(FakeBackend(), Clock(), more=(pages.routes,)) as visitor:
        visitor.sign_in()
        large = upload(visitor, b'{"question": "?"}\n' + b" " * MOST_FILE_BYTES)
        many = upload(visitor, b'{"question":"?"}\n' * (MOST_UPLOADED_ROWS + 1))

    assert (large[0], many[0]) == (413, 400)
    assert "larger than 20 MB" in large[1]
    assert "at most 100,000 rows" in many[1]
    assert "greenroom eval data add" in many[1]
    assert not (house.data / FILE).exists()
