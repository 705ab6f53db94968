import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.contracts import TextFilter
from greenroom.exchange import Exchange, Passage
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.policy import Policies, PolicyConfig
from greenroom.stages.check.secrets import SecretDetector
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.testing import chop, make_exchange, run_filter
from greenroom.wire import openai_request

DETECTORS = (PiiDetector(("email", "phone", "cpf", "credit_card", "iban")), SecretDetector())
CPF = "390.533.447-05"
SECRET = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bD1fG3hJ5"
PIECES = st.lists(
    st.sampled_from(
        [CPF, SECRET, "maria@exemplo.com.br", "+55 11 98765-4321", " ", "\n", "a palavra ", "em 2024, ", "1", "@", ".",
         "CPF: ", "e-mail ", "é assim; ", "https://a.b/c?d=1 ", "password: ", "x" * 30]
    ),
    max_size=14,
).map("".join)  # fmt: skip


def opened(exchange: Exchange | None = None, config: GuardConfig | None = None) -> TextFilter:
    one = Guard(config or GuardConfig(), DETECTORS).open(exchange or make_exchange(), "content")
    assert one is not None
    return one


@given(PIECES, st.lists(st.integers(0, 400), max_size=20))
def test_the_verdict_does_not_depend_on_how_the_stream_is_cut(text: str, cuts: list[int]) -> None:
    assert run_filter(opened(), chop(text, cuts)) == run_filter(opened(), [text])


def test_personal_data_the_caller_did_not_bring_never_leaves() -> None:
    out = run_filter(opened(), list(f"O CPF dela é {CPF} e a chave é {SECRET}."))

    assert CPF not in out
    assert SECRET not in out
    assert "[CPF]" in out


def test_what_the_caller_or_a_passage_said_is_no_leak() -> None:
    exchange = make_exchange(f"meu CPF: {CPF}")
    exchange.passages.append(
        Passage(id="1", document="d", title="t", text="write to maria@exemplo.com.br", score=1.0)
    )
    text = f"CPF {CPF}, maria@exemplo.com.br"

    assert run_filter(opened(exchange), [text]) == text


def test_a_blocked_finding_stops_the_text_before_it_is_shown() -> None:
    one = opened(config=GuardConfig(personal_data="block"))

    shown = run_filter(one, list(f"É este: CPF {CPF} e mais."))

    assert one.rejected == "br.cpf"
    assert "390" not in shown


def test_plain_prose_is_shown_up_to_the_last_word() -> None:
    assert opened().feed("The answer is simple enough") == "The answer is simple "


@given(st.lists(st.text(alphabet=st.sampled_from("ab 1@.:-\n"), max_size=40), max_size=20))
def test_no_more_is_held_back_than_declared(pieces: list[str]) -> None:
    one = opened()
    fed = shown = 0
    for piece in pieces:
        fed += len(piece)
        shown += len(one.feed(piece))
        if not one.edits:
            assert fed - shown <= one.lookback


@pytest.mark.parametrize(
    "text",
    [
        "my password is HuNtErAbCdEf ok then",
        "senha é mInHaSeNhAsEcReTa, tudo bem",
        "mi contraseña es mIcLaVeSeCrEtA y ya",
        "SKabcdefabcdefabcdefabcdefabcdefab done",
    ],
)
def test_secrets_of_letters_alone_are_found_in_a_stream_as_in_a_whole_answer(text: str) -> None:
    whole = run_filter(opened(), [text])

    assert "[" in whole
    assert run_filter(opened(), list(text)) == whole


MIXED = Policies(
    {
        "mail": PolicyConfig(action="warn", rule="email", direction="output"),
        "keys": PolicyConfig(action="block", category="secret", shadow=True),
        "cpf": PolicyConfig(action="mask", rule="br.cpf"),
        "input": PolicyConfig(action="block", direction="input"),
    }
)


@given(PIECES, st.lists(st.integers(0, 400), max_size=20))
def test_with_policies_too_the_verdict_does_not_depend_on_how_the_stream_is_cut(
    text: str, cuts: list[int]
) -> None:
    def run(pieces: list[str]) -> tuple[str, list[object]]:
        one = Guard(GuardConfig(), DETECTORS, MIXED).open(make_exchange(), "content")
        assert one is not None
        out = run_filter(one, pieces)
        return out, [
            (found.rule, found.start, found.end, found.action, found.policy, found.shadow)
            for found in one.verdicts
        ]

    assert run(chop(text, cuts)) == run([text])


def test_policies_decide_about_each_finding_of_an_answer() -> None:
    one = Guard(GuardConfig(), DETECTORS, MIXED).open(make_exchange(), "content")
    assert one is not None

    out = run_filter(one, [f"CPF {CPF}, maria@exemplo.com.br, {SECRET}."])

    assert out == "CPF [CPF], maria@exemplo.com.br, [GITHUB_TOKEN]."
    assert [(found.action, found.policy, found.shadow, found.would) for found in one.verdicts] == [
        ("mask", "cpf", "", None), ("warn", "mail", "", None), ("redact", "", "keys", "block"),
    ]  # fmt: skip


def test_where_guard_only_looks_no_policy_changes_anything() -> None:
    block = Policies({"all": PolicyConfig(action="block")})
    one = Guard(GuardConfig(mode="observe"), DETECTORS, block).open(make_exchange(), "content")
    assert one is not None

    assert run_filter(one, [f"CPF {CPF}."]) == f"CPF {CPF}."
    assert [(found.action, found.policy) for found in one.verdicts] == [("log", "all")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("who is this, please?", "withheld"),
        ("quem é essa pessoa?", "retida"),
        ("¿quién es esa persona de la foto?", "retenida"),
    ],
    ids=["en", "pt", "es"],
)
def test_a_blocked_answer_is_explained_in_the_users_language(text: str, said: str) -> None:
    exchange = make_exchange(text)
    openai_request.read_messages(exchange.request)

    run_filter(opened(exchange, GuardConfig(personal_data="block")), [f"CPF {CPF}."])

    assert said in str(exchange.context["refusal"])
