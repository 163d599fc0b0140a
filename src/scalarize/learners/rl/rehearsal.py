"""An update on random transitions, for the price of a training before it is run: no environment is made."""

from __future__ import annotations

from typing import Any

import torch

from scalarize.learners.rl.replay import Transitions
from scalarize.utils.clocks import clock_of

UPDATES = 3


def rehearse(learner: Any) -> float:
    """Fill a learner's replay at random and make some updates.

    Args:
        learner: a new :class:`~scalarize.learners.rl.actor_critic.ActorCriticLearner`, told which method to
            use; it is of no other use afterwards.

    Returns:
        Seconds of an update, the median; on a CPU those of the process. What the simulator takes is not in it.
    """
    tasks, seen, actions = len(learner.tasks), learner.data.info["observation"], learner.model.actions
    draw = torch.Generator().manual_seed(0)
    for _ in range(learner.recipe.batch_size):
        observed, followed = torch.rand(2, tasks, 1, seen, generator=draw)
        acted, rewarded = torch.rand(tasks, 1, actions, generator=draw), torch.rand(tasks, 1, generator=draw)
        learner.replay.add(Transitions(observed, acted, rewarded, followed, torch.zeros(tasks, 1, dtype=torch.bool)))
    clock = clock_of(learner.device)
    taken = []
    for _ in range(UPDATES):
        start = clock()
        learner.update(draw)
        taken.append(clock() - start)
    return sorted(taken)[UPDATES // 2]
