"""Tasks that are in the batch but have no say, as their loss or gradient is exactly 0, and the answer without them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import torch
from torch import Tensor

from scalarize.balancer.notices import PATIENCE, Notices
from scalarize.methods import Evidence, Method, Needs, State


class Decision(NamedTuple):
    """The method's answer to one step, not yet in force.

    weights (T',) of the present tasks, None if the method has none; gradient (P,) if it combines for itself; after:
    its next state; slopes (T',): the derivative of its objective by each loss, None if it has none; place: the places
    among all tasks of those that had a say, None if all had; silent (T',): True for a present task without a say, None
    if there is none. A silent task's weight is 1: its row is 0, and what is its own keeps its own gradient.
    """

    weights: Tensor | None
    gradient: Tensor | None = None
    after: State | None = None
    slopes: Tensor | None = None
    place: Tensor | None = None
    silent: Tensor | None = None

    @property
    def told(self) -> Tensor | None:
        """The weights (T',) for people: NaN for a task that had no say."""
        if self.weights is None or self.silent is None:
            return self.weights
        return self.weights.masked_fill(self.silent, float("nan"))


@dataclass(frozen=True)
class Part:
    """The present tasks that have a say.

    acting: their places (T'',) among the present, None if all of them; place: among all tasks, None if all of those;
    silent (T',): see :class:`Decision`; present: T'.
    """

    acting: Tensor | None
    place: Tensor | None
    silent: Tensor | None = None
    present: int = 0

    @property
    def nobody(self) -> bool:
        """True if no task has a say."""
        return self.acting is not None and self.acting.numel() == 0

    @overload
    def of(self, values: Tensor) -> Tensor: ...
    @overload
    def of(self, values: None) -> None: ...
    def of(self, values: Tensor | None) -> Tensor | None:
        """Select ``values`` (T', ...) of the tasks that have a say."""
        return values if values is None or self.acting is None else values[self.acting]

    @overload
    def of_both(self, values: Tensor) -> Tensor: ...
    @overload
    def of_both(self, values: None) -> None: ...
    def of_both(self, values: Tensor | None) -> Tensor | None:
        """Select ``values`` (T', T') of the tasks that have a say."""
        return values if values is None or self.acting is None else values[self.acting][:, self.acting]

    def of_evidence(self, evidence: Evidence) -> Evidence:
        """Select the tasks that have a say from the evidence of a further batch."""
        if self.acting is None or evidence.losses is None or len(evidence.losses) != self.present:
            return evidence
        return dataclasses.replace(
            evidence,
            losses=self.of(evidence.losses),
            gramian=self.of_both(evidence.gramian),
            jacobian=self.of(evidence.jacobian),
        )

    def decision(
        self,
        weights: Tensor | None,
        gradient: Tensor | None,
        after: State | None,
        slopes: Tensor | None = None,
    ) -> Decision:
        """Return the method's answer, spread over all present tasks."""
        return Decision(self._spread(weights), gradient, after, self._spread(slopes), self.place, self.silent)

    def nothing(self, jacobian: Tensor | None) -> Decision:
        """Return the answer if no task has a say: a gradient of 0, and the state stays.

        ``jacobian`` is that of a method that combines the rows itself.
        """
        assert self.silent is not None
        ones = torch.ones(self.present, dtype=torch.float64, device=self.silent.device)
        gradient = None if jacobian is None else torch.zeros_like(jacobian[0])
        return Decision(ones, gradient, None, ones, self.place, self.silent)

    def _spread(self, values: Tensor | None) -> Tensor | None:
        if values is None or self.acting is None:
            return values
        return values.new_ones(self.present).index_put((self.acting,), values)


class Silence:
    """The search for such tasks: it counts them, and says once that there are any.

    Args:
        method: its needs decide what is looked at: the Gramian's diagonal, or losses that it takes logarithms of.
        notices: says it, and also that for many steps one task alone had a say.
    """

    def __init__(self, method: Method, notices: Notices) -> None:
        self._method, self._notices = method, notices
        self.held: Tensor | None = None  # (T,) steps in which a task was empty
        self._alone = 0  # steps in a row in which one task alone had a say

    def counts(self, tasks: Sequence[str]) -> dict[str, int]:
        """Task -> number of steps in which its loss or gradient was exactly 0."""
        numbers = [0] * len(tasks) if self.held is None else self.held.tolist()
        return dict(zip(tasks, numbers, strict=True))

    def find(
        self,
        index: Tensor | None,
        losses: Tensor | None,
        gramian: Tensor | None,
        tasks: Sequence[str],
        count: bool = True,
        any_empty: bool | None = None,
    ) -> Part:
        """Find the tasks that have a say in this step.

        Args:
            index: places (T',) of the present among all ``tasks``; None: all are there.
            losses: (T',), looked at if the method compares no gradients but takes their logarithms, inverses or rates.
            gramian: (T', T').
            tasks: all names.
            count: False for a look that is no step.
            any_empty: False if it is known that no gradient is 0; None: look.
        """
        by_rows = gramian is not None and self._method.needs >= Needs.GRAMIAN
        seen = gramian.diagonal() if gramian is not None and by_rows else losses
        if seen is None:
            return Part(None, index)
        empty = seen == 0
        if not by_rows and self._method.learned and count:
            # Their numbers are looked after without a look at the device.
            self._count(empty, index, len(tasks))
        if not by_rows and not self._method.ignores_zero_losses:
            return self._watched(Part(None, index, None, len(seen)), tasks, count)
        if (by_rows and any_empty is False) or not bool(empty.any()):
            return self._watched(Part(None, index, None, len(seen)), tasks, count)
        acting = (~empty).nonzero().flatten()
        if count:
            self._count(empty, index, len(tasks))
            places = empty.nonzero().flatten() if index is None else index.to(empty.device)[empty]
            names = ", ".join(repr(tasks[k]) for k in places.tolist())
            self._notices.once(
                "empty",
                f"the {'gradient' if by_rows else 'loss'} of task {names} is exactly 0 in this batch: it "
                "has no say in the direction, as if it were missing (said once; counted in balancer.empty_rows)",
            )
        place = acting if index is None else index.to(acting.device)[acting]
        return self._watched(Part(acting, place, empty, len(seen)), tasks, count)

    def _count(self, empty: Tensor, index: Tensor | None, n_tasks: int) -> None:
        if self.held is None:
            self.held = torch.zeros(n_tasks, dtype=torch.int64, device=empty.device)
        self.held = self.held.to(empty.device)
        places = torch.arange(n_tasks, device=empty.device) if index is None else index.to(empty.device)
        self.held = self.held.index_add(0, places, empty.to(self.held))

    def _watched(self, part: Part, tasks: Sequence[str], count: bool) -> Part:
        """Return ``part`` itself; say once if for many steps there was nothing to weigh."""
        method = self._method
        if not count or method.needs == Needs.NOTHING or method.learned or len(tasks) < 2:
            return part
        say = part.present if part.acting is None else part.acting.numel()
        self._alone = self._alone + 1 if say == 1 else 0
        if self._alone == PATIENCE:
            self._notices.once(
                "alone",
                f"{method.name}: in {PATIENCE} steps in a row one task alone had a loss and a gradient, so that there "
                "was nothing to weigh: let a step see several tasks, in one batch, or by "
                "Balancer(..., accumulate='full') and backward(..., final=False)",
            )
        return part
