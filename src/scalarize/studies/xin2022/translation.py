"""Section 4.1 and appendix A: scalarization at rates 0.1 to 0.9 and the optimisers, at every learning rate.

The learning rates are the paper's, 0.05 to 5, in units of 0.5, which it found best and which is the recipe's; so the
grid fits other workloads too. Our choices, where the paper is silent: gradients at parameter level, MGDA without
normalisation, random weights as weights of losses (rates only if weights are fixed), one seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scalarize.runs.plan import PlannedRun
from scalarize.runs.request import train_request
from scalarize.studies import axes
from scalarize.studies.context import Context
from scalarize.studies.method_rows import Row, extra_rows
from scalarize.studies.xin2022.grids import LR, SCALARIZATION, SEEDS, shares
from scalarize.utils.errors import RequestError
from scalarize.workloads.sizes import Size

BEST = 0.5
RATES = (0.05, 0.1, 0.5, 1.0, 2.5, 5.0)
WEIGHTS = tuple(k / 10 for k in range(1, 10))  # of the first task
EQUAL = 0.5
ALPHAS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
ROWS = (
    Row("mgda", "mgda"),
    Row("pcgrad", "pcgrad"),
    Row("imtl", "imtl"),
    Row("rlw-normal", "rlw", {"distribution": "normal"}),
    Row("rlw-dirichlet", "rlw", {"distribution": "dirichlet"}),
    *(Row(f"gradnorm-{alpha:g}", "gradnorm", {"alpha": alpha, "form": "free"}) for alpha in ALPHAS),  # as released
)
WATCHED = ("pcgrad", "mgda", "gradnorm-1", "imtl")  # figure 3
RANKED = ("mgda", "gradnorm", "pcgrad")  # figure 6, right
SPARSE = (1e-3, 1e-2, 1e-1)
TUNINGS = tuple(range(1, 10))
DEPTHS = (1, 2, 3, 4)
REPEATS = 9  # seeds of the best learning rate, as many as there are tunings; the paper says "multiple"


def learning_rate(context: Context, rate: float) -> float:
    """Return the paper's ``rate`` in units of this workload's own."""
    return float(f"{context.workload.recipe.optimizer.lr * rate / BEST:.4g}")


def fixed_rate(context: Context) -> float | None:
    """Return the learning rate that ``--set`` fixes, in the paper's units."""
    own = context.problem.settings.get(LR)
    return None if own is None else float(f"{BEST * own / context.workload.recipe.optimizer.lr:.4g}")


def rates_of(context: Context) -> list[float]:
    """Return the learning rates to sweep, the paper's best among them; only the one that ``--set`` fixes, if any."""
    fixed = fixed_rate(context)
    if fixed is not None:
        return [fixed]
    rates = context.budget.thin(RATES)
    return rates if BEST in rates else sorted({*rates[:-1], BEST})


def best_rate(context: Context) -> float:
    """Return the paper's best learning rate, or the one that ``--set`` fixes."""
    return fixed_rate(context) or BEST


def run_of(
    context: Context,
    row: Row | None,
    weight: float | None,
    rate: float,
    seed: int,
    settings: dict[str, Any] | None = None,
    label: str = "",
    keep_records: bool = False,
) -> PlannedRun:
    """Return one training of ``row``'s method, or of scalarization with ``weight`` for the first task (None: equal
    weights).

    ``rate`` is in the paper's units. The best epoch on validation is tested; the training split is evaluated at the
    last one.
    """
    own = context.problem.settings
    common = {LR: learning_rate(context, rate), "selection": "best", "on_nonfinite": "skip"}
    common = {k: v for k, v in common.items() if k not in own} | (settings or {})
    name = row.name if row else SCALARIZATION
    labels = {"row": label or name, "weight": weight, "rate": rate, "value": 0.0, "seed": seed}
    said = [name, label.replace(",", ""), "" if weight is None else f"{weight:g}", f"rate {rate:g} seed {seed}"]
    if row is None:
        content = shares(context.data.names, weight)
        tuned = axes.with_settings(context.problem, common)
        request = train_request(tuned, seed=seed, weights=content, read_train="last")
    else:
        common = {"mixing": "loss", **common}
        request = row.request(context.problem, seed, common, read_train="last")
    return PlannedRun(" ".join(s for s in said if s), request, labels, keep_records=keep_records)


