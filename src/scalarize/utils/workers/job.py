"""A job: a piece of work as plain data, which any process of a set may run, twice if need be."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from scalarize.utils.errors import RunError, ScalarizeError

Ended = tuple[int, Any, BaseException | None]  # ticket, value, error


class LostJobError(RunError):
    """The end of a job that took its process with it, each time that it was begun."""


class Context(Protocol):
    """The surroundings of a job that runs, in a process of its own or in the one that submitted it.

    Attributes:
        setup: what the set's processes have in common, such as data that were read once.
        here: True in the process that submitted the job.
        kept: a place for what later jobs of this process can use again.
    """

    setup: Any
    here: bool
    kept: dict[Any, Any]

    def emit(self, kind: str, content: Any) -> None:
        """Tell the process that submitted the job something, in order, while the job runs."""


class Team(Protocol):
    """The place where jobs are submitted and their ends awaited: the crew itself, or a coordinating job's view of it.

    Attributes:
        size: how many jobs run side by side.
    """

    size: int

    def submit(self, job: Job) -> int:
        """Queue a job; return its ticket."""

    def next(self) -> Ended:
        """Wait for the next job to end. Only jobs submitted here are returned."""

    def cancel(self, tickets: Sequence[int]) -> None:
        """Forget jobs: those waiting are not begun, those running are ended."""


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Args:
        name: names it in messages.
        call: a pickle of it travels; called with the :class:`Context`, it returns something that can travel back.
        units: its size beside that of others, say in epochs.
        key: jobs of one key cost alike by the unit.
        coordinates: it only submits jobs and awaits them (its context is a :class:`Team` too): it needs no slot.
    """

    name: str
    call: Callable[[Any], Any]
    units: float = 1.0
    key: str = ""
    coordinates: bool = False


def portable(error: BaseException) -> BaseException:
    """Return the error in a form that travels, with the traceback of unknown kinds as a note."""
    if not isinstance(error, Exception):
        return RunError(f"it was ended by {type(error).__name__}")
    if not isinstance(error, ScalarizeError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error of a kind that cannot be made from its message
        return RunError(f"{type(error).__name__}: {error}")
    return error
