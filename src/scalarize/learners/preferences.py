"""Preferences drawn anew in each step, for a model whose weights are made from one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from scalarize.balancer.balancer import Balancer
from scalarize.methods import preference
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex


class Preferences:
    """Draws of a preference, told to the model and to the method that weighs the losses.

    Args:
        model: with ``choose`` and ``concentration``, of the Dirichlet distribution.
        balancer: with the method: one with a preference, or with equal weights, whose weights are then the preference.
        n_tasks: number T of tasks.

    Raises:
        RequestError: the method takes no preference, or was given one.
    """

    def __init__(self, model: Any, balancer: Balancer, n_tasks: int) -> None:
        self._model, self._method, self._n_tasks = model, balancer.method, n_tasks
        key = preference.drawn_into(self._method)
        if key is None:
            raise RequestError(
                f"a front is trained with a preference drawn in each step, which {self._method.name} does not take; "
                "choose a method that has one, or equal weights"
            )
        if self._method.hyper.get(key) is not None:
            raise RequestError(f"{self._method.name}: a front is trained with all preferences: leave out {key}")
        self._key, self._random = key, np.random.default_rng(0)

    @classmethod
    def of(cls, model: Any, balancer: Balancer, n_tasks: int) -> Preferences | None:
        """Make the draws of a model; None for one without preferences."""
        return cls(model, balancer, n_tasks) if hasattr(model, "choose") else None

    def reseed(self, seed: int) -> None:
        """Start the draws anew."""
        self._random = np.random.default_rng(seed % 2**64)

    def draw(self) -> None:
        """Draw the preference of the coming step."""
        n = self._n_tasks
        drawn = simplex.sample_dirichlet(self._random, np.full(n, 1.0 / n), n * self._model.concentration)
        self._model.choose(drawn.tolist())
        state = self._method.ensure(n)
        at = next(iter(state.values())).device if state else "cpu"
        state[self._key] = torch.from_numpy(drawn).to(at)

    def rest(self) -> None:
        """Return to the uniform preference, at which the model is measured."""
        self._model.choose(None)
