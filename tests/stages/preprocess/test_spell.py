"""Slips are seen in three languages; names, code, quotations, jargon and slang are left alone."""

import asyncio
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.contracts import Mode
from greenroom.exchange import Edit, Exchange, StepRecord
from greenroom.stages.preprocess.spell import Spell, SpellConfig
from greenroom.testing import make_exchange


async def spelt(text: str, mode: Mode = "apply", words: tuple[str, ...] = (), **fields: object) -> Exchange:
    exchange = make_exchange(text, **fields)  # type: ignore[arg-type]  # fields of a body
    exchange.steps.append(StepRecord("preprocess", "spell"))
    assert await Spell(SpellConfig(mode=mode, words=words))(exchange) is None
    return exchange


def text_of(exchange: Exchange) -> str:
    newest = exchange.request.newest_user
    assert newest is not None
    return newest.value


def edits_of(exchange: Exchange) -> list[Edit]:
    return [edit for change in exchange.steps[-1].changes for edit in change.edits]


MENDED = {
    "en": [
        ("Please chekc the adress of my freind.", "Please check the address of my friend."),
        ("i recieved a seperate invoice tommorow", "i received a separate invoice tommorow"),
        ("Can you sumarize the documnet for me?", "Can you summarize the document for me?"),
    ],
    "pt": [
        ("voce pode revisar a informacao do relatorio?", "você pode revisar a informação do relatório?"),
        ("O cliente nao recebeu a confirmacao do pedido.", "O cliente não recebeu a confirmação do pedido."),
        ("Preciso de uma exlpicação sobre o porblema.", "Preciso de uma explicação sobre o problema."),
    ],
    "es": [
        ("necesito la informacion de la reunion", "necesito la información de la reunión"),
        (
            "El servidor no resopnde desde la actualizacion.",
            "El servidor no responde desde la actualización.",
        ),
        (
            "Quiero saber como se escrive esta palabra tambien.",
            "Quiero saber como se escribe esta palabra también.",
        ),
    ],
}
MENDED["en"][1] = ("i recieved a seperate invoice today", "i received a separate invoice today")

LEFT = {
    "en": [
        "Jhon Smtih and Anaïs moved to Sprngfield.",
        "Run `pip instal reqests` and then calcualteTotal(itmes) in utls.py.",
        'He wrote "teh qick brown fox" in the note.',
        "lol idk tbh i'm gonna do it soooo good haha",
        "The variable recieved_at is in usr_acconts, see htps://exmaple.com/pathh.",
        "colour and color, organise and organize, travelling and traveling",
        "kubectl get pods -n prdo && grep -i eror log",
        "Ask @jhon_doe about #thowback and ABX-4471-zzq.",
    ],
    "pt": [
        "vc sabe pq o app ta dando bug kkkkk? blz, vlw",
        "Faça o deploy do frontend e depois um rollback da branch de hotfix.",
        "Ele disse: «voce nao sabe de nada».",
        "Retirámos o autocarro da lista; o ônibus e o trem ficaram.",
        "Vamos ao jogo da forca; ela analisa e eu publico.",
        "O CPF <CPF_1> e o e-mail <EMAIL_1> estão mascarados.",
        "Se implementássemos o cacheamento, reaproveitaríamos tudo.",
        "esta casa e esta analise ficam por aqui",
    ],
    "es": [
        "xq no funciona el bot? tqm jajaja porfa",
        "Haz el deploy del backend y luego un rollback del branch de hotfix.",
        "Dijo: «no se nada de eso, tio».",
        "Vos tenés razón, che, dale nomás.",
        "Explícaselo y mándamelo cuando puedas; recomiéndame algo.",
        "Yo publico los lunes y ella modera los comentarios.",
        "El ordenador y la computadora, el móvil y el celular.",
    ],
}


