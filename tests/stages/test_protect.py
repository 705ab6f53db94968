"""Which stretches prose rules leave alone."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.stages.protect import VERBATIM, protected_spans


@pytest.mark.parametrize(
    ("text", "inside", "kind"),
    [
        pytest.param("a\n```py\nx = 1\n```\nb", "```py\nx = 1\n```", "code", id="fence"),
        pytest.param("a\n~~~\nnever closed", "~~~\nnever closed", "code", id="open fence"),
        pytest.param("use `x = 1` here", "`x = 1`", "inline_code", id="inline code"),
        pytest.param("use ``a ` b`` here", "``a ` b``", "inline_code", id="double ticks"),
        pytest.param("Veja https://a.org/x?y=1#z, ok?", "https://a.org/x?y=1#z", "url", id="URL"),
        pytest.param("entre em www.gov.br já", "www.gov.br", "url", id="www"),
        pytest.param("go to example.com now", "example.com", "url", id="domain"),
        pytest.param("mande para <ana.b+c@x.com.br>.", "ana.b+c@x.com.br", "email", id="e-mail"),
        pytest.param("em /var/log/syslog e", "/var/log/syslog", "path", id="path"),
        pytest.param("open C:\\Temp\\a.txt now", "C:\\Temp\\a.txt", "path", id="Windows path"),
        pytest.param("ver relatorio_final.pdf hoje", "relatorio_final.pdf", "path", id="file name"),
        pytest.param("custa 1.234,56 hoje", "1.234,56", "number", id="number"),
        pytest.param("CPF 529.982.247-25.", "529.982.247-25", "number", id="CPF"),
        pytest.param("disse “ola mundo” ontem", "“ola mundo”", "quote", id="curly quotes"),
        pytest.param("dijo «hola mundo» ayer", "«hola mundo»", "quote", id="guillemets"),
        pytest.param("said 'it's teh end' twice", "'it's teh end'", "quote", id="single quotes"),
        pytest.param(
            "then npm instal -g expres\nok", "npm instal -g expres", "code", id="command with a flag"
        ),
        pytest.param("rode kubectl get pods | grep eror", "kubectl get pods | grep eror", "code", id="pipe"),
        pytest.param("run SELECT nmae FROM usres; please", "SELECT nmae FROM usres;", "code", id="SQL"),
        pytest.param(
            "fix this:\nconst nmae = reqire(1);\nok", "const nmae = reqire(1);", "code", id="assignment"
        ),
        pytest.param("veja\nreturn calcula(vlr);\nok", "return calcula(vlr);", "code", id="statement"),
        pytest.param("so $x_1^2$ holds", "$x_1^2$", "math", id="maths"),
        pytest.param("so \\(a+b\\) holds", "\\(a+b\\)", "math", id="TeX"),
        pytest.param("see [the dcos](http://x.y) ok", "[the dcos](http://x.y)", "link", id="link"),
        pytest.param("# A Hedaing\ntext", "# A Hedaing", "heading", id="heading"),
        pytest.param(
            "x\n| a | b |\n|---|---|\n| 1 | 2 |\ny", "| a | b |\n|---|---|\n| 1 | 2 |", "table", id="table"
        ),
        pytest.param('send {"nmae": "x"} please', '{"nmae": "x"}', "json", id="JSON"),
        pytest.param('cut {"a": [1, {"b": 2', '{"a": [1, {"b": 2', "json", id="cut JSON"),
        pytest.param("call getUserName please", "getUserName", "identifier", id="camel case"),
        pytest.param("the usr_nm column", "usr_nm", "identifier", id="snake case"),
        pytest.param("rode com --dry-run agora", "--dry-run", "identifier", id="flag"),
        pytest.param("a <br/> b", "<br/>", "markup", id="HTML"),
    ],
)
def test_a_kind_is_found(text: str, inside: str, kind: str) -> None:
    assert (text.index(inside), text.index(inside) + len(inside), kind) in protected_spans(text)


@pytest.mark.parametrize(
    "text",
    [
        "Just a plain sentence, and/or two; don't you think?",
        "É uma frase comum. Será que há algo? Não!",
        "¿Qué hora es? ¡Ya es tarde! Bien-estar.",
        "Well-known facts (and opinions) aren't code.",
    ],
)
def test_prose_is_free(text: str) -> None:
    assert protected_spans(text) == []


def test_money_is_not_maths() -> None:
    assert {kind for _, _, kind in protected_spans("It costs $5 and then $10 more.")} == {"number"}


def test_only_the_asked_kinds_are_looked_for() -> None:
    assert protected_spans('he said "x `y` z" and 12', VERBATIM) == [(11, 14, "inline_code")]


texts = st.text(st.sampled_from("ab1 \n`~\"'“”«»{}[]()<>$\\|#.:/@_-*é"), max_size=120)


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_spans_are_sorted_inside_the_text_and_apart(text: str) -> None:
    end = 0
    for start, stop, _ in protected_spans(text):
        assert end <= start < stop <= len(text)
        end = stop


@pytest.mark.parametrize(
    "piece",
    ["`", "`` ", '"', "“a", "[a](", '{"a":', "$a ", "\\[", "\\(", "'a ", "a.", "a/", "|\n", "<a ", "#", " "],
)
def test_hostile_repetition_costs_linear_time(piece: str) -> None:
    began = time.process_time()

    protected_spans(piece * (200_000 // len(piece)))

    assert time.process_time() - began < 2
