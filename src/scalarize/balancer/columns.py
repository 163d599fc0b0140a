"""A method's memory of single coordinates, and the tensors that its columns belong to, which a training may freeze."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.methods import Method
from scalarize.utils.errors import RequestError


class Columns:
    """Moves the entries ``coordinates`` of a method's state (T, P) along when other tensors are trained than before.

    A tensor that is trained as before keeps its columns, one that was frozen begins with zeros, as at the first step.
    """

    def __init__(self) -> None:
        self._held: list[tuple[int, int]] = []  # of each tensor: its identity and its columns

    def __getstate__(self) -> dict[str, Any]:
        """A copy has other tensors."""
        return {"_held": []}

    def forget(self) -> None:
        """The state is another one, of the same tensors."""
        self._held = []

    def follow(self, source: Sequence[Tensor], method: Method) -> None:
        """Bring the state to the tensors ``source``, in the order of the gradients' columns.

        Raises:
            RequestError: a state that was loaded is of another number of columns.
        """
        if not method.coordinates:
            return
        now = [(id(p), p.numel() * (1 + p.is_complex())) for p in source]
        if now == self._held:
            return
        total = sum(n for _, n in now)
        for key in method.coordinates:
            old = method.state.get(key)
            if old is None or (old.shape[1] == 1 and not bool(old.any())):  # before the first step
                continue
            if self._held:
                method.state[key] = _moved(old, self._held, now)
            elif old.shape[1] != total:
                raise RequestError(
                    f"the state of {method.name} is of {old.shape[1]} numbers, and {total} are trained: load it with "
                    "the same parameters frozen as when it was saved"
                )
        self._held = now


def _moved(old: Tensor, before: Sequence[tuple[int, int]], now: Sequence[tuple[int, int]]) -> Tensor:
    parts = dict(zip((k for k, _ in before), torch.split(old, [n for _, n in before], dim=1), strict=True))
    return torch.cat([parts[k] if k in parts else old.new_zeros(len(old), n) for k, n in now], dim=1)