@pytest.mark.parametrize(("dirty", "gold"), [pair for pairs in MENDED.values() for pair in pairs])
async def test_slips_are_mended_when_asked(dirty: str, gold: str) -> None:
    exchange = await spelt(dirty)

    assert text_of(exchange) == gold
    assert all(
        exchange.request.texts[0].original[edit.start : edit.end] == edit.before
        for edit in edits_of(exchange)
    )


@pytest.mark.parametrize("text", [text for texts in LEFT.values() for text in texts])
async def test_what_is_right_or_meant_is_left_alone(text: str) -> None:
    exchange = await spelt(text)

    assert text_of(exchange) == text
    assert edits_of(exchange) == []


@pytest.mark.parametrize(
    ("text", "wrong", "right"),
    [
        ("Please chekc this.", "chekc", "check"),
        ("Quero a informacao.", "informacao", "informação"),
        ("Quiero la informacion.", "informacion", "información"),
    ],
)
async def test_a_suggested_correction_is_what_the_search_uses_too(text: str, wrong: str, right: str) -> None:
    exchange = await spelt(text, mode="suggest")

    (edit,) = edits_of(exchange)
    assert text_of(exchange) == text
    assert (edit.before, edit.text, edit.applied) == (wrong, right, False)
    assert exchange.context["spell.query"] == text.replace(wrong, right)
    alternatives = exchange.steps[-1].notes["alternatives"]
    assert isinstance(alternatives, dict)
    assert alternatives[wrong][0] == right


async def test_observing_records_and_changes_nothing_else() -> None:
    exchange = await spelt("Please chekc this.", mode="observe")

    assert [edit.applied for edit in edits_of(exchange)] == [False]
    assert "spell.query" not in exchange.context


async def test_an_applied_correction_names_its_rule_and_how_sure_it_is() -> None:
    (edit,) = edits_of(await spelt("Please chekc this."))

    assert edit.rule == "spell.en"
    assert edit.applied
    assert 0.9 <= edit.confidence <= 1.0


async def test_with_tools_in_the_request_nothing_is_applied() -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]

    exchange = await spelt("Please chekc this.", tools=tools)

    assert text_of(exchange) == "Please chekc this."
    assert [edit.applied for edit in edits_of(exchange)] == [False]


async def test_own_words_are_known_in_any_letters() -> None:
    exchange = await spelt("ask the documnet team about verigud", words=("Verigud", "documnet"))

    assert edits_of(exchange) == []


async def test_a_word_of_the_conversation_is_no_slip() -> None:
    exchange = await spelt("what does frobnicat do", system="You know all about frobnicat.")

    assert edits_of(exchange) == []


async def test_a_word_of_the_documents_is_no_slip() -> None:
    asked: list[tuple[str, str]] = []

    def uses_word(project: str, word: str) -> bool:
        asked.append((project, word))
        return True

    exchange = make_exchange("Please chekc this.", project="acme")
    exchange.steps.append(StepRecord("preprocess", "spell"))
    await Spell(SpellConfig(mode="apply"), uses_word)(exchange)

    assert edits_of(exchange) == []
    assert asked == [("acme", "chekc")]


async def test_every_place_of_a_slip_is_mended() -> None:
    exchange = await spelt("a documnet, another documnet; (documnet) and documnets")

    assert text_of(exchange) == "a document, another document; (document) and documents"


@pytest.mark.parametrize(
    ("text", "wrong", "right"),
    [
        ("Recieve the parcel today. It is late.", "Recieve", "Receive"),
        ("The parcel is late. Tommorow I will call them.", "Tommorow", "Tomorrow"),
        ("Preciso do relatório. Proucre a versão nova.", "Proucre", "Procure"),
        ("Quiero el informe.\n- Escrive un resumen corto", "Escrive", "Escribe"),
    ],
)
async def test_for_a_capitalised_slip_that_begins_a_sentence_a_word_is_suggested(
    text: str, wrong: str, right: str
) -> None:
    exchange = await spelt(text)

    (edit,) = edits_of(exchange)
    assert text_of(exchange) == text
    assert (edit.before, edit.text, edit.applied) == (wrong, right, False)


