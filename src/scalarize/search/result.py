"""What a search found, and what it cost."""

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
    """The outcome of a search.

    policy: of the best member, through its ancestors; score and metrics: that member's, on the split of the search;
    extras: its last recipe numbers; front: the policies of an algorithm that returns several, best spread first;
    warnings: what should be known before the result is trusted.
    generations: finished ones. configurations: trained ones, beside the bound N (1 + Q E_total / E_ready);
    trainings: in full trainings on the whole training set, beside ``trainings_bound`` = N r + 1, which counts the
    retraining too (Royer et al. 2023, section 5 and appendix 5.1). seconds: of wall time, over all resumptions;
    seconds_training: within ``Learner.train``, summed over members. finished: False where time ran out.
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
        """The policies to store, by path within the search's directory."""
        return [("policy.json", self.policy)] + [
            (f"front/policy-{i:03d}.json", policy) for i, policy in enumerate(self.front)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The plain numbers, as ``scalarize search --json`` prints them."""
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
    """The result of ``history``. Raises RunError where no member has a finite score."""
    setting, tasks = algorithm.setting, algorithm.setting.space.tasks
    generation, row = lineage.best(history)
    epochs = sum(int(lineage.epochs_trained(history, t.generation).sum()) for t in history)
    trainings = share * epochs / setting.epochs

    def policy_of(g: int, i: int) -> Policy:
        told = history[g]
        found = {
            "command": "search",
            **json.loads(json.dumps(request)),
            "found": {
                "generation": g,
                "member": int(told.generation.member[i]),
                "score": float(told.score[i]),
                "metrics": dict(zip(tasks, told.metrics[i].tolist(), strict=True)),
                "trainings": trainings,
            },
        }
        return lineage.trace(history, g, i, tasks, setting.epochs, found)

    told = history[generation]
    return SearchResult(
        algorithm=algorithm.name,
        policy=policy_of(generation, row),
        score=float(told.score[row]),
        metrics=dict(zip(tasks, told.metrics[row].tolist(), strict=True)),
        extras=lineage.extras_of(told, row),
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
