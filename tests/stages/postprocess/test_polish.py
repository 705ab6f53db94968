import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greenroom.contracts import TextFilter
from greenroom.errors import ConfigError
from greenroom.exchange import Caller, ChatRequest, Exchange
from greenroom.stages.postprocess.polish import Polish, PolishConfig

TERMS = {"Greenroom": ("green room", "greenrum"), "e-mail": ("email",), "São Paulo Futebol Clube": ("spfc",)}


def exchange_in(language: str | None = None, response_format: str | None = None) -> Exchange:
    request = ChatRequest(b"{}", "m")
    request.response_format = response_format
    exchange = Exchange("x1", Caller(key_id="k"), request, "default")
    exchange.language = None if language is None else (language, 1.0)
    return exchange


def open_filter(config: PolishConfig | None = None, language: str | None = None) -> TextFilter:
    opened = Polish(config or PolishConfig()).open(exchange_in(language), "content")
    assert opened is not None
    return opened


def run(text: str, config: PolishConfig | None = None, language: str | None = None) -> str:
    one = open_filter(config, language)
    return one.feed(text) + one.flush()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("It is the the end.", "It is the end.", id="en doubled"),
        pytest.param("O relatório de de maio.", "O relatório de maio.", id="pt doubled"),
        pytest.param("El informe del del mes.", "El informe del mes.", id="es doubled"),
        pytest.param("The the end.", "The end.", id="doubled at the beginning"),
        pytest.param("Go to to.", "Go to.", id="doubled before a mark"),
        pytest.param("All in order , she said .", "All in order, she said.", id="blank before a mark"),
        pytest.param("Tudo certo,, obrigado..", "Tudo certo, obrigado.", id="marks twice"),
        pytest.param("We have not seen  it yet.", "We have not seen it yet.", id="two blanks"),
    ],
)
def test_mechanical_faults_are_mended(before: str, after: str) -> None:
    assert run(before) == after
    whole = open_filter()
    assert whole.whole(before) == after  # type: ignore[attr-defined]  # what the chain calls for whole answers


@pytest.mark.parametrize(
    "text",
    [
        "He had had enough, and that that man said was true.",
        "Duran Duran tocou muito muito bem. No no, no.",
        "Run `the the` now.\n\n```\nthe the , x..\n```\n",
        "| the the | , |\n|---|---|\n| of of | x |",
        'He wrote "the the" twice, “of of” once, «de de» once.',
        "> the the quoted line",
        "    the the indented code",
        "Wait... and so on ... well.",
        "a.  b.  two blanks after a full stop.  Next",
        "key  value\nname  Ana",
        "The function f(x , y) and ../path , or .gitignore",
        "Le mot : voilà ! Et toi ?",
        "$$ the the = of of $$",
        "la la la, canta canta",
        "The\nthe line goes on.",
        "See https://the.the/of..of and a@b.co .",
        "",
        "   \n\n ",
    ],
)
def test_what_is_meant_so_is_left_alone(text: str) -> None:
    assert run(text) == text
    assert run(text, PolishConfig(grammar="apply", harper=False)) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Ask the GREEN ROOM team.", "Ask the Greenroom team."),
        ("Pergunte ao greenrum.", "Pergunte ao Greenroom."),
        ("Envíe un Email hoy. Otro email.", "Envíe un e-mail hoy. Otro e-mail."),
        ("**green room** wins", "**Greenroom** wins"),
        (
            "O SPFC venceu; torço para o spfc.",
            "O São Paulo Futebol Clube venceu; torço para o São Paulo Futebol Clube.",
        ),
        ("A green, room", "A green, room"),
        ("`greenrum` and greenrums", "`greenrum` and greenrums"),
        ("são paulo futebol clube", "São Paulo Futebol Clube"),
        ("a green", "a green"),
    ],
)
def test_house_terms_replace_their_other_spellings(before: str, after: str) -> None:
    config = PolishConfig(terms=TERMS)

    assert run(before, config) == after
    assert open_filter(config).whole(before) == after  # type: ignore[attr-defined]  # as above


_pieces = st.lists(
    st.sampled_from(
        ["the ", "the", " ", "of of ", "green ", "room", "\n", "`", "```\n", "|", '"', " ,", ",,", "..", ". ", "ação ",
         "de de", "e-mail", "x" * 60, " " * 70, "    ", "- ", "> ", "$", "$$", "São Paulo Futebol ", "Clube", "He could of done it. ",
         "Houveram muitos erros, à partir de hoje. ", "Hubieron muchos. ", "é ", "!"]
    ),
    max_size=30,
)  # fmt: skip


@example(["green ", ",,", "room"], [1], "observe")
@example(["green ", '"', "room"], [1], "observe")
@example(["x" * 60, "$$", "the ", "the ", "the "], [1], "observe")
@example(["$" * 400, "the ", "the "], [1], "apply")
@example(["x" * 60, "```\n", "the ", "the "], [1, 2], "apply")
@settings(max_examples=300, deadline=None)
@given(_pieces, st.lists(st.integers(1, 12), min_size=1, max_size=8), st.sampled_from(["observe", "apply"]))
def test_however_the_text_is_cut_the_result_is_the_same(
    pieces: list[str], sizes: list[int], grammar: str
) -> None:
    text = "".join(pieces)
    config = PolishConfig(terms=TERMS, grammar=grammar, harper=False)  # type: ignore[arg-type]  # one of the literals
    whole = open_filter(config, "pt")
    at_once = whole.whole(text)  # type: ignore[attr-defined]  # as above
    cut = open_filter(config, "pt")
    out, at, turn = [], 0, 0
    held = 0
    while at < len(text):
        piece = text[at : at + sizes[turn % len(sizes)]]
        out.append(cut.feed(piece))
        at += len(piece)
        held = max(held, at - sum(map(len, out)) if not cut.edits else 0)
        turn += 1
    out.append(cut.flush())

    assert "".join(out) == at_once
    assert held <= cut.lookback
    assert [(one.start, one.end, one.text, one.applied) for one in cut.edits] == [
        (one.start, one.end, one.text, one.applied) for one in whole.edits
    ]
    assert cut.notes == whole.notes


