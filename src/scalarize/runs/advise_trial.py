"""The trainings of an advice on a learner: what a race asks for, answered."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from scalarize.analysis import race
from scalarize.analysis.race_budget import Field
from scalarize.methods import advised
from scalarize.runs.advise import Pace
from scalarize.runs.sampling_rows import LISTED, temperature, tempered_policy
from scalarize.search import sameness
from scalarize.search import search as find
from scalarize.search.executors import states
from scalarize.search.executors.base import LearnerFactory
from scalarize.search.score import create, shares
from scalarize.utils.errors import DivergedError, RequestError
from scalarize.utils.seeds import own_randomness
from scalarize.weights import simplex
from scalarize.weights.policy import Policy

INVERSE = "inverse-loss"
ALONE = "single"


class Trial:
    """The trainings of an advice on a learner."""

    def __init__(
        self,
        make: LearnerFactory,
        epochs: int,
        score: str,
        sizes: Mapping[str, float] | None,
        validation: str,
        test: str | None,
        seed: int,
        pace: Pace,
    ) -> None:
        self.pace = pace
        self.make, self.epochs, self.score, self.seed = make, epochs, score, seed
        self.validation, self.test = validation, test
        with own_randomness(seed):
            learner = make(seed=seed)
        self.tasks = tuple(learner.tasks)
        if len(self.tasks) < 2:
            raise RequestError(f"weights matter between at least two tasks, got {', '.join(self.tasks)}")
        self.judge = create(score, self.tasks)
        self.sizes = sizes
        if sizes is not None and not _are_sizes(sizes, self.tasks):
            raise RequestError(f"sizes must hold a number above 0 for each of {', '.join(self.tasks)}")
        known = shares(score, self.tasks) or {}
        self.main = next((task for task, share in known.items() if share == 1), None)
        rules = [INVERSE] if hasattr(learner, "losses") else []
        rules += LISTED if sizes is not None else []
        alone = ALONE if self.main is not None else None
        self.field = Field(advised.EVEN, tuple(rules), alone, 1, self.main is not None, share=1.0)
        self.found: dict[str, Policy] = {}
        self.tested: race.Scores = {}  # read when a training ends, looked at when the race is over
        self.spent = 0.0
        self.twin: tuple[dict[str, Any], float] | None = None  # even weights, one seed: state and score

    def answer(self, wish: race.Train | race.Search) -> Mapping[str, Any]:
        """Train or search what a race wants."""
        self.spent += race.cost_of(self.field, wish)
        self.pace.trained = self.spent
        if isinstance(wish, race.Search):
            return {name: self._search(name, members) for name, members in wish.members.items()}
        return {name: {s: self._train(name, s) for s in seeds} for name, seeds in wish.wanted.items()}

    def policy(self, name: str, seed: int) -> Policy:
        """Return the policy of a contender."""
        if name in self.found:
            return self.found[name]
        if name == ALONE:
            return Policy.constant({task: float(task == self.main) for task in self.tasks})
        if (value := temperature(name)) is not None and self.sizes is not None:
            return tempered_policy({task: self.sizes[task] for task in self.tasks}, value)
        if name == INVERSE:
            with own_randomness(self.seed + seed):
                learner: Any = self.make(seed=self.seed + seed)
                losses = learner.losses("train")
            inverse = simplex.inverse([float(losses[task]) for task in self.tasks])
            return Policy.constant(dict(zip(self.tasks, inverse.tolist(), strict=True)))
        return Policy.constant(dict.fromkeys(self.tasks, 1.0))

    def _search(self, name: str, members: int) -> float:
        ready = max(1, min(3, self.epochs // 4))
        with tempfile.TemporaryDirectory(prefix="scalarize-advise-") as place:
            asked: dict[str, Any] = {
                "algorithm": name,
                "population": members,
                "ready": ready,
                "seed": self.seed,
                "tasks": self.tasks,
            }
            result = find(self.make, epochs=self.epochs, score=self.score, split=self.validation, out=place, **asked)
        self.found[name] = result.policy
        return result.score

    def _train(self, name: str, seed: int) -> float:
        policy = self.policy(name, seed).stretch(self.epochs)
        with own_randomness(self.seed + seed):
            learner = self.make(seed=self.seed + seed)
            try:
                learner.train(policy, self.epochs)
                seen = self._of(learner.evaluate(self.validation))
                tested = self._of(learner.evaluate(self.test)) if self.test is not None else math.nan
                if name == advised.EVEN:
                    self._differs(learner, seen)
            except (DivergedError, FloatingPointError):
                seen = tested = math.nan
        self.tested.setdefault(name, {})[seed] = tested
        return seen

    def _differs(self, learner: Any, score: float) -> None:
        """Check at the second training with even weights that its seed made a difference.

        Raises RequestError if state and score are those of the first one: copies are no evidence.
        """
        if self.twin is None:
            self.twin = sameness.copied(states.check(learner.state_dict())), score
        elif self.twin[0] and score == self.twin[1] and sameness.difference(self.twin[0], learner.state_dict()) is None:
            raise RequestError(
                "trainings with two seeds ended in the same state: the factory must pass its seed to all that is "
                "random, or no gain can be told from luck"
            )
        else:
            self.twin = {}, score  # looked at once

    def _of(self, metrics: Mapping[str, float]) -> float:
        return float(self.judge(np.array([[float(metrics[task]) for task in self.tasks]]))[0])


def _are_sizes(sizes: Any, tasks: tuple[str, ...]) -> bool:
    return (
        isinstance(sizes, Mapping)
        and set(sizes) == set(tasks)
        and all(isinstance(n, Real) and 0 < float(n) < math.inf for n in sizes.values())
    )
