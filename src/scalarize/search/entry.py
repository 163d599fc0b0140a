"""A search in one call: ``scalarize.search(...)``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.search.algorithms import registry
from scalarize.search.algorithms.base import Setting
from scalarize.search.driver import run_search
from scalarize.search.executors.base import Executor, LearnerFactory
from scalarize.search.executors.local import LocalExecutor
from scalarize.search.progress import Progress
from scalarize.search.result import SearchResult
from scalarize.search.sampling import Spread
from scalarize.search.space import Range, Space
from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import own_randomness
from scalarize.weights.policy import Policy

FOUND_BEFORE = 2.0  # factor by which the spread around a policy found before is narrower (our choice)


def search(
    learner_factory: LearnerFactory,
    *,
    epochs: int,
    algorithm: str = "pbt",
    population: int = 12,
    ready: int = 3,
    quantile: float = 0.4,
    seed: int = 0,
    tasks: Sequence[str] | None = None,
    center: Mapping[str, float] | None = None,
    start: Policy | None = None,
    spread: Spread | None = None,
    floor: float = 0.01,
    groups: Sequence[Sequence[str]] = (),
    also: Mapping[str, Range | str] | None = None,
    score: str = "average",
    reference: Mapping[str, float] | None = None,
    split: str = "validation",
    share: float = 1.0,
    out: str | Path | None = None,
    resume: bool = False,
    max_time: float | None = None,
    asynchronous: bool = False,
    checkpoints: str | None = None,
    from_generation: int | None = None,
    executor: Executor | None = None,
    request: Mapping[str, Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
    **hyper: Any,
) -> SearchResult:
    """Search task weights, or a policy over epochs, for the learners that a factory makes.

    The default is population-based training as in Royer et al. 2023 (section 5), which maximises the average metric
    over the simplex of task weights; :func:`scalarize.search.names` lists the algorithms.

    Args:
        learner_factory: called as ``learner_factory(seed=..., **recipe_numbers)``; returns a fresh
            :class:`~scalarize.learners.base.Learner`.
        epochs: epochs of a full training, at least 1.
        algorithm: name of the algorithm. Default ``pbt``.
        population: members N of the population, or full trainings for an algorithm without a population. Default 12.
        ready: epochs between decisions. Default 3.
        quantile: share Q of the population that is replaced at a decision, in (0, 0.5]. Default 0.4.
        seed: seed of all decisions and trainings. Default 0.
        tasks: names of the T tasks. Default: ``tasks`` of a learner that the factory makes.
        center: weight by task; the search begins around it, with one member exactly there. Default: uniform. If losses
            differ in scale, weights inverse to the losses of constant predictors are a better choice.
        start: a policy found before, such as on a smaller model of the same family: its mean is the centre (Royer et
            al. 2023, section 4.1). Give either ``center`` or ``start``. Default: none.
        spread: distribution of the initial weights around the centre. Default: log-normal with width 0.7, half as wide
            if ``start`` is given.
        floor: smallest weight that is explored, as a share of the centre's. Default 0.01.
        groups: groups of tasks that share one weight. Default: none.
        also: recipe numbers to search beside the weights, by key, such as ``{"lr": "log:1e-4:1e-2"}``; they are passed
            to the factory. Default: none.
        score: number by which members are compared: ``worst``, a weighted mean such as ``a=2,b=1``, or one main task
            as in ``main=a``; see :func:`scalarize.search.score.create`. Default: the average metric.
        reference: single-task metric by task, for the score ``gain``.
        split: split on which members are scored. Default ``validation``.
        share: share of the training set that the factory's learners train on, to count the cost in full trainings.
            Default 1.
        out: directory of the search. Default: a temporary one, deleted in the end.
        resume: continue the search in ``out`` if there is one. Default False.
        max_time: seconds after which the search stops. Default: none.
        asynchronous: search without a barrier between generations, see :mod:`scalarize.search.asynchronous`. Default
            False.
        checkpoints: folder or URL for the members' states. Default: in ``out``.
        from_generation: with ``resume``: forget what was found from this generation on, and train it again. Default:
            nothing.
        executor: runs the trainings, and is closed in the end. Default: one after another in this process.
        request: plain data that is recorded with the search, see :func:`~scalarize.search.driver.run_search`.
        progress: called with a :class:`~scalarize.search.progress.Progress` after every training. Default: none.
        **hyper: hyper-parameters of the algorithm.

    Returns:
        The best policy found, its score on ``split``, and the cost of the search.

    Raises:
        RequestError: the request is not valid, or ``out`` holds another search.
        RunError: no member has a finite score, or the disk is full.

    >>> from scalarize.search.toy_problems import Stationary
    >>> result = search(Stationary, epochs=12, population=4)
    >>> result.policy.tasks, result.generations
    (('a', 'b', 'c', 'd'), 4)
    """
    names = tuple(tasks or ())
    if tasks is None:
        with own_randomness(0):
            names = tuple(learner_factory(seed=0, **_middle(also)).tasks)
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise RequestError(f"`tasks` must be names, got {wrong[0]!r}: a {type(wrong[0]).__name__}")
    names = tuple(str.__str__(name) for name in names)  # numpy's strings are of a class that no checkpoint may hold
    if start is not None and center is not None:
        raise RequestError("give either a centre or a policy to start from, not both")
    around = _in_order(center, names) if start is None else center_of(start, names)
    setting = Setting(
        space=Space(names, around, tuple(tuple(g) for g in groups), _ranges(also), floor),
        epochs=epochs,
        population=population,
        ready=ready,
        quantile=quantile,
        seed=seed,
        spread=spread or default_spread(start),
    )
    chosen = registry.create(algorithm, setting, **hyper)
    settings: dict[str, Any] = {
        "score": score,
        "reference": reference,
        "split": split,
        "share": share,
        "request": request,
        "resume": resume,
        "max_time": max_time,
        "asynchronous": asynchronous,
        "checkpoints": checkpoints,
        "from_generation": from_generation,
        "progress": progress,
    }
    runner = executor or LocalExecutor(learner_factory)
    if out is not None:
        return run_search(chosen, runner, out, **settings)
    with tempfile.TemporaryDirectory(prefix="scalarize-search-") as directory:
        return run_search(chosen, runner, directory, **settings)


def center_of(start: Policy, names: Sequence[str]) -> tuple[float, ...]:
    """Return the centre of a search that starts from a policy: its mean weights, in the order of ``names``."""
    return tuple(start.reorder(names).mean().weights_at(0).tolist())


def default_spread(start: Policy | None) -> Spread:
    """Return the spread of the initial weights if none is given."""
    return Spread() if start is None else Spread().narrower(FOUND_BEFORE)


def _ranges(also: Mapping[str, Range | str] | None) -> dict[str, Range]:
    return {key: Range.parse(wanted) if isinstance(wanted, str) else wanted for key, wanted in (also or {}).items()}


def _middle(also: Mapping[str, Range | str] | None) -> dict[str, float]:
    return {key: wanted.middle for key, wanted in _ranges(also).items()}


def _in_order(center: Mapping[str, float] | None, names: Sequence[str]) -> tuple[float, ...]:
    if center is None:
        return ()
    if set(center) != set(names):
        raise RequestError(f"the centre weighs {', '.join(center)}; the tasks are {', '.join(names)}")
    return tuple(float(center[name]) for name in names)
