"""Pairs of tasks at several model sizes: gains over single-task models, best weights, and agreement between sizes.

Scores are metrics, negated if lower is better, so that a positive gain is always an improvement (Royer et al. 2023,
appendix 2.1). The best weight is chosen by the mean over seeds on the validation split (in the paper: on the test
split).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from scalarize.analysis import choice, statistics
from scalarize.analysis.statistics import Interval

SPLITS = ("test", "validation", "train")
SETTING = ["pair", "size", "depth", "width"]
UNIFORM = 0.5


def points(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair, size, weight and seed, from one row per training and task.

    Args:
        results: columns pair (``a|b``), first, second, size, depth, width, p (the weight of ``first``; 1 or 0 for a
            model of one task alone), seed, run, task, sign, parameters and the splits.

    Returns:
        The rows with the scores of both tasks (``first_test``, ``second_test``, ...) and those of the single-task
        models of the same seed (``base_...``).
    """
    scored = results.assign(**{split: results["sign"] * results[split] for split in SPLITS})
    own, keys = [], [*SETTING, "seed"]
    for role in ("first", "second"):
        rows = scored[scored["task"] == scored[role]]
        rows = rows.rename(columns={s: f"{role}_{s}" for s in SPLITS})[[*keys, "p", *(f"{role}_{s}" for s in SPLITS)]]
        own.append(rows)
    inner = [rows[(rows["p"] > 0) & (rows["p"] < 1)] for rows in own]
    names = scored.drop_duplicates([*keys, "p"])[[*keys, "p", "run"]]
    table = inner[0].merge(inner[1], on=[*keys, "p"], validate="one_to_one").merge(names, on=[*keys, "p"])
    for rows, role, end in ((own[0], "first", 1.0), (own[1], "second", 0.0)):
        base = rows[rows["p"] == end].drop(columns="p")
        table = table.merge(
            base.rename(columns={f"{role}_{s}": f"base_{role}_{s}" for s in SPLITS}), on=keys, validate="many_to_one"
        )
    sizes = scored[(scored["p"] > 0) & (scored["p"] < 1)].groupby(SETTING)["parameters"].first().reset_index()
    table = table.merge(sizes, on=SETTING)
    for split in SPLITS:
        table[f"average_{split}"] = (table[f"first_{split}"] + table[f"second_{split}"]) / 2
        table[f"base_average_{split}"] = (table[f"base_first_{split}"] + table[f"base_second_{split}"]) / 2
    return table.sort_values([*SETTING[:1], "parameters", "p", "seed"], kind="stable").reset_index(drop=True)


