"""The interfaces of a training: Learner for a search, RunLearner for a run directory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from scalarize.learners.evaluation import Measurements
from scalarize.learners.probes import Probe
from scalarize.learners.recipe import Recipe
from scalarize.methods import Method
from scalarize.tasks.task import Data
from scalarize.weights.policy import Policy


@runtime_checkable
class Learner(Protocol):
    """One training that can be continued, scored, saved and restored; four methods and two attributes.

    ``tasks`` names the tasks or domains that have a weight; ``epoch`` counts finished epochs. All randomness
    of the training comes from the seed that the learner was made with and from ``epoch``, never from
    ``state_dict``: so a clone made with another seed goes on differently from the same state.
    """

    @property
    def tasks(self) -> Sequence[str]: ...
    @property
    def epoch(self) -> int: ...

    def train(self, policy: Policy, until_epoch: int) -> None:
        """Train with the weights of a policy.

        Args:
            policy: task weights over epochs.
            until_epoch: number of epochs that are finished at the end, counted from the beginning of the training.
        """

    def evaluate(self, split: str) -> dict[str, float]:
        """Measure the model.

        Args:
            split: name of a split, such as ``validation``.

        Returns:
            One metric per task; higher is better.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return all that training depends on: model, optimiser, schedule, method state, epoch.

        Returns:
            Plain types and tensors only.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state.

        Args:
            state: of this learner, or of another one of the same kind.
        """


class RunLearner(Learner, Protocol):
    """A learner for runs, comparisons and studies of a workload: ``train`` takes a method, too.

    ``state_dict`` holds at least ``epoch`` and ``model``, and ``load_state_dict`` takes those two alone, which is
    enough to measure. ``probes`` see the losses of each batch.
    """

    data: Data
    recipe: Recipe
    model: Any
    probes: list[Probe]

    def use(self, policy: Policy | Method) -> None:
        """Set up the training for ``policy``. Raises RequestError for a method that it does not allow."""

    def train(self, policy: Policy | Method, until_epoch: int) -> None:
        """Train until ``until_epoch`` epochs are finished, with the weights of a policy or of a method."""

    def measure(self, split: str) -> Measurements:
        """Return {"metric", "loss", "score"} and further metrics by objective; higher scores are better."""

    @property
    def step(self) -> int:
        """The number of steps in finished epochs, as records count them."""

    def counts(self) -> dict[str, Any]:
        """Return ``skipped_steps``, ``solver_failures``, and the other counts of a run's result."""
