"""The page of runs, searches and comparisons: its sections, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import yaml

from scalarize.analysis import measured_front, table_facts
from scalarize.analysis import read_runs as sources
from scalarize.analysis.comparison import ranking
from scalarize.analysis.read_runs import Comparison, Run, Search
from scalarize.report import html, images, table_section
from scalarize.report.charts import Chart
from scalarize.report.figures import curves, fronts, race, results
from scalarize.utils import signed

MOST_METHODS = 12  # figures of weights, one per method


@dataclass
class _Page:
    """A page that grows from top to bottom; charts are numbered as they are added."""

    parts: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    with_images: bool = True

    def section(self, title: str) -> None:
        anchor = f"part-{len(self.links) + 1}"
        self.links.append((anchor, title))
        self.parts.append(f'<h2 id="{anchor}">{escape(title)}</h2>')

    def figures(self, charts: Sequence[Chart]) -> None:
        drawn = []
        for chart in charts:
            content = images.files(chart) if self.with_images else {}
            drawn.append(html.figure(len(self.charts), chart, content, wide=len(charts) == 1))
            self.charts.append(chart)
        if drawn:
            self.parts.append(f'<div class="figures">{"".join(drawn)}</div>')

    def how(self, path: Path, config: Mapping[str, Any]) -> None:
        """Add the directory, the command that repeats it, and the whole request."""
        self.parts.append(f'<p class="soft">Read from <code>{escape(str(path))}</code></p>')
        if isinstance(config.get("command"), str):
            self.parts.append("<p>Run it again:</p>" + html.command(config["command"]))
        shown = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        self.parts.append(f"<details><summary>Everything that was asked</summary><pre>{escape(shown)}</pre></details>")


def build(
    directories: str | Path | Sequence[str | Path], out: str | Path = "report.html", with_images: bool = True
) -> Path:
    """Write one self-contained HTML file about all runs, searches and comparisons in ``directories``.

    Equal directories give equal bytes. Raises RequestError that names a file that is missing or damaged, or the
    directories if they hold nothing.

    Args:
        directories: the directories.
        out: the HTML file.
        with_images: include each figure as PNG and PDF, for download.

    Returns:
        The path of the file.
    """
    signed.check_replaceable(out)
    places = [directories] if isinstance(directories, str | Path) else list(directories)
    found = sources.read(places)
    page = _Page(with_images=with_images)
    for comparison in found.comparisons:
        _comparison(page, comparison)
    if found.searches:
        page.section("Searches")
        for search in found.searches:
            page.how(search.path, search.config)
        _searches(page, {search.path.name: search for search in found.searches})
    for workload, own in _by(found.runs, lambda run: str(run.result.get("workload", "runs"))).items():
        _runs(page, workload, own)
    everything: list[Comparison | Search | Run] = [*found.comparisons, *found.searches, *found.runs]
    names = sorted({_workload(thing.result, thing.config) for thing in everything} - {""})
    title = "scalarize: " + (", ".join(names) or "report")
    nav = "".join(f'<a href="#{anchor}">{escape(text)}</a>' for anchor, text in page.links)
    body = f"<header><h1>{escape(title)}</h1><nav aria-label=Parts>{nav}</nav></header>"
    body += f"<main>{''.join(page.parts)}</main>"
    body += "<footer><p>Written by <code>scalarize report</code> from the files of the runs alone.</p></footer>"
    return signed.write(out, html.page(title, body, page.charts))


def _comparison(page: _Page, comparison: Comparison) -> None:
    rows: list[Mapping[str, Any]] = comparison.result["rows"]
    ranked = ranking(comparison.result)
    lower, title = ranked["lower_is_better"], ranked["title"]
    scale = results.scale_of(rows)
    if (facts := table_facts.find(comparison.path)) is not None:
        page.section("What is predicted, and how well")
        page.parts.append(table_section.of_comparison(facts, comparison.result))
    page.section(f"{len(rows)} methods on {_workload(comparison.result, comparison.config)}")
    page.how(comparison.path, comparison.config)
    page.parts.append(html.comparison_table(rows, scale, lower, title))
    page.parts.append(
        f'<p class="soft">{_ranked_by(title)}{results.unit(scale).replace("average t", "T")}: mean, and its 95 % '
        "interval below; over searches where a row has them, else over seeds. Bold: best of a column, whether or not "
        "it can be told from the next. Trainings: all that the row cost. A title sorts.</p>"
    )
    page.parts.append(html.verdicts(comparison.result.get("verdicts", [])))
    methods = _by(comparison.runs, lambda run: run.method)
    shared = {name: own for name, own in methods.items() if all(_is_shared(run, rows) for run in own)}
    charts = [
        results.intervals(rows, "average" in lower, title),
        results.cost_against_quality([row for row in rows if row["trainings"]], title),
    ]
    tasks = list(rows[0]["tasks"])
    if len(tasks) == 2 and shared:
        pair = (tasks[0], tasks[1])
        points = {name: [_point(run, pair) for run in own] for name, own in shared.items()}
        charts.append(results.trade_off(pair, points, lower))
    if (raced := race.scores(comparison.result.get("race"))) is not None:
        charts.insert(0, raced)
    page.figures(charts)
    if comparison.searches:
        page.section("Policies that the searches found")
        _searches(page, {search.path.name: search for search in comparison.searches})
    if shared:
        page.section("Learning curves")
        page.figures(curves.learning_curves(shared))
        _weights(page, shared)


def _ranked_by(title: str) -> str:
    return "" if title == "average" else f"Epochs were chosen and rows are ranked by <code>{escape(title)}</code>. "


def _searches(page: _Page, searches: Mapping[str, Search]) -> None:
    page.figures([curves.search_policy(search, name) for name, search in searches.items()])
    page.figures([curves.search_progress(searches)])


def _weights(page: _Page, methods: Mapping[str, Sequence[Run]]) -> None:
    """Add the weights of one run per method, if it recorded any."""
    charts = [curves.method_weights(name, own[0]) for name, own in list(methods.items())[:MOST_METHODS]]
    drawn = [chart for chart in charts if chart is not None]
    if drawn:
        page.section("Weights that each method used")
        if len(methods) > MOST_METHODS:
            page.parts.append(f'<p class="soft">The first {MOST_METHODS} of {len(methods)} methods.</p>')
        page.figures(drawn)


def _runs(page: _Page, workload: str, own: Sequence[Run]) -> None:
    """Add runs that belong to no comparison: one row each, and their curves."""
    if len(own) == 1 and (facts := table_facts.find(own[0].path)) is not None:
        page.section("What is predicted, and how well")
        page.parts.append(table_section.of_run(facts, own[0].result))
    page.section(f"{len(own)} {'run' if len(own) == 1 else 'runs'} on {workload}")
    tasks = list(dict.fromkeys(task for run in own for task in run.result["test"]))
    scores = {f"score {s['name']}": s["name"] for run in own if (s := run.result.get("score"))}
    lost = any("diverged" in run.result for run in own)
    body = []
    for run in own:
        score = run.result.get("score") or {}
        values = [run.result["test"].get(task) for task in tasks]
        values += [score.get("test") if score.get("name") == name else None for name in scores.values()]
        body.append(
            [f"<td>{escape(run.path.name)}</td>", html.cell(run.method), html.cell(str(run.result["seed"]))]
            + [html.cell("" if v is None else f"{v:.4f}", v, True) for v in values]
            + ([html.cell(_ended(run))] if lost else [])
        )
    page.parts.append(html.table(["run", "method", "seed", *tasks, *scores, *(["end"] if lost else [])], body, "Runs"))
    if lost:
        said = "A run that diverged shows what was selected before that."
        page.parts.append(f'<p class="soft">{said}</p>')
    if len(own) == 1:
        page.how(own[0].path, own[0].config)
    else:
        commands = [str(run.config["command"]) for run in own if isinstance(run.config.get("command"), str)]
        page.parts.append(f"<details><summary>Run them again</summary>{html.command(chr(10).join(commands))}</details>")
    methods = _by(own, lambda run: run.method)
    measured = {run.path.name: front for run in own if (front := measured_front.find(run.path)) is not None}
    drawn = [fronts.chart(front, name if len(own) > 1 else "") for name, front in measured.items()]
    page.figures([*drawn, *curves.learning_curves(methods)])
    _weights(page, methods)


def _ended(run: Run) -> str:
    return f"diverged, {run.result['diverged']}" if "diverged" in run.result else "finished"


def _by(runs: Sequence[Run], key: Any) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def _is_shared(run: Run, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return True for a run on all tasks at once (a single-task run has no place in a figure of averages)."""
    return set(rows[0]["tasks"]) <= set(run.result["test"])


def _point(run: Run, tasks: tuple[str, str]) -> tuple[float, float]:
    first, second = (run.result["test"][task] for task in tasks)
    return (float("nan") if first is None else float(first), float("nan") if second is None else float(second))


def _workload(result: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    request = config.get("request")
    asked = request.get("workload") if isinstance(request, dict) else config.get("workload")
    return str(result.get("workload") or asked or "")
