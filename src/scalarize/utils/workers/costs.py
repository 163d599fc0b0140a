"""The cost of jobs, in seconds by the unit, from those that are over."""

from __future__ import annotations

from dataclasses import dataclass, field

from scalarize.utils.workers.job import Job

ASSUMED = 0.04  # seconds a unit (an epoch) while nothing is known: a small network on a small table


@dataclass
class Costs:
    """The last known cost of jobs, in seconds by the unit.

    >>> costs = Costs()
    >>> costs.note(Job("a", print, units=10, key="small"), seconds=5.0)
    >>> costs.of(Job("b", print, units=4, key="small")), costs.known
    (2.0, True)
    """

    by_key: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    units: float = 0.0

    @property
    def known(self) -> bool:
        """True once anything is known."""
        return self.units > 0

    def note(self, job: Job, seconds: float) -> None:
        """Remember what a job took."""
        self.by_key[job.key] = seconds / job.units
        self.seconds += seconds
        self.units += job.units

    def of(self, job: Job) -> float:
        """Return the seconds that a job will take: as the last of its key, else as the average unit so far."""
        return job.units * self.by_key[job.key] if job.key in self.by_key else self.of_units(job.units)

    def of_units(self, units: float) -> float:
        """Return the seconds of so many units, at their average cost so far."""
        return units * (self.seconds / self.units if self.units else ASSUMED)
