"""Names of any kind in figures: no formula, no error, no image without axes."""

from __future__ import annotations

import re

import pytest

from scalarize.report import drawable, images
from scalarize.report.charts import Chart, Series

NAMES = [
    "$",
    "$x",
    "$\\frac{1}$",
    r"\$a$",
    "a\x00b",
    "\ud800",
    "x" * 300,
    "\n\t",
    "<b>&",
    "日本語",
    "🙂",
    "%",
    "{}",
    "_a^b",
]


@pytest.mark.parametrize("kind", ["lines", "stack", "points", "intervals", "heat"])
def test_every_name_is_drawn(kind: str) -> None:
    one, two = [1.0] * len(NAMES), [1.0, 2.0]
    series = tuple(Series(name, two, two) for name in NAMES)
    if kind == "intervals":
        series = (Series("all", one, [float(k) for k in range(len(NAMES))], low=one, high=one),)
    if kind == "heat":
        chart = Chart(
            NAMES[2], "heat", "", rows=tuple(NAMES), columns=tuple(NAMES), cells=((1.0,) * len(NAMES),) * len(NAMES)
        )
    else:
        chart = Chart(
            " ".join(NAMES), kind, "", "$", "\ud800", series, rows=tuple(NAMES) if kind == "intervals" else ()
        )  # type: ignore[arg-type]
    found = images.files(chart)
    assert found["png"].startswith(b"\x89PNG")
    assert found["pdf"].startswith(b"%PDF")


def test_a_dollar_is_a_dollar() -> None:
    figure = images.draw(
        drawable.chart(Chart("cost in $ or in $", "lines", "", series=(Series("$a$", [1, 2], [1, 2]),)))
    )
    title = figure.axes[0].title
    assert title._preprocess_math(title.get_text()) == ("cost in $ or in $", False)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_holds_no_sign_that_fonts_lack_by_design(name: str) -> None:
    found = drawable.text(name)
    assert not re.search("[\x00-\x1f\ud800-\udfff]", found)
    assert len(found.replace(r"\$", "$")) <= drawable.MOST
