"""Languages of short prompts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.stages.language import UNKNOWN, detect, language_of
from greenroom.testing import make_exchange

PROMPTS = {
    "en": [
        "What's the capital of France?", "Write an email to my boss", "thanks", "Fix this code", "hi there",
        "how much is shipping", "The kids play in the park", "Draft a cover letter for a nurse",
        "What does 'saudade' mean?", "my order 123 doesn't work",
    ],
    "pt": [
        "Escreva um e-mail para meu chefe", "Resuma este texto", "oi tudo bem", "vc pode me ajudar",
        "nao funciona o pedido 123", "Quanto custa o frete", "bom dia", "As crianças brincam no parque",
        "A reunião foi adiada", "Meu CPF é 123.456.789-09", "O que é o Wi-Fi do iPhone?",
    ],
    "es": [
        "¿Cuál es la capital de Francia?", "Escribe un correo para mi jefe", "hola, qué tal", "gracias",
        "no funciona el pedido 123", "cuanto cuesta el envio a Mexico", "Haz una lista de compras",
        "Los niños juegan en el parque", "Hazme un plan de entrenamiento por favor", "tengo dolor de cabeza",
    ],
    "fr": ["Quelle est la capitale du Brésil ?", "Je voudrais annuler ma commande"],
    "de": ["Was ist die Hauptstadt von Brasilien?", "Ich möchte meine Bestellung stornieren"],
    "it": ["Qual è la capitale del Brasile?", "Vorrei annullare il mio ordine"],
    "ru": ["Какая столица Бразилии?"],
    "ja": ["ブラジルの首都はどこですか"],
    "zh": ["巴西的首都是哪里"],
    "und": ["", "123", "---", "4111 1111 1111 1111"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in PROMPTS.items() for text in texts]
)
def test_a_short_prompt_is_told(code: str, text: str) -> None:
    assert detect(text)[0] == code


def test_a_clear_text_is_surer_than_a_shared_word() -> None:
    assert detect("A reunião de amanhã não vai acontecer porque o diretor está doente.")[1] > 0.8
    assert detect("total")[1] < 0.8


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("pt", "o endpoint do backend quebrou depois do merge"), ("es", "el endpoint del backend falla tras el merge"),
        ("pt", "Commit 9a59575a8cd1 quebrou o build."), ("es", "Escríbeme a ventas@example.com.br"),
        ("en", "git rebase origin/main fails with a conflict"), ("pt", "não sei oq fzr kkkk me ajuda pfv"),
    ],
)  # fmt: skip
def test_jargon_and_addresses_do_not_hide_the_language(code: str, text: str) -> None:
    assert detect(text)[0] == code


@pytest.mark.parametrize(("before", "code"), [("pt", "pt"), ("es", "es")])
def test_what_was_said_before_tips_the_scale(before: str, code: str) -> None:
    assert detect("total", before)[0] == code


@pytest.mark.parametrize(
    ("code", "before"),
    [
        ("en", "Could you help me with my tax return this year?"),
        ("pt", "Você pode me ajudar com a minha declaração deste ano?"),
        ("es", "¿Puedes ayudarme con mi declaración de este año?"),
    ],
)
def test_the_language_of_an_exchange_is_told_once_with_its_earlier_messages(code: str, before: str) -> None:
    messages = [
        {"role": "user", "content": before}, {"role": "assistant", "content": "…"}, {"role": "user", "content": "total"},
    ]  # fmt: skip
    exchange = make_exchange(messages=messages)

    told = language_of(exchange)

    assert told[0] == code
    assert exchange.language is told
    exchange.request.texts[-1].value = "Was ist das?"
    assert language_of(exchange) is told


def test_without_a_user_message_the_language_is_unknown() -> None:
    assert language_of(make_exchange(messages=[{"role": "system", "content": "Be brief."}])) == (UNKNOWN, 0.0)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=300))
def test_anything_gets_an_answer(text: str) -> None:
    code, sureness = detect(text)

    assert code
    assert 0.0 <= sureness <= 1.0
