"""Problems for a race of weights: some with a planted optimum, some with nothing to find.

A world is a data set: its learners share the best weights and the luck of its validation and test samples. A learner of
a *null* world gains nothing by any weights ("flat"), or most by even ones ("even"); tasks are exchangeable. Scores vary
by seed, partly in common for all weights of a seed and partly not, as those of networks do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarize.search.space import Array
from scalarize.search.toy_problems import ToyProblem
from scalarize.utils.seeds import derive
from scalarize.weights import simplex
from scalarize.weights.policy import Policy


@dataclass(frozen=True)
class World:
    """A maker of learners, to be called as ``world(seed=0)``.

    number: its seed. best: log-weights (T,) of the optimum; zeros: even weights. flat: no weights gain anything.
    noise: deviation between trainings of one seed and different weights, of the average metric. shared: that of all
    trainings of a seed. luck: deviation, by data set and split, of the average metric between weights a factor e apart.

    >>> World(0)(seed=1).tasks
    ('a', 'b', 'c', 'd')
    """

    number: int
    best: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    flat: bool = False
    noise: float = 0.02
    shared: float = 0.02
    luck: float = 0.005

    def __call__(self, seed: int) -> Racer:
        """Return a fresh learner."""
        return Racer(seed, world=self)

    def value(self, policy: Policy) -> float:
        """Return the expected average metric of a training with ``policy``, over data sets and seeds."""
        return self(seed=0).value(policy)


class Racer(ToyProblem):
    """A learner of a world.

    Args:
        seed: seed of its noise.
        epochs: epochs of a training. Default 12.
        world: the world.
    """

    name = "racer"

    def __init__(self, seed: int, epochs: int = 12, *, world: World) -> None:
        super().__init__(seed, epochs)
        self.world, self.leaning = world, np.zeros(len(self.tasks))

    def best(self, epoch: int) -> simplex.Weights:
        """Return the best weights (T,), the same in every epoch."""
        return simplex.normalise(np.exp(self.world.best))

    def growth(self, weights: Array, epoch: int) -> Array:
        """Return the growth (T,) of each task's skill: 1 in a flat world."""
        return np.ones(len(self.tasks)) if self.world.flat else super().growth(weights, epoch)

    def train(self, policy: Policy, until_epoch: int) -> None:
        """Add the growth of every epoch."""
        course = policy.reorder(self.tasks).stretch(self.epochs)
        for epoch in range(self.epoch, until_epoch):
            weights = np.maximum(course.weights_at(epoch), 1e-9)
            self.skill = self.skill + self.growth(weights, epoch)
            self.leaning = self.leaning + np.log(weights) - np.log(weights).mean()
        self.epoch = until_epoch

    def evaluate(self, split: str) -> dict[str, float]:
        """Return the mean growth by task, with the luck of seed, weights and data."""
        done, world = max(self.epoch, 1), self.world
        own = np.random.default_rng(derive(world.number, self.seed, "own", str(self.leaning.round(9).tolist())))
        shared = np.random.default_rng([abs(world.number), self.seed, 1])
        data = np.random.default_rng(derive(world.number, "data", split))
        size = np.sqrt(len(self.tasks))
        luck = world.luck * data.standard_normal(len(self.tasks)) * self.leaning / done * size
        drawn = [rng.standard_normal(len(self.tasks)) * size for rng in (own, shared)]
        values = self.skill / done + world.noise * drawn[0] + world.shared * drawn[1] + luck
        return dict(zip(self.tasks, values.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return epoch, skill, and the weights so far."""
        return super().state_dict() | {"leaning": self.leaning.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of :meth:`state_dict`."""
        super().load_state_dict(state)
        self.leaning = np.array(state["leaning"], dtype=np.float64)
