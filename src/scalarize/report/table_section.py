"""The opening of a page about a user's own table: what is predicted how well, beside simple models, and from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from scalarize.analysis import readers
from scalarize.analysis.comparison import headline
from scalarize.analysis.table_facts import TableFacts, in_words
from scalarize.report import html


def of_run(facts: TableFacts, result: Mapping[str, Any]) -> str:
    """Return the section for one training.

    Args:
        facts: of the table.
        result: content of its ``result.json``.
    """
    body = []
    for target in facts.targets:
        name = str(target["name"])
        measures = result.get("measures", {}).get("test", {}).get(name)
        if not isinstance(measures, Mapping):
            continue
        shown = [(k, v) for k, v in measures.items() if k != "loss"] or [("", None)]
        first, beside = shown[0], ", ".join(f"{k} {_number(v)}" for k, v in shown[1:])
        words = [html.cell(in_words(target)), html.cell(str(first[0]))]
        body.append([_name(name), *words, html.cell(_number(first[1]), first[1], True), html.cell(beside)])
    head = ["target", "in the training rows", "metric", "on the test rows", "beside it"]
    return html.table(head, body, "What is predicted, and how well") + _inputs(facts)


def of_comparison(facts: TableFacts, result: Mapping[str, Any]) -> str:
    """Return the section for a comparison: the best model of each target beside the simple ones.

    Args:
        facts: of the table.
        result: content of its ``result.json``.
    """
    rows: Sequence[Mapping[str, Any]] = result["rows"]
    lower = set(result.get("lower_is_better", []))
    models = [row for row in rows if row["trainings"]]
    best = max(models, key=lambda row: _signed(headline(row)["mean"], "average" in lower), default=None)
    if best is None:
        return _inputs(facts)
    simple = [row for row in rows if not row["trainings"]]  # a simple model cost none
    body = []
    for target in facts.targets:
        name = str(target["name"])
        if name not in best["tasks"]:
            continue
        cells = [row["tasks"][name]["mean"] for row in (best, *simple)]
        known = [_signed(value, name in lower) for value in cells]
        words = [html.cell(in_words(target)), html.cell(str(result["metrics"].get(name, "")))]
        shown = [html.cell(_number(v), v, True, best=k == max(known)) for v, k in zip(cells, known, strict=True)]
        body.append([_name(name), *words, *shown])
    head = ["target", "in the training rows", "metric", str(best["method"]), *(str(row["method"]) for row in simple)]
    lead = f'<p class="lead"><strong>{escape(str(result["lead"]))}</strong></p>' if "lead" in result else ""
    return lead + html.table(head, body, "What is predicted, and how well") + _inputs(facts)


def _inputs(facts: TableFacts) -> str:
    counts = ", ".join(f"{facts.split[k]} {k}" for k in ("train", "validation", "test") if k in facts.split)
    how = f", split {facts.split.get('how', '')}: {counts}" if facts.split else ""
    text = f"<p>{escape(facts.name)}: {facts.rows} rows{escape(how)}. "
    text += f"{len(facts.inputs)} inputs: {escape(', '.join(facts.inputs[:20]))}"
    if len(rest := facts.inputs[20:]):
        text += f"<details><summary>and {len(rest)} more</summary>{escape(', '.join(rest))}</details>"
    text += "</p>"
    if facts.left_out:
        items = "".join(f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in facts.left_out.items())
        text += f"<details><summary>{len(facts.left_out)} columns left out</summary><ul>{items}</ul></details>"
    return text


def _name(name: str) -> str:
    return f"<td>{escape(name)}</td>"


def _number(value: Any) -> str:
    return f"{value:.4g}" if readers.is_number(value) else "unknown"


def _signed(value: Any, lower: bool) -> float:
    return (-float(value) if lower else float(value)) if readers.is_number(value) else float("-inf")
