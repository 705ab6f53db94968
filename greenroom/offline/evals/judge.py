"""A model as judge: one answer against a rubric, or two answers against each other in both orders.

The verdict comes in a strict form, may be «unsure», and is voted on where more votes than one are asked for.
What a judge can't tell is an abstention, what goes wrong an error: neither is ever a number. How far to trust
one is for `calibration` to say.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, NamedTuple

from msgspec import Meta
from msgspec.json import Encoder

from greenroom.offline.evals.asking import Ask, Json, read
from greenroom.offline.evals.judge_prompts import (
    PAIR_FORM,
    POINT_FORM,
    VERSION,
    Language,
    pairwise,
    pointwise,
)
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.scorers.settings import Kind, Lent, Settings

MOST_VOTES = 9
LONGEST = 200_000
"""Characters of a text that is judged; a longer one is an error, not a judgement of its beginning."""
_ABSTAINED = "unsure"
_encode = Encoder(order="deterministic").encode


class JudgeSettings(Settings, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a judge judges; also `[scorers.NAME]` of the type `judge` in a suite."""

    model: Annotated[str, Meta(min_length=1)]
    """Who judges: an app, a configured model, or provider/model. Better not the one that answered."""
    rubric: Annotated[str, Meta(min_length=1, max_length=20_000)]
    """What makes an answer pass, in any language."""
    votes: Annotated[int, Meta(ge=1, le=MOST_VOTES)] = 1
    """How many verdicts are asked for, at most; asking ends when the majority can't change."""
    language: Language = "answer"
    """Of the reasons."""
    temperature: float | None = None
    """None leaves it to the model; with several votes it should be above 0."""
    max_completion_tokens: Annotated[int, Meta(ge=16)] | None = None

    @property
    def fingerprint(self) -> str:
        """Changes with everything that may change a verdict, the version of the prompt included."""
        return sha256(VERSION.encode() + _encode(self)).hexdigest()


