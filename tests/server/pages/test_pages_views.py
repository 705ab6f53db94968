import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.exchange import Edit, Text
from greenroom.server.pages import figures
from greenroom.server.pages.diff import Hunk, compare_words, hunks, pieces
from greenroom.server.pages.glyphs import one_line, runs
from greenroom.server.pages.record import ChangeView, EditView, Record, read_record
from greenroom.server.pages.rendering import ticked
from greenroom.server.pages.waterfall import waterfall
from tests.server.pages.records import all_records, portuguese

TEXTS = st.text(alphabet="ab é\n.\u200b<>", max_size=60)


def applied(before: str, found: list[Hunk]) -> str:
    at = 0
    parts = []
    for hunk in found:
        parts += [before[at : hunk.start], hunk.text]
        at = hunk.end
    return "".join([*parts, before[at:]])


def view(change: object) -> ChangeView:
    edits = [
        EditView(start=one.start, end=one.end, text=one.text, reason=one.reason, applied=one.applied)
        for one in change.edits  # type: ignore[attr-defined]  # the waist's Change
    ]
    return ChangeView(before=change.before, after=change.after, edits=edits)  # type: ignore[attr-defined]


@st.composite
def edit_lists(draw: st.DrawFn, length: int) -> list[Edit]:
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=6)))
    return [
        Edit(start=start, end=end, text=draw(st.text(alphabet="xyz", max_size=3)), reason=f"because {start}")
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]


@given(before=TEXTS, after=TEXTS)
@settings(max_examples=200)
def test_compared_words_lead_from_before_to_after(before: str, after: str) -> None:
    assert applied(before, compare_words(before, after)) == after


@given(data=st.data(), original=st.text(alphabet="abc ", min_size=1, max_size=40))
@settings(max_examples=200)
def test_edits_of_two_steps_are_found_where_they_were_made(data: st.DataObject, original: str) -> None:
    text = Text(0, "user", original)
    first = text.edit(data.draw(edit_lists(len(text.value))))
    second = text.edit(data.draw(edit_lists(len(text.value))))

    found = hunks(view(second), view(first).edits)

    assert applied(second.before, hunks(view(first))) == first.after or first.before != second.before
    assert applied(second.before, found) == second.after


def test_edits_keep_their_reasons_after_an_earlier_step_moved_the_text() -> None:
    text = Text(0, "user", "a\u200bb  helo wrold")
    first = text.edit(
        [Edit(start=1, end=2, text="", reason="zero width"), Edit(start=3, end=5, text=" ", reason="spaces")]
    )
    second = text.edit(
        [
            Edit(start=3, end=7, text="hello", reason="spelling"),
            Edit(start=8, end=13, text="world", reason="spelling"),
        ]
    )

    assert hunks(view(second), view(first).edits) == [
        Hunk(3, 7, "hello", "spelling"),
        Hunk(8, 13, "world", "spelling"),
    ]


def test_without_edits_words_are_compared() -> None:
    found = hunks(ChangeView(before="I have a apple", after="I have an apple"))

    assert found == [Hunk(7, 8, "an")]


def test_offsets_that_do_not_fit_fall_back_to_comparing() -> None:
    change = ChangeView(
        before="my id is X",
        after="my id is <ID_1>",
        edits=[EditView(start=90, end=99, text="<ID_1>", reason="masked")],
    )

    assert hunks(change) == [Hunk(9, 10, "<ID_1>", "masked")]


def test_long_unchanged_stretches_are_passed_over() -> None:
    before = "a" * 5000 + "X" + "b" * 5000
    shown = pieces(before, [Hunk(5000, 5001, "Y")])

    assert [one.kind for one in shown] == ["skip", "same", "delete", "insert", "same", "skip"]
    assert sum(one.skipped for one in shown) + 2 * 160 == 10_000


def test_white_space_that_went_can_be_seen() -> None:
    shown = pieces("a  b\n", [Hunk(1, 2, ""), Hunk(4, 5, "")])

    assert ["".join(run.text for run in one.runs) for one in shown if one.kind == "delete"] == ["␣", "↵\n"]


@pytest.mark.parametrize(
    ("text", "badges"),
    [
        ("a\u200bb", ["ZWSP"]),
        ("\u200b\u200b\u200b", ["ZWSP ×3"]),
        ("\u202eabc", ["RLO"]),
        ("\U000e0041", ["TAG A"]),
        ("\x1b[31m", ["␛"]),
        ("\ud800", ["U+D800"]),
        ("a\nb\tc", []),
        ("plain text, São Paulo", []),
        ("\u200d", []),
    ],
)
def test_invisible_characters_get_names(text: str, badges: list[str]) -> None:
    assert [run.text for run in runs(text) if run.is_badge] == badges


