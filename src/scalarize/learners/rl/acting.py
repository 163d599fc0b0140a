"""Actions of a policy, and the episodes by which it is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from scalarize.learners.rl.environments import Array, Environments, play
from scalarize.learners.rl.networks import ActorCritic
from scalarize.utils.errors import DivergedError


@torch.no_grad()
def actions(model: ActorCritic, observations: Tensor, noise: Tensor | None, tasks: Sequence[str], epoch: int) -> Array:
    """Return the actions of the policy, one per task.

    Args:
        model: actor and critics.
        observations: (T, D), as the environments give them.
        noise: standard normal (T, 1, A); None for the policy's mean.
        tasks: T names, for messages.
        epoch: for messages.

    Returns:
        Actions (T, A) in [-1, 1].

    Raises:
        DivergedError: an action is not finite.
    """
    inputs = model.told(observations.unsqueeze(1))
    found = model.actor(inputs)[0].tanh() if noise is None else model.actor.sample(inputs, noise)[0]
    fine = found.isfinite().all(-1).all(-1)
    if not bool(fine.all()):
        names = " or ".join(repr(t) for t, ok in zip(tasks, fine.tolist(), strict=True) if not ok)
        raise DivergedError(f"epoch {epoch}: the action of task {names} is not finite")
    chosen: Array = found.squeeze(1).float().cpu().numpy()
    return chosen


def measured(
    environments: Environments, act: Callable[[Array], Array], goals: Sequence[Sequence[int]], tasks: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return success rate and mean return by task, of one episode from each of its goals.

    Args:
        environments: one per task.
        act: observations (T, D) -> actions (T, A).
        goals: numbers of goals, for each task.
        tasks: T names.

    Returns:
        Task -> {"metric", "score": success rate in [0, 1]; "return"; "loss": minus that}.
    """
    returns, success = play(environments, act, goals)
    found = {}
    for name, own, solved in zip(tasks, returns.mean(axis=1), success.mean(axis=1), strict=True):
        found[name] = {"metric": float(solved), "score": float(solved), "return": float(own), "loss": -float(own)}
    return found
