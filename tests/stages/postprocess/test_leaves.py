"""A step that says it leaves a text alone leaves it alone: the short way and the filters agree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.contracts import PostStep
from greenroom.exchange import Exchange, Passage
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.secrets import SecretDetector
from greenroom.stages.postprocess.cite import Cite, CiteConfig
from greenroom.stages.postprocess.decode import Decode, DecodeConfig
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.stages.postprocess.unmask import Unmask, UnmaskConfig
from greenroom.testing import make_exchange

STEPS: dict[str, PostStep] = {
    "decode": Decode(DecodeConfig()),
    "cite": Cite(CiteConfig()),
    "guard": Guard(GuardConfig(), (PiiDetector(), SecretDetector())),
    "unmask": Unmask(UnmaskConfig()),
}
PIECES = st.lists(
    st.sampled_from(
        (
            "<CPF_1>", "cpf_1", "&lt;CPF_1&gt;", "_", "[1]", "[7]", "529.982.247-25", "ana@example.com", "`", "```\n",
            "~~~", "*", "**", "<|im_end|>", "[INST]", "\x1b[31m", "\x00", "\x7f", "\\", '"', "é", "…", ". ", "\n\n",
            "Olá, tudo bem? ", "password = hunter2A!", "la la la la la ", "\ud800", "\u200b", "word ", "Rua Augusta, 1500 ",
        )
    ),
    max_size=30,
).map("".join)  # fmt: skip


def exchange(*, has_masks: bool) -> Exchange:
    made = make_exchange("Minha CPF?")
    if has_masks:
        made.masks["<CPF_1>"] = "529.982.247-25"
        made.passages.append(Passage(id="1", document="d", title="t", text="x", score=1.0))
    return made


@pytest.mark.parametrize("name", STEPS)
@settings(max_examples=300, deadline=None)
@given(text=PIECES | st.text(), has_masks=st.booleans(), where=st.sampled_from(("content", "arguments")))
def test_what_a_step_leaves_its_filter_leaves(name: str, text: str, has_masks: bool, where: str) -> None:
    step = STEPS[name]
    made = exchange(has_masks=has_masks)
    one = step.open(made, where)

    if one is not None and step.leaves(made, where, text):
        assert one.feed(text) + one.flush() == text
        assert (one.edits, one.verdicts, one.notes, one.rejected) == ([], [], {}, None)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(
    "text",
    ["Uma resposta comum, com 12 linhas.", "An ordinary answer.\n\n* a list.", "¿Qué tal? Todo bien."],
)
def test_ordinary_answers_are_left(name: str, text: str) -> None:
    assert STEPS[name].leaves(exchange(has_masks=False), "content", text)
