"""The result of a search, and its cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalarize.search import lineage
from scalarize.search.algorithms.base import Algorithm, History
from scalarize.weights.policy import Policy


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Args:
        algorithm: name of the algorithm.
        policy: policy of the best member, through its ancestors.
        score: score of the best member on the split of the search.
        metrics: its metric by task on that split.
        extras: its last recipe numbers, by key.
        generations: number of finished generations.
        configurations: number of configurations that were trained.
        configurations_bound: N (1 + Q E / E_ready), an upper bound of it (Royer et al. 2023, section 5).
        trainings: cost in full trainings on the whole training set.
        trainings_bound: N r + 1, with r the share of the training set; it includes the retraining (appendix 5.1).
        finished: False if the time ran out.
        front: policies of an algorithm that returns several, best score first.
        warnings: doubts about the result, one line each.
        history: all generations.
        seconds: wall time, over all resumptions.
        seconds_training: seconds within ``Learner.train``, summed over members.
        out: directory of the search.
    """

    algorithm: str
    policy: Policy
    score: float
    metrics: dict[str, float]
    extras: dict[str, float]
    generations: int
    configurations: int
    configurations_bound: float
    trainings: float
    trainings_bound: float
    finished: bool
    front: tuple[Policy, ...] = ()
    warnings: tuple[str, ...] = ()
    history: History = ()
    seconds: float = 0.0
    seconds_training: float = 0.0
    out: str = ""

    def files(self) -> list[tuple[str, Policy]]:
        """Return the policies to store, with their paths within the search's directory."""
        return [("policy.json", self.policy)] + [
            (f"front/policy-{i:03d}.json", policy) for i, policy in enumerate(self.front)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the plain numbers that ``scalarize search --json`` prints."""
        names = ("out", "algorithm", "score", "metrics", "extras", "generations", "configurations")
        more = ("configurations_bound", "trainings", "trainings_bound", "seconds", "seconds_training", "finished")
        return {
            **{name: getattr(self, name) for name in (*names, *more)},
            "policy": f"{self.out}/policy.json",
            **({"warnings": list(self.warnings)} if self.warnings else {}),
            **({"front": [f"{self.out}/{path}" for path, _ in self.files()[1:]]} if self.front else {}),
        }


def summarise(
    algorithm: Algorithm, history: History, request: Mapping[str, Any], share: float, finished: bool
) -> SearchResult:
    """Make the result of ``history``. Raises RunError if no member has a finite score."""
    setting, tasks = algorithm.setting, algorithm.setting.space.tasks
    generation, row = lineage.best(history)
    epochs = sum(int(lineage.epochs_trained(history, t.generation).sum()) for t in history)
    trainings = share * epochs / setting.epochs

    def policy_of(g: int, i: int) -> Policy:
        result = history[g]
        found = {
            "command": "search",
            **json.loads(json.dumps(request)),
            "found": {
                "generation": g,
                "member": int(result.generation.member[i]),
                "score": float(result.score[i]),
                "metrics": dict(zip(tasks, result.metrics[i].tolist(), strict=True)),
                "trainings": trainings,
            },
        }
        return lineage.trace(history, g, i, tasks, setting.epochs, found)

    result = history[generation]
    return SearchResult(
        algorithm=algorithm.name,
        policy=policy_of(generation, row),
        score=float(result.score[row]),
        metrics=dict(zip(tasks, result.metrics[row].tolist(), strict=True)),
        extras=lineage.extras_of(result, row),
        generations=len(history),
        configurations=lineage.configurations(history),
        configurations_bound=setting.population * (1 + setting.quantile * setting.epochs / setting.ready),
        trainings=trainings,
        trainings_bound=setting.population * share + 1,
        finished=finished,
        front=tuple(policy_of(g, i) for g, i in algorithm.front(history)),
        warnings=algorithm.notes(history),
        history=tuple(history),
    )
