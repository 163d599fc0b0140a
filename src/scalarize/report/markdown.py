"""Findings and tables of several studies as one page in Markdown, as in ``results/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

Choose = Callable[[str, pd.DataFrame], pd.DataFrame | None]


def document(head: Sequence[str], found: Sequence[Mapping[str, Any]], choose: Choose) -> str:
    """Return ``head``, then each study under its question: its command, findings, tables, and what was scaled.

    A note that stands in the head already is not said again. Below 3 seeds the page says *illustration*.

    Args:
        head: beginning of the page.
        found: results of studies (``result.json``) with ``question`` and ``command``.
        choose: (kind of a table, its frame) -> the frame to show, or None.
    """
    lines, said = list(head), " ".join(head)
    if any(result["illustration"] for result in found):
        lines += ["", "**Illustration**: fewer than 3 seeds; nothing here can be judged by."]
    for result in found:
        lines += ["", f"## {result['question']}", "", f"    {result['command']}", ""]
        lines += [f"- {line.partition(': ')[2] or line}" for line in result["findings"]]
        for entry in result["tables"]:
            shown = choose(entry["kind"], pd.read_csv(Path(result["out"]) / entry["file"]))
            if shown is not None:
                note = "" if entry["note"] in said else entry["note"]
                lines += ["", f"{entry['title']}. {note}".rstrip(), "", *table(shown)]
        if result["scaled"]:
            lines += ["", f"Scaled: {_sentences([line.partition(': ')[2] for line in result['scaled']])}"]
        lines += ["", f"{result['runs']} runs, {result['seconds_runs']:.0f} s of trainings by the clock."]
    return "\n".join(lines) + "\n"


def _sentences(lines: Sequence[str]) -> str:
    """Write lines that are sentences as they are, after one sentence of the others."""
    whole = [line for line in lines if line.endswith(".")]
    rest = "; ".join(line for line in lines if not line.endswith("."))
    return " ".join([f"{rest}."] * bool(rest) + whole)


def table(frame: pd.DataFrame) -> list[str]:
    """Return the lines of a table, without empty columns."""
    frame = frame.dropna(axis=1, how="all")
    head = [" | ".join(["", *map(str, frame.columns), ""]).strip(), "|" + " --- |" * len(frame.columns)]
    return [*head, *(" | ".join(["", *map(_cell, row), ""]).strip() for row in frame.itertuples(index=False))]


def _cell(value: Any) -> str:
    """Write a number to four digits; nothing if there is none."""
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return str(value)
