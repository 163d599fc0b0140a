"""Trade-offs of two tasks: the front of one row as a line, other rows, and what they add to its hypervolume."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalarize.analysis import fronts, pareto, statistics

MetricOfTask = tuple[str, str]


def within(models: pd.DataFrame, directions: Sequence[bool]) -> pd.Series[Any]:
    """Return a mask of the models that no other model of the same ``row`` dominates in the plane of x and y."""
    kept = pd.Series(False, index=models.index)
    for _, own in models.groupby("row", sort=False):
        kept[own.index] = pareto.nondominated(own[["x", "y"]].to_numpy(), directions)
    return kept


def volumes(
    models: pd.DataFrame, line: str, reference: tuple[float, float], directions: Sequence[bool]
) -> pd.DataFrame:
    """Return by row what its models add to the hypervolume of ``line``'s, and that of ``line`` itself, mean over seeds.

    Args:
        models: columns ``row``, ``seed``, ``x``, ``y``, and ``weight`` for what is left out.
        line: the row whose front is the line.
        reference: the worst corner, the same for all.
        directions: for x and y, True if higher is better.

    Returns:
        Columns row, kind ("hypervolume", of ``line``, "left out" or "added"), mean, low, high (Student's interval, NaN
        for one seed), seeds.
    """
    rows = []
    for (row, kind), values in added_by_seed(models, line, reference, directions).items():
        seen = statistics.t_interval(values.tolist())
        rows.append({"row": row, "kind": kind, "mean": seen.mean, "low": seen.low, "high": seen.high, "seeds": seen.n})
    return pd.DataFrame(rows)


def added_by_seed(
    models: pd.DataFrame, line: str, reference: tuple[float, float], directions: Sequence[bool]
) -> dict[tuple[str, str], pd.Series[float]]:
    """Return the numbers of :func:`volumes` by seed: (row, kind) -> a series over seeds.

    A point between two of a few points always adds something. For comparison, "left out" is what an inner weight of
    ``line`` itself adds to the front of its other weights (mean over them; at least three weights).
    """
    found: dict[tuple[str, str], dict[Any, float]] = {}
    for seed, own in models.groupby("seed", sort=False):
        base = own[own["row"] == line][["x", "y"]].to_numpy()
        held = pareto.hypervolume(base, reference, directions) if len(base) else 0.0
        found.setdefault((line, "hypervolume"), {})[seed] = held
        without = _left_out(own[own["row"] == line])
        if without:
            gains = [held - pareto.hypervolume(points, reference, directions) for points in without]
            found.setdefault((left_out(line), "left out"), {})[seed] = float(np.mean(gains))
        for row, more in own[own["row"] != line].groupby("row", sort=False):
            both = np.concatenate([base, more[["x", "y"]].to_numpy()])
            found.setdefault((str(row), "added"), {})[seed] = pareto.hypervolume(both, reference, directions) - held
    return {key: pd.Series(values) for key, values in found.items()}


def left_out(line: str) -> str:
    """Return the name of the row for one weight of ``line`` left out."""
    return f"{line}, one weight left out"


def _left_out(models: pd.DataFrame) -> list[np.ndarray]:
    """Yield the points (n, 2) of all other models, without each inner weight in turn."""
    weights = sorted(models["weight"].dropna().unique()) if "weight" in models else []
    return [models.loc[models["weight"] != w, ["x", "y"]].to_numpy() for w in weights[1:-1]]


def added(table: pd.DataFrame) -> str:
    """Say in a sentence what the others add to the front."""
    total = float(table.loc[table["kind"] == "hypervolume", "mean"].iloc[0])
    others = table[table["kind"] == "added"]
    if total == 0:
        return "No model of the front is better than the worst corner on both axes: it has no hypervolume to add to."
    if others.empty:
        return f"Hypervolume of the front: {total:.4g}."
    most = others.nlargest(1, "mean").iloc[0]
    span = "" if math.isnan(most["low"]) else f", {most['low']:.3g} to {most['high']:.3g} over {most['seeds']} seeds"
    share = 100 * most["mean"] / total
    said = f"Most is added by {most['row']}: {most['mean']:.3g} ({share:.1f} %{span})."
    own = table.loc[table["kind"] == "left out", "mean"]
    if len(own):
        said += f" A weight of the front itself adds {own.iloc[0]:.3g} to the others: less is not beyond it."
    return f"Hypervolume of the front: {total:.4g}. {said}"


def corner(models: pd.DataFrame, known: Mapping[str, float | None], directions: Sequence[bool]) -> tuple[float, float]:
    """Return the worst corner: for ``x`` and ``y`` the value of an untrained model if ``known``, else the worst one
    seen.
    """
    found = []
    for letter, higher in zip(("x", "y"), directions, strict=True):
        given = known.get(letter)
        worst = models[letter].min() if higher else models[letter].max()
        found.append(float(worst if given is None else given))
    return found[0], found[1]


def weight_of_first(curves: pd.DataFrame, first: str) -> pd.DataFrame:
    """Return by row and epoch the first task's share of the weights: mean over steps, then an interval over seeds.

    Weights are recorded when they change, and hold until the next record. Shares of weights that sum to 0 or are
    negative are left out.

    Args:
        curves: tidy records with ``row`` and ``seed``.
        first: the first task.

    Returns:
        Columns row, kind, epoch, mean, low, high.
    """
    kept = curves[(curves["metric"] == "weight") & (curves["split"] == "train")]
    wide = kept.pivot_table(index=["row", "seed", "epoch", "step"], columns="task", values="value")
    total = wide.sum(axis=1)
    share = (wide[first] / total.where(total > 0)).rename("share").reset_index()
    share = share[(share["share"] >= 0) & (share["share"] <= 1)]
    rows = []
    for (row, epoch), own in share.groupby(["row", "epoch"], sort=False):
        seen = statistics.t_interval(own.groupby("seed")["share"].mean().to_numpy())
        rows.append({"row": row, "kind": "weights", "epoch": int(str(epoch)) + 1, "mean": seen.mean})
        rows[-1] |= {"low": seen.low, "high": seen.high}
    return pd.DataFrame(rows, columns=["row", "kind", "epoch", "mean", "low", "high"])


def by_utility(models: pd.DataFrame, rows: Sequence[str], utilities: Sequence[float]) -> pd.DataFrame:
    """Return the test utility ``(1 - u) y + u x`` of each row's best model by the same utility on validation.

    Lower is better. ``models`` has columns row, x, y, x_validation, y_validation, seed; the result has row, u and test,
    the mean over seeds.
    """
    found = []
    for u in utilities:
        judged = models.assign(
            validation=(1 - u) * models["y_validation"] + u * models["x_validation"],
            test=(1 - u) * models["y"] + u * models["x"],
        )
        chosen = fronts.best(fronts.diverged_last(judged), ["row", "seed"])
        means = chosen.groupby("row", sort=False)["test"].mean()
        found += [{"row": row, "u": u, "test": float(means[row])} for row in rows if row in means]
    return pd.DataFrame(found, columns=["row", "u", "test"])


def rankings(table: pd.DataFrame) -> str:
    """Say in a sentence which row is best at which utility."""
    leaders: dict[str, list[float]] = {}
    for u, own in table.groupby("u"):
        leaders.setdefault(str(own.nsmallest(1, "test")["row"].iloc[0]), []).append(float(str(u)))
    said = "; ".join(f"{row} at {', '.join(f'{u:g}' for u in us)}" for row, us in leaders.items())
    return f"Best by the weight of the second task in the utility: {said}."


def of_tunings(models: pd.DataFrame) -> pd.DataFrame:
    """Return deviations of the average test loss: over sparse grids, each with its best rate on validation, and over
    seeds.

    ``models`` has columns row ("k = 1", ... or "seeds"), validation and test (averages over tasks). The result has row,
    kind, mean (the deviation), low, high (its 95 % interval from chi-squared) and runs; a row of fewer than two values
    is left out.
    """
    from scipy import stats

    grids = fronts.best(fronts.diverged_last(models[models["row"] != "seeds"]), ["row"])["test"].dropna()
    repeated = models.loc[models["row"] == "seeds", "test"].dropna()
    rows = []
    for name, values in (("sparse grids", grids), ("seeds", repeated)):
        n, deviation = len(values), float(values.std())
        if n < 2:
            continue
        low, high = (deviation * math.sqrt((n - 1) / stats.chi2.ppf(q, n - 1)) for q in (0.975, 0.025))
        rows.append({"row": name, "kind": "deviation", "mean": deviation, "low": low, "high": high, "runs": n})
    return pd.DataFrame(rows, columns=["row", "kind", "mean", "low", "high", "runs"])


def tuning_in_words(deviations: pd.DataFrame) -> str:
    """Say in a sentence how the deviation from sparse tuning compares with that from the seed."""
    known = dict(zip(deviations["row"], deviations["mean"], strict=True))
    if len(known) < 2 or known["seeds"] == 0:
        return "Too few grids or seeds: no deviations to compare."
    said = f"Tuning on sparse grids deviates by {known['sparse grids']:.3g}"
    ratio = known["sparse grids"] / known["seeds"]
    return f"{said}, {ratio:.1f} times as far as seeds, {known['seeds']:.3g} (the paper: 6 to 7 times)."
