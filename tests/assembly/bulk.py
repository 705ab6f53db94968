"""What tests of batches share: a model that fails as it is told, and batches within one process."""

import asyncio
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from greenroom.assembly.batches import HostedBatches
from greenroom.assembly.fronts import FRONTS
from greenroom.assembly.house import House
from greenroom.assembly.responses import responses_desk
from greenroom.exchange import Caller
from greenroom.gateway.record import to_record
from greenroom.server import responses
from greenroom.server.v1 import V1
from greenroom.stages.language import detect
from greenroom.store.keys import Limits
from greenroom.wire.batches import Extension, NewBatch
from tests.scripted import Json, Reply, ScriptedServer

CHAT = "/v1/chat/completions"


class BulkModel(ScriptedServer):
    """Repeats the question; each call takes 1,000 tokens each way at a dollar a million: $0.002."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        """Calls by question."""
        self.failures: dict[str, list[int]] = defaultdict(list)
        """Statuses that a question gets before it is answered."""
        self.delay_s = delay_s
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def answer(self, path: str, body: Json) -> Reply:
        """What is said, over several lines, as OpenAI sends it."""
        status, answer = self._answer(path, body)
        headers = {"retry-after": "0.05"} if status == 429 else {}
        return Reply(json.dumps(answer, indent=2).encode(), status, headers=headers)

    def _answer(self, path: str, body: Json) -> tuple[int, Json]:
        if path.endswith("/embeddings"):
            usage = {"prompt_tokens": 3, "total_tokens": 3}
            data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}]
            return 200, {"object": "list", "model": "m", "data": data, "usage": usage}
        question = body["messages"][-1]["content"]
        with self._lock:
            self.asked[question] += 1
            status = self.failures[question].pop(0) if self.failures[question] else 200
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.delay_s)
        with self._lock:
            self.at_once -= 1
        if status != 200:
            return status, {"error": {"message": "No.", "type": "t", "code": "c", "param": None}}
        choices = [
            {"index": 0, "message": {"role": "assistant", "content": question}, "finish_reason": "stop"}
        ]
        usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        return 200, {**head, "choices": choices, "usage": usage}

    @property
    def config(self) -> str:
        """A greenroom.toml that calls it `main`, once for each request."""
        return f"""
            [providers.up]
            kind = "openai_compatible"
            base_url = "{self.base_url}"
            [prices."up/m"]
            input_per_mtok_usd = 1.0
            output_per_mtok_usd = 1.0
            [models.main]
            targets = ["up/m"]
            retries = 0
            wait_s = 0
        """


def line(number: int, url: str = CHAT, **body: object) -> bytes:
    """A line of a file that asks `q<number>`, or what `body` says."""
    asked = {"model": "main", "messages": [{"role": "user", "content": f"q{number}"}], "max_tokens": 2000}
    return json.dumps(
        {"custom_id": f"c{number}", "method": "POST", "url": url, "body": body or asked}
    ).encode()


def lines(count: int) -> bytes:
    """A file of questions."""
    return b"\n".join(line(number) for number in range(count))


class Told(NamedTuple):
    """What a batch came to."""

    batch: Json
    output: list[Json]
    errors: list[Json]

    @property
    def ids(self) -> list[str]:
        """Of all lines, in both files."""
        return sorted(one["custom_id"] for one in (*self.output, *self.errors))

    @property
    def codes(self) -> set[str]:
        """Why lines were not answered."""
        return {one["error"]["code"] for one in self.errors if one["error"] is not None}


class Shop(NamedTuple):
    """A house, its batches, and the model behind."""

    house: House
    batches: HostedBatches
    model: BulkModel
    caller: Caller

    def key(self, project: str = "default", apps: tuple[str, ...] = (), **limits: object) -> Caller:
        """A new key's."""
        row, _ = self.house.keys.create(project, "k", apps=apps, limits=Limits(**limits))  # type: ignore[arg-type]  # as the test says
        self.house.refresh_keys()
        found = self.house.access.find_id(row.id)
        assert found is not None
        return found.caller

    def keep(self, data: bytes, caller: Caller | None = None, purpose: str = "batch") -> str:
        """A new file."""
        files = self.house.documents.files
        upload = files.begin(1 << 30)
        upload.write(data)
        project = (caller or self.caller).project
        return files.keep(upload, project=project, filename="in.jsonl", purpose=purpose).id

    async def begin(
        self, data: bytes, caller: Caller | None = None, endpoint: str = CHAT, budget: float | None = None
    ) -> str:
        """A new batch of a new file."""
        wanted = NewBatch(
            input_file_id=self.keep(data, caller),
            endpoint=endpoint,
            completion_window="24h",
            greenroom=Extension(budget_usd=budget),
        )
        made = await self.batches.desk.create(caller or self.caller, wanted)
        return str(made["id"])

    async def ended(self, id: str, caller: Caller | None = None) -> Told:
        """What it came to, once it has."""
        async with asyncio.timeout(20):
            while True:
                found = await self.batches.desk.get(caller or self.caller, id)
                if found["status"] in {"completed", "failed", "expired", "cancelled"}:
                    return self.told(found, caller)
                await asyncio.sleep(0.02)

    def told(self, batch: Json, caller: Caller | None = None) -> Told:
        """A batch with its files read."""
        files, project = self.house.documents.files, (caller or self.caller).project

        def read(id: str | None) -> list[Json]:
            row = None if id is None else files.get(project, id)
            if row is None:
                return []
            return [json.loads(one) for one in files.path(row).read_bytes().splitlines()]

        return Told(batch, read(batch["output_file_id"]), read(batch["error_file_id"]))


def hosted(house: House, first_wait_s: float = 0.02, grace_s: float = 0.5) -> HostedBatches:
    """The batches of a house, as a server has them."""
    desk = responses_desk(house)
    front = responses.ResponsesFront(desk, responses.Background(desk.responses.unwanted))
    fronts = {**FRONTS, responses.PATH: front}
    v1 = V1(house.gateway, lambda exchange: to_record(exchange, detect), 0, fronts)
    return HostedBatches(house, v1, first_wait_s, grace_s)


@asynccontextmanager
async def shop_of(folder: Path) -> AsyncIterator[Shop]:
    """A house with batches, while entered."""
    with BulkModel() as model:
        config = folder / "greenroom.toml"
        config.write_text(model.config, encoding="utf-8")
        async with House.open(config, folder / "data", {}).running() as house:
            batches = hosted(house)
            await batches.start()
            shop = Shop(house, batches, model, Caller(key_id="local", role="operator"))
            yield shop
            await batches.stop()


async def until(fact: Callable[[], bool]) -> None:
    """Wait for what happens in other threads."""
    for _ in range(500):
        if fact():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("It did not happen within ten seconds.")


def names(count: int) -> list[str]:
    """The ids of a file of questions, sorted."""
    return sorted(f"c{number}" for number in range(count))


def questions(numbers: Iterable[int]) -> list[str]:
    """As the model hears them."""
    return [f"q{number}" for number in numbers]
