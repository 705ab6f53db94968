"""`greenroom usage`: what was used, by whatever is asked."""

from datetime import UTC, datetime, timedelta

from tests.cli.conftest import Run


def test_what_was_asked_here_is_counted(run: Run) -> None:
    run("ask", "How do I add a provider?")
    run("ask", "How do I make a key?")

    told = run("usage", "--by", "model,app", "--json").json

    (row,) = told["data"]
    assert (row["model"], row["app"]) == ("greenroom/reader", "default")
    assert (row["requests"], row["calls"], row["cost_usd"], row["unpriced_calls"]) == (2, 2, "0", 0)
    assert told["total"]["input_tokens"] == row["input_tokens"] > 0


def test_days_narrow_it_and_lines_are_for_programs(run: Run) -> None:
    run("ask", "How do I add a provider?")
    today = datetime.now(UTC).date()

    assert run("usage").out.split("\t")[:2] == [today.isoformat(), "1"]
    assert run("usage", "--since", (today + timedelta(days=1)).isoformat()).out == ""
    assert run("usage", "--until", (today - timedelta(days=1)).isoformat(), "--json").json["data"] == []
    assert run("usage", "--by", "tag", "--json").json["total"] is None


def test_what_it_cannot_sum_up_by_is_said(run: Run) -> None:
    told = run("usage", "--by", "colour")

    assert told.code == 64
    assert "'colour' is nothing to sum up by; these are: project, key," in told.err


def test_what_is_left_of_budgets(run: Run) -> None:
    run("keys", "create", "bot", "--budget-usd", "2.5", "--budget-period", "day")

    (row,) = run("usage", "--budgets", "--json").json["data"]
    line = run("usage", "--budgets").out.split("\t")

    assert (row["budget"], row["limit_usd"], row["left_usd"]) == ("key bot", "2.5", "2.5")
    assert (line[0], line[2], line[4]) == ("key bot", "day", "2.5")
    assert run("usage", "--budgets", "--by", "key").code == 64
