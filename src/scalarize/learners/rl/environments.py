"""Environments stepped together, one per task, and the goals that episodes begin from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scalarize.tasks.samples import Batch
from scalarize.tasks.task import Measure, Task
from scalarize.utils.errors import RequestError, RunError

Array = NDArray[Any]


class Step(NamedTuple):
    """The outcome of one action per task.

    observations (T, D): to act on next; successors (T, D): what followed the action, which is another one if an
    episode ended and the next began; rewards (T,); terminated (T,): the episode has no future; ended (T,): it is
    over, be it cut off; success (T,): the task counts as solved at this step.
    """

    observations: Array
    successors: Array
    rewards: Array
    terminated: Array
    ended: Array
    success: Array


class Environments(Protocol):
    """One environment per task, stepped together; an episode that ends is followed by the next at once.

    All that happens after ``reset`` depends on its arguments and on the actions alone, so that equal trainings are
    equal whatever was played before.
    """

    def reset(self, goals: Sequence[Sequence[int]], seed: int) -> Array:
        """Begin new episodes everywhere: observations (T, D). Task t begins its episodes from all ``goals[t]`` in a
        shuffled order, then from all of them again."""

    def step(self, actions: Array) -> Step:
        """Make one step with ``actions`` (T, A) in [-1, 1]."""


@dataclass(frozen=True)
class Goals:
    """The goals (N,) int64 from which the episodes of one task and split begin: a source that is played, not read."""

    numbers: Tensor

    @property
    def groups(self) -> Tensor | None:
        """None: any goals may be split apart."""
        return None

    def __len__(self) -> int:
        return len(self.numbers)

    def batch(self, indices: Tensor) -> Batch:
        """Raise RequestError: there is nothing to read."""
        raise RequestError("an environment holds no samples: it is learned by acting in it")

    def select(self, indices: Tensor) -> Goals:
        """Return only those goals."""
        return Goals(self.numbers[indices])


def _played(*_: Any) -> Any:
    raise RequestError("an environment gives no targets: its learner makes the losses")


def played(name: str, actions: int) -> Task:
    """A task that is learned by acting with ``actions`` numbers: success rate, and the mean return of an episode."""
    return Task(name, actions, _played, _played, "success", extra_metrics=(Measure("return", _played),))


def play(
    environments: Environments, act: Callable[[Array], Array], goals: Sequence[Sequence[int]]
) -> tuple[Array, Array]:
    """Play one episode from each goal: returns and success, both (T, E). Success: solved at any step of the episode.

    act: observations (T, D) to actions (T, A). All tasks have the same number of goals.
    """
    tasks, episodes = len(goals), len(goals[0])
    returns, success = np.zeros((tasks, episodes)), np.zeros((tasks, episodes), dtype=bool)
    finished = np.zeros(tasks, dtype=int)
    observations = environments.reset(goals, 0)
    while (finished < episodes).any():
        step = environments.step(act(observations))
        for t in np.flatnonzero(finished < episodes):
            returns[t, finished[t]] += step.rewards[t]
            success[t, finished[t]] |= bool(step.success[t])
            finished[t] += bool(step.ended[t])
        observations = step.observations
    return returns, success


def check(tasks: Sequence[str], what: str, values: Array) -> None:
    """Raise RunError naming the tasks whose ``values`` (T, ...) are not all finite."""
    wrong = [task for task, own in zip(tasks, values, strict=True) if not np.isfinite(own).all()]
    if wrong:
        names = " or ".join(map(repr, wrong))
        raise RunError(f"the environment of task {names} gave {what} that is not finite")
