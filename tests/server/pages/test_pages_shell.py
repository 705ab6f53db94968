"""The shell in a real browser: htmx under the strict policy, the palette, keys, the look, charts, live rows."""

import json
import time
from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.server.pages.doors import Doors
from greenroom.server.pages.headers import HEADERS
from greenroom.server.pages.live import live
from greenroom.server.pages.sessions import Session
from greenroom.server.pages.settings import SettingsPages
from tests.server.pages.backend import ADMIN_KEY, FakeBackend
from tests.server.pages.browser import Browser, chromium, sign_in
from tests.server.pages.serving import served
from tests.server.pages.test_pages_settings import Settings, key_row

pytestmark = [pytest.mark.browser, pytest.mark.skipif(chromium() is None, reason="needs Chromium")]

TRIAL = """
{% extends "base.html" %}
{% from "charts.html" import chart %}
{% block main %}
<h1>Trial</h1>
<button id="ask" hx-get="/trial/part" hx-target="#part">Ask</button><div id="part"></div>
<button id="evil" hx-on:click="window.hit = 1">Evil</button>
<gr-live src="/trial/live" target="#rows"><button>Live</button></gr-live><ul id="rows"></ul>
<details><summary>Large</summary><gr-json src="/trial/part"><a href="/trial/part">It</a></gr-json></details>
{{ chart("latency", [{"label": "p50", "points": points, "low": low, "high": high}], "ms", [{"at": 120, "label": "fast v2"}],
         title="Latency", href="/requests?from={from}&to={to}") }}
{% endblock %}
"""


