"""Small linear programmes over the simplex: the simplex method on a dense tableau, deterministic, in numpy."""

from __future__ import annotations

import numpy as np

from scalarize.methods.gram import Array

SLACK = 1e-10  # of rows and objective, which are scaled to a largest entry of 1


def on_simplex(objective: Array, rows: Array, bounds: Array, start: Array) -> tuple[Array, bool]:
    """Maximise ``objective . w`` over w >= 0 with sum 1 and ``rows @ w >= bounds``.

    Bland's rule chooses the pivots, so it ends; the first phase makes the shortfall of ``start`` good.

    Args:
        objective: (T,).
        rows: (K, T).
        bounds: (K,), each of the size of its row.
        start: what is returned if there is no solution, (T,).

    Returns:
        Weights (T,), and True if they are a solution.
    """
    t, k = objective.size, bounds.size
    scale = np.maximum(np.abs(rows).max(axis=1, initial=0.0), np.abs(bounds))
    scale = np.where(scale > 0, scale, 1.0)
    a, b = rows / scale[:, None], bounds / scale
    # Columns: w, a surplus for each row, an artificial for each equation. Signs make every right-hand side >= 0.
    table = np.zeros((k + 1, t + k + k + 1 + 1))
    table[:k, :t], table[:k, t : t + k], table[:k, -1] = a, -np.eye(k), b
    table[k, :t], table[k, -1] = 1.0, 1.0
    low = table[:, -1] <= 0
    table[low] *= -1.0
    table[:, t + k : t + 2 * k + 1] = np.eye(k + 1)
    # A row whose bound is <= 0 begins with its surplus, and needs no artificial.
    basis = np.array([t + i if low[i] else t + k + i for i in range(k)] + [t + 2 * k])
    artificial = np.arange(t + k, t + 2 * k + 1)
    cost = np.zeros(table.shape[1] - 1)
    cost[artificial] = -1.0
    if not _maximise(table, basis, cost, np.ones(cost.size, dtype=bool)):
        return start, False
    if float(table[np.isin(basis, artificial), -1].sum()) > 1e-7:
        return start, False
    cost = np.zeros(cost.size)
    cost[:t] = objective / (np.abs(objective).max(initial=0.0) or 1.0)
    allowed = np.ones(cost.size, dtype=bool)
    allowed[artificial] = False
    _leave(table, basis, artificial)
    solved = _maximise(table, basis, cost, allowed)
    w = np.zeros(table.shape[1] - 1)
    w[basis] = table[:, -1]
    found = np.maximum(w[:t], 0.0)
    total = float(found.sum())
    return (found / total, solved) if total > 0 else (start, False)


def _leave(table: Array, basis: np.ndarray, artificial: np.ndarray) -> None:
    """Let artificial variables that are 0 leave the basis, so that they stay 0."""
    for row in np.flatnonzero(np.isin(basis, artificial)):
        columns = np.flatnonzero(np.abs(table[row, : artificial[0]]) > SLACK)
        if columns.size:
            _pivot(table, basis, int(row), int(columns[np.argmax(np.abs(table[row, columns]))]))


def _maximise(table: Array, basis: np.ndarray, cost: Array, allowed: np.ndarray) -> bool:
    """Pivot, in place, until no allowed column improves ``cost``; False if that does not end."""
    for _ in range(50 * table.shape[1]):
        gain = cost - cost[basis] @ table[:, :-1]
        better = np.flatnonzero(allowed & (gain > SLACK))
        if not better.size:
            return True
        column = int(better[0])
        rising = table[:, column] > SLACK
        if not rising.any():
            return False
        ratio = np.full(len(basis), np.inf)
        ratio[rising] = table[rising, -1] / table[rising, column]
        least = np.flatnonzero(ratio <= ratio.min() + SLACK)
        _pivot(table, basis, int(least[np.argmin(basis[least])]), column)
    return False


def _pivot(table: Array, basis: np.ndarray, row: int, column: int) -> None:
    table[row] /= table[row, column]
    others = np.arange(len(table)) != row
    table[others] -= np.outer(table[others, column], table[row])
    basis[row] = column
