"""A model on a real socket that counts what it is asked; it takes its time, and answers with the question."""

import threading
import time
from collections import Counter

from tests.scripted import Json, Reply, ScriptedServer, reply


class CountingModel(ScriptedServer):
    """Serves while entered."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__()
        self.delay_s = delay_s
        self.asked: Counter[str] = Counter()
        """Calls by question, counted when they come."""
        self.lock = threading.Lock()

    def answer(self, path: str, body: Json) -> Reply:
        """The question again."""
        question = body["messages"][-1]["content"]
        with self.lock:
            self.asked[question] += 1
        time.sleep(self.delay_s)
        choice = {"index": 0, "message": {"role": "assistant", "content": question}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        return reply({**head, "choices": [choice], "usage": usage})

    @property
    def calls(self) -> int:
        """How many came."""
        with self.lock:
            return self.asked.total()

    @property
    def configuration(self) -> str:
        """A greenroom.toml whose app `plain` asks this model; a call costs $0.002."""
        return f"""
            [providers.counting]
            kind = "openai_compatible"
            base_url = "{self.base_url}"
            [prices."counting/m"]
            input_per_mtok_usd = 1.0
            output_per_mtok_usd = 1.0
            [apps.plain]
            model = "counting/m"
            pipeline = "off"
        """
