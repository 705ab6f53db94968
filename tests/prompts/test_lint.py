"""The lint: every rule fires on what it is for, in three languages where words matter, and on nothing else."""

from collections.abc import Iterator
from time import process_time

import pytest

from greenroom.prompts import PromptVersion, Registry
from greenroom.prompts.lint import RULES, Sensitive, lint, lint_labels
from tests.prompts.making import prompt


def found(version: PromptVersion, **options: object) -> set[str]:
    return {one.rule for one in lint(version, **options)}  # type: ignore[arg-type]  # options by name


def detect(text: str) -> Iterator[Sensitive]:
    """A detector: "KEY" is a secret, "ana@" personal data."""
    for word, is_secret in (("KEY", True), ("ana@", False)):
        if word in text:
            yield Sensitive("x." + word, is_secret, text.index(word), text.index(word) + len(word))


EXAMPLE = {"items": [{"input": "x", "output": '{"a": 1}'}]}
SCHEMA = {"schema": {"type": "object", "required": ["b"]}}
LONG = "Refunds are paid within fourteen days to the card that was used. " * 100
BROKEN: dict[str, list[PromptVersion]] = {
    "unreadable-template": [prompt("p", "{{a b}}")],
    "undeclared-variable": [prompt("p", "{{x}}")],
    "undeclared-partial": [prompt("p", "{{> x}}")],
    "unused-variable": [prompt("p", "Hi", variables={"x": {}})],
    "unused-partial": [prompt("p", "Hi", partials={"t": "tone@1"})],
    "broken-partial": [prompt("p", "{{> t}}", partials={"t": "nowhere@1"})],
    "undelimited-text": [
        prompt("p", "Do: {{x}}", variables={"x": {"trusted": True}}),
        prompt("p", "<x>{{x}} and more", variables={"x": {"trusted": True}}),
    ],
    "secret-in-template": [
        prompt("p", "KEY {{question}}"),
        prompt(examples={"items": [{"input": "x", "output": "KEY"}]}),
    ],
    "personal-data-in-template": [prompt("p", "Write to ana@ {{question}}")],
    "contradiction": [
        prompt("p", "Be concise.", "Be thorough. {{question}}"),
        prompt("p", "Seja conciso.", "Seja muito detalhado. {{question}}"),
        prompt("p", "Sé breve y claro.", "Da respuestas detalladas. {{question}}"),
        prompt("p", "Use a formal tone. Be casual."),
        prompt("p", "Use um tom formal. Seja informal."),
        prompt("p", "Usa un tono formal. Usa jerga."),
        prompt("p", "Answer with only JSON. Explain your reasoning."),
        prompt("p", "Responda apenas com JSON. Explique seu raciocínio."),
        prompt("p", "Responde solo con JSON. Explica tu razonamiento."),
        prompt("p", "Never ask questions. Ask clarifying questions."),
        prompt("p", "Answer in English.", "Reply only in Portuguese. {{question}}"),
        prompt("p", "Responda em inglês. Responda sempre em português."),
    ],
    "broken-schema": [prompt(output={"schema": {"type": "objekt"}}, examples=EXAMPLE)],
    "example-breaks-schema": [
        prompt(output=SCHEMA, examples=EXAMPLE),
        prompt(output=SCHEMA, examples={"items": [{"input": "x", "output": "yes"}]}),
    ],
    "example-breaks-variables": [
        prompt(examples={"items": [{"variables": {"question": 3}, "output": "y"}]}),
        prompt(examples={"items": [{"variables": {"other": "x"}, "output": "y"}]}),
    ],
    "format-not-named": [prompt(output=SCHEMA)],
    "steps-before-schema": [prompt(output=SCHEMA, techniques={"step_by_step": "auto"})],
    "pointless-self-consistency": [prompt(techniques={"self_consistency": 5}, settings={"temperature": 0})],
    "too-many-tokens": [prompt("p", LONG, "{{question}}")],
    "cache-hostile-order": [
        prompt("p", "About {{question}}: " + LONG),
        prompt("p", "For {{question}}.", "Now.", examples={"items": [{"input": "x", "output": LONG}]}),
    ],
    "redundant-step-by-step": [
        prompt("p", "Think step by step. {{question}}", settings={"model": "openai/o3"}),
        prompt("p", "Pense passo a passo. {{question}}", settings={"model": "openai/gpt-5"}),
        prompt("p", "Piensa paso a paso. {{question}}", settings={"reasoning_effort": "high"}),
        prompt("p", "Let's think. {{question}}", techniques={"step_by_step": "auto"}),
        prompt(techniques={"step_by_step": "auto"}, settings={"model": "deepseek/deepseek-r1"}),
    ],
}
CASES = [
    pytest.param(rule, version, id=f"{rule}-{number}")
    for rule, versions in BROKEN.items()
    for number, version in enumerate(versions, 1)
]
TONE = prompt("tone", "Be kind.", number=1)


@pytest.mark.parametrize(("rule", "version"), CASES)
def test_each_rule_fires_on_what_it_is_for(rule: str, version: PromptVersion) -> None:
    findings = lint(version, find=Registry([TONE]).find, detect=detect, window=2000)

    fitting = [one for one in findings if one.rule == rule]
    assert fitting, [one.rule for one in findings]
    assert all(one.place and one.message.endswith(".") and one.remedy.endswith(".") for one in fitting)


def test_every_rule_is_tried_here() -> None:
    assert {*BROKEN, "label-unlinted"} == set(RULES)


