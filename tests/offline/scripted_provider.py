"""A provider of scripted models on a real socket: they answer by their prompt, and rewrite prompts.

Speaks chat completions. "worker" and "novice" answer questions about invoices; how well depends on what their
system message says, and on the question: nothing is left to chance. Whoever is asked to rewrite a prompt puts
the rule into the text that the expected answers show. Knows the dialect and nothing of Greenroom.
"""

import json
import re
from hashlib import sha256

from tests.scripted import Json, Reply, ScriptedServer, reply

RULES = {
    "teams": "Name the team and nothing else.",
    "en": "Write dates as YYYY-MM-DD and nothing else.",
    "pt": "Responda somente com JSON que tem a chave valor.",
}
IDLE = ("Mind the tone.", "Read twice.", "Be exact.", "Stay calm.", "Take your time.")
SKILL = {"worker": 0.9, "novice": 0.45}
TEAMS = ("billing", "shipping", "returns", "accounts")
_MONTHS = ("January", "March", "May", "July", "October")


def share(*parts: object) -> float:
    """A number from 0 to 1 that depends on the parts alone."""
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8]) / 2**64


def due(number: int) -> tuple[int, int, int]:
    """Year, month and day of an invoice."""
    return 2020 + number % 7, (1, 3, 5, 7, 10)[number % 5], 1 + number % 28


def rows(task: str, count: int) -> list[Json]:
    """Rows of a data set: dates and teams asked in English, amounts in Portuguese, coins that nobody can guess;
    or the dates with the rule that tells their form.
    """
    if task == "dates":
        return [
            {"question": f"When is invoice {number} due?", "expected": "{}-{:02}-{:02}".format(*due(number))}
            for number in range(count)
        ]
    if task == "teams":
        return [
            {"question": f"Which team handles ticket {number}?", "expected": TEAMS[number % 4]}
            for number in range(count)
        ]
    if task == "told":
        return [{**row, "system": RULES["en"]} for row in rows("dates", count)]
    if task == "amounts":
        return [
            {"question": f"Qual é o valor da fatura {number}?", "expected": {"valor": number * 3}}
            for number in range(count)
        ]
    return [
        {
            "question": f"Which side has coin {number}?",
            "expected": "heads" if share(number) < 0.5 else "tails",
        }
        for number in range(count)
    ]


class ScriptedProvider(ScriptedServer):
    """Serves while entered; `base_url` is what a provider's configuration wants, `asked` what came."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Json] = []
        self.earned_nano = 0
        """By the prices of `config`, in billionths of a dollar."""
        self.dies_after: int | None = None
        """So many answers, then nothing but errors."""

    def answer(self, path: str, body: Json) -> Reply:
        """A completion, as long as it lives."""
        self.asked.append(body)
        if self.dies_after is not None and len(self.asked) > self.dies_after:
            return reply({"error": {"message": "no more"}}, 500)
        answer = completion(body)
        rates = (2_000, 8_000) if body["model"] == "worker" else (500, 2_000)
        self.earned_nano += answer["usage"]["prompt_tokens"] * rates[0]
        self.earned_nano += answer["usage"]["completion_tokens"] * rates[1]
        return reply(answer)

    def config(self) -> str:
        """A `greenroom.toml` that knows it and its prices."""
        return (
            f'[providers.lab]\nkind = "openai_compatible"\nbase_url = "{self.base_url}"\n\n'
            '[models.usual]\ntargets = ["lab/worker"]\n\n'
            '[apps.lean]\npreprocess = ["clean"]\nground = []\ncheck = ["pii"]\n'
            'postprocess = ["decode", "unmask"]\n\n'
            '[prices."lab/worker"]\ninput_per_mtok_usd = 2.0\noutput_per_mtok_usd = 8.0\n\n'
            '[prices."lab/*"]\ninput_per_mtok_usd = 0.5\noutput_per_mtok_usd = 2.0\n'
        )


def completion(body: Json) -> Json:
    """The answer to a chat body, with its tokens."""
    said = "\n".join(str(one["content"]) for one in body["messages"])
    is_rewrite = "<new_text>" in said
    text = rewrite(said) if is_rewrite else answer(body["model"], body["messages"])
    usage = {"prompt_tokens": len(said) // 4, "completion_tokens": len(text) // 4 + 1}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {
        "id": "c",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
    }


def answer(model: str, messages: list[Json]) -> str:
    """What a worker says: right in its form only where the prompt says the form."""
    system = "\n".join(str(one["content"]) for one in messages if one["role"] == "system")
    question = next(str(one["content"]) for one in reversed(messages) if one["role"] == "user")
    found = re.search(r"(?:invoice|fatura|coin|ticket) (\d+)", question)
    number = int(found[1]) if found else 0
    if "coin" in question:
        return "heads" if share(system, number) < 0.5 else "tails"
    knows = share(model, question) < SKILL.get(model, 0.85)
    if "ticket" in question:
        team = TEAMS[(number if knows else number + 1) % 4]
        return team if RULES["teams"] in system else f"That is for {team}, I think."
    if "fatura" in question:
        amount = number * 3 if knows else number * 3 + 1
        return json.dumps({"valor": amount}) if "chave valor" in system else f"O valor é {amount} reais."
    year, month, day = due(number if knows else number + 1)
    if "YYYY-MM-DD" in system:
        return f"{year}-{month:02}-{day:02}"
    return f"It is due on {day} {_MONTHS[(1, 3, 5, 7, 10).index(month)]} {year}."


def rewrite(asked: str) -> str:
    """A new text: the old one, and often the rule that the expected answers show."""
    text = asked.split("<text>\n", 1)[1].split("\n</text>", 1)[0]
    rule = IDLE[int(share(asked) * len(IDLE))]
    if re.search(r"Expected: \d{4}-\d\d-\d\d", asked) and share("rule", asked) < 0.6:
        rule = RULES["en"]
    elif re.search(rf"Expected: ({'|'.join(TEAMS)})", asked) and share("rule", asked) < 0.6:
        rule = RULES["teams"]
    elif "Esperado: {" in asked and share("rule", asked) < 0.6:
        rule = RULES["pt"]
    return f"The answers lack something.\n<new_text>\n{text} {rule}\n</new_text>"
