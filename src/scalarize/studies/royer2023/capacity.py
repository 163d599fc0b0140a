"""Capacity: figures 2, 3, B, C and D. Two tasks, their weight from 0 to 1 by 0.1, at every depth and width.

On other data than the paper's the weights' odds are swept instead, from 1 : 1000 to 1000 : 1.

Other than in the paper: the best weight is chosen by ``scoring.py``, never on test (the paper: "wrt. to the average
test accuracy"); pairs are the reference domain, or else the first task, with each of the others (the paper pairs
``real`` so; of CelebA it names no pairs, of Taskonomy one).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scalarize.runs.request import train_request
from scalarize.studies import axes
from scalarize.studies.royer2023 import capacity_tables
from scalarize.studies.royer2023.stated import CHOSEN, PAIRS, on
from scalarize.studies.scoring import scored
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.workloads.sizes import Size

INNER = tuple(round(0.1 * k, 1) for k in range(1, 10))
# On other data the losses may lie orders of magnitude apart: odds from 1 : 1000 to 1000 : 1 by factors of 10^(1/2).
LOG_INNER = tuple(float(f"{1 / (1 + 10 ** (-k / 2)):.4g}") for k in range(-6, 7))
SEEDS = {"domainnet": 2, "taskonomy-tiny": 2}  # 3 elsewhere (section 3.3)
EVERYTHING = ("cifar-stl", "domainnet", "celeba-8", "taskonomy-tiny")
# Figures 3 and C: real and sketch; segmentation 2D and depth.
SHOWN = {"domainnet": ("real", "sketch"), "taskonomy-tiny": ("segment_unsup2d", "depth_zbuffer")}


def plan(context: Context, one_pair: bool = False) -> list[PlannedRun]:
    """List every pair, size, weight and seed; the ends of the edge are the single-task models of the same size."""
    sizes = axes.thinned(context, axes.several_sizes(context))
    inner = _inner(context)
    planned = []
    for pair in _pairs(context, one_pair):
        for size in sizes:
            for p in (0.0, *inner, 1.0):
                for seed in context.seeds_of(SEEDS.get(context.workload.name, 3)):
                    planned += _trained(context, pair, size, p, seed)
    return planned


def _inner(context: Context) -> list[float]:
    """Return the paper's weights on its own data; elsewhere the middle of a logarithmic grid, as the budget allows."""
    if context.workload.name in EVERYTHING:
        return context.budget.thin(INNER, finer=2)  # the question is the order of weights
    kept = len(context.budget.thin(LOG_INNER, finer=2)) // 2
    middle = len(LOG_INNER) // 2
    return list(LOG_INNER[middle - kept : middle + kept + 1])


def _pairs(context: Context, one_pair: bool) -> list[tuple[str, str]]:
    names = context.data.names
    shown = SHOWN.get(context.workload.name)
    if one_pair and shown is not None and set(shown) <= set(names):
        return [shown]
    known = axes.pairs(context.workload, names)
    return context.budget.first(known[:1] if one_pair else known)


def _trained(context: Context, pair: tuple[str, str], size: Size, p: float, seed: int) -> list[PlannedRun]:
    first, second = pair
    problem = axes.with_settings(context.problem, size.settings, tasks=pair)
    single = p in (0.0, 1.0)
    source: dict[str, Any] = {"weights": {first: p, second: round(1 - p, 6)}}
    if single:
        source = {"single": first if p else second, "method": "uniform"}
    labels = {"pair": f"{first}|{second}", "first": first, "second": second} | axes.labels_of(size)
    name = f"pair {first} {second} {size.name.replace(',', '')} p {p:g} seed {seed}"
    request = train_request(problem, seed=seed, read_train=True, **source)
    run = PlannedRun(name, request, labels | {"p": p, "seed": seed})
    return [run] if single else scored(context, [run])


def one_pair(context: Context) -> list[PlannedRun]:
    """List as :func:`plan` does, for the pair that the paper's figure shows (the first one on other data)."""
    return plan(context, one_pair=True)


def _tables(*wanted: str) -> Callable[[StudyResults], list[Any]]:
    return lambda found: capacity_tables.tabulate(found, *wanted)


def _target(name: str, title: str, workloads: tuple[str, ...], wanted: tuple[str, ...], pairs: bool = False) -> Target:
    stated = on(workloads, CHOSEN, *([PAIRS] if pairs else []))
    return Target(f"royer2023/{name}", title, workloads, plan if pairs else one_pair, _tables(*wanted), stated)


_FIGURE_2 = ("gains", "agreement", "transfer", "claims")
_FIGURE_3 = ("trade-off", *_FIGURE_2)
_FIGURE_D = ("discrepancy", "generalization")
TARGETS = (
    _target("figure-2", "Gains over single-task models by size", EVERYTHING, _FIGURE_2, pairs=True),
    _target("figure-3", "Trade-off over the weight, at every size", ("domainnet", "taskonomy-tiny"), _FIGURE_3),
    _target("figure-B", "Trade-off at each size (paper: CIFAR and STL)", ("cifar-stl",), ("grid",)),
    _target("figure-C", "Trade-off at each size (paper: two dense tasks)", ("taskonomy-tiny",), ("grid",)),
    _target("figure-D", "Gains on training and test data", ("cifar-stl",), _FIGURE_D),
)
