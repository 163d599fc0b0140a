"""Pieces of the page as text; everything that comes from outside is escaped here."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from scalarize.analysis import comparison
from scalarize.report.charts import COLOURS, DASHES, MARKERS, Chart
from scalarize.utils import signed

# Anchors of viridis-like and of red-blue scales, both readable by the colour-blind: RGB.
SEQUENTIAL = ([0, 32, 77], [66, 78, 108], [124, 123, 120], [188, 175, 111], [255, 234, 70])
DIVERGING = ([178, 24, 43], [244, 165, 130], [247, 247, 247], [146, 197, 222], [33, 102, 172])
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(title: str, body: str, charts: Sequence[Chart]) -> str:
    """Return the whole file, to be signed. Its content security policy forbids every request to a network."""
    style = {"colours": COLOURS, "dashes": DASHES, "markers": MARKERS, "sequential": SEQUENTIAL, "diverging": DIVERGING}
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="data:,">
<style>{_asset("page.css")}</style></head>
<body>{body}
<script type="application/json" id="charts">{script_json([chart.to_dict() for chart in charts])}</script>
<script>window.chartStyle = {script_json(style)};
{_asset("chart_parts.js")}{_asset("chart.js")}{_asset("page.js")}</script>
<!-- {signed.BLANK} -->
</body></html>
"""


def script_json(content: Any) -> str:
    """Write JSON that cannot end the script element that holds it."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return files("scalarize.report").joinpath(name).read_text(encoding="utf-8")


def figure(index: int, chart: Chart, images: Mapping[str, bytes], wide: bool = False) -> str:
    """Return the place of chart ``index`` on the page, with its image files as downloads."""
    kinds = {"png": "image/png", "pdf": "application/pdf"}
    links = "".join(
        f'<a download="{chart.name}.{kind}" href="data:{kinds[kind]};base64,{base64.b64encode(content).decode()}">'
        f"{kind.upper()}</a>"
        for kind, content in images.items()
    )
    note = f"<figcaption>{escape(chart.note)}</figcaption>" if chart.note else ""
    return (
        f'<figure data-chart="{index}" data-alt="{escape(chart.alt)}"{" class=wide" if wide else ""}>'
        f"<h3>{escape(chart.title)}</h3>"
        f'<div class="plot"><div class="tip" role="status"></div><noscript><p>{escape(chart.alt)}</p></noscript></div>'
        f'<div class="legend"></div>{note}'
        f'<div class="tools">{links}<button type="button" class="reset" hidden>Reset zoom</button></div></figure>'
    )


def command(text: str) -> str:
    """Return a command to type, on its own line."""
    return f"<pre>{escape(text)}</pre>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Return a sortable table from cells that are HTML already (see :func:`cell`)."""
    first = ' data-first="ascending"'
    heads = "".join(
        f'<th scope="col"{"" if k else first}><button type="button">{escape(title)}</button></th>'
        for k, title in enumerate(header)
    )
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table><thead><tr>{heads}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def cell(text: str, value: float | None = None, sortable: bool = False, small: str = "", best: bool = False) -> str:
    """Return one cell; a number sorts by ``value``, unknown ones last."""
    attributes = (f' data-value="{"" if value is None else f"{value:.9g}"}"' if sortable else "") + (
        ' class="best"' if best else ""
    )
    return f"<td{attributes}>{escape(text)}{f'<small>{escape(small)}</small>' if small else ''}</td>"


def comparison_table(
    rows: Sequence[Mapping[str, Any]], scale: float, lower_is_better: Collection[str], title: str = "average"
) -> str:
    """Return the rows of ``compare``: mean over its 95 % interval, the best of a column bold and tinted.

    title: of the column by which rows are ranked.
    """
    tasks = list(rows[0]["tasks"])
    best = comparison.best(rows, lower_is_better)
    body = []
    for row in rows:
        cells = {None: comparison.headline(row), **row["tasks"]}
        size = row.get("parameters")
        below = f"<small>{size:,} parameters</small>" if isinstance(size, int) else ""
        line = [f"<td>{escape(str(row['method']))}{below}</td>"]
        line += [_interval(cells[t], scale, row["method"] in best.get(t, ())) for t in (None, *tasks)]
        seeds = row.get("seeds")
        count = str(seeds if isinstance(seeds, int) else "")
        searches = row.get("searches")
        runs = f"{searches} searches" if isinstance(searches, int) and searches else f"{count} seeds"
        runs = runs if row["trainings"] else "no training"
        line += [cell(f"{row['trainings']:g}", float(row["trainings"]), True, runs)]
        body.append(line)
    return table(["method", title, *tasks, "trainings"], body, "Methods compared")


def _interval(interval: Mapping[str, Any], scale: float, best: bool) -> str:
    mean, low, high = (interval[key] for key in ("mean", "low", "high"))
    if mean is None:
        return cell("unknown", None, True)
    digits = 2 if scale == 100 else 4
    small = "one run" if low is None or high is None else f"{scale * low:.{digits}f} to {scale * high:.{digits}f}"
    return cell(f"{scale * mean:.{digits}f}", mean, True, small, best)


def verdicts(sentences: Sequence[str]) -> str:
    """Return the sentences: those about the first method are shown, the others on request."""
    if not sentences:
        return ""
    words = re.compile(r" (wins|loses) against | (ties) with ")

    def item(sentence: str) -> str:
        found = words.search(sentence)
        outcome = (found.group(1) or found.group(2)) if found else ""
        text = escape(sentence).replace(f" {outcome} ", f" <b>{outcome}</b> ", 1) if found else escape(sentence)
        return f'<li class="{outcome}">{text}</li>'

    subject = words.split(sentences[0], maxsplit=1)[0]
    first = [s for s in sentences if words.split(s, maxsplit=1)[0] == subject]
    rest = [s for s in sentences if s not in first]
    html = f'<ul class="verdicts">{"".join(map(item, first))}</ul>'
    if rest:
        html += f'<details><summary>The other {len(rest)} pairs</summary><ul class="verdicts">'
        html += f"{''.join(map(item, rest))}</ul></details>"
    return html
