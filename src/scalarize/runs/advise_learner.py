"""An advice on any learner: ``scalarize.advise(...)``."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from scalarize.analysis import advice_words, race
from scalarize.analysis.advice import decide
from scalarize.analysis.race_budget import allocate
from scalarize.runs.advise import TRAININGS, Pace, follow
from scalarize.runs.advise_trial import Trial
from scalarize.search.executors.base import LearnerFactory
from scalarize.utils import files, limits
from scalarize.utils.errors import RequestError
from scalarize.utils.holding import held
from scalarize.weights.policy import Policy

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
            small, ``out`` cannot be written, or trainings with two seeds are one and the same.
        RunError: even weights diverged.

    >>> from scalarize.search.toy_worlds import World
    >>> found = advise(World(0, best=(1.5, 0.0, 0.0, -1.5), noise=0.001), epochs=12, trainings=30)
    >>> found["answer"], found["policy"].tasks
    ('search', ('a', 'b', 'c', 'd'))
    """
    _check(epochs=epochs, trainings=trainings, margin=margin, seed=seed, max_time=max_time)
    pace = Pace(max_time)
    with contextlib.nullcontext() if out is None else _kept_for(Path(out)):
        trial = Trial(learner_factory, epochs, score, sizes, validation, test, seed, pace)
        allocate(trial.field, trainings)
        course = follow(trial.field, trainings, trial.answer, margin, pace.late, say)
        result, policy = _concluded(trial, course, margin, None if out is None else Path(out))
    return result | {"policy": policy}


def _concluded(
    trial: Trial, course: race.Course, margin: float | None, out: Path | None
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
