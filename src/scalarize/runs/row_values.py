"""Values of a comparison's rows: the runs behind each, and the value from finished runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalarize.runs.directory import file_name
from scalarize.runs.plan import FinishedRun, PlannedRun
from scalarize.runs.request import WorkloadRequest, train_request
from scalarize.runs.task_score import TaskScore


@dataclass(frozen=True)
class RowValue:
    """One value of a row, and its trainings (several if each trains one task alone).

    row: the table's row. group: the number of the search whose policy is retrained, or None. search: that search,
    if it is part of the plan. search_trainings: the trainings that it cost, if it is not. rate: the learning rate
    tried, None for the recipe's own. split: number of the random split, None if there is only one.
    """

    row: str
    seed: int
    trainings: Sequence[PlannedRun]
    group: int | None = None
    search: PlannedRun | None = None
    search_trainings: float = 0
    rate: float | None = None
    split: int | None = None

    @property
    def runs(self) -> list[PlannedRun]:
        """All runs of the value."""
        return [*([self.search] if self.search else []), *self.trainings]

    def record(
        self, finished: Mapping[str, FinishedRun], score: TaskScore | None = None, tasks: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the value in the form that ``analysis.comparison`` reads.

        Args:
            finished: the plan's runs by name.
            score: by which rows are ranked. Default: the average.
            tasks: named in the value if nothing could be measured.

        Returns:
            {"method", "group", "seed", "rate", "test", "average", "validation", "trainings", "search_trainings",
            "directories", "seconds", "diverged"}, "split" if there are several, and "score" if there is one;
            "validation" is what rates are chosen by, higher is better with a score. If a training diverged in its first
            epoch, the values of "test", "average", "validation" and "score" are None.
        """
        results = [finished[p.name].result for p in self.trainings]
        measured = all("test" in r for r in results)

        def merged(split: str) -> dict[str, float]:
            return {k: v for r in results for k, v in r[split].items() if k != "average"} if measured else {}

        def average(metrics: Mapping[str, float]) -> float:
            return sum(metrics.values()) / len(metrics)

        judge = score.of if score else average
        test, validation = merged("test") or merged("validation"), merged("validation")
        cost = self.search_trainings if self.search is None else float(finished[self.search.name].result["trainings"])
        return (
            {
                "method": self.row,
                "group": self.group,
                "seed": self.seed,
                "rate": self.rate,
                "test": test or dict.fromkeys(tasks),
                "average": average(test) if test else None,
                "validation": judge(validation) if validation else None,
                "trainings": len(results),
                "search_trainings": cost,
                "directories": [p.directory for p in self.trainings],
                "seconds": sum(r.get("seconds", 0.0) for r in results),
                "diverged": [r["diverged"] for r in results if "diverged" in r],
            }
            | ({} if self.split is None else {"split": self.split})
            | ({"score": score.shown(test) if test else None} if score else {})
        )


def value_of(
    problem: WorkloadRequest,
    row: str,
    seed: int,
    group: int | None = None,
    rate: float | None = None,
    search: PlannedRun | None = None,
    search_trainings: float = 0,
    history: str = "full",
    singles: Sequence[str] = (),
    split: int | None = None,
    scored: Mapping[str, Any] | None = None,
    **source: Any,
) -> RowValue:
    """Return one value of a row.

    Args:
        problem: the workload and its settings.
        row, seed, group, rate, search, search_trainings, split: see :class:`RowValue`.
        history: which part of the policy that ``search`` finds.
        singles: tasks of which each is trained on alone; empty for one training of all.
        scored: the fields ``score`` and ``reference`` of a training of all tasks. Default: the average.
        source: of the weights, fields of :class:`TrainRequest`.

    Returns:
        The value, whose trainings lie below ``runs/``.
    """
    parts = [row, *([f"search{group}"] if group is not None else []), *([f"lr{rate:g}"] if rate is not None else [])]
    stem = "-".join([*parts, f"seed{seed}", *([f"split{split}"] if split is not None else [])])
    given = search.name if search else None
    trainings = []
    for single in singles or (None,):
        name = f"{stem}-{single}" if single else stem
        asked = {**source, **({} if single else scored or {})}
        request = train_request(problem, seed=seed, single=single, **asked)
        place = f"runs/{stem}-{file_name(single)}" if single else f"runs/{stem}"
        trainings.append(PlannedRun(name, request, directory=place, policy_of=given, history=history))
    return RowValue(row, seed, trainings, group, search, search_trainings, rate, split)
