import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.exchange import Exchange, Passage
from greenroom.gateway import again
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.pipeline import App, finish_whole
from greenroom.grounding.passages import units
from greenroom.grounding.stems import language_of, tokens
from greenroom.stages.postprocess.cite import Cite, CiteConfig
from greenroom.stages.postprocess.claims import Claim
from greenroom.stages.postprocess.court import Court, Judgement
from greenroom.stages.postprocess.verify import Verify, VerifyConfig, Words
from greenroom.testing import EchoUpstream, chop, make_app, make_exchange, run_filter

WORDS = Words(tokens, language_of, units)
EN = """The tower was finished on 4 May 1921. It is 3 km from the harbour and 84 metres high. Ines Duarte drew \
the plans. The lift does not run in winter. It takes up to 12 people."""
PT = """A torre foi concluída em 4 de maio de 1921. Fica a 3 km do porto e tem 84 metros de altura. Inês Duarte \
desenhou os planos. O elevador não funciona no inverno. Ele leva até 12 pessoas e custou R$ 1.250,50."""
ES = """La torre se terminó el 4 de mayo de 1921. Está a 3 km del puerto y mide 84 metros de altura. Inés Duarte \
dibujó los planos. El ascensor no funciona en invierno. Lleva hasta 12 personas y costó 1.250,50 euros."""
OTHER = "The market opens on Mondays. Fish and bread are sold there by 40 traders from Vilar."


def grounded(*passages: str, **fields: object) -> Exchange:
    exchange = make_exchange("?", **fields)  # type: ignore[arg-type]  # fields of the body
    exchange.passages = [
        Passage(id=str(number), document="d.md", title="T", text=text, score=1.0)
        for number, text in enumerate(passages, 1)
    ]
    return exchange


def labels(text: str, *passages: str) -> list[str]:
    judged = Verify(VerifyConfig(), WORDS).judge(grounded(*passages), text)
    return [one.judgement.label for one in judged]


@pytest.mark.parametrize(
    ("passage", "sentence"),
    [
        pytest.param(EN, "From the harbour it is 3,000 m to the tower.", id="en, a unit"),
        pytest.param(EN, "The tower was finished in May 1921.", id="en, part of a date"),
        pytest.param(EN, "Duarte was the one who drew the plans.", id="en, a part of a name"),
        pytest.param(
            EN, "Twelve people can take the lift, which is closed in winter.", id="en, a number word"
        ),
        pytest.param(EN, "In winter the lift doesn't run.", id="en, a denial"),
        pytest.param(PT, "Do porto até a torre são 3.000 m.", id="pt, a unit"),
        pytest.param(PT, "A torre foi concluída em 04/05/1921.", id="pt, a date in digits"),
        pytest.param(PT, "O elevador custou R$ 1250,50 e leva doze pessoas.", id="pt, an amount"),
        pytest.param(PT, "No inverno, o elevador não funciona.", id="pt, a denial"),
        pytest.param(ES, "Desde el puerto hay 3.000 m hasta la torre.", id="es, a unit"),
        pytest.param(ES, "La torre se terminó el 04/05/1921.", id="es, a date in digits"),
        pytest.param(ES, "El ascensor costó 1250,50 € y lleva a doce personas.", id="es, an amount"),
        pytest.param(ES, "En invierno no funciona el ascensor.", id="es, a denial"),
    ],
)
def test_what_the_passages_say_in_other_words_is_supported(passage: str, sentence: str) -> None:
    assert labels(sentence, OTHER, passage) == ["supported"]