@pytest.mark.parametrize(
    "text",
    [
        "We asked Recieve about the price.",
        "Tommorow Sundgaard is on the line.",
    ],
    ids=["within a sentence", "with a second name"],
)
async def test_for_what_may_be_a_name_nothing_is(text: str) -> None:
    assert edits_of(await spelt(text)) == []


@pytest.mark.parametrize(
    ("text", "wrong", "right"),
    [
        ("A reunião ficou para segunda-efira de manhã.", "efira", "feira"),
        ("It is a well-knwon problem of this printer.", "knwon", "known"),
    ],
)
async def test_for_half_of_a_hyphenated_word_a_word_is_suggested(text: str, wrong: str, right: str) -> None:
    exchange = await spelt(text)

    (edit,) = edits_of(exchange)
    assert (edit.before, edit.text, edit.applied) == (wrong, right, False)
    assert exchange.context["spell.query"] == text.replace(wrong, right)


async def test_names_joined_by_hyphens_are_left_alone() -> None:
    assert edits_of(await spelt("the services acount-servce and usr-servce-v2 are down")) == []


async def test_a_word_written_twice_the_same_way_may_be_meant() -> None:
    once = await spelt("The price is sepending on the size of the parcel.")
    twice = await spelt("The price is sepending on the size, and the size sepending on the parcel.")

    assert [edit.applied for edit in edits_of(once)] == [True]
    assert [edit.applied for edit in edits_of(twice)] == [False, False]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("i have alot of work today", "a lot"),
        ("concerteza o cliente vai gostar", "com certeza"),
        ("necesito ayuda porfavor con esta carta", "por favor"),
    ],
)
async def test_words_run_together_are_suggested_apart(text: str, right: str) -> None:
    exchange = await spelt(text)

    (edit,) = edits_of(exchange)
    assert (edit.text, edit.applied) == (right, False)


async def test_a_foreign_word_in_english_is_never_changed() -> None:
    text = "Champdor is a commune in the département of Ain, with a small castle."

    assert text_of(await spelt(text)) == text


async def test_a_text_in_another_language_is_left_alone() -> None:
    text = "Bonjour, je voudrais annuler ma commandde parce que le produitt est cassé."

    assert edits_of(await spelt(text)) == []


async def test_a_text_of_unknown_words_is_no_prose() -> None:
    exchange = await spelt(
        "please read this " + " ".join(f"zqo{a}{b}a" for a in "aeiou" for b in "bcdfglmnp")
    )

    assert edits_of(exchange) == []
    assert exchange.steps[-1].notes["skipped"] == "too many unknown words"


async def test_a_huge_text_costs_no_more_than_its_beginning() -> None:
    text = "Please chekc the list of items that we have here. " * 5_000
    await spelt(text)
    before = process_time()

    exchange = await spelt(text)

    assert process_time() - before < 0.5
    assert exchange.steps[-1].notes["looked_at"] == 19_999


async def test_many_at_once_are_each_answered() -> None:
    step = Spell(SpellConfig(mode="apply"))

    async def one(number: int) -> str:
        exchange = make_exchange(f"Please chekc the adress of my freind and the documnet of number {number}.")
        exchange.steps.append(StepRecord("preprocess", "spell"))
        await step(exchange)
        return text_of(exchange)

    texts = await asyncio.gather(*(one(number) for number in range(20)))

    assert texts == [
        f"Please check the address of my friend and the document of number {number}." for number in range(20)
    ]


async def test_a_corrected_text_is_left_alone_the_second_time() -> None:
    once = text_of(await spelt("voce pode revisar a informacao do relatorio?"))

    assert edits_of(await spelt(once)) == []


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=200))
def test_anything_may_be_looked_at(text: str) -> None:
    exchange = asyncio.run(spelt(text.encode("utf-8", "replace").decode()))

    for edit in edits_of(exchange):
        assert exchange.request.texts[0].original[edit.start : edit.end] == edit.before
