"""docs/requests.md tells filters that can be read, and all fields there are."""

import re
from pathlib import Path

import pytest

from greenroom.errors import Forbidden, MalformedRequest
from greenroom.server.api import trace_filter
from greenroom.server.filtering import FIELDS, read

PAGE = (Path(__file__).parent.parent.parent / "docs" / "requests.md").read_text(encoding="utf-8")
WHOLE = [
    term
    for line in PAGE.splitlines()
    for term in re.findall(
        r"`([^`]+)`", line.partition("| ")[2].partition(" | ")[0] if line[:1] == "|" else ""
    )
    if not term.endswith(":") and term != "term"
]


@pytest.mark.parametrize(
    "text", [*WHOLE, *re.findall(r"^```text\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL)]
)
def test_every_filter_told_is_read(text: str) -> None:
    assert read(text).terms


def test_every_field_is_told() -> None:
    told = {name.partition(".")[0] for name in re.findall(r"`-?([a-z_]+(?:\.[a-z]+)?):", PAGE)}

    assert {name.partition(".")[0] for name in FIELDS} - {"text"} <= told


def test_the_same_words_narrow_the_api() -> None:
    (words,) = re.findall(r"--data-urlencode 'filter=([^']+)'", PAGE)

    wanted = trace_filter({"filter": words, "q": "late"}, None)

    assert [tuple(one) for one in wanted.conditions] == [("outcome", "=", "refused")]
    assert wanted.since_ns is not None
    assert wanted.q == "late"
    assert trace_filter({"filter": "project:default"}, "default").project == "default"
    with pytest.raises(Forbidden, match="'default' only"):
        trace_filter({"filter": "project:other"}, "default")
    with pytest.raises(MalformedRequest, match="on the page"):
        trace_filter({"filter": "step.pii:failed"}, None)
