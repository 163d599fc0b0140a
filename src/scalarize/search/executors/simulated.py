"""Simulated trainings, and the simulated schedule of a search over many nodes, to estimate its cost beforehand.

Times are those of a ResNet-50; everything is drawn from seeds, and no clock is read.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scalarize.search.executors.base import Jobs, LearnerFactory, Outcome, run_and_store
from scalarize.search.space import Array
from scalarize.search.toy_problems import Stationary
from scalarize.weights.policy import Policy


@dataclass(frozen=True)
class Timing:
    """Duration and checkpoint size of trainings.

    The defaults describe a ResNet-50 with 25.6 M parameters in float32 with momentum, on a share of an accelerator that
    trains 1,000 images of 224 x 224 per second, over 200,000 images per epoch. All but the checkpoint size are
    assumptions: replace them by your measurements.

    Args:
        epoch: seconds per epoch.
        evaluation: seconds per evaluation.
        checkpoint: size of a checkpoint in MB.
        jitter: standard deviation of the log duration of a training.
        straggling: share of trainings that take ``slow`` times as long.
        slow: that factor.
    """

    epoch: float = 200.0
    evaluation: float = 20.0
    checkpoint: float = 205.0
    jitter: float = 0.05
    straggling: float = 0.01
    slow: float = 2.0

    def draw(self, rng: np.random.Generator, epochs: int, size: int = 1) -> Array:
        """Draw the seconds (size,) of trainings of ``epochs`` epochs each, with one evaluation."""
        factor = np.exp(self.jitter * rng.standard_normal(size))
        factor *= np.where(rng.random(size) < self.straggling, self.slow, 1.0)
        return np.asarray((self.epoch * epochs + self.evaluation) * factor)


class SimulatedLearner(Stationary):
    """A learner whose scores follow the stationary problem and whose ``seconds`` follow ``timing``.

    ``speed``: simulated seconds per real second, the learner sleeps accordingly (default: it does not sleep).
    ``ballast``: MB of zeros in its state, to cause real traffic (default 0).
    """

    name = "simulated"

    def __init__(
        self,
        seed: int,
        epochs: int = 12,
        timing: Timing | None = None,
        speed: float = float("inf"),
        ballast: float = 0.0,
    ) -> None:
        super().__init__(seed, epochs)
        self.timing, self.speed, self.ballast, self.seconds = timing or Timing(), speed, ballast, 0.0

    def train(self, policy: Policy, until_epoch: int) -> None:
        """Train on the stationary problem, in simulated time."""
        rng = np.random.default_rng([self.seed, 2, self.epoch])
        took = float(self.timing.draw(rng, until_epoch - self.epoch)[0])
        super().train(policy, until_epoch)
        self.seconds += took
        time.sleep(took / self.speed)

    def state_dict(self) -> dict[str, Any]:
        """Return epoch, skill, simulated seconds, and the ballast."""
        import torch

        return {**super().state_dict(), "seconds": self.seconds, "ballast": torch.zeros(int(self.ballast * 2**18))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of :meth:`state_dict`."""
        super().load_state_dict(state)
        self.seconds = float(state["seconds"])


class SimulatedExecutor:
    """Trains in this process, but yields outcomes in the order in which they would end on parallel slots.

    Equal seeds give equal orders. ``now`` is the simulated time so far, in seconds.

    Args:
        factory: makes the learners.
        slots: number of parallel slots.
        timing: distribution of durations. Default: :class:`Timing`'s.
        epochs: epochs per training. Default 1.
        seed: seed of the durations. Default 0.
    """

    def __init__(
        self, factory: LearnerFactory, slots: int, timing: Timing | None = None, epochs: int = 1, seed: int = 0
    ) -> None:
        self.factory, self.slots, self.timing, self.epochs = factory, slots, timing or Timing(), epochs
        self.now = 0.0
        self._rng = np.random.default_rng(seed)

    def run(self, jobs: Jobs) -> Generator[Outcome, None, None]:
        """Yield the outcomes in simulated order."""
        coming, left = iter(jobs), len(jobs)
        under_way: list[tuple[float, int, Outcome]] = []  # a heap of (end, order of beginning)
        begun = 0
        while left:
            while len(under_way) < self.slots and (job := next(coming, None)) is not None:
                outcome = run_and_store(self.factory, job)
                took = float(self.timing.draw(self._rng, self.epochs)[0])
                heapq.heappush(under_way, (self.now + took, begun, outcome))
                begun += 1
            self.now, _, outcome = heapq.heappop(under_way)
            left -= 1
            yield outcome

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