@pytest.mark.parametrize(
    ("passage", "sentence", "kind"),
    [
        pytest.param(EN, "The tower is 48 metres high.", "number", id="en, a number"),
        pytest.param(EN, "It is 3 miles from the harbour.", "number", id="en, a unit"),
        pytest.param(EN, "The tower was finished on 4 June 1921.", "date", id="en, a month"),
        pytest.param(EN, "Paulo Freitas drew the plans of the tower.", "name", id="en, a name"),
        pytest.param(EN, "The lift runs in winter.", "negation", id="en, a denial lost"),
        pytest.param(EN, "The tower was not finished on 4 May 1921.", "negation", id="en, a denial put in"),
        pytest.param(PT, "A torre tem 48 metros de altura.", "number", id="pt, a number"),
        pytest.param(PT, "A torre foi concluída em 4 de junho de 1921.", "date", id="pt, a month"),
        pytest.param(PT, "Paulo Freitas desenhou os planos da torre.", "name", id="pt, a name"),
        pytest.param(PT, "O elevador funciona no inverno.", "negation", id="pt, a denial lost"),
        pytest.param(PT, "O elevador custou R$ 1.520,50.", "number", id="pt, an amount"),
        pytest.param(ES, "La torre mide 48 metros de altura.", "number", id="es, a number"),
        pytest.param(ES, "La torre se terminó el 4 de junio de 1921.", "date", id="es, a month"),
        pytest.param(ES, "Pablo Freire dibujó los planos de la torre.", "name", id="es, a name"),
        pytest.param(ES, "El ascensor funciona en invierno.", "negation", id="es, a denial lost"),
        pytest.param(ES, "El ascensor costó 1.520,50 euros.", "number", id="es, an amount"),
    ],
)
def test_what_they_say_otherwise_is_not(passage: str, sentence: str, kind: str) -> None:
    judged = Verify(VerifyConfig(), WORDS).judge(grounded(OTHER, passage), sentence)

    assert [kind in one.judgement.missing for one in judged] == [True]
    assert judged[0].judgement.label != "supported"


@pytest.mark.parametrize(
    "text",
    [
        "Hello! I hope this helps.", "Is it high?", "I found nothing about this in the documents.",
        "Não encontrei nada sobre isso nos documentos.", "Olá! Espero ter ajudado.", "O que mais deseja saber?",
        "No encontré nada sobre esto en los documentos.", "¡Hola! Espero que le sirva.", "", "```\nx = 48\n```",
        "# The tower\n\n**The tower**",
    ],
)  # fmt: skip
def test_what_claims_nothing_is_not_judged(text: str) -> None:
    assert labels(text, EN, PT, ES) == []


def test_a_sentence_about_something_else_is_not_supported() -> None:
    assert labels("Penguins raise their young on antarctic ice shelves.", EN) == ["not"]


def test_a_number_of_another_sentence_does_not_count() -> None:
    long = f"{EN} Tickets are sold at the gate. Dogs stay outside. Bread for the kiosk comes at 7 from 48 bakers."

    assert labels("The tower is 48 metres high.", long) != ["supported"]


ANSWER = "Hi! The tower is 84 metres high [1]. It was finished in 1931.\n\n- Ines Duarte drew the plans [1, 2].\n- 48 fish."


EN_TERMS = """Opened jars keep for six weeks, and the smallest costs $4.60. The board voted by 9 to 4 to close Elm Road \
to cars. Half of the 60 staff work three shifts a day. Prices rose 5% while demand fell. Rovers beat Harrow 3-1. \
The gate opens at 4:30 p.m. and is locked unless a guard is there."""
PT_TERMS = """Potes abertos duram seis semanas e o menor custa R$ 4,60. A Câmara aprovou a cobrança por 9 votos a 4. \
Metade dos 60 funcionários trabalha oito horas. Os preços subiram 5%, mas a procura caiu. O portão abre às 16h30. \
É proibido fumar no pátio."""
ES_TERMS = """Los botes abiertos duran seis semanas y el menor cuesta 4,60 euros. El pleno aprobó la tasa por 9 votos a 4. \
La mitad de los 60 empleados trabaja ocho horas. Los precios subieron un 5 %, pero la demanda cayó. La puerta abre a \
las 16:30. Está prohibido fumar en el patio."""


