"""Gymnasium environments as :class:`scalarize.learners.rl.environments.Environments`. Needs gymnasium."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from scalarize.learners.rl.environments import Array, Step, check
from scalarize.utils.errors import RunError


@dataclass(frozen=True)
class Named:
    """A task's environment; ``begin`` sets the goal of its next episode."""

    task: str
    env: Any
    begin: Callable[[int], None]


class Episodes(gymnasium.Wrapper):
    """A wrapper that begins each episode from the next of its goals; an error inside names the task."""

    def __init__(self, named: Named) -> None:
        super().__init__(named.env)
        self.named = named
        self.plan([0], 0)

    def plan(self, goals: Sequence[int], seed: int) -> None:
        """Plan the goals to come, shuffled by ``seed``."""
        self._goals, self._draw = list(goals), np.random.default_rng(seed)
        self._queue: list[int] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if not self._queue:
            self._queue = [int(g) for g in self._draw.permutation(self._goals)]
        self.named.begin(self._queue.pop())
        return self._watched(self.env.reset)

    def step(self, action: Any) -> Any:
        return self._watched(self.env.step, action)

    def _watched(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except Exception as error:  # whatever a simulator raises
            said = f"{type(error).__name__}: {error}"
            raise RunError(f"the environment of task {self.named.task!r} failed: {said}") from error


class GymnasiumEnvironments:
    """One gymnasium environment per task, stepped in this process. An episode that is cut off counts as not
    terminated."""

    def __init__(self, named: Sequence[Named]) -> None:
        self.tasks = [n.task for n in named]
        self._episodes = [Episodes(n) for n in named]
        makers = [lambda env=env: env for env in self._episodes]
        self._vector = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)

    def reset(self, goals: Sequence[Sequence[int]], seed: int) -> Array:
        """See :class:`scalarize.learners.rl.environments.Environments`."""
        for number, (episodes, own) in enumerate(zip(self._episodes, goals, strict=True)):
            episodes.plan(own, seed + number)
        observations: Array = self._vector.reset()[0]
        check(self.tasks, "an observation", observations)
        return observations

    def step(self, actions: Array) -> Step:
        """See :class:`~scalarize.learners.rl.environments.Environments`. Raises RunError for a crash and for what is
        not finite."""
        observations, rewards, terminated, truncated, info = self._vector.step(actions)
        successors = observations.copy()
        success = np.asarray(info.get("success", np.zeros(len(rewards)))) > 0
        for t in np.flatnonzero(info.get("_final_obs", [])):  # what the finished episode saw last
            successors[t] = info["final_obs"][t]
            success[t] = info["final_info"].get("success", np.zeros(len(rewards)))[t] > 0
        check(self.tasks, "an observation", successors)
        check(self.tasks, "a reward", rewards)
        return Step(observations, successors, rewards, terminated, terminated | truncated, success)
