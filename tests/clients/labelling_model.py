"""A model on a real socket for runs of evals: it repeats the question, or labels it, takes its time and counts."""

import json
import threading
import time
from collections import Counter

from tests.scripted import Json, Reply, ScriptedServer, reply


class LabellingModel(ScriptedServer):
    """Serves while entered. Each call takes 1,000 tokens each way."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__()
        self.answers: Counter[str] = Counter()
        """Calls by question."""
        self.labels: Counter[str] = Counter()
        """The same for those that wanted a label."""
        self.delay_s = delay_s
        self._lock = threading.Lock()

    def answer(self, path: str, body: Json) -> Reply:
        """A chat completion of what is said."""
        message = {"role": "assistant", "content": self.said(body)}
        usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        return reply({**head, "choices": choices, "usage": usage})

    def said(self, body: Json) -> str:
        """The question again, or the label "good" unless it holds "bad"."""
        question: str = body["messages"][-1]["content"]
        is_label = "response_format" in body
        with self._lock:
            (self.labels if is_label else self.answers)[question] += 1
        time.sleep(self.delay_s)
        label = json.dumps({"reason": "r", "label": "bad" if "bad" in question else "good"})
        return label if is_label else question

    @property
    def config(self) -> str:
        """A greenroom.toml that calls it `main`; a call costs $0.002."""
        return f"""
            [providers.up]
            kind = "openai_compatible"
            base_url = "{self.base_url}"
            [prices."up/m"]
            input_per_mtok_usd = 1.0
            output_per_mtok_usd = 1.0
            [models.main]
            targets = ["up/m"]
        """
