"""Statistics of an epoch of acting and updating: sums on the way, tidy rows at its end."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from scalarize.balancer.balancer import BackwardResult
from scalarize.learners.rl.environments import Step
from scalarize.learners.rows import Row, tidy
from scalarize.tasks.task import Objective


class EpochStatistics:
    """Sums over an epoch of ``tasks`` tasks. ``seconds``: spent acting and updating."""

    def __init__(self, tasks: int) -> None:
        self.updates = 0
        self.seconds = {"acting": 0.0, "updating": 0.0}
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._running, self._solved = np.zeros(tasks), np.zeros(tasks, dtype=bool)
        self._finished: list[list[tuple[float, bool]]] = [[] for _ in range(tasks)]

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Count the time inside as seconds of ``what``: wall time, and on a GPU acting waits for the last update."""
        begun = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - begun

    def step(self, step: Step) -> None:
        """Add one action in every environment."""
        self._running += step.rewards
        self._solved |= step.success
        for t in np.flatnonzero(step.ended):
            self._finished[t].append((float(self._running[t]), bool(self._solved[t])))
            self._running[t], self._solved[t] = 0.0, False

    def update(
        self,
        critic_losses: Sequence[Tensor],
        actor_losses: Sequence[Tensor],
        critic: BackwardResult,
        actor: BackwardResult,
    ) -> None:
        """Add one update: losses of the tasks, and the weights of critics and actor."""
        self.updates += 1
        self._add("loss", torch.stack(list(critic_losses)))
        self._add("loss:actor", torch.stack(list(actor_losses)))
        if critic.skipped or actor.skipped or critic.weights is None or actor.weights is None:
            return
        first, second = critic.weights.double(), actor.weights.double()
        for name, value in (("weight", (first + second) / 2), ("weight:critic", first), ("weight:actor", second)):
            self._add(name, value)

    def _add(self, name: str, value: Tensor) -> None:
        value = value.detach().double().cpu()
        self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._counts[name] = self._counts.get(name, 0) + 1

    def rows(
        self, objectives: Sequence[Objective], first: int, last: int, epoch: int, temperature: Sequence[float]
    ) -> list[Row]:
        """Return the epoch's means per task. ``weight`` is that of critics and actor together, as a policy replays
        it."""
        found: list[Row] = []
        for name, total in self._sums.items():
            at = (first, epoch - 1) if name.startswith("weight") else (last, epoch)
            found += tidy(objectives, *at, "train", name, (total / self._counts[name]).tolist())
        ended = [np.array(own, dtype=float).reshape(-1, 2) for own in self._finished]
        for column, name in enumerate(("return", "success")):
            means = [float(own[:, column].mean()) if len(own) else math.nan for own in ended]
            found += tidy(objectives, last, epoch, "train", name, means)
        return found + tidy(objectives, last, epoch, "train", "temperature", list(temperature))
