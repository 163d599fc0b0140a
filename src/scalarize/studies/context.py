"""The context of a study's plan: the problem, its data, and how much of the study is run."""

from __future__ import annotations

from dataclasses import dataclass

from scalarize.runs.request import WorkloadRequest
from scalarize.studies.budget import Budget
from scalarize.tasks.task import Data
from scalarize.workloads import Workload
from scalarize.workloads.sizes import Size


@dataclass(frozen=True)
class Context:
    """All that a plan may depend on.

    problem: at the study's budget. workload and data: the problem's. seeds: asked for in place of the budget's.
    methods: further rows of tables of methods.
    """

    problem: WorkloadRequest
    workload: Workload
    data: Data
    budget: Budget
    seeds: int | None = None
    methods: tuple[str, ...] = ()

    @property
    def epochs(self) -> int:
        """Length of a training."""
        return self.problem.recipe(self.workload).epochs

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The sizes of the recipe's family that agree with the settings asked for; if none does, the one asked for."""
        asked = self.problem.settings
        own = self.problem.recipe(self.workload).model.get("family")
        known = [s for s in self.workload.sizes if s.family in (None, own)]
        fitting = tuple(s for s in known if all(asked.get(k, v) == v for k, v in s.settings.items()))
        return fitting or (Size("as set", 1.0),)

    def seeds_of(self, paper: int) -> list[int]:
        """0, 1, ... : as many as asked for, else as the paper's number at this budget."""
        return list(range(self.seeds or self.budget.count(paper, self.budget.seeds)))
