"""A model whose answers depend on the prompt, and one that rewrites it: both decide by digests, without chance."""

from collections.abc import Sequence
from hashlib import sha256

from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.prompts.version import Message, PromptVersion, Variable

PRICE_NANO = 1_000
"""Of every call."""
WORST_NANO = 2_000
IDLE = (
    "Be friendly.", "Mind the tone.", "Think of the reader.", "Stay calm.", "Be exact.", "Read twice.",
    "Use plain words.", "Do your best.", "Be helpful.", "Take your time.", "Keep to the point.", "Be kind.",
)  # fmt: skip


def share(*parts: object) -> float:
    """A number from 0 to 1 that depends on the parts alone."""
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8]) / 2**64


def prompt(text: str = "Answer the question.") -> PromptVersion:
    return PromptVersion(
        name="support",
        messages=(Message(role="system", text=text), Message(role="user", text="{{question}}")),
        variables={"question": Variable()},
    )


def samples(count: int, task: str = "t") -> tuple[Sample, ...]:
    return tuple(
        Sample(
            id=f"{task}-{number:04d}", variables={"question": f"{task} {number}?"}, expected=f"right {number}"
        )
        for number in range(count)
    )


class Model:
    """Answers right as often as its prompt's rules allow: each rule that stands in the text raises the share.

    `noise`: every text has its own luck with every sample, so that no rule helps and all differ.
    """

    def __init__(
        self,
        version: PromptVersion,
        base: float,
        rules: dict[str, float],
        *,
        noise: bool = False,
        task: str = "",
    ) -> None:
        self.name = "scripted"
        self.text = "\n".join(message.text for message in version.messages)
        shown = version.examples.items if version.examples is not None else ()
        self.shown = len(shown)
        self.fingerprint = f"{task}\n{self.text}\n{[(one.output, one.variables) for one in shown]}"
        self.skill = min(1.0, base + sum(gain for rule, gain in rules.items() if rule in self.text))
        self._noise = self.fingerprint if noise else ""

    def worst_nano_usd(self, sample: Sample) -> int | None:
        return WORST_NANO

    async def answer(self, sample: Sample) -> Output:
        asked = sample.variables["question"]
        is_right = share(self._noise, asked) < self.skill
        number = asked.split()[-1].rstrip("?")
        return Output(
            text=f"right {number}" if is_right else "wrong", model="scripted", cost_nano_usd=PRICE_NANO,
            input_tokens=len(self.text) // 4, output_tokens=4,
        )  # fmt: skip


class Reflector:
    """Adds a sentence to the text it is shown: one of the rules, or an idle one, as the question's digest has it."""

    name = "reflector"
    fingerprint = "reflector"

    def __init__(self, rules: Sequence[str], price_nano: int = PRICE_NANO) -> None:
        self.rules = [*rules, *IDLE[: max(3, 12 - 9 * bool(rules))]]
        self.asked: list[str] = []
        self.price_nano = price_nano

    def worst_nano_usd(self, sample: Sample) -> int | None:
        return 2 * self.price_nano

    async def answer(self, sample: Sample) -> Output:
        question = sample.messages[0]["content"]
        self.asked.append(question)
        text = question.split("<text>\n", 1)[1].split("\n</text>", 1)[0]
        rule = self.rules[int(share(question) * len(self.rules))]
        return Output(text=f"I see.\n<new_text>\n{text}\n{rule}\n</new_text>", cost_nano_usd=self.price_nano)


class Exact:
    """1 for the expected answer, 0 for another."""

    name = "exact"
    higher_is_better = True

    async def score(self, sample: Sample, output: Output) -> Score:
        is_right = output.text == sample.expected
        return Score(
            name="exact", value=float(is_right), passed=is_right, reason="" if is_right else "not expected"
        )