@dataclass(frozen=True)
class Cluster:
    """Nodes and their storage. The default is 100 nodes with ten slots (four accelerators, 0.4 of one per member).

    Args:
        nodes: number of nodes.
        slots: slots per node.
        failures: expected hours between failures of a node.
        recovery: seconds until a failed node works again.
        write: MB/s that the storage takes from all nodes together (a file system, or the one disk of the driver).
    """

    nodes: int = 100
    slots: int = 10
    failures: float = 1000.0
    recovery: float = 300.0
    write: float = 10_000.0


@dataclass(frozen=True)
class SimulatedSchedule:
    """A population that trains ``generations`` times ``ready`` epochs.

    ``decision`` and ``handling`` are the driver's seconds per generation and per outcome.
    """

    members: int = 1000
    generations: int = 20
    ready: int = 5
    decision: float = 0.05
    handling: float = 0.002
    timing: Timing = field(default_factory=Timing)
    cluster: Cluster = field(default_factory=Cluster)
    seed: int = 0


@dataclass(frozen=True)
class Outlook:
    """The result of :func:`simulate`.

    Args:
        hours: wall time.
        busy: share of slot time in trainings that counted.
        barrier: share of slot time spent waiting for the last members of a generation.
        lost: trainings repeated after failures.
        traffic: GB of checkpoints written per generation.
        saving: seconds per generation from the end of the last training until the last checkpoint is stored.
        driver: share of time that the driver is busy.
    """

    hours: float
    busy: float
    barrier: float
    lost: int
    traffic: float
    saving: float
    driver: float


def simulate(plan: SimulatedSchedule, lag: int = 0) -> Outlook:
    """Simulate every training and checkpoint of a search, event by event.

    Args:
        plan: the search.
        lag: 0: a generation begins when all of the one before are scored (the barrier of ``run_search``). k: a member
            goes on when all are scored k generations further back, so it need not wait for the last ones, and decisions
            still see the same scores whatever the speed of each member. k >= generations: nobody waits. Default 0.
    """
    rng = np.random.default_rng(plan.seed)
    timing, cluster = plan.timing, plan.cluster
    n_slots = cluster.nodes * cluster.slots
    durations = np.array([timing.draw(rng, plan.ready, plan.members) for _ in range(plan.generations)])
    next_failure = rng.exponential(cluster.failures * 3600.0, cluster.nodes)
    slots = [(0.0, s) for s in range(n_slots)]  # a heap of (time at which it is free, slot)
    ready = np.zeros(plan.members)  # when each member may go on
    stored_all = np.zeros(plan.generations)
    driver_busy = trained = waited = saving = 0.0
    lost = 0
    save = timing.checkpoint / cluster.write
    for g in range(plan.generations):
        if g > lag:
            ready = np.maximum(ready, stored_all[g - 1 - lag] + plan.decision)
        ends = np.zeros(plan.members)
        for member in np.argsort(ready, kind="stable").tolist():
            free, slot = heapq.heappop(slots)
            start, node = max(free, ready[member]), slot // cluster.slots
            waited += max(ready[member] - free, 0.0)
            end = start + durations[g, member]
            while next_failure[node] < end:  # the training on this node is repeated when it works again
                if next_failure[node] > start:
                    lost += 1
                    start = next_failure[node] + cluster.recovery
                    end = start + durations[g, member]
                    break
                next_failure[node] += rng.exponential(cluster.failures * 3600.0)
            heapq.heappush(slots, (end, slot))
            ends[member] = end
            trained += durations[g, member]
        stored = np.zeros(plan.members)
        storage_free = 0.0  # one queue per generation: generations that overlap do not write at once
        for member in np.argsort(ends, kind="stable").tolist():
            storage_free = max(storage_free, ends[member]) + save
            stored[member] = storage_free
        driver_busy += plan.members * plan.handling + plan.decision
        saving += stored.max() - ends.max()
        stored_all[g], ready = stored.max(), stored
    wall = float(stored_all[-1])
    total = wall * n_slots
    return Outlook(
        hours=wall / 3600.0,
        busy=trained / total,
        barrier=waited / total,
        lost=lost,
        traffic=plan.members * timing.checkpoint / 1000.0,
        saving=saving / plan.generations,
        driver=driver_busy / wall,
    )