def test_edits_say_what_was_there_and_why() -> None:
    one = open_filter()

    assert one.feed("It is the the end.") + one.flush() == "It is the end."
    (edit,) = one.edits
    assert ("It is the the end."[edit.start : edit.end], edit.before) == (" the", " the")
    assert edit.rule == "polish.doubled"
    assert edit.applied


@pytest.mark.parametrize("mode", ["observe", "suggest"])
def test_without_apply_the_text_stays_and_the_faults_are_told(mode: str) -> None:
    one = open_filter(PolishConfig(mode=mode, terms=TERMS))  # type: ignore[arg-type]  # one of the literals

    assert one.feed("It is the the green room.") + one.flush() == "It is the the green room."
    assert [(edit.before, edit.applied) for edit in one.edits] == [(" the", False), ("green room", False)]


@pytest.mark.parametrize(
    ("language", "text", "mended"),
    [
        ("en", "He could of told us that it was a apple.", "He could have told us that it was an apple."),
        ("pt", "Houveram muitos erros à partir de ontem.", "Houve muitos erros a partir de ontem."),
        ("es", "Hubieron muchos errores, pienso de que fué así.", "Hubo muchos errores, pienso que fue así."),
    ],
)
def test_grammar_is_observed_by_default_and_applied_when_asked(language: str, text: str, mended: str) -> None:
    observing = open_filter(language=language)

    assert observing.feed(text) + observing.flush() == text
    assert observing.edits
    assert not any(edit.applied for edit in observing.edits)
    assert run(text, PolishConfig(grammar="apply", harper=False), language) == mended
    silent = open_filter(PolishConfig(grammar="off"), language)
    assert silent.feed(text) + silent.flush() == text
    assert silent.edits == []


def test_harper_mends_english_and_leaves_portuguese_alone() -> None:
    config = PolishConfig(grammar="apply")

    assert run("She go to school every single day with her friends.", config, "en").startswith("She goes to")
    portuguese = "Ela vai à escola todos os dias com as amigas e gosta muito de ler."
    assert run(portuguese, config, "pt") == portuguese
    assert run(portuguese, config, "en") == portuguese


def test_forbidden_phrases_are_findings() -> None:
    one = open_filter(PolishConfig(forbidden=("como modelo de linguagem", "As an AI")))
    text = "Como modelo de linguagem, não sei. As an AIM member I do; as an AI I don't."

    assert one.feed(text) + one.flush() == text
    assert [text[found.start : found.end] for found in one.verdicts] == [
        "Como modelo de linguagem",
        "as an AI",
    ]
    assert {found.category for found in one.verdicts} == {"style"}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "en",
            "It is important to note that perhaps the model is slow. In order to fix it, we basically need to wait and see what happens next week.",
        ),
        (
            "pt",
            "Vale ressaltar que talvez o modelo seja lento. Na verdade, basicamente precisamos esperar e ver o que acontece na próxima semana com ele.",
        ),
        (
            "es",
            "Cabe destacar que tal vez el modelo sea lento. En realidad, básicamente tenemos que esperar y ver qué pasa la próxima semana con él.",
        ),
    ],
)
def test_style_is_noted(language: str, text: str) -> None:
    one = open_filter(language=language)
    one.feed(text)
    one.flush()

    noted = one.notes["style"]
    assert isinstance(noted, dict)
    assert noted["sentences"] == 2
    assert noted["hedges"] == 1
    assert noted["fillers"] == 3
    assert 20 <= noted["reading_ease"] <= 90


def test_an_answer_in_another_language_is_noted() -> None:
    one = open_filter(language="pt")
    one.feed("The invoice was sent yesterday and should arrive within two days at your address.")
    one.flush()

    assert one.notes["language"] == {"asked": "pt", "answered": "en"}


def test_structured_answers_and_tool_calls_are_left_alone() -> None:
    step = Polish(PolishConfig())

    assert step.open(exchange_in(response_format="json_object"), "content") is None
    assert step.open(exchange_in(), "arguments") is None
    assert step.leaves(exchange_in(), "arguments", "the the")
    assert not step.leaves(exchange_in(), "content", "the the")


def test_a_term_of_white_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="only white space"):
        Polish(PolishConfig(terms={"x": (" ",)}))


@pytest.mark.parametrize(
    "text", ["the " * 50_000, "a" * 300_000, " " * 300_000, '"' * 100_000, "`" * 100_000, "green " * 50_000]
)
def test_long_and_strange_texts_take_linear_time(text: str) -> None:
    one = open_filter(PolishConfig(terms=TERMS, grammar="apply", harper=False))
    out = [one.feed(text[at : at + 1000]) for at in range(0, len(text), 1000)]

    assert len("".join(out) + one.flush()) <= len(text) + 16
