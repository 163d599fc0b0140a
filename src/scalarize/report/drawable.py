"""Names as text that can be drawn: a dollar is no formula, and what no font can show is a sign that says so."""

from __future__ import annotations

import re
from dataclasses import replace

from scalarize.report.charts import Chart

MOST = 60  # letters of a name in an image; the page has all of it
_NO_SIGN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufffe\\uffff]")


def text(words: str, most: int | None = MOST) -> str:
    """Return words as matplotlib draws them letter by letter.

    Args:
        words: any text.
        most: letters that are kept, the middle is left out; None: all. Default ``MOST``.

    Returns:
        The text, with dollars escaped.

    >>> text("$x$ and \\ud800")
    '\\\\$x\\\\$ and \\ufffd'
    >>> len(text("x" * 300))
    60
    """
    if most is not None and len(words) > most:
        words = f"{words[: most - 21]}\u2026{words[-20:]}"
    return _NO_SIGN.sub("\ufffd", words).replace("$", r"\$")


def chart(whole: Chart) -> Chart:
    """Return a chart whose words can be drawn."""
    return replace(
        whole,
        title=text(whole.title, None),
        x_label=text(whole.x_label),
        y_label=text(whole.y_label),
        rows=tuple(map(text, whole.rows)),
        columns=tuple(map(text, whole.columns)),
        series=tuple(replace(s, name=text(s.name)) for s in whole.series),
        shade=None if whole.shade is None else (text(whole.shade[0]), *whole.shade[1:]),
    )
