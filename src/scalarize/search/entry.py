"""``scalarize.search(...)``: a search in one call."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.search.algorithms import registry
from scalarize.search.algorithms.base import Setting
from scalarize.search.driver import Progress, run_search
from scalarize.search.executors.base import Executor, LearnerFactory, own_randomness
from scalarize.search.executors.local import LocalExecutor
from scalarize.search.result import SearchResult
from scalarize.search.sampling import Spread
from scalarize.search.space import Range, Space
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy

FOUND_BEFORE = 2.0  # how much closer a search begins around a policy found before (our choice)


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
    executor: Executor | None = None,
    request: Mapping[str, Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
    **hyper: Any,
) -> SearchResult:
    """Search task weights for the learners that ``learner_factory(seed=..., **recipe_numbers)`` makes.

    algorithm: one of ``scalarize.search.names()``, ``hyper`` its hyper-parameters. epochs: of a full training.
    population: members, or the number of trainings of an algorithm without a population. ready, quantile, seed:
    see :class:`~scalarize.search.algorithms.base.Setting`. tasks: default those of the learner. center: a weight a
    task, the search begins around it, one member exactly there (default uniform; weights inverse to the losses of a
    constant predictor are better where losses differ in scale). start: a policy found before, say on a smaller model
    of the family: its mean is the centre (Royer et al. 2023, section 4.1). spread: default a log-normal of width 0.7,
    half as wide around ``start``.
    groups: tasks that share one weight. also: recipe numbers searched beside the weights,
    ``{"lr": "log:1e-4:1e-2"}``, handed to the factory. score, reference: see :mod:`scalarize.search.score`.
    split: what members are scored on. out: the directory (default: a temporary one, deleted in the end).
    resume, max_time, asynchronous, checkpoints, share, request, progress: see
    :func:`~scalarize.search.driver.run_search`.
    executor: default in this process.

    Raises RequestError for anything that cannot be searched, RunError where the search fails.

    >>> from scalarize.search.toy_problems import Stationary
    >>> result = search(Stationary, epochs=12, population=4)
    >>> result.policy.tasks, result.generations
    (('a', 'b', 'c', 'd'), 4)
    """
    names = tuple(tasks or ())
    if tasks is None:
        with own_randomness(0):
            names = tuple(learner_factory(seed=0, **_middle(also)).tasks)
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
        "progress": progress,
    }
    runner = executor or LocalExecutor(learner_factory)
    if out is not None:
        return run_search(chosen, runner, out, **settings)
    with tempfile.TemporaryDirectory(prefix="scalarize-search-") as directory:
        return run_search(chosen, runner, directory, **settings)


def center_of(start: Policy, names: Sequence[str]) -> tuple[float, ...]:
    """The weights around which a search begins that starts from a policy: its mean, in the order of ``names``."""
    return tuple(start.reorder(names).mean().weights_at(0).tolist())


def default_spread(start: Policy | None) -> Spread:
    """How wide a search begins where nothing else is asked for."""
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
