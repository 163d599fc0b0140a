"""Pairs of tasks at several model sizes: gains over single-task models, the best weight, and whether sizes agree.

Scores are metrics, negated where lower is better, so that a positive gain always is one (Royer et al. 2023, appendix
2.1). The best weight is chosen on the validation split (the paper: on the test split), the mean over seeds deciding.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from scalarize.analysis import statistics
from scalarize.analysis.statistics import Interval

SPLITS = ("test", "validation", "train")
SETTING = ["pair", "size", "depth", "width"]
UNIFORM = 0.5


def points(results: pd.DataFrame) -> pd.DataFrame:
    """A row a pair, size, weight and seed from rows a training and task.

    results: pair (``a|b``), first, second, size, depth, width, p (the weight of ``first``; 1 or 0 for a model of one
    task alone), seed, task, sign, parameters and the splits. Adds to each row the scores of both tasks
    (``first_test``, ``second_test``, ...), and those of the single-task models of the same seed (``base_...``).
    """
    scored = results.assign(**{split: results["sign"] * results[split] for split in SPLITS})
    own, keys = [], [*SETTING, "seed"]
    for role in ("first", "second"):
        rows = scored[scored["task"] == scored[role]]
        rows = rows.rename(columns={s: f"{role}_{s}" for s in SPLITS})[[*keys, "p", *(f"{role}_{s}" for s in SPLITS)]]
        own.append(rows)
    inner = [rows[(rows["p"] > 0) & (rows["p"] < 1)] for rows in own]
    table = inner[0].merge(inner[1], on=[*keys, "p"], validate="one_to_one")
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
    """A row a pair and size: ``p_star``, the weight with the best mean validation average."""
    means = table.groupby([*SETTING, "p"])["average_validation"].mean().reset_index()
    chosen = means.loc[means.groupby(SETTING)["average_validation"].idxmax()]
    return chosen.rename(columns={"p": "p_star"})[[*SETTING, "p_star"]].reset_index(drop=True)


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """A row a pair, size and seed: at ``p_star``, test (and train) score minus that of the single-task models."""
    at = table.merge(best_weight(table), on=SETTING)
    at = at[np.isclose(at["p"], at["p_star"])].reset_index(drop=True)
    columns = {}
    for what in ("first", "second", "average"):
        for split, name in (("test", f"gain_{what}"), ("train", f"train_gain_{what}")):
            columns[name] = at[f"{what}_{split}"] - at[f"base_{what}_{split}"]
    return at[[*SETTING, "seed", "parameters", "p_star"]].assign(**columns)


def heat(found: pd.DataFrame) -> pd.DataFrame:
    """:func:`gains` averaged over seeds: a row a pair and size, smallest model first (figure 2)."""
    values = ["p_star", "gain_first", "gain_second", "gain_average"]
    means = found.groupby([*SETTING, "parameters"])[values].mean().reset_index()
    return means.sort_values(["pair", "parameters"], kind="stable").reset_index(drop=True)


def trend(found: pd.DataFrame) -> Interval:
    """Change of the average gain when the number of parameters doubles: least squares a pair and seed, the mean over
    pairs a seed, the interval over seeds. (Claim C1: above 0.)
    """

    def slope(own: pd.DataFrame) -> float:
        return float(np.polyfit(np.log2(own["parameters"]), own["gain_average"], 1)[0])

    return _over_seeds(found, ["pair", "seed"], slope)


def level(found: pd.DataFrame, largest: bool) -> Interval:
    """The average gain of the largest (else the smallest) model, the mean over pairs, the interval over seeds."""
    pick = found.groupby("pair")["parameters"].transform("max" if largest else "min")
    return _over_seeds(found[found["parameters"] == pick], ["pair", "seed"], lambda own: own["gain_average"].mean())


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation (Spearman) of the test average over p between two sizes: a row a pair, two sizes and seed.

    NaN where one side is constant.
    """
    rows = []
    for (pair, seed), own in table.groupby(["pair", "seed"]):
        curves = own.pivot(index="p", columns="size", values="average_test")
        curves = curves[list(dict.fromkeys(own["size"]))]
        for a, b in itertools.combinations(curves.columns, 2):
            rows.append({"pair": pair, "seed": seed, "a": a, "b": b, "correlation": _spearman(curves[a], curves[b])})
    return pd.DataFrame(rows, columns=["pair", "seed", "a", "b", "correlation"])


def spread(table: pd.DataFrame) -> Interval:
    """What choosing p matters: best minus worst test average over inner p, the mean over pairs and sizes."""
    return _over_seeds(
        table, [*SETTING, "seed"], lambda own: float(own["average_test"].max() - own["average_test"].min())
    )


def transfer(table: pd.DataFrame) -> pd.DataFrame:
    """A row a pair, size (all but the smallest) and seed: test average at the smallest model's best weight and at
    the size's own, each minus that at the uniform weight (the inner p nearest to it).
    """
    chosen = best_weight(table).merge(table[[*SETTING, "parameters"]].drop_duplicates(), on=SETTING)
    rows = []
    for pair, own in chosen.sort_values("parameters", kind="stable").groupby("pair"):
        small = own.iloc[0]["p_star"]
        for _, size in own.iloc[1:].iterrows():
            here = table[(table["pair"] == pair) & (table["size"] == size["size"])]
            curves = here.pivot(index="seed", columns="p", values="average_test")
            even = curves[min(curves.columns, key=lambda p: abs(p - UNIFORM))]
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


def over_seeds(frame: pd.DataFrame, column: str) -> Interval:
    """The mean of ``column`` a seed over everything else, and the interval over seeds."""
    return statistics.t_interval(frame.groupby("seed")[column].mean().tolist())


def _over_seeds(frame: pd.DataFrame, keys: Sequence[str], value: Callable[[pd.DataFrame], float]) -> Interval:
    rows = [{"seed": own["seed"].iloc[0], "value": value(own)} for _, own in frame.groupby(list(keys))]
    return over_seeds(pd.DataFrame(rows), "value")


def _spearman(a: pd.Series[float], b: pd.Series[float]) -> float:
    if a.nunique() < 2 or b.nunique() < 2:
        return float("nan")
    return float(np.corrcoef(a.rank(), b.rank())[0, 1])
