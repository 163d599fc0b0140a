"""States that are gone or damaged, made again from their ancestors: a training is a pure function of its job."""

from __future__ import annotations

import contextlib

from scalarize.search.algorithms.base import NO_PARENT, Algorithm
from scalarize.search.executors.base import Executor
from scalarize.search.journal import Journal
from scalarize.search.rounds import job_of


def restore_parents(algorithm: Algorithm, executor: Executor, journal: Journal, split: str) -> None:
    """Train again the members whose states the next generation continues, if they are not whole.

    Args:
        algorithm: the algorithm, restored to the journal's history.
        executor: runs the trainings.
        journal: of the search.
        split: on which members are scored.
    """
    asked = algorithm.ask()
    if asked is None:
        return
    for parent in sorted({int(p) for p in asked.parent} - {NO_PARENT}):
        _restore(algorithm, executor, journal, split, asked.index - 1, parent)


def _restore(
    algorithm: Algorithm, executor: Executor, journal: Journal, split: str, generation: int, member: int
) -> None:
    if journal.states.is_whole(generation, member):
        return
    decided = algorithm.history[generation].generation
    row = decided.row_of(member)
    parent = int(decided.parent[row])
    if parent != NO_PARENT:
        _restore(algorithm, executor, journal, split, generation - 1, parent)
    journal.states.plan(generation, [member])
    job = job_of(algorithm, journal, row, split, decided, None)
    with contextlib.closing(executor.run([job])) as run:
        for outcome in run:
            journal.states.note(outcome, job)