@pytest.mark.parametrize(
    ("passage", "sentence"),
    [
        pytest.param(EN_TERMS, "A jar lasts 42 days once it is open.", id="en, weeks as days"),
        pytest.param(EN_TERMS, "The smallest one is $4.60.", id="en, an amount alone"),
        pytest.param(EN_TERMS, "50% of the 60 staff work three shifts.", id="en, half"),
        pytest.param(
            EN_TERMS, "The gate opens at half past four in the afternoon.", id="en, a time in words"
        ),
        pytest.param(EN_TERMS, "Prices increased by five percent.", id="en, another word"),
        pytest.param(PT_TERMS, "Um pote aberto aguenta 42 dias.", id="pt, weeks as days"),
        pytest.param(PT_TERMS, "O menor sai por quatro reais e sessenta centavos.", id="pt, reais and cents"),
        pytest.param(PT_TERMS, "O portão é aberto às quatro e meia da tarde.", id="pt, a time in words"),
        pytest.param(PT_TERMS, "Não se pode fumar no pátio.", id="pt, not allowed"),
        pytest.param(ES_TERMS, "Un bote abierto aguanta 42 días.", id="es, weeks as days"),
        pytest.param(ES_TERMS, "El menor vale cuatro euros con sesenta.", id="es, euros and cents"),
        pytest.param(
            ES_TERMS, "La puerta se abre a las cuatro y media de la tarde.", id="es, a time in words"
        ),
        pytest.param(ES_TERMS, "No se puede fumar en el patio.", id="es, not allowed"),
    ],
)
def test_synonyms_and_other_forms_are_supported(passage: str, sentence: str) -> None:
    assert labels(sentence, OTHER, passage) == ["supported"]


@pytest.mark.parametrize(
    ("passage", "sentence", "kind"),
    [
        pytest.param(EN_TERMS, "Prices fell 5% while demand rose.", "direction", id="en, the other way"),
        pytest.param(EN_TERMS, "Harrow beat Rovers 3-1.", "role", id="en, who beat whom"),
        pytest.param(EN_TERMS, "Opened jars keep for six months.", "number", id="en, a unit"),
        pytest.param(EN_TERMS, "The gate opens at half past five in the afternoon.", "time", id="en, a time"),
        pytest.param(PT_TERMS, "Os preços caíram 5%.", "direction", id="pt, the other way"),
        pytest.param(PT_TERMS, "É permitido fumar no pátio.", "negation", id="pt, allowed"),
        pytest.param(PT_TERMS, "O portão abre às cinco e meia da tarde.", "time", id="pt, a time"),
        pytest.param(ES_TERMS, "Los precios bajaron un 5 %.", "direction", id="es, the other way"),
        pytest.param(ES_TERMS, "No está prohibido fumar en el patio.", "negation", id="es, not forbidden"),
        pytest.param(ES_TERMS, "La puerta abre a las cinco y media de la tarde.", "time", id="es, a time"),
    ],
)
def test_what_is_turned_round_is_not_supported(passage: str, sentence: str, kind: str) -> None:
    judged = Verify(VerifyConfig(), WORDS).judge(grounded(OTHER, passage), sentence)

    assert [kind in one.judgement.missing for one in judged] == [True]


def test_of_a_stream_little_is_left_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"The tower is {number} metres high and has {number} steps." for number in range(20, 60))
    whole = Verify(VerifyConfig(), WORDS).judge(grounded(EN, OTHER), text)
    judged: list[str] = []
    judge = Court.judge

    def noted(court: Court, claim: Claim) -> Judgement:
        judged.append(claim.text)
        return judge(court, claim)

    monkeypatch.setattr(Court, "judge", noted)
    cut = Verify(VerifyConfig(), WORDS).open(grounded(EN, OTHER), "content")
    assert cut is not None
    for piece in chop(text, range(7, len(text), 7)):
        cut.feed(piece)
    before = len(judged)

    cut.flush()

    assert len(whole) == len(judged) == 40
    assert before >= 34
    assert [(one["start"], one["label"]) for one in cut.notes["sentences"]] == [  # type: ignore[attr-defined]  # notes
        (one.start, one.judgement.label) for one in whole
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=20))
def test_the_judgement_does_not_depend_on_how_the_answer_is_cut(cuts: list[int]) -> None:
    whole, cut = (Verify(VerifyConfig(), WORDS).open(grounded(EN, OTHER), "content") for _ in range(2))
    assert whole is not None
    assert cut is not None

    assert run_filter(whole, [ANSWER]) == run_filter(cut, chop(ANSWER, cuts)) == ANSWER
    assert (whole.notes, whole.verdicts) == (cut.notes, cut.verdicts)


