"""The answers of ``backward`` and of ``check``."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from scalarize.utils.errors import RunError


@dataclass(frozen=True)
class BackwardResult:
    """Summary of one call of ``backward``; all tensors are detached.

    Attributes:
        tasks: names of the T tasks in the order of the losses that were given, which weights and Gramian follow.
        weights: weights (T,), NaN for a task without a loss in this batch; None if the method has no weights, or has
            not been asked yet (micro-batches before the last).
        gramian: inner products (T, T) of the tasks' gradients, in float32 at least; None if not needed.
        skipped: True if a loss or gradient was not finite and ``.grad`` was left empty.

    Example:
        >>> import torch, scalarize
        >>> w = torch.nn.Parameter(torch.ones(2))
        >>> used = scalarize.Balancer("pcgrad", [w]).backward({"a": w.sum(), "b": None, "c": w[0] * 2})
        >>> used.weights.tolist(), used.gramian[0].tolist()
        ([1.0, nan, 1.0], [2.0, nan, 2.0])
    """

    tasks: tuple[str, ...]
    weights: Tensor | None
    gramian: Tensor | None = None
    skipped: bool = False


@dataclass(frozen=True)
class CheckReport:
    """The result of a probe.

    Attributes:
        lines: one per difference, with the parameter's name or shape.
        checked: number of parameters compared.
        largest: largest relative error that was met, differences included.
    """

    lines: tuple[str, ...]
    checked: int
    largest: float

    @property
    def ok(self) -> bool:
        """True if nothing differs."""
        return not self.lines

    def require(self) -> None:
        """Raise RunError with the differences, if there are any."""
        if self.lines:
            raise RunError("the step is not what the method asks for: " + "; ".join(self.lines))

    def __str__(self) -> str:
        fine = f"{self.checked} parameters are as the method asks (largest relative error {self.largest:.1e})"
        return fine if self.ok else "\n".join(self.lines)
