"""The driver of a search: it opens the directory, trains what the algorithm asks for, and stores the result."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.search import rounds
from scalarize.search.algorithms.base import Algorithm, GenerationResult
from scalarize.search.clock import Clock
from scalarize.search.executors.base import Executor
from scalarize.search.journal import Journal
from scalarize.search.progress import Report
from scalarize.search.recovery import restore_parents
from scalarize.search.result import SearchResult, summarise
from scalarize.search.score import create as create_score
from scalarize.utils.errors import RequestError, RunError
from scalarize.utils.holding import held


def describe(algorithm: Algorithm) -> dict[str, Any]:
    """Return all that the algorithm's decisions depend on, as plain data: part of the request and of provenance."""
    s = algorithm.setting
    return {
        "algorithm": algorithm.name,
        **{f.name: getattr(s, f.name) for f in dataclasses.fields(s) if f.name not in ("space", "spread")},
        "spread": dataclasses.asdict(s.spread),
        "tasks": list(s.space.tasks),
        "center": s.space.expand(s.space.center_point).tolist(),
        "groups": [list(group) for group in s.space.groups],
        "ranges": {key: dataclasses.asdict(wanted) for key, wanted in s.space.also.items()},
        "floor": s.space.floor,
        "hyper": algorithm.hyper,
    }


def run_search(
    algorithm: Algorithm,
    executor: Executor,
    out: str | Path,
    *,
    score: str = "average",
    reference: Mapping[str, float] | None = None,
    split: str = "validation",
    share: float = 1.0,
    request: Mapping[str, Any] | None = None,
    resume: bool = False,
    max_time: float | None = None,
    asynchronous: bool = False,
    checkpoints: str | None = None,
    from_generation: int | None = None,
    locked: bool = False,
    progress: Report | None = None,
) -> SearchResult:
    """Search to the end, or until the time runs out, and write ``policy.json``.

    Equal requests give equal bytes in ``lineage.jsonl`` and ``policy.json``, with any executor and any number of
    crashes and resumptions; without a barrier and with parallel trainings, only if the trainings end in an equal order.
    The time is checked between jobs; a search that was stopped is continued by ``resume``.

    Args:
        algorithm: a search algorithm at its beginning.
        executor: runs the trainings, and is closed in the end.
        out: directory of the search.
        score: number by which members are compared, see :func:`scalarize.search.score.create`. Default ``average``.
        reference: single-task metric by task, for the score ``gain``.
        split: split on which members are scored. Default ``validation``.
        share: share of the training set that members train on, to count the cost in full trainings. Default 1.
        request: plain data that must be equal when a search is resumed and that enters the policy's provenance (no
            paths, hosts or times). Default: none.
        resume: continue the search in ``out`` if there is one. Default False.
        max_time: seconds after which the search stops. Default: none.
        asynchronous: search without a barrier between generations, see :mod:`scalarize.search.asynchronous`. Default
            False.
        checkpoints: folder, or URL that fsspec opens, under which a folder of this search holds the members' states.
            Default: ``checkpoints`` in ``out``.
        from_generation: forget what was found from this generation on, and train it again; a state that is gone is
            made again from its ancestors. Default: go on with what is there.
        locked: the caller holds ``out``, see :mod:`scalarize.utils.holding`. Default False.
        progress: called after every job. Default: none.

    Returns:
        The policy of the best member, and the cost of the search.

    Raises:
        RequestError: the algorithm cannot search without a barrier; or ``out`` holds a search and ``resume`` is not
            set, holds another one, is damaged or in use, or has its checkpoints elsewhere.
        RunError: the disk is full, or no member has a finite score.

    >>> import tempfile
    >>> from scalarize.search import LocalExecutor, Setting, Space, create
    >>> from scalarize.search.toy_problems import Stationary
    >>> algorithm = create("random", Setting(Space(Stationary.tasks), epochs=4, population=2))
    >>> with tempfile.TemporaryDirectory() as out:
    ...     result = run_search(algorithm, LocalExecutor(Stationary), out)
    >>> result.trainings
    2.0
    """
    begun = time.monotonic()
    tasks = algorithm.setting.space.tasks
    judge = create_score(score, tasks, reference)
    if max_time is not None and not max_time > 0:
        raise RequestError(f"`max_time` must be a positive number of seconds, got {max_time}")
    full = {**(request or {}), **describe(algorithm), "score": score, "split": split, "share": share}
    if asynchronous:
        if not algorithm.asynchronous:
            raise RequestError(f"{algorithm.name} decides for whole generations: it cannot search without a barrier")
        full["asynchronous"] = True
    if from_generation is not None and (asynchronous or not resume):
        raise RequestError(
            "`from_generation` goes back in a search that is there: "
            + ("without a barrier there are no generations to go back to" if asynchronous else "give `resume`, too")
        )
    if reference is not None:
        full["reference"] = {t: float(reference[t]) for t in tasks if t in reference}
    journal = Journal(Path(out), checkpoints)
    if not resume:
        journal.refuse_overwrite()
    with contextlib.closing(executor), contextlib.nullcontext() if locked else held(Path(out)):
        if not resume:
            journal.refuse_overwrite()
        journal.open(full, decided=not asynchronous)
        if from_generation is not None:
            journal.rewind(from_generation)
        algorithm.judge = judge
        algorithm.restore(journal.history, journal.asked)
        clock = Clock(journal.out / "timings.jsonl", begun, max_time)
        if from_generation is not None:
            restore_parents(algorithm, executor, journal, split)
        go = rounds.train_without_barrier if asynchronous else rounds.train_generations
        partial = go(algorithm, executor, journal, rounds.Scoring(judge, split), clock, progress)
        history = [*algorithm.history, *_countable(algorithm.history, partial)]
        if not history:
            raise RunError(f"`max_time` {max_time}: not one training finished in time, so nothing was found")
        result = summarise(algorithm, history, full, share, finished=partial is None)
        for path, policy in result.files():
            journal.kept.write_json(path, policy.to_dict())
        for left in {n for n in journal.kept.files if n.startswith("front/")} - {path for path, _ in result.files()}:
            journal.kept.delete(left)  # of a longer front that an earlier call wrote when its time ran out
        if result.finished:
            journal.states.prune()
        seconds, training = clock.totals()
        return dataclasses.replace(result, out=str(out), seconds=seconds, seconds_training=training)


def _countable(history: Sequence[GenerationResult], partial: GenerationResult | None) -> list[GenerationResult]:
    """Return the members of an unfinished generation if they count: no others exist, or none trained longer."""
    if partial is None or partial.generation.size == 0:
        return []
    longest = max((t.generation.until_epoch for t in history), default=partial.generation.until_epoch)
    return [partial] if partial.generation.until_epoch <= longest else []
