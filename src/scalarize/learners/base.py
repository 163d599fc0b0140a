"""The interfaces of a training: a search drives a Learner, a run directory needs somewhat more."""

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

    ``tasks`` names what the weights are over (tasks or domains); ``epoch`` counts finished epochs. All randomness
    of the training comes from the seed that the learner was made with and from ``epoch``, never from
    ``state_dict``: so a clone made with another seed goes on differently from the same state.
    """

    @property
    def tasks(self) -> Sequence[str]: ...
    @property
    def epoch(self) -> int: ...

    def train(self, policy: Policy, until_epoch: int) -> None:
        """Train with the weights of ``policy`` until ``until_epoch`` epochs are finished."""

    def evaluate(self, split: str) -> dict[str, float]:
        """One metric a task on ``split``; higher is better."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that training depends on (model, optimiser, schedule, method state, epoch), plain types and
        tensors only."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``, which may come from another learner of the same kind."""


class RunLearner(Learner, Protocol):
    """A learner that a workload's runs, comparisons and studies drive: ``train`` takes a method, too.

    ``state_dict`` holds at least ``epoch`` and ``model``, and ``load_state_dict`` takes those two alone, which is
    enough to measure. ``probes`` see the losses of each batch.
    """

    data: Data
    recipe: Recipe
    model: Any
    probes: list[Probe]

    def use(self, policy: Policy | Method) -> None:
        """Get ready; RequestError for a method that this training does not allow."""

    def train(self, policy: Policy | Method, until_epoch: int) -> None:
        """Train until ``until_epoch`` epochs are finished, with the weights of a policy or of a method."""

    def measure(self, split: str) -> Measurements:
        """Objective -> {"metric", "loss", "score"} and its further metrics by name; higher scores are better."""

    @property
    def step(self) -> int:
        """Steps made in finished epochs, as records count them."""

    def counts(self) -> dict[str, Any]:
        """``skipped_steps``, ``solver_failures``, and whatever else a run's result is to hold."""