class PairSettings(JudgeSettings, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a judge compares; also `[scorers.NAME]` of the type `judge_pair` in a suite."""

    baseline: Annotated[str, Meta(min_length=1)]
    """The run whose answers these are compared with: its id, or the name of runs."""


class Ballot(NamedTuple):
    """What a model's votes came to."""

    verdict: str | None
    """None where there is no majority for anything, "unsure" where that is the majority."""
    reason: str
    error: str | None
    cost_nano_usd: int


class Judge:
    """A `Scorer`: 1 for «pass», 0 for «fail», no value where the judge abstains."""

    higher_is_better = True

    def __init__(self, name: str, settings: JudgeSettings, ask: Ask) -> None:
        self.name = name
        self.fingerprint = settings.fingerprint
        self._settings = settings
        self._ask = ask

    async def score(self, sample: Sample, output: Output) -> Score:
        """Ask for verdicts on one answer."""
        quoted = {**_given(sample, output), "answer": output.text}
        fault = _fault(quoted)
        if fault is not None:
            return Score(name=self.name, error=fault)
        messages = pointwise(self._settings.rubric, quoted, self._settings.language)
        ballot = await vote(self._ask, self._settings, messages, POINT_FORM, ("pass", "fail"))
        return _score(self.name, ballot, {"pass": 1.0, "fail": 0.0})


class PairJudge:
    """A `Scorer`: 1 where the answer beats the baseline's, 0 where it loses, 0.5 for a tie.

    Asked in both orders, since models prefer a place (Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and
    Chatbot Arena", 2023, section 3.3): a verdict that turns with the order is a tie. Passed means not worse.
    """

    higher_is_better = True

    def __init__(
        self, name: str, settings: JudgeSettings, ask: Ask, baseline: Callable[[Sample], str | None]
    ) -> None:
        self.name = name
        self.fingerprint = settings.fingerprint
        self._settings = settings
        self._ask = ask
        self._baseline = baseline

    async def score(self, sample: Sample, output: Output) -> Score:
        """Ask which answer is better, in both orders."""
        other = self._baseline(sample)
        if other is None:
            return Score(name=self.name, error="There is no answer to compare this one with.")
        if other == output.text:
            return Score(name=self.name, value=0.5, passed=True, reason="Both answers are the same.")
        given = _given(sample, output)
        orders = ((output.text, other), (other, output.text))
        fault = _fault({**given, "first": output.text, "second": other})
        if fault is not None:
            return Score(name=self.name, error=fault)
        ballots = []
        for first, second in orders:
            quoted = {**given, "first answer": first, "second answer": second}
            messages = pairwise(self._settings.rubric, quoted, self._settings.language)
            ballot = await vote(self._ask, self._settings, messages, PAIR_FORM, ("first", "second", "tie"))
            ballots.append(ballot)
            if ballot.error is not None:
                break
        return self._joined(ballots)

    def _joined(self, ballots: Sequence[Ballot]) -> Score:
        cost = sum(one.cost_nano_usd for one in ballots)
        error = next((one.error for one in ballots if one.error is not None), None)
        if error is not None:
            return Score(name=self.name, error=error, cost_nano_usd=cost)
        ours = {"first": 1.0, "second": 0.0, "tie": 0.5}
        theirs = {"first": 0.0, "second": 1.0, "tie": 0.5}
        values = [places.get(one.verdict or "") for one, places in zip(ballots, (ours, theirs), strict=True)]
        if None in values:
            return Score(name=self.name, reason="The judge could not tell.", cost_nano_usd=cost)
        there, back = (one for one in values if one is not None)
        if {there, back} == {0.0, 1.0}:
            reason = "The verdict turned with the order of the answers."
            return Score(name=self.name, value=0.5, passed=True, reason=reason, cost_nano_usd=cost)
        # A tie in one order and a winner in the other is a small win.
        value = (there + back) / 2
        return Score(
            name=self.name, value=value, passed=value >= 0.5, reason=ballots[0].reason, cost_nano_usd=cost
        )


def judge_kind(ask: Ask) -> Kind:
    """The scorer `judge` for suites, which asks by `ask`."""

    def make(name: str, settings: JudgeSettings, lent: Lent) -> Judge:
        return Judge(name, settings, ask)

    return Kind(JudgeSettings, make, "a model says whether the answer meets a rubric")


def pair_kind(ask: Ask, answers: Callable[[str], Mapping[str, str]]) -> Kind:
    """The scorer `judge_pair`; `answers` gives those of a run, by sample id, under the run's name."""

    def make(name: str, settings: PairSettings, lent: Lent) -> PairJudge:
        known = answers(settings.baseline)
        return PairJudge(name, settings, ask, lambda sample: known.get(sample.id))

    return Kind(PairSettings, make, "a model says whether the answer beats that of an earlier run")


async def vote(
    ask: Ask, settings: JudgeSettings, messages: list[Json], form: Json, verdicts: Sequence[str]
) -> Ballot:
    """Up to `settings.votes` verdicts, and which has the majority of those wanted.

    A vote out of form or without an answer is none. Raises: InfrastructureError.
    """
    body: Json = {"model": settings.model, "messages": messages, "response_format": form}
    for name in ("temperature", "max_completion_tokens"):
        value = getattr(settings, name)
        if value is not None:
            body[name] = value
    counts: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    cost = 0
    error = ""
    for attempt in range(settings.votes):
        asked = await ask(body, attempt)
        cost += asked.cost_nano_usd or 0
        answer = None if asked.error is not None else read(asked.text)
        verdict = None if answer is None else answer.get("verdict")
        if answer is None or verdict not in (*verdicts, _ABSTAINED):
            error = asked.error or "The judge did not answer in the form asked for."
            continue
        counts[verdict] += 1
        reasons.setdefault(verdict, str(answer.get("reason") or "")[:2_000])
        if counts[verdict] * 2 > settings.votes:
            break
    return _counted(counts, reasons, settings.votes, cost, error)


def _counted(
    counts: Mapping[str, int], reasons: Mapping[str, str], wanted: int, cost: int, error: str
) -> Ballot:
    cast = sum(counts.values())
    if cast * 2 <= wanted and max(counts.values(), default=0) * 2 <= wanted:
        return Ballot(None, "", error or "The judge gave no verdict.", cost)
    verdict, most = max(counts.items(), key=lambda one: one[1])
    if most * 2 <= cast:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        return Ballot(None, f"No majority: {told}.", None, cost)
    share = "" if wanted == 1 else f"{most} of {cast} votes: "
    return Ballot(verdict, share + reasons[verdict], None, cost)


def _score(name: str, ballot: Ballot, values: Mapping[str, float]) -> Score:
    value = values.get(ballot.verdict or "")
    passed = None if value is None else value >= 0.5
    return Score(
        name=name, value=value, passed=passed, reason=ballot.reason, error=ballot.error,
        cost_nano_usd=ballot.cost_nano_usd,
    )  # fmt: skip


def _given(sample: Sample, output: Output) -> dict[str, str]:
    """What the judge sees beside the answer: what was asked, and what is known to be right."""
    given: dict[str, str] = {}
    asked = [*(output.messages or sample.messages)]
    if asked:
        given["question"] = "\n\n".join(_said(one) for one in asked)
    elif sample.variables:
        given["question"] = _encode(sample.variables).decode()
    if sample.expected is not None:
        expected = sample.expected
        given["reference"] = expected if isinstance(expected, str) else _encode(expected).decode()
    return given


def _said(message: Mapping[str, Any]) -> str:  # Any: JSON
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(one.get("text", "")) for one in content if isinstance(one, dict))
    return f"{message.get('role', 'user')}: {content or ''}"


def _fault(quoted: Mapping[str, str]) -> str | None:
    long = next((name for name, text in quoted.items() if len(text) > LONGEST), None)
    return (
        None
        if long is None
        else f"The {long} is longer than {LONGEST:,} characters, the most that is judged."
    )
