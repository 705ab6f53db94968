"""The page of usage: a chart of days and what it was spent on."""

from datetime import timedelta

from greenroom.store.usage import today
from tests.server.pages.backend import FakeBackend
from tests.server.pages.visitor import Seen, Visitor


def spend(backend: FakeBackend) -> None:
    for days, model, usd in ((0, "openai/gpt-5", "0.75"), (1, "openai/gpt-5", "0.25"), (1, "o/<b>x", "0.5")):
        named = {
            "day": (today() - timedelta(days=days)).isoformat(),
            "model": model,
            "app": "support",
            "user": None,
        }
        counts = {"requests": 1, "calls": 2, "input_tokens": 1_000, "output_tokens": 50, "cost_usd": usd}
        backend.used.append((named, counts))
    backend.used.append(
        ({"day": today().isoformat(), "model": "o/z", "app": "support"}, {"calls": 1, "unpriced_calls": 1})
    )


def test_days_are_drawn_and_the_dearest_come_first(backend: FakeBackend, admin: Visitor) -> None:
    spend(backend)

    page = admin.client.get("/usage")

    seen = Seen(page.text)
    assert page.status_code == 200
    assert "$1.50" in seen.text
    assert f"{today().isoformat()}: $0.75, 1 requests" in seen.text
    assert "1 calls to models without a known price are not in this sum." in seen.text
    assert "By model" in seen.text
    assert "By user" not in seen.text  # nobody was named
    assert "<b>x" not in page.text
    assert seen.all("a", href="/usage?model=openai%2Fgpt-5")
    columns = [
        one
        for one in seen.all("rect")
        if one.get("y") != "119" and one.get("rx") == "1.5" and "%" in one["x"]
    ]
    assert {one["height"] for one in columns} >= {"118.0"}  # both days cost the same and fill the chart


def test_it_is_narrowed_and_its_twin_is_json(backend: FakeBackend, admin: Visitor) -> None:
    spend(backend)

    seen = Seen(admin.client.get("/usage?days=7&model=openai%2Fgpt-5").text)
    twin = admin.client.get("/usage.json?days=7").json()

    assert seen.all("a", href="/usage?model=openai%2Fgpt-5&days=90")
    assert seen.all("a", href="/usage?days=7")
    assert (twin["days"], twin["total"]["cost_usd"]) == (7, "1.5")
    assert [row["cost_usd"] for row in twin["data"]] == ["0.75", "0.75"]


def test_nothing_spent_is_said(backend: FakeBackend, admin: Visitor) -> None:
    seen = Seen(admin.client.get("/usage?days=nonsense&user=ana").text)

    assert "Nothing fits." in seen.text
    assert "30 days" in seen.text


def test_nobody_reads_it_without_signing_in(visitor: Visitor) -> None:
    assert visitor.client.get("/usage").headers["location"].startswith("/login")
    assert visitor.client.get("/usage.json").status_code == 401


def test_models_and_apps_are_drawn_by_day_with_a_table_that_says_the_same(
    backend: FakeBackend, admin: Visitor
) -> None:
    spend(backend)

    seen = Seen(admin.client.get("/usage?days=7").text)

    drawn = [one for one in seen.all("figure") if one["id"].startswith("usage-")]
    assert [one["id"] for one in drawn] == ["usage-1"]  # one app alone is no chart
    heads = [name for name in ("openai/gpt-5", "o/<b>x") if seen.text.count(name) >= 2]
    assert len(heads) == 2
    assert seen.all("gr-chart")
