"""Languages of short prompts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.stages.language import detect

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
    assert detect("total")[1] < 0.5


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=300))
def test_anything_gets_an_answer(text: str) -> None:
    code, sureness = detect(text)

    assert code
    assert 0.0 <= sureness <= 1.0
