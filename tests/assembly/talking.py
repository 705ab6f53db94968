"""A provider whose model can be exchanged behind its name, on a real socket."""

import json
from random import Random

from tests.scripted import Json, Reply, ScriptedServer, reply

WORDS = [
    "the",
    "a",
    "it",
    "is",
    "was",
    "and",
    "then",
    "so",
    "when",
    "because",
    "near",
    "far",
    "old",
    "new",
    "green",
    "blue",
    "small",
    "large",
    "city",
    "river",
]


class Talking(ScriptedServer):
    """Serves while entered. `model` decides what is said; `wobble` is the share of prompts that it words anew."""

    def __init__(self) -> None:
        super().__init__()
        self.model = "first"
        self.wobble = 0.0
        self.verdict = "pass"
        self.asked: list[Json] = []
        self.dies_after: int | None = None

    def answer(self, path: str, body: Json) -> Reply:
        """What is said to a prompt: the same each time by one model, but for what wobbles."""
        self.asked.append(body)
        if self.dies_after is not None and len(self.asked) > self.dies_after:
            return reply({"error": {"message": "no"}}, 500)
        prompt = str(body["messages"][-1]["content"])
        anew = Random(f"{len(self.asked)}").random() < self.wobble
        chance = Random(f"{self.model} {prompt} {len(self.asked) if anew else ''}")
        text = " ".join(chance.choices(WORDS, k=30))
        if "response_format" in body:
            text = json.dumps({"reason": "by the script", "verdict": self.verdict})
        elif "decline" in prompt:
            text = "I'm sorry, but I can't help with that."
        return reply({
            "id": "c", "object": "chat.completion", "created": 1, "model": f"m-{self.model}",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50},
        })  # fmt: skip
