"""The page of a study: its findings, and each of its tables with its figures."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from scalarize.analysis import readers, study_tables
from scalarize.report import html, images
from scalarize.report.charts import Chart
from scalarize.report.figures import studies
from scalarize.utils import files, signed

MOST_ROWS = 400


def build(directory: Path) -> Path:
    """Write ``report.html`` and ``figures/*.png`` from ``result.json`` and the tables beside it; return the page's
    path.

    Raises RequestError that names what is missing or damaged.
    """
    signed.check_replaceable(directory / "report.html")
    result = readers.read_mapping(directory / "result.json", "is the study finished? go on with `resume`")
    parts, charts = [_head(result)], list[Chart]()
    for entry in result["tables"]:
        table = study_tables.read(directory, entry)
        parts.append(f"<h2>{escape(table.title)}</h2>")
        parts.append(f'<p class="soft">{escape(table.note)}</p>' if table.note else "")
        drawn = []
        for chart in studies.charts(table):
            content = images.files(chart)
            alike = sum(other.name == chart.name for other in charts)
            name = f"{chart.name}-{alike + 1}" if alike else chart.name
            files.write_bytes(directory / "figures" / f"{name}.png", content["png"])
            drawn.append(html.figure(len(charts), chart, content))
            charts.append(chart)
        parts.append(f'<div class="figures">{"".join(drawn)}</div>' if drawn else "")
        parts.append(_table(table))
    title = f"{result['target']}: {result['title']}"
    body = f"<header><h1>{escape(title)}</h1></header><main>{''.join(parts)}</main>"
    return signed.write(directory / "report.html", html.page(title, body, charts))


def _head(result: Mapping[str, Any]) -> str:
    config = readers.read_yaml(Path(str(result["out"])) / "config.yaml") if result.get("out") else {}
    lines = [*result["findings"]]
    scaled = "".join(f"<li>{escape(line)}</li>" for line in result["scaled"])
    text = f"<h2>What it says</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
    text += f"<p>{result['runs']} runs.</p>" + (html.command(str(config["command"])) if "command" in config else "")
    return text + (f"<h2>Other than in the paper</h2><ul>{scaled}</ul>" if scaled else "")


def _table(table: study_tables.StudyTable) -> str:
    frame = table.frame.head(MOST_ROWS)
    body = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    text = html.table([str(c) for c in frame.columns], body, table.title)
    left = len(table.frame) - len(frame)
    more = f'<p class="soft">{left} further rows are in its CSV file.</p>' if left else ""
    shown = " open" if table.kind == "claims" else ""  # what the page is for, and no figure tells it
    return f"<details{shown}><summary>{len(table.frame)} rows</summary>{text}{more}</details>"


def _cell(value: Any) -> str:
    if isinstance(value, bool | str):
        return html.cell(str(value))
    if pd.isna(value):
        return html.cell("", None, True)
    return html.cell(f"{value:.4g}" if isinstance(value, float) else str(value), float(value), True)