def test_errors_come_first_and_places_point_at_the_words() -> None:
    version = prompt("p", "Be concise. Be thorough. {{x}}")

    findings = lint(version)

    assert [one.severity for one in findings] == ["error", "warning"]
    assert version.messages[0].text[findings[1].start : findings[1].end] == "Be concise"


def test_a_finding_never_says_the_secret_itself() -> None:
    findings = lint(prompt("p", "my KEY-123 {{question}}"), detect=detect)

    assert "KEY-123" not in repr([one.message for one in findings])


@pytest.mark.parametrize(
    "text",
    [
        "Be concise. If the customer asks for more, be thorough.",
        "Answer briefly. Do not go into great detail.",
        "Give the user step-by-step instructions for the return.",
        "Seja breve. Quando pedirem, seja detalhado.",
        "Responda em poucas palavras. Não dê respostas longas.",
        "Explique o passo a passo da devolução ao cliente.",
        "Sé breve. Si lo piden, da respuestas detalladas.",
        "Da el paso a paso de la devolución.",
        "Answer in English or Portuguese, as the customer does.",
        "Use a formal tone, never slang. Don't be casual.",
        "Show the price in the detailed invoice and keep it short of jargon.",
    ],
)
def test_conditions_negations_and_other_meanings_are_let_through(text: str) -> None:
    assert found(prompt("p", text, "{{question}}", settings={"model": "openai/o3"})) == set()


GOOD = [
    prompt(
        "support-en",
        "You answer questions about orders of an online shop. Use only the facts between <facts> tags; when they "
        "do not hold the answer, say that you don't know and offer to pass the question on. Keep answers under "
        "four sentences. Be polite and plain. Never promise a refund. Quote order numbers exactly as written.\n\n"
        "<facts>\n{{facts}}\n</facts>",
        "{{question}}",
        variables={"facts": {"trusted": True}, "question": {"description": "What the customer wrote."}},
        settings={"model": "openai/gpt-4o-mini", "temperature": 0.2, "max_tokens": 300},
        examples={"items": [{"input": "Where is order 123?", "output": "It left our warehouse today."}]},
    ),
    prompt(
        "triagem-pt",
        "Você classifica mensagens de clientes de um banco. Leia a mensagem e responda com um JSON com os campos "
        "'assunto' e 'urgente'. O assunto é um destes: cartão, conta, empréstimo, outro. Só marque como urgente "
        "quando o cliente relatar perda de dinheiro ou de acesso. Não invente assuntos novos.",
        "Mensagem: {{mensagem}}",
        variables={"mensagem": {}},
        language="pt",
        output={"schema": {"type": "object", "properties": {"assunto": {"type": "string"}, "urgente": {"type": "boolean"}},
                           "required": ["assunto", "urgente"], "additionalProperties": False}},
        examples={"choose": "similar", "k": 1, "items": [
            {"variables": {"mensagem": "Perdi meu cartão"}, "output": '{"assunto": "cartão", "urgente": true}'},
            {"variables": {"mensagem": "Qual é a tarifa?"}, "output": '{"assunto": "conta", "urgente": false}'}]},
    ),
    prompt(
        "resumen-es",
        "Resumes actas de reuniones para quien no pudo asistir. Escribe primero las decisiones, después las tareas "
        "con su responsable y su fecha, y al final las dudas abiertas. Usa frases cortas y un tono formal. No añadas "
        "nada que no esté en el acta. Si falta un dato, escribe «sin fecha» o «sin responsable».",
        "Acta del {{fecha}}:\n{{acta}}",
        variables={"fecha": {"type": "string"}, "acta": {"type": "string"}},
        language="es",
        techniques={"role": "Eres la secretaria de un consejo escolar.", "step_by_step": "off"},
    ),
    prompt(
        "math-en",
        "Solve the word problem of a pupil in year six and give the number with its unit.",
        "{{problem}}",
        variables={"problem": {}},
        techniques={"step_by_step": "auto", "self_consistency": 5},
        settings={"model": "openai/gpt-4o", "temperature": 0.7},
    ),
]  # fmt: skip


@pytest.mark.parametrize("version", GOOD, ids=lambda one: one.name)
def test_a_well_written_prompt_is_let_through(version: PromptVersion) -> None:
    findings = lint(version, find=Registry([TONE]).find, detect=detect, window=8192)

    assert [(one.rule, one.message) for one in findings] == []


def test_a_label_on_a_version_with_errors_is_told() -> None:
    registry = Registry(
        [prompt("p", "{{x}}", number=1), prompt("p", "Hi", number=2)], {"p": {"a": 1, "b": 2}}
    )

    findings = lint_labels(registry, "p")

    assert [(one.rule, one.place) for one in findings] == [("label-unlinted", "labels.a")]


def test_the_window_decides_between_warning_and_error() -> None:
    version = prompt("p", LONG, "{{question}}")

    severities = [
        [one.severity for one in lint(version, window=window) if one.rule == "too-many-tokens"]
        for window in (1000, 2000, 10_000)
    ]

    assert severities == [["error"], ["warning"], []]


HOSTILE = [
    "not be concise ",
    "answer a b in ",
    "think ",
    "{{ x }} ",
    "explica ",
    "only json explain your reasoning ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_time_of_a_long_text_is_bounded(text: str) -> None:
    version = prompt("p", (text * 200_000)[:190_000], variables={"x": {}})
    began = process_time()

    lint(version)

    assert process_time() - began < 6  # some 0.3 s, 1.6 s for the worst
