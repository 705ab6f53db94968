from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import decode, encode

from greenroom.exchange import Caller, Exchange, StepRecord
from greenroom.stages.ground.history import History, HistoryConfig, SaidTurn, Turn
from greenroom.wire.openai_request import parse_chat, render_chat


class MemoryTurns:
    """`Turns` in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str | None], list[SaidTurn]] = {}

    def recent(self, project: str, session: str, user: str | None, limit: int) -> list[SaidTurn]:
        return self.kept.get((project, session, user), [])[-limit:]

    def append(self, project: str, session: str, user: str | None, turns: Sequence[Turn]) -> None:
        kept = self.kept.setdefault((project, session, user), [])
        for turn in turns:
            role: Literal["user", "assistant"] = "assistant" if turn.role == "assistant" else "user"
            kept.append(SaidTurn(role, turn.text, turn.at, len(kept), user))


def ask(
    *messages: tuple[str, str], session: str | None = "s1", user: str | None = None, project: str = "default"
) -> Exchange:
    body = {"model": "m", "messages": [{"role": role, "content": text} for role, text in messages]}
    exchange = Exchange("x1", Caller(key_id="k", project=project), parse_chat(encode(body)), "default")
    exchange.session = session
    exchange.user = user
    exchange.steps.append(StepRecord("ground", "history"))
    return exchange


async def talk(history: History, question: str, answer: str, **who: str | None) -> None:
    exchange = ask(("user", question), **who)  # type: ignore[arg-type]  # keywords of `ask`
    await history(exchange)
    exchange.reply_raw = [answer]
    history.remember(exchange)


def sent(exchange: Exchange) -> list[str]:
    return [one["content"] for one in decode(render_chat(exchange.request))["messages"]]


async def test_earlier_turns_come_back_before_the_question() -> None:
    history = History(HistoryConfig(), MemoryTurns(), now=lambda: 0.0)
    await talk(history, "I am <PERSON_1>.", "Hello <PERSON_1>.")
    await talk(history, "What is 2+2?", "4")
    exchange = ask(("system", "Be kind."), ("user", "Who am I?"))

    await history(exchange)

    assert sent(exchange) == [
        "Be kind.",
        "I am <PERSON_1>.",
        "Hello <PERSON_1>.",
        "What is 2+2?",
        "4",
        "Who am I?",
    ]
    assert exchange.recalled[0] == {
        "session": "s1", "turn": 0, "at": "1970-01-01T00:00:00+00:00", "text": "I am <PERSON_1>.", "score": 1.0,
    }  # fmt: skip
    assert [one["turn"] for one in exchange.recalled] == [0, 1, 2, 3]


async def test_a_request_with_its_own_history_gets_nothing() -> None:
    history = History(HistoryConfig(), MemoryTurns())
    await talk(history, "One", "Uno")
    exchange = ask(("user", "One"), ("assistant", "Uno"), ("user", "Two"))

    await history(exchange)

    assert render_chat(exchange.request) is exchange.request.raw
    assert exchange.steps[-1].notes == {"reason": "the request carries its own history"}


async def test_a_stored_question_that_the_request_carries_is_not_repeated() -> None:
    history = History(HistoryConfig(), MemoryTurns())
    await talk(history, "One", "Uno")
    await talk(history, "Two", "Dos")
    exchange = ask(("user", "Two"), ("user", "Three"))

    await history(exchange)

    assert sent(exchange) == ["One", "Uno", "Two", "Three"]


async def test_sessions_users_and_projects_never_mix() -> None:
    history = History(HistoryConfig(), MemoryTurns())
    await talk(history, "My name is Ana.", "Hello Ana.", user="ana")

    for other in (
        ask(("user", "Who?"), session="s2", user="ana"),
        ask(("user", "Who?"), user="bob"),
        ask(("user", "Who?")),
        ask(("user", "Who?"), user="ana", project="other"),
        ask(("user", "Who?"), session=None, user="ana"),
    ):
        await history(other)
        assert render_chat(other.request) is other.request.raw
        assert other.recalled == []


async def test_an_exchange_without_an_answer_is_not_kept() -> None:
    turns = MemoryTurns()
    history = History(HistoryConfig(), turns)
    exchange = ask(("user", "One"))

    history.remember(exchange)
    exchange.reply_raw = [""]
    history.remember(exchange)

    assert turns.recent("default", "s1", None, 10) == []


async def test_the_masked_text_and_not_the_original_is_kept() -> None:
    turns = MemoryTurns()
    exchange = ask(("user", "CPF 111"))
    exchange.request.texts[0].value = "CPF <CPF_1>"
    exchange.redactions = {"ana@x.test": "<EMAIL_1>"}
    exchange.reply_raw = ["Noted <CPF_1>, ask ana@x.test"]
    exchange.reply_text = ["Noted 111"]

    History(HistoryConfig(), turns).remember(exchange)

    assert [turn.text for turn in turns.recent("default", "s1", None, 10)] == [
        "CPF <CPF_1>",
        "Noted <CPF_1>, ask <EMAIL_1>",
    ]


async def test_to_observe_is_to_add_nothing() -> None:
    turns = MemoryTurns()
    await talk(History(HistoryConfig(), turns), "One", "Uno")
    exchange = ask(("user", "Two"))

    await History(HistoryConfig(mode="observe"), turns)(exchange)

    assert len(exchange.recalled) == 2
    assert render_chat(exchange.request) is exchange.request.raw


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), max_size=12),
    st.integers(2, 30),
    st.integers(64, 300),
)
def test_budgets_hold_and_no_pair_is_halved(pairs: list[tuple[int, int]], limit: int, budget: int) -> None:
    turns = MemoryTurns()
    for question, answer in pairs:
        turns.append(
            "default",
            "s1",
            None,
            [SaidTurn("user", "q" * question, 0.0), SaidTurn("assistant", "a" * answer, 0.0)],
        )
    history = History(HistoryConfig(turns=limit, budget_tokens=budget), turns)
    exchange = ask(("user", "Next"))

    coroutine = history(exchange)
    with suppress(StopIteration):
        coroutine.send(None)

    added = [message for _, message in exchange.request.added]
    assert [one["role"] for one in added] == ["user", "assistant"] * (len(added) // 2)
    assert len(added) <= limit
    assert sum(len(str(one["content"])) for one in added) <= budget * 4
