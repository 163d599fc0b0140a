"""Races on simulated worlds: how often an advice is wrong, and how often it finds what was planted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarize.analysis import race
from scalarize.analysis.advice import Advice, decide
from scalarize.analysis.race_budget import Field
from scalarize.runs.advise import follow
from scalarize.search import Setting, Space, create
from scalarize.search.result import summarise
from scalarize.search.toy_problems import ToyProblem, play
from scalarize.search.toy_worlds import World
from scalarize.utils.seeds import derive
from scalarize.weights.policy import Policy

RULES = ("rule-1", "rule-2", "rule-3", "rule-4")
FIELD = Field("even", RULES, "single", len(ToyProblem.tasks))
WOBBLE = (0.0, 0.02, 0.05, 0.1)  # deviation of a rule's log-weights around what it aims at
SINGLE = -0.05  # average metric of single-task models, against even weights
EPOCHS = 12


@dataclass(frozen=True)
class Case:
    """A world, and the log-weights that a rule aims at: even ones but for ``aimed``, the last rule's, if it is set."""

    world: World
    aimed: tuple[float, ...] | None = None

    def policy(self, rule: str, seed: int) -> Policy:
        number = RULES.index(rule)
        aimed = self.aimed if self.aimed is not None and number == len(RULES) - 1 else (0.0,) * 4
        rng = np.random.default_rng(derive(self.world.number, rule, seed))
        wobble = WOBBLE[number] * rng.standard_normal(4)
        return Policy.constant(dict(zip(ToyProblem.tasks, np.exp(np.array(aimed) + wobble).tolist(), strict=True)))


def advise(case: Case, budget: float, field: Field = FIELD, margin: float | None = None) -> Advice:
    """Race in a world, and judge by validation and test."""
    tested: dict[str, dict[int, float]] = {}
    policies: dict[str, Policy] = {}

    def trained(name: str, seed: int) -> float:
        policy = policies[name] if name in policies else Policy.constant(dict.fromkeys(ToyProblem.tasks, 1.0))
        policy = case.policy(name, seed) if name in RULES else policy
        learner = case.world(seed=seed + (10_000 if name == "single" else 0))
        learner.train(policy, EPOCHS)
        seen = {split: float(np.mean(list(learner.evaluate(split).values()))) for split in ("validation", "test")}
        lower = SINGLE if name == "single" else 0.0
        tested.setdefault(name, {})[seed] = seen["test"] + lower
        return seen["validation"] + lower

    def answered(asked: race.Train | race.Search) -> Mapping[str, Any]:
        if isinstance(asked, race.Train):
            return {name: {s: trained(name, s) for s in seeds} for name, seeds in asked.wanted.items()}
        found = {}
        for name, members in asked.members.items():
            setting = Setting(
                Space(ToyProblem.tasks),
                epochs=EPOCHS,
                population=members,
                ready=3,
                seed=derive(case.world.number, name),
            )
            algorithm = create(name, setting)
            result = summarise(algorithm, play(algorithm, case.world, split="holdout"), {}, field.share, True)
            found[name], policies[name] = result.score, result.policy
        return found

    course = follow(field, budget, answered, margin)
    return decide(field, course, [course.scores, tested], margin)


def planted(number: int, size: float, noise: float, by_rule: bool = False) -> Case:
    """A world whose best weights, in a random direction, gain ``size`` over even ones; ``by_rule``: a rule has them."""
    direction = np.random.default_rng([number, 7]).standard_normal(4)
    direction -= direction.mean()
    low, high = 0.0, 50.0
    even = Policy.constant(dict.fromkeys(ToyProblem.tasks, 1.0))
    for _ in range(50):
        middle = (low + high) / 2
        gained = 1.0 - World(0, tuple((middle * direction).tolist())).value(even)
        low, high = (middle, high) if gained < size else (low, middle)
    best = tuple((low * direction).tolist())
    return Case(World(number, best, noise=noise, shared=noise), best if by_rule else None)


NULL = {"flat": True, "even": False}  # no weights gain anything; even ones gain most
PLANTED = {  # name -> size of the optimum, noise, if a rule has it
    "a search, 0.05 and noise 0.01": (0.05, 0.01, False),
    "a search, 0.10 and noise 0.02": (0.10, 0.02, False),
    "a search, 0.15 and noise 0.02": (0.15, 0.02, False),
    "a search, 0.10 and noise 0.01": (0.10, 0.01, False),
    "a rule, 0.05 and noise 0.02": (0.05, 0.02, True),
    "a rule, 0.10 and noise 0.02": (0.10, 0.02, True),
}


def case(name: str, number: int) -> Case:
    """The world of that name and number."""
    if name in NULL:
        return Case(World(number, flat=NULL[name]))
    return planted(number, *PLANTED[name])
