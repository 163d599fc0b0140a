"""The choice of the epoch whose weights are tested, on validation alone (early stopping)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scalarize.learners.evaluation import Measurements
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError

Criterion = Callable[[Measurements], float]
KEPT = ("epoch", "model", "position", "view", "method")  # of a learner's state: what measuring needs


def measures(data: Data, every_epoch: bool = False) -> dict[str, tuple[str, str, int]]:
    """Return by ``TASK/METRIC`` the objective, the key under which evaluation finds the metric, and 1, or -1 if lower
    is better; each objective's loss among them. every_epoch: without those that the test split alone is read for.
    """
    found = {}
    for o in data.objectives:
        slow = {m.name for m in o.task.extra_metrics if m.test_only} if every_epoch else set()
        for name, higher in o.task.measures.items():
            if name in slow:
                continue
            key = "metric" if name == o.task.metric_name else name
            found[f"{o.name}/{name}"] = (o.name, key, 1 if higher else -1)
        found[f"{o.name}/loss"] = (o.name, "loss", -1)
    return found


def average(seen: Measurements) -> float:
    """Return the mean score over objectives."""
    return sum(v["score"] for v in seen.values()) / len(seen)


def delta(seen: Measurements, data: Data, baselines: Mapping[str, float]) -> float:
    """Return Delta_m: the mean relative gain over ``baselines`` (``TASK/METRIC`` -> value of a single-task model), of
    all metrics that these name (Maninis et al. 2019, equation 4). Positive is better, whatever the metrics' directions.
    """
    known = measures(data)
    gains = []
    for name, base in baselines.items():
        objective, key, sign = known[name]
        gains.append(sign * (seen[objective][key] - base) / abs(base))
    return sum(gains) / len(gains)


def skill(data: Data) -> Criterion:
    """Make the criterion of skill: the mean over objectives of 1 - loss / loss of the best constant predictor.

    It sees what a metric of ranks does not, the scale of predictions, and is less noisy than a metric of few samples.

    Args:
        data: of the training, whose training split the constant predictors are of.

    Returns:
        The criterion; 1 is perfect, 0 as good as constants.

    Raises:
        RequestError: a task defines no constant predictor.
    """
    constants = data.constant_losses()

    def of(seen: Measurements) -> float:
        return sum(1 - v["loss"] / max(constants[name], 1e-12) for name, v in seen.items()) / len(seen)

    return of


def criteria(
    kind: str, data: Data, baselines: Mapping[str, float] | None, score: Criterion | None = None
) -> dict[str, Criterion]:
    """Return the criteria of a recipe's ``selection``.

    Args:
        kind: ``best``, ``skill``, ``per-metric``, ``delta`` or ``last``.
        data: whose objectives are measured.
        baselines: ``TASK/METRIC`` -> value of a single-task model, for ``delta``.
        score: in place of the average.

    Returns:
        Criteria by name, the one whose weights are kept first; higher is better.

    Raises:
        RequestError: ``delta`` has no baselines, or one of an unknown metric or of value 0, or a score beside it.
    """
    if kind == "delta":
        if score is not None:
            raise RequestError("`settings` selection=delta and `score` exclude each other: each chooses the epoch")
        known = measures(data, every_epoch=True)
        if not baselines:
            raise RequestError("selection=delta compares with single-task models: a study gives it their metrics")
        for name, base in baselines.items():
            if name not in known or base is None or base == 0 or not math.isfinite(base):
                raise RequestError(f"selection=delta: no gain over {name} = {base} can be computed")
        return {"delta": lambda seen: delta(seen, data, baselines)}
    if kind == "skill" and score is None:
        return {"skill": skill(data)}
    found: dict[str, Criterion] = {"average": average} if score is None else {"score": score}
    if kind == "per-metric":
        for name, (objective, key, sign) in measures(data, every_epoch=True).items():
            found[name] = lambda seen, o=objective, k=key, s=sign: s * seen[o][k]  # type: ignore[misc]
    return found


@dataclass
class Selection:
    """The best epoch so far and its weights, for each criterion. ``latest``: every epoch replaces the one before.

    A score that is no number replaces nothing. Equal epochs share one copy of the weights.
    """

    criteria: Mapping[str, Criterion]
    latest: bool = False
    scores: dict[str, float] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def primary(self) -> str:
        """The criterion whose weights are kept."""
        return next(iter(self.criteria))

    def offer(self, seen: Measurements | None, state: Mapping[str, Any]) -> None:
        """Consider an epoch's measurements (None: there is no validation split) and its weights."""
        kept = {key: state[key] for key in KEPT if key in state and (key != "method" or "view" in state)}
        for name, criterion in self.criteria.items():
            score = 0.0 if seen is None else criterion(seen)
            first = name not in self.states
            if first or self.latest or seen is None or score > self.scores[name] or math.isnan(self.scores[name]):
                self.scores[name], self.states[name] = score, kept

    def is_stale(self, epoch: int, patience: int | None) -> bool:
        """Return True if the best epoch is ``patience`` epochs old, or older, after ``epoch`` of them."""
        return patience is not None and bool(self.states) and epoch - self.epochs()[self.primary] >= patience

    def state_of(self, name: str) -> dict[str, Any]:
        """Return the weights that ``name`` prefers; the primary's if there is no such criterion."""
        return self.states.get(name, self.states[self.primary])

    def epochs(self) -> dict[str, int]:
        """Return the epoch that each criterion prefers."""
        return {name: int(state["epoch"]) for name, state in self.states.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the content of a checkpoint."""
        return {"scores": dict(self.scores), "states": dict(self.states)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.scores, self.states = dict(state["scores"]), dict(state["states"])
