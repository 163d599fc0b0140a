"""Three small problems with known best weights, to compare algorithms: each is a learner without a network.

There are four tasks. In every epoch e each task's skill grows by ``1 / (1 + log(w_t / q_t(e))^2)``: by 1 if its weight
is the best one ``q_t(e)`` of that epoch, by less the further it is from it. The metric of a task is its mean growth so
far, so the value of a policy without noise (``value``, at most 1) and its distance from the best weights (``distance``)
are computed exactly. A clone inherits its donor's skill, as in a real population.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from scalarize.search.algorithms.base import NO_PARENT, Algorithm, GenerationResult
from scalarize.search.executors.base import Job, LearnerFactory, run_job
from scalarize.search.sampling import training_seed
from scalarize.search.score import create as create_score
from scalarize.search.space import Array
from scalarize.weights import simplex
from scalarize.weights.policy import Policy


class ToyProblem:
    """A learner whose training is one formula.

    Args:
        seed: seed of its noise.
        epochs: epochs over which the best weights move. Default 12.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = ("a", "b", "c", "d")
    first: ClassVar[tuple[float, ...]] = (0.4, 0.3, 0.2, 0.1)  # best weights in the first epoch
    last: ClassVar[tuple[float, ...]] = (0.4, 0.3, 0.2, 0.1)  # and in the last
    luck: ClassVar[float] = 0.0  # deviation of a task's growth in an epoch: a clone inherits it
    blur: ClassVar[float] = 0.0  # deviation of a measured metric: forgotten at once

    def __init__(self, seed: int, epochs: int = 12) -> None:
        self.seed, self.epochs, self.epoch = seed, epochs, 0
        self.skill = np.zeros(len(self.tasks))

    def best(self, epoch: int) -> simplex.Weights:
        """Return the best weights (T,) in ``epoch``: from ``first`` to ``last`` along a straight line of log-ratios."""
        share = min(epoch / max(self.epochs - 1, 1), 1.0)
        return simplex.normalise(np.array(self.first) ** (1 - share) * np.array(self.last) ** share)

    def growth(self, weights: Array, epoch: int) -> Array:
        """Return the growth (T,) of each task's skill in ``epoch`` under ``weights`` (T,), without noise: in (0, 1]."""
        return np.asarray(1.0 / (1.0 + np.log(np.maximum(weights, 1e-9) / self.best(epoch)) ** 2))

    def train(self, policy: Policy, until_epoch: int) -> None:
        """Add the growth of every epoch, with noise."""
        course = policy.reorder(self.tasks)
        for epoch in range(self.epoch, until_epoch):
            noise = self.luck * self._rng(0, epoch).standard_normal(len(self.tasks))
            self.skill = self.skill + self.growth(course.weights_at(epoch), epoch) + noise
        self.epoch = until_epoch

    def evaluate(self, split: str) -> dict[str, float]:
        """Return the mean growth by task, with noise."""
        blur = self.blur * self._rng(1, self.epoch).standard_normal(len(self.tasks))
        return dict(zip(self.tasks, (self.skill / max(self.epoch, 1) + blur).tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return epoch and skill."""
        return {"epoch": self.epoch, "skill": self.skill.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of :meth:`state_dict`."""
        self.epoch, self.skill = int(state["epoch"]), np.array(state["skill"], dtype=np.float64)

    def value(self, policy: Policy) -> float:
        """Return the average metric of a fresh, noiseless training with ``policy``: at most 1, reached by ``best``
        alone.
        """
        course = policy.reorder(self.tasks).stretch(self.epochs)
        return float(np.mean([self.growth(course.weights_at(e), e).mean() for e in range(self.epochs)]))

    def distance(self, policy: Policy) -> float:
        """Return the total variation distance between ``policy`` and the best weights, averaged over epochs: 0 to 1."""
        course = policy.reorder(self.tasks).stretch(self.epochs)
        return float(np.mean([np.abs(course.weights_at(e) - self.best(e)).sum() / 2 for e in range(self.epochs)]))

    def _rng(self, stream: int, epoch: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream, epoch])


class Stationary(ToyProblem):
    """A problem in which one point is best throughout."""

    name = "stationary"


class Changing(ToyProblem):
    """A problem whose best weights move during training; the best constant weights lie between, not at the uniform
    ones.
    """

    name = "changing"
    last = (0.1, 0.15, 0.2, 0.55)


class Noisy(ToyProblem):
    """The problem ``stationary`` with noise: scores differ by luck (which clones inherit) and by measurement as much as
    by weights.
    """

    name = "noisy"
    luck = 0.15
    blur = 0.05


PROBLEMS: dict[str, type[ToyProblem]] = {cls.name: cls for cls in (Stationary, Changing, Noisy)}


def play(
    algorithm: Algorithm, factory: LearnerFactory, score: str = "average", split: str = "validation"
) -> list[GenerationResult]:
    """Return the history of a whole search without a directory: the same decisions and trainings as the driver's."""
    setting, tasks = algorithm.setting, algorithm.setting.space.tasks
    judge = create_score(score, tasks)
    states: dict[int, dict[str, Any] | None] = {NO_PARENT: None}
    while (asked := algorithm.ask()) is not None:
        found: list[list[float]] = []
        following: dict[int, dict[str, Any] | None] = {NO_PARENT: None}
        for i, member in enumerate(asked.member.tolist()):
            job = Job(
                generation=asked.index,
                member=member,
                seed=training_seed(setting.seed, member, asked.index),
                parent=None,
                weights=dict(zip(tasks, asked.weights[i].tolist(), strict=True)),
                extras={key: float(values[i]) for key, values in asked.extras.items()},
                until_epoch=asked.until_epoch,
                epochs=setting.epochs,
                split=split,
                checkpoint="",
                keep=asked.keep,
            )
            outcome, following[member] = run_job(factory, job, states[int(asked.parent[i])])
            found.append([outcome.metrics[t] for t in tasks])
        metrics, states = np.array(found), following
        algorithm.tell(metrics, judge(metrics))
    return algorithm.history
