"""Races on simulated worlds: how often an advice is wrong, and how often it finds what was planted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarize.analysis import race
from scalarize.analysis.advice import Advice, decide
from scalarize.search import Setting, Space, create
from scalarize.search.result import summarise
from scalarize.search.toy_problems import ToyProblem, play
from scalarize.search.toy_worlds import World
from scalarize.utils.seeds import derive
from scalarize.weights.policy import Policy

RULES = ("rule-1", "rule-2", "rule-3", "rule-4")
FIELD = race.Field("even", RULES, "single", len(ToyProblem.tasks))
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


def advise(case: Case, budget: float, field: race.Field = FIELD, margin: float | None = None) -> Advice:
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

    course = yield_all(race.run(field, budget, margin), answered)
    return decide(field, course, [course.scores, tested], margin)


def yield_all(going: Any, answered: Any) -> race.Course:
    """Answer all wishes of a race; return its course."""
    asked = next(going)
    while True:
        try:
            asked = going.send(answered(asked))
        except StopIteration as end:
            return end.value