def best_weight(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair and size: ``p_star``, the weight with the best mean validation average.

    Raises RunError that names a run whose validation average is no number.
    """
    scores = choice.means(table, [*SETTING, "p"], "average_validation", "run")
    chosen = choice.best_rows(scores, SETTING, "average_validation", "run")
    return chosen.rename(columns={"p": "p_star"})[[*SETTING, "p_star"]].reset_index(drop=True)


def at_the_edge(table: pd.DataFrame) -> str:
    """Say in words for how many pairs and sizes the best weight is the first or the last of its grid; "" if for none.

    Beyond the edge may lie a better one, so that nothing that rests on the best weight is settled.
    """
    stars = best_weight(table)
    ends = table.groupby(SETTING)["p"].agg(["min", "max"]).reset_index()
    both = stars.merge(ends, on=SETTING)
    outer = both[np.isclose(both["p_star"], both["min"]) | np.isclose(both["p_star"], both["max"])]
    if outer.empty:
        return ""
    named = ", ".join(f"{p:g}" for p in sorted(outer["p_star"].unique()))
    return f"the best weight lies at the edge of the grid ({named}) for {len(outer)} of {len(both)} pairs and sizes"


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair, size and seed: test (and train) score at ``p_star`` minus that of the single-task
    models.
    """
    at = table.merge(best_weight(table), on=SETTING)
    at = at[np.isclose(at["p"], at["p_star"])].reset_index(drop=True)
    columns = {}
    for what in ("first", "second", "average"):
        for split, name in (("test", f"gain_{what}"), ("train", f"train_gain_{what}")):
            columns[name] = at[f"{what}_{split}"] - at[f"base_{what}_{split}"]
    return at[[*SETTING, "seed", "parameters", "p_star"]].assign(**columns)


def heat(found: pd.DataFrame) -> pd.DataFrame:
    """Average :func:`gains` over seeds: one row per pair and size, smallest model first (figure 2)."""
    values = ["p_star", "gain_first", "gain_second", "gain_average"]
    means = found.groupby([*SETTING, "parameters"])[values].mean().reset_index()
    return means.sort_values(["pair", "parameters"], kind="stable").reset_index(drop=True)


def trend(found: pd.DataFrame) -> Interval:
    """Return the change of the average gain when the number of parameters doubles (claim C1: above 0).

    It is a least-squares slope per pair and seed, averaged over pairs; the interval is over seeds.
    """

    def slope(own: pd.DataFrame) -> float:
        return float(np.polyfit(np.log2(own["parameters"]), own["gain_average"], 1)[0])

    return _over_seeds(found, ["pair", "seed"], slope)


def level(found: pd.DataFrame, largest: bool) -> Interval:
    """Return the average gain of the largest (or the smallest) model: mean over pairs, interval over seeds."""
    pick = found.groupby("pair")["parameters"].transform("max" if largest else "min")
    return _over_seeds(found[found["parameters"] == pick], ["pair", "seed"], lambda own: own["gain_average"].mean())


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's rank correlation, over p, of the test averages of two sizes: one row per pair, two sizes and
    seed.

    NaN if one side is constant.
    """
    rows = []
    for (pair, seed), own in table.groupby(["pair", "seed"]):
        curves = own.pivot(index="p", columns="size", values="average_test")
        curves = curves[list(dict.fromkeys(own["size"]))]
        for a, b in itertools.combinations(curves.columns, 2):
            rows.append({"pair": pair, "seed": seed, "a": a, "b": b, "correlation": _spearman(curves[a], curves[b])})
    return pd.DataFrame(rows, columns=["pair", "seed", "a", "b", "correlation"])


def spread(table: pd.DataFrame) -> Interval:
    """Return the effect of the choice of p: best minus worst test average over inner p, mean over pairs and sizes."""
    return _over_seeds(
        table, [*SETTING, "seed"], lambda own: float(own["average_test"].max() - own["average_test"].min())
    )


def transfer(table: pd.DataFrame) -> pd.DataFrame:
    """Return the gain of a small model's best weight on larger models.

    One row per pair, size (all but the smallest) and seed: the test average at the smallest model's best weight and at
    the size's own, each minus that at the uniform weight (the inner p nearest to it).
    """
    chosen = best_weight(table).merge(table[[*SETTING, "parameters"]].drop_duplicates(), on=SETTING)
    rows = []
    for pair, own in chosen.sort_values("parameters", kind="stable").groupby("pair"):
        small = own.iloc[0]["p_star"]
        for _, size in own.iloc[1:].iterrows():
            here = table[(table["pair"] == pair) & (table["size"] == size["size"])]
            curves = here.pivot(index="seed", columns="p", values="average_test")
            even = curves[at_even(here)]
            for seed in curves.index:
                rows.append(
                    {
                        **{k: size[k] for k in [*SETTING, "parameters"]},
                        "seed": seed,
                        "p_small": small,
                        "p_star": size["p_star"],
                        "gain_transferred": curves.loc[seed, small] - even[seed],
                        "gain_own": curves.loc[seed, size["p_star"]] - even[seed],
                    }
                )
    columns = [*SETTING, "parameters", "seed", "p_small", "p_star", "gain_transferred", "gain_own"]
    return pd.DataFrame(rows, columns=columns)


def at_even(table: pd.DataFrame) -> float:
    """Return the inner weight of the first task that is nearest to the even one."""
    return float(min(table["p"].unique(), key=lambda p: abs(p - UNIFORM)))


def not_even(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair, size and seed: ``other``, 1 if the weight with the best validation average of this seed
    is not the even one, and ``gain``, its test average minus that at the even weight.
    """
    keys = [*SETTING, "seed"]
    best = choice.best_rows(table, keys, "average_validation", "run")[[*keys, "p", "average_test"]]
    even = table[np.isclose(table["p"], at_even(table))][[*keys, "average_test"]]
    both = best.merge(even, on=keys, suffixes=("", "_even"))
    other = (~np.isclose(both["p"], at_even(table))).astype(float)
    return both[keys].assign(other=other, gain=both["average_test"] - both["average_test_even"])


def over_seeds(frame: pd.DataFrame, column: str) -> Interval:
    """Return the mean of ``column`` with its interval over seeds; all else is averaged per seed. NaN of no rows."""
    if frame.empty:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0)
    return statistics.t_interval(frame.groupby("seed")[column].mean().tolist())


def _over_seeds(frame: pd.DataFrame, keys: Sequence[str], value: Callable[[pd.DataFrame], float]) -> Interval:
    rows = [{"seed": own["seed"].iloc[0], "value": value(own)} for _, own in frame.groupby(list(keys))]
    return over_seeds(pd.DataFrame(rows), "value")


def _spearman(a: pd.Series[float], b: pd.Series[float]) -> float:
    if a.nunique() < 2 or b.nunique() < 2:
        return float("nan")
    return float(np.corrcoef(a.rank(), b.rank())[0, 1])
