"""A crew: this process and others of this machine, which work off jobs; small sets are left to this one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalarize.utils.workers.dispatcher import Dispatcher, Entry, Listener
from scalarize.utils.workers.job import Ended, Job

START_UP = 3.0  # seconds until the first worker works, roughly: what jobs need is imported once
WORTH_IT = 2 * START_UP  # seconds of work from which workers begin


@dataclass
class _Here:
    """The context of a job that runs in this process."""

    setup: Any
    emit: Callable[[str, Any], None]
    kept: dict[Any, Any] = field(default_factory=dict)
    here = True


class Crew:
    """Workers, and the jobs that they have to do.

    Small sets are worked off in this process: as long as the jobs that wait are expected to take less than
    ``WORTH_IT``. If one of them takes longer than thought, workers begin with the others meanwhile.

    Args:
        places: one for each worker: environment variables of its own. One without any: this process.
        preload: modules that jobs need, imported once.
        setup: that jobs find in their context here. Default: None.
        packed: returns it as a pickle, for the workers; called once, while no job uses the setup here.
        listener: receives what jobs emit: (job, kind, content).
        processes: that work, in place of this machine's.

    Attributes:
        size: how many jobs run side by side.
        costs: what jobs cost, as far as it is known.
        expected: returns the seconds of all the work that is left; by default that of the jobs that wait.
    """

    def __init__(
        self,
        places: Sequence[Mapping[str, str]],
        preload: Sequence[str] = (),
        setup: Any = None,
        packed: Callable[[], bytes] = lambda: b"",
        listener: Listener = lambda job, kind, content: None,
        processes: Any = None,
    ) -> None:
        self.desk = Dispatcher(places, preload, packed, listener, processes)
        self.size, self.costs = self.desk.size, self.desk.costs
        self.expected: Callable[[], float] = self.queued
        # To a cluster, or to devices, which this process cannot choose any more.
        self._pinned = processes is not None or bool(places[0])
        self._alone = self.size == 1 and not self._pinned
        self._setup = setup
        self._kept: dict[Any, Any] = {}
        self._fault: BaseException | None = None
        self._tickets = 0

    def submit(self, job: Job) -> int:
        """Queue a job; return its ticket."""
        self._tickets += 1
        self.desk.waiting.append(Entry(job, self._tickets))
        return self._tickets

    def next(self) -> Ended:
        """Wait for the next job to end.

        Returns:
            Its ticket, its value, and the error that it raised, if it did.

        Raises:
            RunError: workers end as they start.
            ValueError: there is no job.
        """
        while not self.desk.ended:
            if self._fault is not None:
                raise self._fault
            if not self.desk.waiting and not self.desk.under_way:
                raise ValueError("no job was submitted")
            entry = self._for_this_process()
            if entry is not None:
                self._work(entry)
            else:
                self.desk.turn(None)
        return self.desk.ended.popleft()

    def cancel(self, tickets: Sequence[int]) -> None:
        """Forget jobs: those waiting do not begin, those running end with their workers, results are dropped."""
        gone = set(tickets)
        self.desk.drop(lambda entry: entry.owner is None and entry.ticket in gone)
        kept = [ended for ended in self.desk.ended if ended[0] not in gone]
        self.desk.ended.clear()
        self.desk.ended.extend(kept)

    def warm(self) -> None:
        """Begin to import what jobs need, beside whatever this process does next."""
        if not self._alone:
            self.desk.processes.warm()

    def close(self) -> None:
        """End all workers."""
        self.desk.waiting.clear()
        self.desk.processes.close()

    @property
    def running(self) -> list[str]:
        """The names of the jobs that run."""
        return [entry.job.name for entry in self.desk.under_way if entry.owner is None]

    def queued(self) -> float:
        """Return the seconds of work in the jobs that wait, over all workers together."""
        return sum(self.costs.of(e.job) for e in self.desk.waiting if e.owner is None)

    def begun(self) -> float:
        """Return the seconds of work left in the jobs that run."""
        now, left = time.monotonic(), 0.0
        for entry in self.desk.under_way:
            if entry.owner is None:
                spent = entry.spent if entry.job.coordinates else now - entry.begun
                left += max(0.0, self.costs.of(entry.job) - spent)
        return left

    def _for_this_process(self) -> Entry | None:
        """Take a job for this process; None if workers are to do all of them."""
        if self.desk.begun or self._pinned or not self.desk.waiting:
            return None
        entry = self.desk.waiting[0]
        if not self._alone:
            if self.expected() >= WORTH_IT:
                return None
            if not self.costs.known:  # the smallest tells what the others cost
                able = [e for e in self.desk.waiting if not e.job.coordinates]
                if not able:
                    return None
                entry = min(able, key=lambda e: e.job.units)
        self.desk.waiting.remove(entry)
        return entry

    def _work(self, entry: Entry) -> None:
        """Run a job in this process; workers begin with the others if it takes long."""
        self.desk.start(entry)
        self.desk.spared, over = 1, threading.Event()
        helper = threading.Thread(target=self._meanwhile, args=(entry, over))
        helps = not self._alone and bool(self.desk.waiting)
        if helps:
            self.desk.pack()  # not meanwhile: the arrays would be in memory twice
            helper.start()
        value: Any = None
        error: BaseException | None = None
        try:
            value = entry.job.call(_Here(self._setup, lambda k, c: self.desk.tell(entry.job, k, c), self._kept))
        except Exception as raised:
            error = raised
        finally:
            over.set()
            if helps:
                helper.join()
            self.desk.spared = 0
        self.desk.end(entry, value, error, time.monotonic() - entry.begun)

    def _meanwhile(self, entry: Entry, over: threading.Event) -> None:
        """Have workers begin with the other jobs once they are seen to cost enough: as much by the unit at least."""
        try:
            while not over.wait(0.1):
                rate = (time.monotonic() - entry.begun) / entry.job.units
                if self.desk.begun or rate * sum(e.job.units for e in self.desk.waiting) >= WORTH_IT:
                    self.desk.turn(0.1)
        except BaseException as error:
            self._fault = error