def app_of(upstream: EchoUpstream, config: VerifyConfig) -> App:
    post = [PostEntry(Verify(config, WORDS), False), PostEntry(Cite(CiteConfig()), False)]
    return make_app(upstream, post=post)


async def answered(exchange: Exchange, app: App) -> dict[str, object]:
    reply, error = await again.ask(exchange, app)
    assert error is None
    answer: dict[str, object] = json.loads(finish_whole(exchange, app, reply))
    return answer


async def test_annotating_tells_what_is_not_supported_and_changes_nothing() -> None:
    exchange = grounded(EN)
    text = "Wrong [9]. The tower is 84 metres high. It was finished in 1931."

    answer = await answered(exchange, app_of(EchoUpstream([text]), VerifyConfig()))

    content = answer["choices"][0]["message"]["content"]  # type: ignore[index]  # JSON
    facts = answer["greenroom"]
    assert content == text.replace(" [9]", "")
    found = {content[one["start"] : one["end"]]: one["label"] for one in facts["sentences"]}  # type: ignore[index]
    assert found["The tower is 84 metres high."] == "supported"
    assert found["It was finished in 1931."] == "not"
    assert facts["groundedness"] == exchange.steps[0].notes["groundedness"]  # type: ignore[index]


@pytest.mark.parametrize("mode", ["observe", "suggest"])
async def test_to_observe_is_to_note_and_to_tell_nobody(mode: str) -> None:
    exchange = grounded(EN)
    config = VerifyConfig(mode=mode, action="refuse")  # type: ignore[arg-type]  # a mode

    answer = await answered(exchange, app_of(EchoUpstream(["It was finished in 1931."]), config))

    assert "sentences" not in answer["greenroom"]  # type: ignore[operator]
    assert exchange.steps[0].notes["groundedness"] == 0.0
    assert [one.action for one in exchange.steps[0].verdicts] == ["log"]


async def test_the_model_is_asked_again_with_the_sentences_named() -> None:
    upstream = EchoUpstream(["The tower was finished in 1931.", "The tower was finished in 1921."])
    exchange = grounded(EN)

    answer = await answered(exchange, app_of(upstream, VerifyConfig(action="ask_again")))

    assert "1921" in answer["choices"][0]["message"]["content"]  # type: ignore[index]
    assert "- The tower was finished in 1931." in json.loads(upstream.calls[1])["messages"][-1]["content"]


async def test_an_unsupported_answer_is_refused_where_that_is_set() -> None:
    exchange = grounded(EN)

    answer = await answered(
        exchange, app_of(EchoUpstream(["It was finished in 1931."]), VerifyConfig(action="refuse"))
    )

    assert answer["choices"][0]["finish_reason"] == "content_filter"  # type: ignore[index]
    assert exchange.outcome == "refused"


def test_without_passages_for_tools_and_for_json_there_is_nothing_to_do() -> None:
    step = Verify(VerifyConfig(), WORDS)

    assert step.open(make_exchange(), "content") is None
    assert step.open(grounded(EN), "arguments") is None
    assert step.open(grounded(EN, response_format={"type": "json_object"}), "content") is None
    assert step.leaves(make_exchange(), "content", "x")


def test_of_several_answers_the_first_is_noted() -> None:
    exchange = grounded(EN)
    step = Verify(VerifyConfig(), WORDS)
    first, second = step.open(exchange, "content"), step.open(exchange, "content")
    assert first is not None
    assert second is not None
    for one in (first, second):
        run_filter(one, ["It was finished in 1931."])

    assert "sentences" in first.notes
    assert second.notes == {}


@pytest.mark.parametrize(
    "text",
    [
        "1" * 20_000,
        "1." * 10_000,
        "Ab " * 10_000,
        "não " * 10_000,
        "x" * 100_000,
        "“" * 10_000,
        "in May " * 5_000,
    ],
)
def test_hostile_answers_are_judged_in_time(text: str) -> None:
    began = time.process_time()

    judged = Verify(VerifyConfig(), WORDS).judge(grounded(EN), text)

    assert time.process_time() - began < 5
    assert all(0 <= one.start < one.end <= len(text) for one in judged)
