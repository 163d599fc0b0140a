"""The interface of a form, and the data that a form is fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from scalarize.search.mixture.forms.least_squares import Array, Model, Solution, minimise

Rows = NDArray[np.bool_] | NDArray[np.int64]

MANY = 20  # runs a number from which a fit starts from a part of them, with the weakest penalty


class Sample(NamedTuple):
    """Runs as a form sees them: mixtures (n, T), scales of the run (n, S), such as the logarithm of the model's size
    less its mean, and one loss (n,), lower is better."""

    weights: Array
    scales: Array
    loss: Array

    def take(self, rows: Rows) -> Sample:
        """The runs at ``rows``, a mask or indices."""
        return Sample(self.weights[rows], self.scales[rows], self.loss[rows])


class Law(NamedTuple):
    """Numbers (P,) of a form, the strength of the penalty they were fitted with, their leave-one-out error, and the
    numbers as they were in scaled losses, from which a fit to nearly the same runs may start."""

    numbers: Array
    penalty: float
    error: float
    scaled: Array | None = None


class Form(Protocol):
    """One form. ``numbers`` are plain floats, so that a fit is plain JSON; as many for every loss of the same runs if
    the form is ``smooth``, that is, has slopes to follow."""

    name: str
    convex: bool
    smooth: bool

    def fit(self, sample: Sample, start: Law | None = None) -> Law:
        """Fit one loss; ``start`` is a law of nearly the same runs, whose penalty is kept."""
        ...

    def predict(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Losses (m, K) of K laws, ``numbers`` (K, P), at mixtures (m, T) of runs of the same scales (S,)."""
        ...

    def gradient(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Derivatives (K, T) of K laws at one mixture (T,)."""
        ...

    def coefficients(self, n_domains: int) -> int:
        """The number of coefficients that one loss costs."""
        ...


def stack(laws: Sequence[Array]) -> Array:
    """Numbers (K, P) of K laws of one form, shorter ones followed by 0."""
    result = np.zeros((len(laws), max(map(len, laws))))
    for row, law in zip(result, laws, strict=True):
        row[: len(law)] = law
    return result


class Problem(NamedTuple):
    """A law as a least-squares problem in scaled losses: its model, a start, the shape of the penalty (P, P), and the
    parameters that the penalty draws to."""

    model: Model
    start: Array
    penalty: Array
    centre: Array


def _spread(sample: Sample) -> float:
    """The standard deviation of the losses among runs of the same scales; 1 if they are constant."""
    loss = sample.loss
    if sample.scales.shape[1]:
        group = np.unique(sample.scales, axis=0, return_inverse=True)[1].reshape(-1)
        loss = loss - (np.bincount(group, loss) / np.bincount(group))[group]
    return float(loss.std()) or 1.0


def fit_along_path(
    problem: Callable[[Sample, Array], Problem], sample: Sample, strengths: tuple[float, ...], start: Law | None
) -> tuple[Law, float, float]:
    """Fit with penalties from strong to weak, each from the one before, and keep the least leave-one-out error.

    Returns the law in scaled losses, and the shift and spread that scale it back.
    """
    shift, spread = float(sample.loss.min()), _spread(sample)
    scaled = (sample.loss - shift) / spread
    task = problem(sample, scaled)
    n, many = len(scaled), len(scaled) > MANY * len(task.start)

    def at(strength: float, x: Array, tolerance: float = 1e-6, score: bool = False) -> Solution:
        return minimise(task.model, scaled, x, n * strength * task.penalty, task.centre, 60, tolerance, score)

    if start is not None:
        begin = task.start if start.scaled is None else start.scaled
        near = at(start.penalty, begin, 1e-3 if many else 1e-5)
        return Law(near.x, start.penalty, near.error, near.x), shift, spread
    if many:  # penalties hardly matter then, and every fit is dear: begin with a part of the runs
        part = np.linspace(0, n - 1, MANY * len(task.start) // 4).astype(np.int64)
        few = problem(sample.take(part), scaled[part])
        x = minimise(
            few.model, scaled[part], few.start, len(part) * strengths[-1] * few.penalty, few.centre, 60, 1e-3
        ).x
        found = at(strengths[-1], x, 1e-5)
        return Law(found.x, strengths[-1], found.error, found.x), shift, spread
    x, best = task.start, Law(task.start, strengths[0], np.inf)
    for strength in strengths:
        found = at(strength, x, score=True)
        x = found.x
        if found.error < best.error:
            best = Law(x, strength, found.error, x)
    return best, shift, spread
