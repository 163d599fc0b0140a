"""Learners for the members of a search: trained on a share of the training set, scored on the rest."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from scalarize.learners.base import RunLearner
from scalarize.runs.build import Loader, PreparedRun, prepare
from scalarize.runs.held_out import HOLDOUT, held_out
from scalarize.runs.request import WorkloadRequest

__all__ = ["HOLDOUT", "HoldoutFactory"]


class HoldoutFactory:
    """A factory of learners that train on a share of the training set; the rest is their split ``holdout``.

    Called as ``factory(seed=..., **recipe_numbers)``. It loads the data once, and once more in each process that it
    is sent to: a pickle holds the request alone.

    Args:
        problem: what is trained.
        share: of the training set, in (0, 1).
        threads: of torch, None for the recipe's number.
        loader: of the command, if several runs share tables and data; default a new one.
    """

    def __init__(
        self, problem: WorkloadRequest, share: float, threads: int | None = None, loader: Loader | None = None
    ) -> None:
        self.problem, self.share, self.threads, self._loader = problem, share, threads, loader

    def __call__(self, seed: int, **extras: Any) -> RunLearner:
        changed = self.prepared.recipe.with_numbers(extras)
        changed = changed.override({"threads": self.threads} if self.threads else {})
        return self.prepared.learner(seed, recipe=changed)

    def __reduce__(self) -> tuple[Any, ...]:
        return HoldoutFactory, (self.problem, self.share, self.threads)

    @functools.cached_property
    def prepared(self) -> PreparedRun:
        """Return the problem with its data, of which a share is held out."""
        whole = prepare(self.problem, self._loader)
        loader = self._loader or Loader()
        data = loader.derived(whole, f"holdout {self.share}", lambda: held_out(whole.data, self.share))
        return replace(whole, data=data)

    def adopt(self, loader: Loader | None) -> HoldoutFactory:
        """Return the same factory with the data of ``loader``, which the processes of a machine share."""
        return HoldoutFactory(self.problem, self.share, self.threads, loader)
