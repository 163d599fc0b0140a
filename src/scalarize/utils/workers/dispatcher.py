"""The dispatch of jobs to worker processes: the greatest by rank first, and once more if its process dies."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalarize.utils.errors import RunError
from scalarize.utils.workers.costs import Costs
from scalarize.utils.workers.job import Ended, Job, LostJobError
from scalarize.utils.workers.processes import Processes, Worker

ATTEMPTS = 2  # deaths of its worker after which a job is given up

Listener = Callable[[Job, str, Any], None]


@dataclass(eq=False)
class Entry:
    """A job that was submitted: by this process, or by a coordinating job (``owner``, under ``ticket``)."""

    job: Job
    ticket: int
    owner: Worker | None = None
    deaths: int = 0
    begun: float = 0.0
    spent: float = 0.0  # seconds of the jobs that it submitted, if it coordinates


class Dispatcher:
    """Worker processes, and the jobs that they have to do.

    Args:
        places: one for each worker: environment variables of its own.
        preload: modules that jobs need, imported once.
        packed: returns the setup that jobs find in their context, as a pickle; called once, while no job uses it here.
        listener: receives what jobs emit: (job, kind, content).
        processes: that work, in place of this machine's, with the methods of :class:`Processes`; their jobs cannot
            coordinate others.
    """

    def __init__(
        self,
        places: Sequence[Mapping[str, str]],
        preload: Sequence[str],
        packed: Callable[[], bytes],
        listener: Listener,
        processes: Any = None,
    ) -> None:
        self.places, self.size, self.costs = list(places), len(places), Costs()
        self.rank: Callable[[Job], float] = self.costs.of  # the job that is greatest by it goes first
        self.changed: Callable[[Job, bool], None] = lambda job, begun: None  # called as a job begins and ends
        self.waiting: list[Entry] = []
        self.under_way: list[Entry] = []
        self.ended: deque[Ended] = deque()
        self.begun = False  # workers have
        self.spared = 0  # places that this process takes at the moment
        self.processes = processes or Processes(preload)
        self._packed, self._listener = packed, listener
        self._content: bytes | None = None
        self._telling = threading.Lock()
        self._false_starts = 0

    def turn(self, timeout: float | None) -> None:
        """Begin workers and jobs, and hear what the workers say."""
        self._staff()
        self.pack()
        self.begun = True
        self._assign()
        for worker, message in self.processes.hear(timeout):
            if message is None:
                self._died(worker)
            elif worker in self.processes.workers:  # not ended by what another one said
                self._hear(worker, *message)

    def pack(self) -> None:
        """Pack the setup, unless that is done."""
        if self._content is None:
            self._content = self._packed()

    def _staff(self) -> None:
        """Begin workers that are missing."""
        for coordinates in (True, False):
            own = [w for w in self.processes.workers if w.coordinates == coordinates]
            jobs = sum(self._coordinates(e) == coordinates for e in self.waiting)
            busy = sum(w.entry is not None for w in own)
            wanted = min(self.size - (0 if coordinates else self.spared), busy + jobs)
            taken = [w.surroundings for w in own]
            for place in self.places:
                if len(own) >= wanted:
                    break
                if place in taken and not coordinates:
                    taken.remove(place)
                    continue
                own.append(self.processes.begin(place, coordinates))

    def _assign(self) -> None:
        """Give the jobs that wait to workers that are free, the greatest by rank first."""
        for worker in [w for w in self.processes.workers if w.ready and w.entry is None]:
            able = [e for e in self.waiting if self._coordinates(e) == worker.coordinates]
            if not able:
                continue
            entry = max(able, key=self._rank)  # of equals the first
            self.waiting.remove(entry)
            worker.entry = entry
            self.start(entry)
            if not worker.send("job", entry.job):
                continue  # it is heard to have died

    def _coordinates(self, entry: Entry) -> bool:
        return entry.job.coordinates and isinstance(self.processes, Processes)

    def _rank(self, entry: Entry) -> float:
        owner = entry.owner.entry if entry.owner is not None else None
        return self.rank((owner or entry).job)

    def _hear(self, worker: Worker, kind: str, *content: Any) -> None:
        if kind == "hello":
            worker.process = content[0]
            worker.send("setup", self._content, dict(worker.surroundings), self.size)
        elif kind == "ready":
            worker.ready, self._false_starts = True, 0
        elif kind == "broken":
            raise content[0]
        elif worker.entry is None:
            return  # of a job that was forgotten
        elif kind == "event":
            self.tell(worker.entry.job, *content)
        elif kind == "submit":
            ticket, job = content
            self.waiting.append(Entry(job, ticket, worker))
        elif kind == "cancel":
            gone = set(content[0])
            self.drop(lambda entry: entry.owner is worker and entry.ticket in gone)
        elif kind == "ended":
            entry, worker.entry = worker.entry, None
            self._forget_those_of(worker)
            self.end(entry, *content)

    def _died(self, worker: Worker) -> None:
        """Begin again what a worker had; give up what has taken ``ATTEMPTS`` of them."""
        entry = worker.entry
        if entry is None:
            self._false_starts += not worker.ready
            if self._false_starts > 2 * ATTEMPTS:
                raise RunError("`workers`: their processes end as they start; is there enough memory?")
            return
        self._forget_those_of(worker)
        self.under_way.remove(entry)
        entry.deaths += 1
        if entry.deaths < ATTEMPTS:
            self.waiting.insert(0, entry)
            return
        why = f"{entry.job.name}: the process that ran it ended {ATTEMPTS} times (killed, or out of memory)"
        self.end(entry, None, LostJobError(why), None)

    def drop(self, gone: Callable[[Entry], bool]) -> None:
        """Forget jobs, and end the workers that have them."""
        self.waiting = [entry for entry in self.waiting if not gone(entry)]
        for worker in [w for w in self.processes.workers if w.entry is not None and gone(w.entry)]:
            self.under_way.remove(worker.entry)
            self.processes.dismiss(worker)
            self._forget_those_of(worker)

    def _forget_those_of(self, worker: Worker) -> None:
        self.drop(lambda entry: entry.owner is worker)

    def tell(self, job: Job, kind: str, content: Any) -> None:
        """Pass on what a job emits, one after the other."""
        with self._telling:
            self._listener(job, kind, content)

    def start(self, entry: Entry) -> None:
        """Note that a job begins."""
        entry.begun = time.monotonic()
        entry.spent = 0.0
        self.under_way.append(entry)
        if entry.owner is None:
            self.changed(entry.job, True)

    def end(self, entry: Entry, value: Any, error: BaseException | None, seconds: float | None) -> None:
        """Note that a job is over, and tell who submitted it."""
        if entry in self.under_way:
            self.under_way.remove(entry)
        owner = entry.owner
        if seconds is not None and error is None:
            self.costs.note(entry.job, entry.spent if entry.job.coordinates and entry.spent else seconds)
        if owner is None:
            self.ended.append((entry.ticket, value, error))
            self.changed(entry.job, False)
        elif owner in self.processes.workers and owner.entry is not None:
            owner.entry.spent += seconds or 0.0
            owner.send("answer", entry.ticket, value, error)
