"""Replay of a policy: task weights over epochs, found by a search or used by an earlier run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy


@register
@dataclass(eq=False)
class PolicyReplay(Method):
    """The weights times the scale that a policy has at the current epoch (Royer et al. 2023, section 5).

    After the policy's last segment its last weights stay. The caller puts the policy in the order and length of the
    training, by its ``reorder`` and ``stretch``.

    Args:
        policy: a :class:`scalarize.Policy`, or the path of one, with its tasks in the order of the losses. Required.

    Raises:
        RequestError: the file is not a policy; at the first step: the policy has another number of tasks, or its
            weights change over epochs and nobody counts them.

    Cost: one ordinary backward.

    Fails: a schedule found by a population was good for models that were cloned from each other: retrained from
    scratch, its last or mean weights can be better (``scalarize retrain --history``).
    """

    name = "policy"
    family = "scalarization"
    needs = Needs.NOTHING
    heads = "weighted"
    paper = "Royer et al. 2023, section 5"
    requires = ("policy",)
    task_axes = {"weights": 1}
    permutation_equivariant = False
    epoch_window = None  # a schedule with epochs of a made-up length would be another schedule
    policy: Policy | str | Path = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._policy = self.policy if isinstance(self.policy, Policy) else Policy.load(self.policy)

    @property
    def hyper(self) -> dict[str, Any]:
        return {"policy": self._policy.to_dict()}

    @property
    def counts_epochs(self) -> bool:
        """True if the weights change."""
        return len(self._policy.segments) > 1

    def init(self, n_tasks: int) -> State:
        """weights (T, S): one column per segment, scale included; starts (S,): the epoch each begins at."""
        policy = self._policy
        if len(policy.tasks) != n_tasks:
            raise RequestError(f"policy: it weighs {len(policy.tasks)} tasks, not {n_tasks}")
        columns = [torch.tensor(s.weights, dtype=torch.float64) * s.scale for s in policy.segments]
        return {"weights": torch.stack(columns, dim=1), "starts": torch.tensor([s.from_epoch for s in policy.segments])}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        segment = int((state["starts"] <= max(evidence.epoch, 0)).sum()) - 1
        return state["weights"][:, segment], state
