"""The answer of one call of ``backward``."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class BackwardResult:
    """What one call of ``backward`` did; all tensors detached, tasks in the order of the losses that were given.

    weights (T,), NaN for a task without a loss in this batch, None where the method has no weights (or has not
    been asked yet: micro-batches before the last); gramian (T, T), None where none was needed; skipped: something
    was not finite and ``.grad`` was left empty.
    """

    tasks: tuple[str, ...]
    weights: Tensor | None
    gramian: Tensor | None = None
    skipped: bool = False
