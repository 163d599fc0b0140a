"""Figures over epochs: learning curves, weights, the progress of a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from scalarize.analysis import curves
from scalarize.analysis.read_runs import Run, Search
from scalarize.report.charts import Chart, Series


def learning_curves(runs: Mapping[str, Sequence[Run]]) -> list[Chart]:
    """Show validation metric and training loss per epoch, averaged over tasks: a line and a band per method.

    Runs that were scored by another mean, say by one main task, show that one.
    """
    scores = " or ".join(dict.fromkeys(curves.score_of(run) for own in runs.values() for run in own))
    validation = _bands(
        runs,
        curves.headline,
        "Learning curves: validation",
        f"validation metric, {scores} over tasks" if scores == "average" else f"validation metric, {scores}",
        "The epoch of each run is chosen on this split.",
    )
    training = _bands(
        runs,
        curves.loss,
        "Learning curves: training loss",
        "training loss, mean over tasks (unweighted)",
        "Losses as they are, without the weights that the method gave them.",
    )
    return [chart for chart in (validation, training) if chart.series]


def _bands(
    runs: Mapping[str, Sequence[Run]], read: Callable[[Run], pd.DataFrame], title: str, label: str, note: str
) -> Chart:
    series = []
    for method, own in runs.items():
        band = curves.band([read(run) for run in own])
        if not band.empty:
            low, high = (band[key].tolist() if len(own) > 1 else None for key in ("low", "high"))
            series.append(Series(method, band.index.tolist(), band["mean"].tolist(), low, high))
    last = "; ".join(f"{s.name} ends at {s.y[-1]:.4g}" for s in series)
    return Chart(
        title=title,
        kind="lines",
        alt=f"{label} over epochs, a line a method: {last}.",
        x_label="epoch",
        y_label=label,
        series=tuple(series),
        note=f"Mean over runs; the band reaches from the lowest to the highest run. {note}",
    )


def stacked_weights(weights: pd.DataFrame, title: str, note: str = "") -> Chart:
    """Show weights over epochs as stacked areas (Royer et al. 2023, figure F).

    ``weights`` is epoch x task, of any positive scale.
    """
    part = curves.shares(weights)
    series = tuple(Series(str(t), part.index.tolist(), part[t].tolist()) for t in part.columns)
    first, last = part.iloc[0], part.iloc[-1]
    said = ", ".join(f"{t} {first[t]:.2f} to {last[t]:.2f}" for t in part.columns)
    return Chart(
        title=title,
        kind="stack",
        alt=f"Share of each task's weight from the first to the last epoch: {said}.",
        x_label="epoch",
        y_label="share of the weight",
        series=series,
        steps=True,
        note=note,
    )


def search_policy(search: Search, name: str) -> Chart:
    """Show the policy that a search found, as stacked weights."""
    note = "Weights of the best member, traced back through its ancestors; each holds until the next exploration."
    return stacked_weights(curves.policy_weights(search.policy), f"Policy of {name}", note)


def method_weights(method: str, run: Run) -> Chart | None:
    """Show the weights that a method implied in one run; None if it recorded none or has one task only."""
    weights = curves.weights(run)
    if weights.shape[1] < 2:
        return None
    negative = float((weights < 0).to_numpy().mean())
    note = f"Seed {run.result['seed']}; averaged over the steps of each epoch, scaled to sum 1."
    if negative:
        note += f" {100 * negative:.0f} % of the averages are negative and drawn as 0."
    return stacked_weights(weights, f"Weights of {method}", note)


def search_progress(searches: Mapping[str, Search]) -> Chart:
    """Show the scores of a population over epochs: best, median and worst member of each generation."""
    series, said = [], []
    asked = [search.config.get("request") for search in searches.values()]
    scores = dict.fromkeys(str(a["score"]) for a in asked if isinstance(a, Mapping) and "score" in a)
    for name, search in searches.items():
        table = curves.generations(search.lineage).dropna()
        if not table.empty:
            values = {key: table[key].tolist() for key in ("epoch", "best", "median", "worst")}
            series.append(Series(name, values["epoch"], values["median"], low=values["worst"], high=values["best"]))
            said.append(f"{name} from a median of {values['median'][0]:.4g} to {values['median'][-1]:.4g}")
    return Chart(
        title="Progress of the searches",
        kind="lines",
        alt="Scores of the members of each search by epoch: " + "; ".join(said) + ".",
        x_label="epoch",
        y_label="score on the search's hold-out",
        series=tuple(series),
        note="Line: median member. Band: worst to best member." + (f" Score: {', '.join(scores)}." if scores else ""),
    )
