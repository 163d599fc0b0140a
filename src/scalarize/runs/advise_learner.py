"""An advice on any learner: ``scalarize.advise(...)``."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.analysis import advice_words, race
from scalarize.analysis.advice import decide
from scalarize.analysis.race_budget import Field, allocate
from scalarize.methods import advised
from scalarize.runs.advise import TRAININGS, Pace, follow
from scalarize.runs.sampling_rows import LISTED, temperature, tempered_policy
from scalarize.search import search as find
from scalarize.search.executors.base import LearnerFactory, own_randomness
from scalarize.search.score import create, shares
from scalarize.utils import files, limits
from scalarize.utils.errors import DivergedError, RequestError
from scalarize.utils.holding import held
from scalarize.weights import simplex
from scalarize.weights.policy import Policy

INVERSE = "inverse-loss"
ALONE = "single"
POLICY, ADVICE = "policy.json", "advice.json"


def advise(
    learner_factory: LearnerFactory,
    *,
    epochs: int,
    trainings: float = TRAININGS,
    score: str = "average",
    margin: float | None = None,
    sizes: Mapping[str, float] | None = None,
    validation: str = "validation",
    test: str | None = "test",
    seed: int = 0,
    max_time: float | None = None,
    out: str | Path | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Advise on the weights of any learner's tasks: even ones, a rule, or a search.

    The race of ``scalarize advise``, between policies: even weights; weights inverse to the losses before training, if
    the learner has a method ``losses(split) -> {task: loss}``; the main task alone, if there is one; sampling
    temperatures of ``sizes``; random weights and population-based training, each tested by fresh trainings.

    Args:
        learner_factory: called as ``learner_factory(seed=...)``; returns a fresh
            :class:`~scalarize.learners.base.Learner`. Its metrics are higher if better.
        epochs: epochs of a training, at least 1.
        trainings: the budget. Default 60.
        score: by what contenders are compared: ``average``, ``worst``, ``a=2,b=1``, or one main task with the others
            as its auxiliaries, ``main=a``. Default ``average``.
        margin: the gain that matters, in units of the score. Default: 0.5 % of the score of even weights.
        sizes: number of training samples by task, if weights are over domains. Default: none.
        validation: split that decides. Default ``validation``.
        test: split that must not contradict, and that the figures are of; read once, in the end. Default ``test``;
            None: there is none.
        seed: of the first training; the others count on. Default 0.
        max_time: seconds after which nothing more is begun. Default: none.
        out: directory for ``advice.json`` and ``policy.json``. Default: nothing is written.
        say: receives lines of progress. Default: none.

    Returns:
        ``answer`` (``even``, ``rule``, ``search`` or ``undecided``), ``method``, ``gain`` with its interval ``low`` to
        ``high`` on the test split, ``trainings`` spent, ``command`` (Python that trains with the policy), ``words``,
        and ``policy``, a :class:`scalarize.Policy`.

    Raises:
        RequestError: there are fewer than two tasks, an argument is no number or out of range, the budget is too
            small, or ``out`` cannot be written.
        RunError: even weights diverged.

    >>> from scalarize.search.toy_worlds import World
    >>> found = advise(World(0, best=(1.5, 0.0, 0.0, -1.5), noise=0.001), epochs=12, trainings=30)
    >>> found["answer"], found["policy"].tasks
    ('search', ('a', 'b', 'c', 'd'))
    """
    _check(epochs=epochs, trainings=trainings, margin=margin, seed=seed, max_time=max_time)
    pace = Pace(max_time)
    with contextlib.nullcontext() if out is None else _kept_for(Path(out)):
        trial = _Trial(learner_factory, epochs, score, sizes, validation, test, seed, pace)
        allocate(trial.field, trainings)
        course = follow(trial.field, trainings, trial.answer, margin, pace.late, say)
        result, policy = _concluded(trial, course, margin, None if out is None else Path(out))
    return result | {"policy": policy}


def _concluded(
    trial: _Trial, course: race.Course, margin: float | None, out: Path | None
) -> tuple[dict[str, Any], Policy]:
    """Answer, and write the answer below ``out``."""
    tested = trial.test is not None
    splits = [course.scores, *([trial.tested] if tested else [])]
    advice = decide(trial.field, course, splits, margin)
    seen = [v for scores in splits for own in scores.values() for v in own.values()]
    units = advice_words.units_of(seen, margin is not None, tested)
    others = [task for task in trial.tasks if task != trial.main]
    policy = trial.policy(advice.method, course.seeds[0] if course.seeds else 0)
    place = None if out is None else out / POLICY
    given = "found['policy']" if place is None else f"scalarize.Policy.load({str(place)!r})"
    result = {
        **advice_words.as_data(advice, trial.field, course, trial.spent),
        "command": f"learner_factory(seed={trial.seed}).train({given}, {trial.epochs})",
        "words": advice_words.sentences(advice, trial.field, course, units, others),
        "score": trial.score,
    }
    if place is not None:
        files.write_json(place, policy.to_dict())
        files.write_json(place.with_name(ADVICE), result)
    return result, policy


def _are_sizes(sizes: Any, tasks: tuple[str, ...]) -> bool:
    return (
        isinstance(sizes, Mapping)
        and set(sizes) == set(tasks)
        and all(isinstance(n, Real) and 0 < float(n) < math.inf for n in sizes.values())
    )


def _check(**numbers: Any) -> None:
    """Raise RequestError, before anything is trained, for what would end a race without its answer."""
    for name, value in numbers.items():
        whole = name in ("epochs", "seed")
        if value is None and name in ("margin", "max_time"):
            continue
        if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
            raise RequestError(f"{name} must be a {'whole ' if whole else ''}number, got {value!r}")
    limits.check("epochs", numbers["epochs"], limits.EPOCHS)
    margin = numbers["margin"]
    if margin is not None and not 0 < margin < math.inf:
        raise RequestError(f"margin must be above 0 and finite, got {margin}")


@contextlib.contextmanager
def _kept_for(out: Path) -> Iterator[None]:
    """Hold ``out``, which may hold an earlier answer of this function and nothing else of those names."""
    run, policy = out / "config.yaml", out / POLICY
    if run.exists() or (policy.exists() and not (out / ADVICE).exists()):
        raise RequestError(f"{out} already holds a {'run' if run.exists() else 'policy'}; choose another `out`")
    with held(out):
        yield


class _Trial:
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
            except (DivergedError, FloatingPointError):
                seen = tested = math.nan
        self.tested.setdefault(name, {})[seed] = tested
        return seen

    def _of(self, metrics: Mapping[str, float]) -> float:
        return float(self.judge(np.array([[float(metrics[task]) for task in self.tasks]]))[0])