class Trial:
    """A page with one of each; rows that a test adds."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def room(self, doors: Doors) -> list[BaseRoute]:
        template = doors.render._environment.from_string(TRIAL)
        points = [[60 * minute, 100.0 + minute] for minute in range(5)]
        low, high = [[at, value - 9] for at, value in points], [[at, value + 9] for at, value in points]

        async def page(request: Request, session: Session) -> Response:
            html = template.render(session=session, points=points, low=low, high=high)
            return _answer(html)

        async def part(request: Request, session: Session) -> Response:
            return _answer(
                "<p id=came>came</p><script>window.hit = 2</script><img src='data:,x' onerror='window.hit = 3'>"
            )

        async def stream(request: Request, session: Session) -> Response:
            return await live(
                request, session, lambda after: (str(len(self.rows)), self.rows[int(after or 0):]), pause_s=0.25
            )  # fmt: skip

        return [
            Route("/trial", doors.page(page)),
            Route("/trial/part", doors.twin(part)),
            Route("/trial/live", doors.twin(stream)),
        ]


def _answer(html: str) -> Response:
    return Response(html, 200, HEADERS, "text/html; charset=utf-8")


@pytest.fixture
def trial() -> Trial:
    return Trial()


@pytest.fixture
def browser(backend: FakeBackend, trial: Trial) -> Iterator[tuple[Browser, str]]:
    with served(backend, more=[trial.room]) as origin, Browser() as one:
        sign_in(one, origin, ADMIN_KEY)
        yield one, origin
        assert [address for address in one.requested if not address.startswith((origin, "data:"))] == []
        assert one.dialogs == []


def wait(browser: Browser, script: str) -> None:
    until = time.monotonic() + 10
    while not browser.value(script):
        assert time.monotonic() < until, script
        time.sleep(0.03)


def test_htmx_charts_and_live_rows_work_under_the_strict_policy(
    browser: tuple[Browser, str], trial: Trial
) -> None:
    page, origin = browser
    page.go(f"{origin}/trial")
    wait(page, "document.querySelector('gr-chart.drawn canvas') !== null")
    page.value("document.querySelector('#ask').click()")
    wait(page, "document.querySelector('#came') !== null")
    trial.rows.append("<li>one</li>")
    wait(page, "document.querySelector('#rows li')?.textContent === 'one'")
    page.value("document.querySelector('details').open = true")
    wait(page, "document.querySelector('gr-json .payload')?.textContent.includes('came')")
    for problem in page.problems:
        assert "Content Security Policy" in problem, "only what must not run is complained of"

    click = "document.querySelector('#evil').click()"
    page.call("Runtime.evaluate", expression=click, allowUnsafeEvalBlockedByCSP=False)
    assert page.value("window.hit") is None, "no code comes from text: not in answers, not in attributes"
    assert page.value("document.querySelector('gr-chart .u-legend').textContent.includes('p50')")
    page.value("document.querySelector('gr-live button').click()")
    assert page.value("document.querySelector('gr-live').dataset.state") == "paused"


def test_palette_keys_and_look(browser: tuple[Browser, str]) -> None:
    page, origin = browser
    page.go(f"{origin}/requests")
    wait(page, "document.querySelector('gr-theme button') !== null")
    page.press("?")
    assert page.value("document.querySelector('dialog.key-list[open]') !== null")
    page.value("document.querySelector('dialog').close()")
    page.value("document.querySelector('gr-cmdk button').click()")
    page.value("document.querySelector('.palette input').value = 'deploy'")
    page.value("document.querySelector('.palette input').dispatchEvent(new Event('input'))")
    assert page.value("document.querySelector('.palette [aria-selected=true]').textContent").startswith(
        "Deployments"
    )
    page.value("document.querySelector('.palette input').value = 'refund policy'")
    page.value("document.querySelector('.palette input').dispatchEvent(new Event('input'))")
    page.run_and_wait(
        "document.querySelector('.palette input').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))"
    )
    assert page.value("location.pathname + location.search") == "/requests?q=refund%20policy"

    dark = "matchMedia('(prefers-color-scheme: dark)').matches"
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.value(dark) is False
    light = page.value(ground)
    page.value("for (let i = 0; i < 2; i++) document.querySelector('gr-theme button').click()")
    assert page.value("document.documentElement.dataset.theme") == "dark"
    page.go(f"{origin}/users")
    assert page.value(ground) != light, "the look is kept from page to page"
    assert page.problems == []


def test_a_list_follows_what_one_types(backend: FakeBackend) -> None:
    settings = Settings()
    settings.rows = [key_row(f"k{number}", created_ns=number) for number in range(200)]
    with served(backend, more=[SettingsPages(settings).routes]) as origin, Browser() as page:
        sign_in(page, origin, ADMIN_KEY)
        page.go(f"{origin}/settings/keys")
        assert page.value("document.querySelectorAll('#key-rows tbody tr').length") == 100
        page.value("document.querySelector('#q').focus()")
        page.call("Input.insertText", text="k77")

        wait(page, "document.querySelectorAll('#key-rows tbody tr').length === 1")
        assert page.value("document.activeElement.id") == "q", "whoever types goes on typing"
        wait(page, "location.search === '?q=k77'")
        settings.rows = []
        backend.roles.clear()
        time.sleep(1.1)
        page.call("Input.insertText", text="7")
        wait(
            page, "document.querySelector('.toasts .bad') !== null || document.querySelector('#key') !== null"
        )
        assert page.value("document.querySelectorAll('#key-rows #key-rows').length") == 0


def test_the_menu_of_a_phone_opens_over_the_page_and_every_place_is_reached(
    browser: tuple[Browser, str],
) -> None:
    page, origin = browser
    page.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
    page.go(f"{origin}/users")
    assert page.value("document.querySelector('#places').checkVisibility()") is False
    page.value("document.querySelector('.menu-button').click()")
    assert page.value("document.querySelector('#places').checkVisibility()") is True
    places = page.value(
        "JSON.stringify([...document.querySelectorAll('#places li a')].map((one) => one.pathname))"
    )
    assert "/requests" in json.loads(places)
    page.run_and_wait("document.querySelector('#places a[href=\"/requests\"]').click()")
    assert page.value("document.querySelector('#places [aria-current]').textContent") == "Requests"
