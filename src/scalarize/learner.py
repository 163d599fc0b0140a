"""The Learner protocol: what a search or a study drives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from scalarize.policy import Policy


@runtime_checkable
class Learner(Protocol):
    """One training that can be continued, scored, saved and restored; four methods and two attributes.

    ``tasks`` names what the weights are over (tasks or domains); ``epoch`` counts finished epochs. All randomness
    of the training comes from the seed that the learner was made with and from ``epoch``, never from
    ``state_dict``: so a clone made with another seed goes on differently from the same state.
    """

    tasks: Sequence[str]
    epoch: int

    def train(self, policy: Policy, until_epoch: int) -> None:
        """Train with the weights of ``policy`` until ``until_epoch`` epochs are finished."""

    def evaluate(self, split: str) -> dict[str, float]:
        """One metric a task on ``split``; higher is better."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that training depends on (model, optimiser, schedule, method state, epoch), plain types and
        tensors only."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``, which may come from another learner of the same kind."""