def test_joiners_are_shown_only_where_something_changed() -> None:
    family = "\U0001f469\u200d\U0001f467"

    assert [run.is_badge for run in runs(family)] == [False]
    assert [run.is_badge for run in runs(family, all_of_them=True)] == [False, True, False]


@given(text=st.text(max_size=80))
@settings(max_examples=100)
def test_no_visible_character_is_lost(text: str) -> None:
    kept = "".join(run.text for run in runs(text) if not run.is_badge)

    assert [char for char in text if char.isalnum() and char in kept] == [
        char for char in kept if char.isalnum()
    ]


@given(text=st.text(max_size=400))
@settings(max_examples=100)
def test_one_line_is_one_line_of_bounded_length(text: str) -> None:
    line = one_line(text, 50)

    assert len(line) <= 51
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "–"), (math.nan, "–"), (0.0, "0\u202fµs"), (0.0412, "41\u202fµs"), (0.99949, "999\u202fµs"), (0.9996, "1.00\u202fms"),
        (2.314, "2.31\u202fms"), (9.996, "10.0\u202fms"), (99.96, "100\u202fms"), (999.6, "1.00\u202fs"),
        (1409.7, "1.41\u202fs"), (59_960, "1\u202fmin 0\u202fs"), (125_000, "2\u202fmin 5\u202fs"),
    ],
)  # fmt: skip
def test_durations_have_the_unit_that_fits(ms: float | None, shown: str) -> None:
    assert figures.duration(ms) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "unknown"), ("0", "$0"), ("0.0001230", "$0.000123"), ("0.5", "$0.50"), ("12.3456", "$12.35"), ("1E-9", "< $0.000001"),
        ("nonsense", "unknown"), ("NaN", "unknown"), ("1234567", "$1,234,567.00"), ("0.10", "$0.10"),
    ],
)  # fmt: skip
def test_prices_read_as_dollars(amount: str | None, shown: str) -> None:
    assert figures.dollars(amount) == shown


@given(amount=st.decimals(min_value=0, max_value=1000, places=9))
@settings(max_examples=100)
def test_a_price_above_nothing_is_never_shown_as_nothing(amount: Decimal) -> None:
    assert (figures.dollars(str(amount)) in {"$0", "$0.00"}) == (amount == 0)


@pytest.mark.parametrize(
    ("part", "shown"),
    [(0, "0 %"), (1, "100 %"), (0.0004, "< 0.1 %"), (0.9996, "> 99.9 %"), (0.5, "50 %"), (0.006, "0.6 %")],
)
def test_shares_do_not_round_to_all_or_nothing(part: float, shown: str) -> None:
    assert figures.share(part) == shown


@pytest.mark.parametrize("row", all_records(), ids=lambda row: str(row["id"]))
def test_bars_stay_on_their_track(row: dict[str, object]) -> None:
    drawn = waterfall(read_record(row) or Record(id="x"))

    for bar in (*drawn.own.bars, *drawn.provider.bars):
        x, width = float(bar.x.rstrip("%")), float(bar.width.rstrip("%"))
        assert 0 <= x <= 100
        assert 0 < width <= 100
        assert x + width <= 100.02


def test_bars_follow_one_another_and_the_first_token_falls_in_the_last_call() -> None:
    record = read_record(portuguese())
    assert record is not None
    drawn = waterfall(record)
    starts = [float(bar.x.rstrip("%")) for bar in drawn.own.bars]

    assert starts == sorted(starts)
    assert drawn.own.bars[-1].label == "everything else"
    assert drawn.provider.tick is not None
    assert float(drawn.provider.bars[-1].x.rstrip("%")) < float(drawn.provider.tick.rstrip("%")) < 100


def test_a_record_of_an_unknown_shape_is_none() -> None:
    assert read_record({"id": "a", "stages": "x"}) is None
    assert read_record({"stages": []}) is None
    assert read_record({"id": "a", "usage": {"cached_tokens": None}, "language": None}) is not None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Run `a <b>` now.", "Run <code>a &lt;b&gt;</code> now."),
        ("<i>`", "&lt;i&gt;`"),
        ("a ` b ` c ` d", "a ` b ` c ` d"),
        ("`", "`"),
        ("", ""),
    ],
)
def test_what_stands_in_backticks_is_code_and_all_of_it_is_text(text: str, shown: str) -> None:
    assert str(ticked(text)) == shown
