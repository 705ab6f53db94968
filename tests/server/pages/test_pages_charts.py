import json
import math

import pytest
from jinja2 import Environment

from greenroom.server.pages.rendering import Renderer
from tests.server.pages.visitor import Seen

HOSTILE = "</script><script>hit()</script> & '\"\u2028"


def drawn(**asked: object) -> str:
    environment: Environment = Renderer()._environment
    macro = environment.get_template("charts.html").module.chart  # type: ignore[attr-defined]  # a template's macros
    return str(macro("latency", **asked))


def block(html: str) -> dict[str, object]:
    text = html.partition('<script type="application/json">')[2].partition("</script>")[0]
    told: dict[str, object] = json.loads(text)
    return told


def test_the_drawing_and_the_table_say_the_same() -> None:
    html = drawn(
        series=[
            {"label": "p50", "points": [[1_764_200_000, 1.5], [1_764_200_060, None]]},
            {"label": "p99", "points": [[1_764_200_060, 2500.0]]},
        ],
        unit="ms",
        markers=[{"at": 1_764_200_030, "label": "fast v2"}],
    )

    told = block(html)
    assert told["unit"] == "ms"
    assert told["markers"] == [{"at": 1_764_200_030, "label": "fast v2"}]
    assert told["series"][0]["points"][0] == [1_764_200_000, 1.5]  # type: ignore[index]  # JSON
    text = Seen(html).text
    assert "1.50\u202fms" in text
    assert "2.50\u202fs" in text
    assert text.count("–") == 2, "what is not known is said so, in both series"
    assert "fast v2" in text


def test_no_label_ends_the_block_or_becomes_markup() -> None:
    html = drawn(
        series=[{"label": HOSTILE, "points": [[0, 1]]}], title=HOSTILE, note=HOSTILE,
        markers=[{"at": 0, "label": HOSTILE}], href="/requests?q=" + HOSTILE,
    )  # fmt: skip

    assert block(html)["series"][0]["label"] == HOSTILE  # type: ignore[index]  # JSON
    assert len(Seen(html).all("script")) == 1


@pytest.mark.parametrize("points", [[], None])
def test_nothing_to_draw_is_said_in_words(points: list[object] | None) -> None:
    html = drawn(series=[{"label": "p50", "points": points or []}])

    assert "Nothing in this time" in html
    assert "<gr-chart" not in html


def test_what_is_no_number_is_left_open() -> None:
    told = block(drawn(series=[{"label": "x", "points": [[0, math.nan], [1, math.inf]]}]))

    assert told["series"][0]["points"] == [[0, None], [1, None]]  # type: ignore[index]  # JSON


def test_a_long_series_shows_its_newest_times_in_the_table_and_all_in_the_drawing() -> None:
    html = drawn(series=[{"label": "x", "points": [[60 * minute, minute] for minute in range(1_500)]}])

    assert len(block(html)["series"][0]["points"]) == 1_500  # type: ignore[index]  # JSON
    assert len(Seen(html).all("tr")) == 201
    assert "1,300 earlier times" in html
