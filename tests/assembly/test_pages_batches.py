"""The pages of batches over a real store: what came of lines, money, the end of one, and its files."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from greenroom.assembly.batch_pages import BatchPagesDesk
from greenroom.server.pages.batches import BatchPages
from greenroom.wire.batches import NewBatch
from tests.assembly.bulk import CHAT, Shop, lines, shop_of
from tests.server.pages.backend import VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Seen, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")  # a house takes half a second to open


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with shop_of(tmp_path_factory.mktemp("shop")) as found:
        yield found


def visit(shop: Shop) -> Visitor:
    return Visitor(
        FakeBackend(), Clock(), more=(BatchPages(BatchPagesDesk(shop.house, shop.batches)).routes,)
    )


async def test_one_that_is_done_shows_lines_money_and_whole_files(shop: Shop) -> None:
    shop.model.failures["q1"] = [400]
    id = await shop.begin(lines(4))
    told = await shop.ended(id)
    with visit(shop) as admin:
        admin.sign_in()
        listed = admin.see("/batches")
        page = admin.see(f"/batches/{id}")
        twin = admin.get(f"/batches/{id}.json").json()
        file = admin.get(f"/batches/{id}/output.jsonl")
        none = admin.get(f"/batches/{id}/other.jsonl")

    assert listed.all("a", href=f"/batches/{id}")
    assert "4 of 4" in page.text
    assert f"${told.batch['greenroom']['cost_usd']}" in page.text
    assert {one["custom_id"]: one["kind"] for one in twin["lines"]} == {
        "c0": "output", "c1": "error", "c2": "output", "c3": "output"
    }  # fmt: skip
    assert [json.loads(one)["custom_id"] for one in file.text.splitlines()] == [
        one["custom_id"] for one in told.output
    ]
    assert file.headers["content-disposition"].startswith("attachment")
    assert none.status_code == 404


async def test_one_that_waits_is_cancelled_once_and_by_whom_is_known(shop: Shop) -> None:
    wanted = NewBatch(input_file_id=shop.keep(lines(2)), endpoint=CHAT, completion_window="24h")
    row = await asyncio.to_thread(shop.batches.desk.add, shop.caller, wanted)
    with visit(shop) as admin:
        admin.sign_in(VIEWER_KEY)
        mayn_t = admin.post(f"/batches/{row.id}", {"csrf": admin.token(f"/batches/{row.id}")})
    with visit(shop) as admin:
        admin.sign_in()
        csrf = admin.token(f"/batches/{row.id}")
        forged = admin.post(f"/batches/{row.id}", {"csrf": "guess"})
        ended = admin.post(f"/batches/{row.id}", {"csrf": csrf})
        after = admin.get(f"/batches/{row.id}.json").json()["status"]
        unknown = admin.post("/batches/batch_none", {"csrf": csrf})
    changes = [(one.what, one.who) for one in shop.house.keys.audit_log(5)]

    assert (mayn_t.status_code, forged.status_code, ended.status_code) == (403, 403, 303)
    assert after in {"cancelling", "cancelled"}
    assert changes == [("batch.cancel", "key-admin")]
    assert unknown.status_code == 404


async def test_a_line_of_anything_is_text(shop: Shop, tmp_path: Path) -> None:
    shop.model.failures.clear()
    id = await shop.begin(lines(1))
    told = await shop.ended(id)
    files = shop.house.documents.files
    row = files.get("default", told.batch["output_file_id"])
    assert row is not None
    hostile = {
        "custom_id": "<script>hit()</script>",
        "response": {"body": {"choices": [{"text": "<img src=x>"}]}},
    }
    files.path(row).write_bytes(b"\xff not JSON\n" + json.dumps(hostile).encode() + b"\n" + b"x" * (1 << 20))
    with visit(shop) as admin:
        admin.sign_in()
        page = admin.get(f"/batches/{id}")

    assert page.status_code == 200
    assert "<script>hit" not in page.text
    assert "<img src=x>" in Seen(page.text).text
    assert "too long to show" in Seen(page.text).text


async def test_without_batches_nothing_is_opened(tmp_path: Path) -> None:
    from greenroom.assembly.batches import FILE, HostedBatches
    from greenroom.assembly.house import House

    house = House.open(None, tmp_path / "data", {})
    batches = HostedBatches(house, None)  # type: ignore[arg-type]  # nobody asks it for anything
    with Visitor(FakeBackend(), Clock(), more=(BatchPages(BatchPagesDesk(house, batches)).routes,)) as admin:
        admin.sign_in()
        page = admin.see("/batches")
        one = admin.get("/batches/batch_none")
    house.stop()

    assert "No batch was asked for yet" in page.text
    assert one.status_code == 404
    assert not (tmp_path / "data" / FILE).exists()
