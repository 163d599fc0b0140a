"""Multi-objective population-based training: a front of policies instead of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalarize.search.algorithms.base import GenerationResult, History, Indices, ranking
from scalarize.search.algorithms.pbt import PBT
from scalarize.search.algorithms.registry import register
from scalarize.search.space import Array
from scalarize.utils.errors import RequestError

MOST_TASKS = 255  # moocore's limit; among far fewer tasks already, hardly any member dominates another


@register
@dataclass(eq=False, kw_only=True)
class MOPBT(PBT):
    """PBT whose members are ranked by non-domination over the tasks' metrics (Dushatskiy et al. 2023).

    Members of an earlier front are better; within a front, those with a larger crowding distance (Deb et al. 2002; our
    choice, as is leaving everything else as in PBT). The result is the first front of the last generation, one policy
    per point; ``policy.json`` is the best of them by the score.
    """

    name = "mopbt"
    paper = "Dushatskiy et al. 2023, Multi-objective population based training"
    packages = ("moocore",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.setting.space.tasks) > MOST_TASKS:
            raise RequestError(f"mopbt ranks over at most {MOST_TASKS} tasks, not {len(self.setting.space.tasks)}")

    def select(self, result: GenerationResult) -> tuple[Indices, Indices]:
        order, finite = non_dominated_order(result.metrics, result.generation.member)
        number = self.setting.exploited_of(result.generation.size)
        replaced = max(number, int((~finite[order]).sum()))
        return np.sort(order[order.size - replaced :]), order[:number][finite[order[:number]]]

    def front(self, history: History) -> list[tuple[int, int]]:
        longest = max(result.generation.until_epoch for result in history)
        generation = max(g for g, result in enumerate(history) if result.generation.until_epoch == longest)
        result = history[generation]
        ranks = pareto_ranks(result.metrics)
        best_first = ranking(result.score, result.generation.member)
        return [(generation, int(row)) for row in best_first if ranks[row] == 0]


def pareto_ranks(metrics: Array) -> NDArray[np.float64]:
    """Return the front (M,) of every member, 0 for the best one; infinite if a metric (M, T) is not finite."""
    import moocore

    finite = np.isfinite(metrics).all(axis=1)
    ranks = np.full(len(metrics), np.inf)
    if finite.any():
        found = np.asarray(moocore.pareto_rank(metrics[finite], maximise=True), dtype=np.float64)
        ranks[finite] = found - found.min()
    return ranks


def crowding(metrics: Array) -> Array:
    """Return the crowding distance (M,) within one front of metrics (M, T); infinite for the extremes of every task."""
    distance = np.zeros(len(metrics))
    for column in metrics.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance


def non_dominated_order(metrics: Array, member: Indices) -> tuple[Indices, NDArray[np.bool_]]:
    """Return the rows (M,) from best to worst by front, crowding and member; and a mask (M,) of the finite rows."""
    ranks, room = pareto_ranks(metrics), np.zeros(len(metrics))
    for rank in np.unique(ranks[np.isfinite(ranks)]):
        rows = np.flatnonzero(ranks == rank)
        room[rows] = crowding(metrics[rows])
    return np.lexsort((member, -room, ranks)), np.isfinite(ranks)
