"""The report on a learner that :func:`scalarize.search.check` makes."""

from __future__ import annotations

from dataclasses import dataclass

from scalarize.utils.errors import RunError


@dataclass(frozen=True)
class LearnerReport:
    """The result of a probe.

    Attributes:
        lines: one per promise of a learner that is not kept.
        trainings: epochs that were trained for it, over all learners.
    """

    lines: tuple[str, ...]
    trainings: int

    @property
    def ok(self) -> bool:
        """True if all promises are kept."""
        return not self.lines

    def require(self) -> None:
        """Raise RunError with the promises that are not kept, if there are any."""
        if self.lines:
            raise RunError("a search would be wrong with this learner: " + "; ".join(self.lines))

    def __str__(self) -> str:
        return (
            f"the learner is as a search needs it ({self.trainings} epochs trained)"
            if self.ok
            else "\n".join(self.lines)
        )
