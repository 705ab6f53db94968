"""Batches within one process: what becomes of lines, of money, of those that are ended early."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from greenroom.assembly.batchfiles import OfflineBatches
from greenroom.errors import Forbidden, MalformedRequest, NotFound
from greenroom.grounding.paging import Cursor
from greenroom.offline.batches.hosted import AT_WORK
from greenroom.store.batches import BatchRow, new_id
from greenroom.wire.batches import Extension, NewBatch
from tests.assembly.bulk import CHAT, Shop, line, lines, names, questions, shop_of, until
from tests.scripted import Json

pytestmark = pytest.mark.asyncio(loop_scope="module")  # a house takes half a second to open


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with shop_of(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def shop(house: Shop) -> Shop:
    """A house whose model has heard nothing yet."""
    house.model.asked.clear()
    house.model.failures.clear()
    house.model.delay_s, house.model.most_at_once = 0.0, 0
    return house


@pytest.mark.parametrize(
    ("url", "body", "is_answer"),
    [
        (CHAT, {"model": "main", "messages": [{"role": "user", "content": "oi"}]}, "chat.completion"),
        ("/v1/responses", {"model": "main", "input": "oi"}, "response"),
        ("/v1/completions", {"model": "main", "prompt": "oi"}, "text_completion"),
        ("/v1/embeddings", {"model": "main", "input": "oi"}, "list"),
        ("/v1/moderations", {"input": "oi"}, None),
    ],
)
async def test_each_endpoint_answers_a_line_as_it_does_a_client(
    shop: Shop, url: str, body: Json, is_answer: str | None
) -> None:
    told = await shop.ended(await shop.begin(line(1, url, **body), endpoint=url))

    assert (told.batch["status"], told.errors) == ("completed", [])
    (one,) = told.output
    assert (one["custom_id"], one["error"], one["response"]["status_code"]) == ("c1", None, 200)
    assert one["response"]["body"].get("object") == is_answer
    assert len(one["response"]["request_id"]) == 32


async def test_counts_usage_money_and_times_are_told(shop: Shop) -> None:
    told = await shop.ended(await shop.begin(lines(20)))

    assert told.ids == names(20)
    batch = told.batch
    assert batch["request_counts"] == {"total": 20, "completed": 20, "failed": 0}
    assert (batch["usage"]["input_tokens"], batch["usage"]["total_tokens"]) == (20_000, 40_000)
    assert batch["greenroom"] == {"cost_usd": "0.04", "unpriced": 0, "budget_usd": None}
    assert batch["model"] == "main"
    times = [batch[f"{name}_at"] for name in ("created", "in_progress", "finalizing", "completed")]
    assert times == sorted(times)
    assert batch["expires_at"] == batch["created_at"] + 86_400


async def test_records_carry_the_batch_and_a_line_can_not_take_that_off(shop: Shop) -> None:
    lied = line(1, "/v1/responses", model="main", input="oi", metadata={"batch": "none", "team": "a"})

    id = await shop.begin(lied, endpoint="/v1/responses")
    told = await shop.ended(id)

    await until(
        lambda: shop.house.traces.get("default", told.output[0]["response"]["request_id"]) is not None
    )
    record = shop.house.traces.get("default", told.output[0]["response"]["request_id"])
    assert record is not None
    assert record["tags"] == {"batch": id, "team": "a"}


async def test_what_fails_for_a_while_is_asked_again_and_what_is_refused_is_not(shop: Shop) -> None:
    shop.model.failures |= {"q1": [429], "q2": [500], "q3": [400], "q4": [409] * 9}

    told = await shop.ended(await shop.begin(lines(6)))

    assert sorted(one["custom_id"] for one in told.output) == ["c0", "c1", "c2", "c5"]
    assert {one["custom_id"]: one["response"]["status_code"] for one in told.errors} == {"c3": 400, "c4": 409}
    assert told.batch["request_counts"] == {"total": 6, "completed": 4, "failed": 2}
    assert [shop.model.asked[one] for one in questions(range(6))] == [1, 2, 2, 1, 6, 1]


async def test_a_budget_is_passed_by_one_call_at_most_and_every_line_that_it_left_out_is_told(
    shop: Shop,
) -> None:
    told = await shop.ended(await shop.begin(lines(40), budget=0.021))

    batch = told.batch
    assert batch["status"] == "completed"
    assert shop.model.asked.total() == 11
    assert batch["greenroom"] == {"cost_usd": "0.022", "unpriced": 0, "budget_usd": "0.021"}
    assert (len(told.output), len(told.errors), told.codes) == (11, 29, {"budget_exceeded"})
    assert told.ids == names(40)
    assert batch["errors"]["data"][0]["code"] == "budget_exceeded"
    live = await shop.ended(await shop.begin(lines(3)))
    assert live.batch["request_counts"]["completed"] == 3


async def test_a_revoked_key_ends_its_batch_and_what_was_answered_stays(shop: Shop) -> None:
    caller = shop.key()
    shop.model.delay_s = 0.05
    id = await shop.begin(lines(200), caller)
    await until(lambda: shop.model.asked.total() > 8)

    await asyncio.to_thread(shop.house.keys.revoke, caller.key_id)
    shop.house.refresh_keys()
    told = await shop.ended(id)

    assert told.batch["status"] == "failed"
    assert told.batch["errors"]["data"][0]["code"] == "invalid_api_key"
    assert (told.ids, told.codes) == (names(200), {"invalid_api_key"})
    assert 0 < len(told.output) == shop.model.asked.total() < 60


async def test_a_cancelled_batch_ends_soon_with_what_was_answered(shop: Shop) -> None:
    shop.model.delay_s = 0.05
    id = await shop.begin(lines(300))
    await until(lambda: shop.model.asked.total() > 10)

    began = time.monotonic()
    first = await shop.batches.desk.cancel(shop.caller, id)
    told = await shop.ended(id)

    assert time.monotonic() - began < 3
    assert (first["status"], told.batch["status"]) == ("cancelling", "cancelled")
    assert (told.ids, told.codes) == (names(300), {"batch_cancelled"})
    assert 10 < len(told.output) < 60
    again = await shop.batches.desk.cancel(shop.caller, id)
    assert again["status"] == "cancelled"
    done = await shop.ended(await shop.begin(line(1)))
    with pytest.raises(MalformedRequest, match="completed"):
        await shop.batches.desk.cancel(shop.caller, done.batch["id"])


async def test_what_is_not_answered_within_the_window_has_expired(shop: Shop) -> None:
    shop.model.delay_s = 0.1
    await shop.ended(await shop.begin(line(0)))  # opens the store
    store = shop.batches.store
    now = int(time.time())
    row = BatchRow(
        id=new_id(), project="default", key="local", endpoint=CHAT, input_file=shop.keep(lines(300)),
        created_at=now, expires_at=now + 2,
    )  # fmt: skip

    store.add(row, is_mine=False)
    told = await shop.ended(row.id)

    assert told.batch["status"] == "expired"
    assert told.batch["expired_at"] >= now + 2
    assert (told.ids, told.codes) == (names(300), {"batch_expired"})
    assert told.output


async def test_a_file_that_is_deleted_meanwhile_is_asked_to_its_end(shop: Shop) -> None:
    shop.model.delay_s = 0.02
    id = await shop.begin(lines(60))
    await until(lambda: shop.model.asked.total() > 3)
    batch = await shop.batches.desk.get(shop.caller, id)

    assert await asyncio.to_thread(shop.house.documents.remove_file, "default", batch["input_file_id"])
    told = await shop.ended(id)

    assert (told.batch["status"], told.ids, told.errors) == ("completed", names(60), [])
    assert list((shop.house.data / "batches").iterdir()) == []


async def test_where_the_projects_share_is_full_results_wait_and_say_why(shop: Shop) -> None:
    files = shop.house.documents.files
    id = await shop.begin(lines(3))
    files.quota_bytes = 1

    store = shop.batches.store
    await until(lambda: (row := store.get(id)) is not None and row.errors != b"[]")
    found = await shop.batches.desk.get(shop.caller, id)
    files.quota_bytes = None
    told = await shop.ended(id)

    assert (found["status"], found["errors"]["data"][0]["code"]) == ("finalizing", "storage_quota_exceeded")
    assert (told.batch["status"], told.batch["errors"], told.ids) == ("completed", None, names(3))


async def test_a_fifth_of_a_keys_limit_is_left_to_live_requests(shop: Shop) -> None:
    caller = shop.key(requests_per_day=20)
    id = await shop.begin(lines(40), caller)
    await until(lambda: shop.model.asked.total() >= 16)
    await asyncio.sleep(0.2)

    assert 16 <= shop.model.asked.total() <= 17 + 7  # those that were on their way when it was looked
    await shop.batches.desk.cancel(caller, id)
    told = await shop.ended(id, caller)
    assert told.ids == names(40)


async def test_batches_that_wait_for_their_keys_limits_hold_up_no_other_project(shop: Shop) -> None:
    caller = shop.key("stuck", requests_per_day=1)
    stuck = [await shop.begin(lines(3), caller) for _ in range(AT_WORK)]
    await until(lambda: shop.model.asked.total() >= 1)

    told = await shop.ended(await shop.begin(lines(3)))

    assert told.batch["request_counts"]["completed"] == 3
    for id in stuck:
        await shop.batches.desk.cancel(caller, id)
        assert (await shop.ended(id, caller)).batch["status"] == "cancelled"


async def test_a_key_with_one_request_at_once_is_waited_for(shop: Shop) -> None:
    caller = shop.key(parallel=1)

    told = await shop.ended(await shop.begin(lines(3), caller), caller)

    assert (told.ids, told.errors, shop.model.most_at_once) == (names(3), [], 1)


async def test_other_projects_find_nothing_and_keys_of_some_apps_may_not(shop: Shop) -> None:
    id = await shop.begin(lines(2))
    file = shop.keep(lines(2))
    desk, stranger = shop.batches.desk, shop.key(project="other")

    assert (await desk.list(stranger, 20, None))["data"] == []
    with pytest.raises(NotFound):
        await desk.get(stranger, id)
    with pytest.raises(NotFound):
        await desk.cancel(stranger, id)
    wanted = NewBatch(input_file_id=file, endpoint=CHAT, completion_window="24h")
    with pytest.raises(NotFound) as caught:
        await desk.create(stranger, wanted)
    assert caught.value.param == "input_file_id"
    with pytest.raises(Forbidden):
        await desk.get(shop.key(apps=("default",)), id)
    with pytest.raises(MalformedRequest, match="to list from"):
        await desk.list(stranger, 20, id)
    await shop.ended(id)


async def test_lists_go_back_page_by_page(shop: Shop) -> None:
    caller = shop.key(project="lists")
    ids = [await shop.begin(line(number), caller) for number in range(5)]
    desk, seen, after = shop.batches.desk, [], None

    while True:
        page = await desk.list(caller, 2, after)
        seen += [one["id"] for one in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break

    assert seen == ids[::-1]
    for id in ids:
        await shop.ended(id, caller)


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"endpoint": "/v1/images/edits"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"purpose": "assistants"}, "input_file_id"),
    ],
)
async def test_what_can_not_be_a_batch_is_refused_at_once(shop: Shop, wanted: Json, param: str) -> None:
    file = shop.keep(lines(1), purpose=wanted.pop("purpose", "batch"))
    body = {"endpoint": CHAT, "completion_window": "24h", **wanted}

    with pytest.raises(MalformedRequest) as caught:
        await shop.batches.desk.create(
            shop.caller, NewBatch(input_file_id=file, greenroom=Extension(), **body)
        )

    assert caught.value.param == param


async def test_a_faulty_file_fails_before_anything_is_asked(shop: Shop) -> None:
    unknown = line(3, model="nobody", messages=[{"role": "user", "content": "oi"}])
    told = await shop.ended(await shop.begin(b"\n".join([line(1), b"{", line(1), unknown])))

    batch = told.batch
    assert (batch["status"], batch["output_file_id"], batch["error_file_id"]) == ("failed", None, None)
    found = [(one["line"], one["code"]) for one in batch["errors"]["data"]]
    assert found == [(2, "invalid_json_line"), (3, "duplicate_custom_id"), (4, "model_not_found")]
    assert shop.model.asked.total() == 0
    assert batch["failed_at"] is not None


async def test_a_command_that_is_refused_leaves_no_file_behind(shop: Shop, tmp_path: Path) -> None:
    caller, offline = shop.key("apart", apps=("main",)), OfflineBatches(shop.house)
    (tmp_path / "in.jsonl").write_bytes(lines(2))

    def wanted(file: str) -> NewBatch:
        return NewBatch(input_file_id=file, endpoint=CHAT, completion_window="24h")

    with pytest.raises(Forbidden):
        offline.create(tmp_path / "in.jsonl", wanted, caller.key_id)
    offline.close()

    assert shop.house.documents.files.list("apart", Cursor(10, "asc", None, None)) == ([], False)