def front(context: Context, methods: bool = True) -> list[PlannedRun]:
    """List figures 2, 4, 5 and 12 to 14: every rate and learning rate; every optimiser at every learning rate."""
    planned = []
    for seed, rate in itertools.product(context.seeds_of(SEEDS), rates_of(context)):
        planned += [run_of(context, None, w, rate, seed) for w in context.budget.thin(WEIGHTS, finer=2)]
        planned += [run_of(context, r, None, rate, seed) for r in rows_of(context)] if methods else []
    return planned


def rows_of(context: Context) -> list[Row]:
    """Return the optimisers; of GradNorm's alphas as many as the budget leaves on an axis."""
    alphas = {f"gradnorm-{alpha:g}" for alpha in context.budget.thin(ALPHAS)}
    kept = [row for row in ROWS if row.method != "gradnorm" or row.name in alphas]
    return extra_rows(context, kept)


def watched(context: Context) -> list[PlannedRun]:
    """List figure 3: the weights over training at the best learning rate."""
    rows = [row for row in ROWS if row.name in WATCHED]
    seeds = context.seeds_of(SEEDS)
    return [run_of(context, row, None, best_rate(context), seed, keep_records=True) for row in rows for seed in seeds]


def tunings(context: Context) -> list[tuple[int, tuple[float, ...]]]:
    """Return k -> the three learning rates of its grid (figure 6, left)."""
    return [(k, tuple(float(f"{k * size:g}") for size in SPARSE)) for k in context.budget.thin(TUNINGS)]


def sparse(context: Context) -> list[PlannedRun]:
    """List figure 6, left: equal weights at each learning rate of each grid, and the best one with several seeds.

    The best learning rate is the paper's, 0.5, not this data's own. Raises RequestError if ``--set`` fixes it.
    """
    if fixed_rate(context) is not None:
        raise RequestError(f"`settings` fixes {LR}, and this target sweeps it")
    planned = [run_of(context, None, EQUAL, r, 0, label=f"k = {k}") for k, rates in tunings(context) for r in rates]
    return planned + [run_of(context, None, EQUAL, BEST, s, label="seeds") for s in context.seeds_of(REPEATS)]


def ranked(context: Context) -> list[PlannedRun]:
    """List figure 6, right: scalarization at all rates, and three optimisers, from the runs of figure 2."""
    return [p for p in front(context) if p.labels["row"].partition("-")[0] in (*RANKED, SCALARIZATION)]


def deeper(context: Context) -> list[PlannedRun]:
    """List figure 7: scalarization at all rates for each depth, at the best learning rate."""
    rate, planned = best_rate(context), []
    for size in depths(context):
        for weight, seed in itertools.product(context.budget.thin(WEIGHTS, finer=2), context.seeds_of(SEEDS)):
            label, own = f"depth {size.depth}", context.problem.recipe(context.workload)
            if all(own.value(key) == value for key, value in size.settings.items()):  # a run of figure 2
                found = run_of(context, None, weight, rate, seed)
                planned.append(replace(found, labels={**found.labels, "row": label}))
            else:
                planned.append(run_of(context, None, weight, rate, seed, dict(size.settings), label))
    return planned


def depths(context: Context) -> Sequence[Size]:
    """Return the depths of this workload's model, everything else alike. Raises RequestError if it has one only."""
    found = {size.depth: size for size in axes.several_sizes(context)}
    return context.budget.thin(sorted(found.values(), key=lambda size: str(size.depth)))
