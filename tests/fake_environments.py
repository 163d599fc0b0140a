"""Two tasks of reaching a point in the plane, in numpy: what the actor-critic learner is tested on."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.learners.rl.actor_critic import ActorCriticLearner
from scalarize.learners.rl.environments import Array, Goals, Step, played
from scalarize.learners.rl.networks import ActorCritic
from scalarize.tasks.task import Data, Domain, Objective
from scalarize.workloads import Workload

TASKS = ("straight", "mirrored")
HORIZON = 8


class Points:
    """A point moves by a quarter of the action, in the second task the other way; rewards there are ten times as
    large. An episode is cut off after HORIZON steps."""

    def __init__(self, tasks: Sequence[str]) -> None:
        which = [TASKS.index(t) for t in tasks]
        self.way = np.array([1.0, -1.0])[which][:, None]
        self.scale = np.array([1.0, 10.0])[which]

    def reset(self, goals: Sequence[Sequence[int]], seed: int) -> Array:
        self.draw, self.goals = np.random.default_rng(seed), goals
        self.queues: list[list[int]] = [[] for _ in goals]
        self.points, self.wanted = np.zeros((len(goals), 2)), np.zeros((len(goals), 2))
        for t in range(len(goals)):
            self.begin(t)
        return self.observed()

    def begin(self, t: int) -> None:
        if not self.queues[t]:
            self.queues[t] = [int(g) for g in self.draw.permutation(self.goals[t])]
        self.points[t] = 0.0
        self.wanted[t] = np.random.default_rng(self.queues[t].pop()).uniform(-1, 1, 2)
        self.left = HORIZON

    def observed(self) -> Array:
        return np.concatenate([self.points, self.wanted], axis=1)

    def step(self, actions: Array) -> Step:
        self.points = np.clip(self.points + 0.25 * self.way * actions, -1, 1)
        distance = np.linalg.norm(self.points - self.wanted, axis=1)
        self.left -= 1
        ended = np.full(len(distance), self.left == 0)
        after = self.observed()
        if ended.any():
            for t in range(len(distance)):
                self.begin(t)
        none = np.zeros(len(distance), dtype=bool)
        return Step(self.observed(), after, -self.scale * distance, none, ended, distance < 0.2)


class Broken(Points):
    """Gives a reward that is no number in the second task, from the ``after``-th step on."""

    after = 30

    def __init__(self, tasks: Any) -> None:
        super().__init__(tasks)
        self.steps = 0

    def step(self, actions: Array) -> Step:
        step = super().step(actions)
        self.steps += 1
        if self.steps > self.after:
            step.rewards[1] = math.inf
        return step


def data(make: Any = Points, steps: int = 40, tasks: Sequence[str] = TASKS, goals: int = 20) -> Data:
    """Goals 0 to ``goals`` - 1 in training, 100 and 101 in validation, 200 to 209 in test."""
    numbers = {"train": range(goals), "validation": range(100, 102), "test": range(200, 210)}
    splits = {split: Goals(torch.tensor(list(own))) for split, own in numbers.items()}
    objectives = tuple(Objective(t, played(t, 2), t) for t in tasks)
    return Data(
        objectives, {t: Domain(t, splits) for t in tasks}, steps, {"environments": lambda t: make(t), "observation": 4}
    )


def build(settings: Mapping[str, Any], held: Data) -> nn.Module:
    per_task = settings.get("temperatures") == "per-task"
    rate = settings.get("popart")
    return ActorCritic(len(held.names), 4, 2, settings["widths"], settings["temperature"], per_task, popart=rate)


RECIPE = Recipe(
    optimizer=OptimizerRecipe(name="adam", lr=3e-3),
    epochs=3,
    batch_size=32,
    model={"widths": [32, 32], "temperature": 0.1, "temperatures": "shared", "popart": None},
    data={"steps": 40, "initial_steps": 24, "replay": 500, "discount": 0.9, "target_rate": 0.02}
    | {"rewards": "sampling", "reward_rate": 1e-3, "target_clip": None, "save_replay": True, "updates": 1},
)


def learner(seed: int = 0, make: Any = Points, on_rows: Any = None, **changes: Any) -> ActorCriticLearner:
    """A learner of both tasks; ``changes``: settings, with ``__`` for the dot."""
    recipe = RECIPE.override({key.replace("__", "."): value for key, value in changes.items()})
    held = data(make, recipe.data["steps"])
    return ActorCriticLearner(held, functools.partial(build, recipe.model, held), recipe, seed, on_rows=on_rows)


def workload(make: Any = Points, name: str = "points") -> Workload:
    """The same as a workload, for the command line."""

    def load(settings: Mapping[str, Any], root: Path) -> Data:
        return data(make, settings["steps"])

    return Workload(
        name=name,
        kind="multi-task",
        objectives=TASKS,
        size="two",
        provenance="made up",
        recipe=RECIPE,
        load=load,
        build=build,
        learner=ActorCriticLearner,
    )
