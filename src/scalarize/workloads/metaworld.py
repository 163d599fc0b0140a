"""Meta-World (Yu et al. 2020), version 3: 10 or 50 robot tasks, one environment each, learned by soft actor-critic.

The recipe is that of Kurin et al. (2022), section 4.2 and their published scripts. One epoch is the 10,000 steps
between two of their evaluations. Their batch is 1,280 transitions of all tasks together; ours is equally many of each,
128 of 10 tasks and 26 of 50. Episodes of training begin from 50 goals per task, as the benchmark has them; those of
validation and test from further goals that training never sees (our choice: the benchmark evaluates on its training
goals).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.learners.rl.actor_critic import ActorCriticLearner
from scalarize.learners.rl.environments import Environments, Goals, played
from scalarize.learners.rl.networks import ActorCritic
from scalarize.learners.rl.settings import Settings
from scalarize.tasks.task import Data, Domain, Objective
from scalarize.utils.errors import RequestError
from scalarize.workloads.base import Workload

OBSERVATION, ACTIONS = 39, 4
REMEDY = "pip install 'scalarize[rl]'"
MT10 = (
    *("reach-v3", "push-v3", "pick-place-v3", "door-open-v3", "drawer-open-v3", "drawer-close-v3"),
    *("button-press-topdown-v3", "peg-insert-side-v3", "window-open-v3", "window-close-v3"),
)
MT50 = (
    *("assembly-v3", "basketball-v3", "bin-picking-v3", "box-close-v3", "button-press-topdown-v3"),
    *("button-press-topdown-wall-v3", "button-press-v3", "button-press-wall-v3", "coffee-button-v3", "coffee-pull-v3"),
    *("coffee-push-v3", "dial-turn-v3", "disassemble-v3", "door-close-v3", "door-lock-v3", "door-open-v3"),
    *("door-unlock-v3", "hand-insert-v3", "drawer-close-v3", "drawer-open-v3", "faucet-open-v3", "faucet-close-v3"),
    *("hammer-v3", "handle-press-side-v3", "handle-press-v3", "handle-pull-side-v3", "handle-pull-v3"),
    *("lever-pull-v3", "pick-place-wall-v3", "pick-out-of-hole-v3", "pick-place-v3", "plate-slide-v3"),
    *("plate-slide-side-v3", "plate-slide-back-v3", "plate-slide-back-side-v3", "peg-insert-side-v3"),
    *("peg-unplug-side-v3", "soccer-v3", "stick-push-v3", "stick-pull-v3", "push-wall-v3", "push-v3"),
    *("push-back-v3", "reach-v3", "reach-wall-v3", "shelf-place-v3", "sweep-into-v3", "sweep-v3"),
    *("window-open-v3", "window-close-v3"),
)


def missing(root: Path) -> str | None:
    """Name the extra if it is not installed."""
    return None if importlib.util.find_spec("metaworld") else f"needs the package metaworld: {REMEDY}"


@functools.lru_cache(maxsize=2)
def environments(tasks: tuple[str, ...], goals: int, seed: int, horizon: int) -> Environments:
    """Make one environment per task with ``goals`` goals drawn from ``seed``; learners of one process share them in
    turn.

    An episode is cut off after ``horizon`` steps, at most 500. Raises RequestError if the extra is missing.
    """
    os.environ.setdefault("MUJOCO_GL", "disable")  # nothing is drawn, and no display is needed
    if lacking := missing(Path()):
        raise RequestError(lacking)
    import gymnasium
    import metaworld  # noqa: F401, it registers its environments

    from scalarize.learners.rl.vector import GymnasiumEnvironments, Named

    named = []
    for task in tasks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of gymnasium, on ranges of observations
            env: Any = gymnasium.make(
                "Meta-World/MT1",
                env_name=task,
                seed=seed,
                num_goals=goals,
                max_episode_steps=horizon,
                disable_env_checker=True,
            )
        env.get_wrapper_attr("toggle_sample_tasks_on_reset")(False)
        named.append(Named(task, env, functools.partial(_begin, env.unwrapped, env.get_wrapper_attr("tasks"))))
    return GymnasiumEnvironments(named)


def _begin(env: Any, goals: Any, number: int) -> None:
    env.set_task(goals[number])


def _load(settings: Mapping[str, Any], root: Path, names: tuple[str, ...]) -> Data:
    if lacking := missing(root):
        raise RequestError(lacking)
    return _shape(settings, names)


def _shape(settings: Mapping[str, Any], names: tuple[str, ...]) -> Data:
    if not 1 <= settings["horizon"] <= 500:
        raise RequestError(f"`settings` data.horizon={settings['horizon']}: an episode has 1 to 500 steps")
    counts = {"train": settings["goals"], "validation": settings["validation"], "test": settings["test"]}
    for split, count in counts.items():
        if count < 1:
            raise RequestError(
                f"`settings` data.{'goals' if split == 'train' else split}={count}: at least 1 is needed"
            )
    parts = torch.split(torch.arange(sum(counts.values())), list(counts.values()))
    splits = {split: Goals(part) for split, part in zip(counts, parts, strict=True)}
    make = functools.partial(
        environments, goals=sum(counts.values()), seed=settings["goal_seed"], horizon=settings["horizon"]
    )
    objectives = tuple(Objective(name, played(name, ACTIONS), name) for name in names)
    info = {"environments": make, "observation": OBSERVATION}
    return Data(objectives, {name: Domain(name, splits) for name in names}, settings["steps"], info)


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build an actor and critics with the task as a one-hot input."""
    own = Settings.of(settings, {})
    per_task = own.temperatures == "per-task"
    seen, tasks = data.info["observation"], len(data.names)
    more = per_task, own.observation_scale, own.popart
    return ActorCritic(tasks, seen, ACTIONS, own.widths, own.temperature, *more)


def _recipe(tasks: int) -> Recipe:
    """Return the recipe; its batch and replay buffer are those of each of ``tasks`` tasks."""
    return Recipe(
        optimizer=OptimizerRecipe(name="adam", lr=3e-4, weight_decay=3e-4),
        epochs=200,
        batch_size=round(1280 / tasks),
        model={
            **{"widths": [400, 400, 400], "observation_scale": 1.0},
            **{"temperature": 1.0, "temperatures": "shared", "popart": None},
        },
        data={
            **{"steps": 10_000, "initial_steps": 1500, "updates": 1, "replay": 4_000_000 // tasks, "save_replay": True},
            **{"rewards": "sampling", "reward_rate": 1e-3, "discount": 0.99, "target_rate": 0.005, "target_clip": None},
            **{"goals": 50, "validation": 1, "test": 50, "goal_seed": 0, "horizon": 500},
        },
    )


def _workload(name: str, tasks: tuple[str, ...]) -> Workload:
    return Workload(
        name=name,
        kind="multi-task",
        objectives=tasks,
        size=f"{len(tasks)} environments of {OBSERVATION} observed numbers, {ACTIONS} actions",
        provenance="Meta-World v3 (the metaworld package, MIT), simulated by mujoco; batch_size is of each task",
        recipe=_recipe(len(tasks)),
        load=functools.partial(_load, names=tasks),
        shape=functools.partial(_shape, names=tasks),
        build=build,
        missing=missing,
        learner=ActorCriticLearner,
    )


WORKLOADS = (_workload("mt10", MT10), _workload("mt50", MT50))
