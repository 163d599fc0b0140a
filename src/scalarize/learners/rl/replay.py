"""Replay: transitions kept in preallocated rings, one per task, and drawn again in batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from scalarize.utils.errors import RequestError

SAMPLING, MOVING_AVERAGE, NONE = "sampling", "moving-average", "none"
NORMALISATIONS = (SAMPLING, MOVING_AVERAGE, NONE)
TINY = 1e-8


@dataclass(frozen=True)
class Transitions:
    """Transitions of T tasks, N each: observations, successors (T, N, D); actions (T, N, A); rewards (T, N);
    terminated (T, N) bool."""

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    successors: Tensor
    terminated: Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> Transitions:
        """Return the same on another device, numbers as ``dtype``."""
        numbers = (self.observations, self.actions, self.rewards, self.successors)
        observations, actions, rewards, successors = (x.to(device, dtype) for x in numbers)
        return Transitions(observations, actions, rewards, successors, self.terminated.to(device))


class Replay:
    """The last ``capacity`` transitions of each of ``n_tasks`` tasks. Memory is taken as it fills.

    normalise: how rewards are scaled, task by task. ``sampling``: kept raw (float64), divided by the standard
    deviation of all that the ring holds when a batch is drawn (Kurin et al. 2022, section 4.2; not centred: our
    choice). ``moving-average``: divided before they are kept, by a moving deviation with coefficient ``rate``
    (Sodhani et al. 2021). ``none``: raw.
    """

    def __init__(
        self, n_tasks: int, capacity: int, observation: int, action: int, normalise: str = SAMPLING, rate: float = 1e-3
    ) -> None:
        self.capacity, self.normalise, self.rate = capacity, normalise, rate
        self.size = self._next = 0
        self._held = Transitions(
            torch.empty(n_tasks, capacity, observation),
            torch.empty(n_tasks, capacity, action),
            torch.empty(n_tasks, capacity, dtype=torch.float64),
            torch.empty(n_tasks, capacity, observation),
            torch.empty(n_tasks, capacity, dtype=torch.bool),
        )
        self._sums = torch.zeros(2, n_tasks, dtype=torch.float64)  # of rewards and of their squares
        self._moving = torch.stack([torch.zeros(n_tasks), torch.ones(n_tasks)]).double()  # mean and variance
        self._largest = torch.full((n_tasks,), -math.inf, dtype=torch.float64)  # reward kept so far, even if it left

    def add(self, seen: Transitions) -> None:
        """Keep one transition per task: N = 1."""
        rewards = seen.rewards[:, 0].double()
        if self.normalise == MOVING_AVERAGE:
            mean, variance = self._moving
            mean.lerp_(rewards, self.rate)
            variance.lerp_((rewards - mean).square(), self.rate)
            rewards = rewards / (variance.sqrt() + TINY)
        at = self._next
        if self.size == self.capacity:
            leaving = self._held.rewards[:, at]
            self._sums -= torch.stack([leaving, leaving.square()])
        self._sums += torch.stack([rewards, rewards.square()])
        self._largest = self._largest.maximum(rewards)
        for f in fields(seen):
            if f.name != "rewards":
                getattr(self._held, f.name)[:, at] = getattr(seen, f.name)[:, 0]
        self._held.rewards[:, at] = rewards
        self._next, self.size = (at + 1) % self.capacity, min(self.size + 1, self.capacity)

    def deviations(self) -> Tensor:
        """Return the standard deviation (T,) of the rewards held; 1 if they are all alike."""
        mean, square = self._sums / max(self.size, 1)
        variance = square - mean.square()
        return torch.where(variance > TINY * square.clamp_min(TINY), variance.clamp_min(0).sqrt(), 1.0)

    def largest_returns(self, discount: float) -> Tensor:
        """Return (T,) the discounted sum of the largest reward seen so far, as it is drawn, again and again."""
        scale = self.deviations() if self.normalise == SAMPLING else 1.0
        return self._largest / scale / (1 - discount)

    def sample(self, number: int, generator: torch.Generator) -> Transitions:
        """Draw ``number`` transitions per task, with replacement; rewards in float32."""
        tasks = len(self._held.rewards)
        index = torch.randint(self.size, (tasks, number), generator=generator)
        place = (torch.arange(tasks)[:, None], index)
        drawn = {f.name: getattr(self._held, f.name)[place] for f in fields(self._held)}
        if self.normalise == SAMPLING:
            drawn["rewards"] = drawn["rewards"] / self.deviations()[:, None]
        return Transitions(**(drawn | {"rewards": drawn["rewards"].float()}))

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all transitions held."""
        state = {f.name: getattr(self._held, f.name)[:, : self.size].clone() for f in fields(self._held)}
        further = {"sums": self._sums, "moving": self._moving, "largest": self._largest}
        return state | {"next": self._next} | {key: value.clone() for key, value in further.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the transitions of ``state``. Raises RequestError for a ring of another size."""
        size = state["rewards"].shape[1]
        if size > self.capacity or (size < self.capacity and state["next"] != size):
            raise RequestError(f"the state's replay of {size} transitions a task is no ring of {self.capacity}")
        self.size, self._next = size, state["next"] % self.capacity
        for f in fields(self._held):
            getattr(self._held, f.name)[:, :size] = state[f.name]
        self._sums, self._moving = state["sums"].clone(), state["moving"].clone()
        # States of earlier versions lack it: then that of the rewards held, of which an empty ring has none.
        held = torch.cat([torch.full((len(self._largest), 1), -math.inf).double(), state["rewards"]], dim=1)
        self._largest = state.get("largest", held.amax(1)).clone()
