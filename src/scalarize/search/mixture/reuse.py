"""Old runs in a new set of domains: those split, merged or added; what did not change keeps its runs.

A split domain's parts had their natural shares in every old run; an added domain had no weight; merged domains count
by their sum, as if their shares did not matter within it. The laws of unchanged domains then come from old and new runs
together, and only what changed needs new ones. A dropped domain needs none: fix its weight at 0 in the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scalarize.search.mixture.runs import Runs
from scalarize.utils.errors import RequestError, unknown_name_error


def carry_over(
    runs: Runs,
    split: Mapping[str, Mapping[str, float]] | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    add: Sequence[str] = (),
) -> Runs:
    """The runs with their domains changed.

    Args:
        runs: old runs.
        split: ``{"web": {"news": 0.3, "forums": 0.7}}``: natural shares of the parts, normalised.
        merge: ``{"code": ["python", "java"]}``.
        add: names of new domains.

    Raises:
        RequestError: an unknown domain, one that is changed twice, or a name that is taken.
    """
    split, merge = split or {}, merge or {}
    gone = [*split, *(d for members in merge.values() for d in members)]
    for name in gone:
        if name not in runs.domains:
            raise unknown_name_error("domain", name, runs.domains, where=" among the old runs")
        if gone.count(name) > 1:
            raise RequestError(f"domain {name!r} is split or merged twice")
    columns = {d: runs.weights[:, i] for i, d in enumerate(runs.domains) if d not in gone}
    new: list[tuple[str, np.ndarray[tuple[int], np.dtype[np.float64]]]] = []
    for name, shares in split.items():
        values = np.array(list(shares.values()), dtype=np.float64)
        if len(values) < 2 or not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
            raise RequestError(f"split of {name}: needs shares of at least two parts, >= 0 and not all 0")
        old = runs.weights[:, runs.domains.index(name)]
        new += [(part, old * share) for part, share in zip(shares, values / values.sum(), strict=True)]
    for name, members in merge.items():
        new.append((name, np.sum([runs.weights[:, runs.domains.index(m)] for m in members], axis=0)))
    new += [(name, np.zeros(len(runs.weights))) for name in add]
    for name, column in new:
        if name in columns:
            raise RequestError(f"domain {name!r} is there already")
        columns[name] = column
    return replace(runs, domains=tuple(columns), weights=np.column_stack(list(columns.values())))


def together(old: Runs, new: Runs) -> Runs:
    """Old and new runs as one table, in the domains and metrics of the new ones.

    Raises:
        RequestError: domains that differ, no metric in common, or another direction of one.
    """
    differ = sorted(set(old.domains) ^ set(new.domains))
    if differ:
        raise RequestError(f"old and new runs differ in {', '.join(differ[:5])}: say what was split, merged or added")
    if old.scale_names != new.scale_names:
        raise RequestError("old and new runs must both have the columns of size and tokens, or neither")
    missing = [m for m in new.metrics if m not in old.metrics]
    if len(missing) == len(new.metrics):
        raise RequestError("old and new runs have no metric in common")
    place = [old.domains.index(d) for d in new.domains]
    losses = np.full((len(old.weights), len(new.metrics)), np.nan)
    for k, metric in enumerate(new.metrics):
        if metric in old.metrics:
            i = old.metrics.index(metric)
            if old.higher[i] != new.higher[k]:
                raise RequestError(f"metric {metric!r} is better higher in one table and lower in the other")
            losses[:, k] = old.losses[:, i]
    notes = [f"{len(old.weights)} old runs are used beside {len(new.weights)} new ones"]
    notes += [f"the old runs lack the metrics {', '.join(missing[:5])}"] if missing else []
    steps = None
    if old.steps is not None and new.steps is not None:
        steps = np.concatenate([old.steps, new.steps])
    return replace(
        new,
        weights=np.concatenate([old.weights[:, place], new.weights]),
        losses=np.concatenate([losses, new.losses]),
        ids=(*(f"old-{i}" for i in old.ids), *new.ids),
        scales=np.concatenate([old.scales, new.scales]),
        steps=steps,
        notes=(*old.notes, *new.notes, *notes),
    )
