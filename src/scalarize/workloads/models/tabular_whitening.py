"""Whitening of a table's numbers: correlated columns become directions that training learns at one speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

ROWS = 100_000  # rows that the covariance is estimated on, evenly spaced: more change nothing that training notices
BLOCK = 2**11  # rows that are held in float64 at a time: above 32 MB the heap would stay as large
COLUMNS = 2048  # above it the matrix (C, C) and its eigenvalues cost more than they give


class Whitening(nn.Module):
    """The linear map ``(x - mean) S^(-1/2)``, with S the shrunken covariance of the training rows (ZCA whitening).

    Descent in a linear layer learns a direction at a speed that is proportional to the inputs' variance along it, so
    that differences between nearly equal columns (neighbouring wavelengths, a sum beside its parts) are learned last or
    never. Whitened, all directions are learned alike; of the maps that whiten, this one leaves columns closest to
    themselves.

    Args:
        columns: number of columns C. Mean and matrix are buffers: 0 and the identity until ``fit`` or a state sets
            them.

    >>> x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0, 1.0]])
    >>> x = x + 0.1 * torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
    >>> whitening = Whitening(2).fit(x)
    >>> bool(torch.corrcoef(whitening(x).T)[0, 1].abs() < 0.1)
    True
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("matrix", torch.eye(columns) if columns <= COLUMNS else torch.ones(columns))

    def fit(self, inputs: Tensor) -> Whitening:
        """Set mean and matrix by the rows ``inputs`` (N, C), or by ``ROWS`` of them, evenly spaced."""
        rows = inputs[:: max(1, -(-len(inputs) // ROWS))]
        return self.fit_blocks(lambda: torch.split(rows, BLOCK))

    def fit_blocks(self, blocks: Callable[[], Iterable[Tensor]]) -> Whitening:
        """Set mean and matrix by rows that come in blocks; more columns than ``COLUMNS`` stay as they are.

        Args:
            blocks: returns the blocks (n, C), each time anew: they are gone through twice.

        Returns:
            This map.
        """
        if self.matrix.ndim == 1 or not len(self.mean):
            return self
        count, mean, squares = 0, 0.0 * self.mean.double(), 0.0 * self.matrix.double()
        for block in blocks():
            count, mean = count + len(block), mean + block.double().sum(0)
        if count < 2:
            return self
        mean /= count
        for block in blocks():
            centred = block.double() - mean
            squares += centred.T @ centred
        values, vectors = torch.linalg.eigh(squares / count)
        values = shrink(values.clamp_min(0.0), count)
        self.mean.copy_(mean)
        self.matrix.copy_(vectors * values.rsqrt() @ vectors.T)
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        centred = inputs - self.mean
        return centred @ self.matrix if self.matrix.ndim == 2 else centred


def shrink(eigenvalues: Tensor, rows: int) -> Tensor:
    """Shrink a covariance's eigenvalues towards their mean: oracle approximating shrinkage (Chen et al. 2010).

    With C eigenvalues of a covariance S of N rows, the share of the mean is
    ``((1 - 2/C) tr(S^2) + tr(S)^2) / ((N + 1 - 2/C) (tr(S^2) - tr(S)^2 / C))``, at most 1. It is large if columns are
    many for the rows: directions that the rows say nothing about are then not magnified.

    Args:
        eigenvalues: float64 (C,), not below 0.
        rows: number of rows N that S was estimated on.

    Returns:
        Positive eigenvalues (C,); ones if all are 0 (constant columns).

    >>> shrink(torch.tensor([2.0, 0.0], dtype=torch.float64), rows=3)
    tensor([1.3333, 0.6667], dtype=torch.float64)
    """
    count, trace, squares = len(eigenvalues), float(eigenvalues.sum()), float(eigenvalues.square().sum())
    if trace <= 0:
        return torch.ones_like(eigenvalues)
    spread = squares - trace**2 / count
    if spread <= 1e-12 * squares:
        return torch.full_like(eigenvalues, trace / count)
    share = ((1 - 2 / count) * squares + trace**2) / ((rows + 1 - 2 / count) * spread)
    share = min(1.0, max(share, 1e-6))  # a floor: no direction is magnified by more than a thousand
    return (1 - share) * eigenvalues + share * trace / count
