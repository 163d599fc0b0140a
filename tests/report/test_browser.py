"""The page in a real browser: figures draw, the pointer, hiding, zoom and sorting work, nothing is complained of."""

import time

import pytest

import chromium
import fake_runs
from scalarize import report
from scalarize.report import html
from scalarize.report.figures import results

pytestmark = pytest.mark.skipif(chromium.missing() is not None, reason=chromium.missing() or "")

BOX = """const s = document.querySelectorAll('figure')[arguments[0]].querySelector('.plot svg');
s.scrollIntoView({block: 'center'}); const b = s.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]"""
TICKS = (
    "return [...document.querySelectorAll('figure')[arguments[0]].querySelectorAll('.tick')].map((t) => t.textContent)"
)
COLUMN = """return [...document.querySelectorAll('table tbody tr')].map((r) => r.children[arguments[0]].textContent)"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    place = tmp_path_factory.mktemp("demo")
    return report.build(fake_runs.compare(place, ("a", "b")), place / "x.html", with_images=False)


@pytest.fixture(scope="module")
def browser():
    with chromium.Browser() as browser:
        yield browser


@pytest.fixture
def opened(browser, page):
    browser.look(1200, 900)
    browser.open(page)
    yield browser
    assert browser.messages() == []


def test_every_figure_is_drawn_with_its_words(opened):
    drawn = opened.run("""return [...document.querySelectorAll('figure')].map((f) => {
        const s = f.querySelector('svg[role=img]');
        return [s.querySelectorAll('path, circle').length, s.getAttribute('aria-label')]; })""")
    assert len(drawn) >= 8
    assert all(marks > 0 and len(alt) > 40 for marks, alt in drawn)


def test_the_pointer_names_the_point(opened):
    opened.run(BOX, 0)
    x, y = opened.run(
        "const b = document.querySelector('figure .plot svg circle').getBoundingClientRect();"
        "return [b.x + b.width / 2, b.y + b.height / 2]"
    )
    opened.mouse("mouseMoved", x + 3, y + 2)
    shown = opened.run("const t = document.querySelector('.tip'); return [t.style.display, t.textContent]")
    assert shown[0] == "block"
    assert shown[1].startswith("uniform\n67.")
    assert "[" in shown[1]
    opened.mouse("mouseMoved", 5, 5)
    assert opened.run("return document.querySelector('.tip').style.display") == "none"


@pytest.mark.parametrize("width", [390, 1200])
def test_points_of_equal_cost_and_their_names_hide_nothing(browser, tmp_path, width):
    cells = [{"mean": 0.6 + 0.001 * k, "low": 0.59, "high": 0.62} for k in range(12)]
    rows = [{"method": f"method-{k}", "average": cell, "tasks": {}, "trainings": 9} for k, cell in enumerate(cells)]
    chart = results.cost_against_quality([*rows, {**rows[0], "method": "dear", "trainings": 90}])
    page = tmp_path / "x.html"
    page.write_text(html.page("x", html.figure(0, chart, {}), [chart]))
    browser.look(width, 900)
    browser.open(page)
    marks, names = browser.run("""const svg = document.querySelector('.plot svg');
        const box = (n) => { const b = n.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; };
        return ['circle, g path', '.name'].map((kind) => [...svg.querySelectorAll(kind)].map(box))""")
    assert len(marks) == 13
    assert len(names) >= 4
    every = [*marks, *names]
    for k, a in enumerate(every):
        for b in every[:k]:
            assert a[2] <= b[0] + 1 or b[2] <= a[0] + 1 or a[3] <= b[1] + 1 or b[3] <= a[1] + 1, (a, b)
    assert browser.messages() == []


def test_a_series_hides_and_returns(opened):
    marks = "return document.querySelector('figure .plot svg').querySelectorAll('circle, g path').length"
    press = (
        "const b = document.querySelector('figure .legend button'); b.click(); return b.getAttribute('aria-pressed')"
    )
    before = opened.run(marks)
    assert opened.run(press) == "false"
    assert opened.run(marks) == before - 1
    assert opened.run(press) == "true"
    assert opened.run(marks) == before


def test_dragging_zooms_and_a_button_resets(opened):
    before = opened.run(TICKS, 2)
    x, y, width, height = opened.run(BOX, 2)
    opened.mouse("mousePressed", x + width * 0.4, y + height * 0.3)
    opened.mouse("mouseMoved", x + width * 0.5, y + height * 0.5, pressed=True)
    opened.mouse("mouseReleased", x + width * 0.5, y + height * 0.5)
    assert opened.run(TICKS, 2) != before
    button = "const r = document.querySelectorAll('figure')[2].querySelector('.reset'); "
    assert opened.run(button + "return r.hidden") is False
    assert opened.run(button + "r.click(); return r.hidden") is True
    assert opened.run(TICKS, 2) == before


def test_a_title_sorts_the_table(opened):
    click = "document.querySelectorAll('thead button')[arguments[0]].click()"
    opened.run(click, 1)
    down = [float(text[:5]) for text in opened.run(COLUMN, 1)]
    assert down == sorted(down, reverse=True)
    assert opened.run("return document.querySelectorAll('thead th')[1].getAttribute('aria-sort')") == "descending"
    opened.run(click, 1)
    assert [float(text[:5]) for text in opened.run(COLUMN, 1)] == down[::-1]
    opened.run(click, 0)
    assert opened.run(COLUMN, 0) == sorted(opened.run(COLUMN, 0))


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_only_downwards_and_colours_follow(opened, dark):
    opened.look(390, 800, dark)
    time.sleep(0.3)  # the resize observer redraws
    assert opened.run("return document.documentElement.scrollWidth") <= 390
    widths = opened.run("return [...document.querySelectorAll('.plot svg')].map((s) => s.viewBox.baseVal.width)")
    assert max(widths) <= 390
    paper = opened.run("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")


def seconds_of_a_loop(count=10**7):
    """CPU seconds of a plain loop: half a second on an idle machine of 2024."""
    start = time.process_time()
    for _ in range(count):
        pass
    return time.process_time() - start


@pytest.mark.slow
def test_five_hundred_runs_open_quickly(browser, tmp_path):
    """Prints (with -s) the time from navigation until every figure is drawn, the processor's share of it on the page's
    own thread, and how slow the machine is.
    """
    for k in range(500):
        fake_runs.training(tmp_path / f"run-{k}", f"method-{k % 25}", k // 25, 0.6 + 0.004 * (k % 25))
    page = report.build(tmp_path, with_images=False, out=tmp_path / "x.html")
    browser.look(1200, 900)
    browser.command("Performance.enable", timeDomain="threadTicks")
    slowness = seconds_of_a_loop() / 0.5
    for _ in range(3):
        browser.open(page)
        took = browser.run("return performance.getEntriesByName('drawn')[0].startTime / 1000")
        spent = {m["name"]: m["value"] for m in browser.command("Performance.getMetrics")["metrics"]}["TaskDuration"]
        print(f"500 runs: figures drawn after {took:.2f} s, CPU {spent:.2f} s; machine {slowness:.1f} times slow")
    assert browser.run("return document.querySelectorAll('tbody tr').length") == 500
    assert browser.run("return document.querySelectorAll('figure svg[role=img]').length") == 14
    assert browser.messages() == []
