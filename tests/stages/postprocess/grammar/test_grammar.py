import pytest

from greenroom.stages.postprocess.grammar import faults, rules_of


def mend(language: str, text: str) -> str:
    out: list[str] = []
    at = 0
    for edit in faults(text, language, lambda: [(0, len(text))]):
        out += (text[at : edit.start], edit.text)
        at = edit.end
    return "".join((*out, text[at:]))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("An university and a hour.", "A university and an hour."),
        ("You should of asked.", "You should have asked."),
        ("It works on it's own alot.", "It works on its own a lot."),
        ("She don't mind; faster then the others.", "She doesn't mind; faster than the others."),
        ("He didn't went there.", "He didn't go there."),
        ("Send me the informations.", "Send me the information."),
        ("I use to live there, you are suppose to know.", "I used to live there, you are supposed to know."),
    ],
)
def test_english(wrong: str, right: str) -> None:
    assert mend("en", wrong) == right
    assert mend("en", right) == right


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("Fazem três meses que espero.", "Faz três meses que espero."),
        ("Entreguei à ele, à pé, à fazer.", "Entreguei a ele, a pé, a fazer."),
        ("A reunião começa as 14h30.", "A reunião começa às 14h30."),
        ("Atendemos das 8h as 18h.", "Atendemos das 8h às 18h."),
        ("Haviam muitas pessoas.", "Havia muitas pessoas."),
        ("Eles não tem tempo, elas vem hoje.", "Eles não têm tempo, elas vêm hoje."),
        ("Os documento foram enviados.", "Os documentos foram enviados."),
        ("Porque você saiu?", "Por que você saiu?"),
        ("Ela tinha chego tarde e tem menas paciência.", "Ela tinha chegado tarde e tem menos paciência."),
        ("Deixou a tarefa para mim fazer hoje.", "Deixou a tarefa para eu fazer hoje."),
        ("A gente vamos amanhã.", "A gente vai amanhã."),
        ("Você não veio por que?", "Você não veio por quê?"),
    ],
)
def test_portuguese(wrong: str, right: str) -> None:
    assert mend("pt", wrong) == right
    assert mend("pt", right) == right


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("Habían muchas personas.", "Había muchas personas."),
        ("Hacen dos años que trabajo aquí.", "Hace dos años que trabajo aquí."),
        ("La agua de la problema.", "El agua de el problema."),
        ("Padre y hijo, uno o otro.", "Padre e hijo, uno u otro."),
        ("¿Cuantos son y ¿porque vienen?", "¿Cuántos son y ¿por qué vienen?"),
        ("No a sido fácil; se fué.", "No ha sido fácil; se fue."),
        ("Creo de que iva a llover.", "Creo que iba a llover."),
        ("Osea, aveces llueve.", "O sea, a veces llueve."),
    ],
)
def test_spanish(wrong: str, right: str) -> None:
    assert mend("es", wrong) == right
    assert mend("es", right) == right


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Variables a and b, plan a is fine, a one-off, an SQL query, a URL, an LLM, a historic day."),
        ("en", "Better then. What of it? He could, of course, wait."),
        ("pt", "Para mim, fazer isso é fácil. É importante para mim ter tempo. Trabalha as 10 horas do dia."),
        (
            "pt",
            "Um de vocês tem tempo? Nenhum deles tem razão. Fui porque você pediu. Eles fazem dois anos de curso.",
        ),
        ("pt", "À uma da tarde, à noite, à vista, à moda antiga, àquele que vem."),
        (
            "es",
            "Agua y hielo, nieve y hierro. La arma con cuidado. ¿Que no vienes? Más de diez; mas no quiso.",
        ),
        ("es", "Ellos hacen dos años de prácticas. Usa macOS y iOS."),
    ],
)
def test_what_is_right_stays(language: str, text: str) -> None:
    assert faults(text, language, lambda: [(0, len(text))]) == []


EXAMPLES = {
    "en": """an university|you should of asked|alot|Your welcome!|it's own|irregardless|more better|faster then the rest|
        she don't|there is many problems|I use to live|they are suppose to|take it for granite|
        for all intensive purposes|eachother|aswell|infact|he didn't went|informations""",
    "pt": """à partir de hoje|à fazer|à ela|à pé|começa as 10h|das 8h as 18h|As vezes, chove|à nível de|Fazem dois anos|
        vão fazer dez anos que|houveram erros|haviam muitos|moro aqui a dez anos|trabalho para mim fazer hoje|
        entre eu e você|menas|fiquei meia cansada|seje|a gente vamos|Nós vai sair|eles tem tempo|os cliente que|
        Porque você veio?|veio por que?|o por quê disso|afim de fazer|concerteza vai|um mal exemplo|tinha chego|
        perca de tempo|haja visto que|meio-dia e meio|atravez de|à cerca de|foi, mais não quis|menos pior""",
    "es": """fué|osea|atravez de|hubieron muchos|habían muchos|habrán varios|Hacen dos años que|haber si viene|
        voy haber si|la agua |la problema |el mano derecha|creo de que|no a sido fácil|haz hecho eso|iva a llover|
        padre y hijo|uno o otro|¿Cuales son?|¿porque vienen?|mas grande|más mejor|detrás mío""",
}


@pytest.mark.parametrize("language", EXAMPLES)
def test_every_rule_has_an_example_that_it_mends(language: str) -> None:
    mended = {
        edit.rule.rpartition(".")[2]
        for text in EXAMPLES[language].split("|")
        for edit in faults(text.strip(), language, lambda: [(0, 99)])
    }

    assert mended == {one.name for one in rules_of(language)}


@pytest.mark.parametrize("language", ["en", "pt", "es"])
def test_every_key_is_in_small_letters_and_every_rule_has_its_own_name(language: str) -> None:
    rules = rules_of(language)

    assert all(key == key.lower() and key for one in rules for key in one.keys)
    assert len({one.name for one in rules}) == len(rules)


def test_other_languages_have_no_rules() -> None:
    assert faults("He could of gone.", "fr", lambda: [(0, 17)]) == []


def test_only_prose_is_looked_at() -> None:
    text = "could of, could of go"

    assert [edit.start for edit in faults(text, "en", lambda: [(10, len(text))], at=100)] == [110]
