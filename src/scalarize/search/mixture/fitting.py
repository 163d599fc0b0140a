"""Laws fitted to runs: one a metric, its form chosen by held-out runs, which also tell its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scalarize.search.mixture.forms import registry
from scalarize.search.mixture.forms.base import Law, Sample, stack
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.runs import Runs
from scalarize.search.mixture.steps import common_steps
from scalarize.utils.errors import RequestError

FOLDS = 5
ENOUGH = 0.05  # share of held-out variance that a form may leave before others are tried for the metric (our choice)
BETTER = 0.8  # a form replaces the ones before it if its held-out squared error is below this share of theirs
LARGE = 5_000_000  # runs x domains x metrics from which only the first form is fitted, unless others are named


@dataclass(frozen=True)
class Fit:
    """Laws of K metrics and what they were fitted to.

    ``laws[k]`` are the numbers of metric k's law and ``folds[f][k]`` those of the law fitted without fold f;
    ``held_out`` (n, K) are predictions for each run by the law that did not see it; ``explained[form]`` (K,) the share
    of held-out variance. Losses are lower-is-better throughout; ``higher`` says which metrics were negated.
    ``scale_means`` (S,) are subtracted from the scales before a law sees them.
    """

    runs: Runs
    forms: tuple[str, ...]
    laws: tuple[Array, ...]
    folds: tuple[tuple[Array, ...], ...]
    fold_of: NDArray[np.int64]
    held_out: Array
    explained: dict[str, Array]
    scale_means: Array
    notes: tuple[str, ...] = ()

    @property
    def domains(self) -> tuple[str, ...]:
        """The names of the domains."""
        return self.runs.domains

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics."""
        return self.runs.metrics

    @property
    def convex(self) -> bool:
        """True if every metric's law is convex in the mixture."""
        return all(registry.get(f).convex for f in self.forms)

    def centred(self, scale: Array | None = None) -> Array:
        """Scales (S,) as the laws see them; the largest runs' if none are given."""
        if scale is None:
            scale = self.largest
        return np.asarray(scale - self.scale_means)

    @property
    def largest(self) -> Array:
        """The scales (S,) of the largest runs."""
        return self.runs.scales.max(axis=0) if self.runs.scales.size else np.zeros(0)

    def predict(self, weights: Array, scale: Array | None = None, fold: int | None = None) -> Array:
        """Losses (m, K) at mixtures (m, T) at one scale (S,), by all runs or by those outside ``fold``."""
        laws = self.laws if fold is None else self.folds[fold]
        return predict(self.forms, laws, weights, self.centred(scale))

    def gradient(self, weights: Array, scale: Array | None = None) -> Array:
        """Derivatives (K, T) of the losses at one mixture (T,)."""
        z = self.centred(scale)
        result = np.zeros((len(self.forms), len(weights)))
        for name, where in _groups(self.forms):
            result[where] = registry.get(name).gradient(stack([self.laws[k] for k in where]), weights, z)
        return result

    @property
    def residuals(self) -> Array:
        """Held-out errors (n, K): loss less prediction, nan if not measured."""
        return np.asarray(self.runs.losses - self.held_out)

    def at_scale(self, scale: Array | None = None) -> NDArray[np.bool_]:
        """A mask (n,) of the runs whose scale is nearest to ``scale``: their errors stand for the errors there."""
        scales = self.runs.scales
        if not scales.size:
            return np.ones(len(self.runs.weights), dtype=bool)
        distance = np.abs(scales - (self.largest if scale is None else scale)).sum(axis=1)
        return np.asarray(distance <= distance.min() + 1e-9)


def predict(forms: Sequence[str], laws: Sequence[Array], weights: Array, scales: Array) -> Array:
    """Losses (m, K) by laws of several forms."""
    result = np.zeros((len(weights), len(forms)))
    for name, where in _groups(forms):
        result[:, where] = registry.get(name).predict(stack([laws[k] for k in where]), weights, scales)
    return result


def _groups(forms: Sequence[str]) -> list[tuple[str, list[int]]]:
    return [(name, [k for k, f in enumerate(forms) if f == name]) for name in dict.fromkeys(forms)]


def fit_runs(runs: Runs, forms: Sequence[str] | None = None, folds: int = FOLDS) -> Fit:
    """Fit every form to every metric and choose one for each by held-out runs.

    Args:
        runs: at least 4 runs with weights of at least 2 domains.
        forms: names of forms, in order of preference (default: registry.DEFAULT, but only the first
            of them on very large tables).
        folds: parts into which the mixtures are split; runs of one mixture are held out together.

    Returns:
        Fit: its notes hold the runs' notes and those of the fit.

    Raises:
        RequestError: too few runs or domains, a metric with too few runs, an unknown form.
    """
    runs, notes = _one_step(runs)
    n, n_domains = runs.weights.shape
    if n_domains < 2:
        raise RequestError(f"a mixture needs at least 2 domains, got {n_domains}")
    if n < 4:
        left = [note for note in runs.notes if "left out" in note]
        raise RequestError(f"a fit needs at least 4 runs, got {n}" + (f" ({'; '.join(left)})" if left else ""))
    counts = np.isfinite(runs.losses).sum(axis=0)
    if (counts < 4).any():
        few = runs.metrics[int(np.argmin(counts))]
        raise RequestError(f"metric {few!r} was measured in {int(counts.min())} runs; a fit needs at least 4")
    runs = _without_constant_scales(runs)
    if forms is None:
        forms = list(registry.DEFAULT)
        if runs.losses.size * n_domains > LARGE:
            notes.append(f"only the form {forms[0]!r} is fitted, for the table is large; others if forms names them")
            forms = forms[:1]
    means = runs.scales.mean(axis=0) if runs.scales.size else np.zeros(runs.scales.shape[1])
    scales = runs.scales - means
    fold_of = _fold_mixtures(runs.weights, folds)
    best = [_try(forms, k, runs, scales, fold_of) for k in range(len(runs.metrics))]
    chosen = tuple(attempt.form for attempt, _ in best)
    errors = [said[attempt.form] for attempt, said in best]
    few_for = [registry.get(f).coefficients(n_domains) for f in set(chosen)]
    if n <= max(few_for):
        notes.append(f"{n} runs are few for {n_domains} domains: a law has up to {max(few_for)} numbers")
    poor = [m for m, e in zip(runs.metrics, errors, strict=True) if e > 0.5]
    if poor:
        notes.append(f"held-out runs are predicted poorly (less than half the variance) for {', '.join(poor[:6])}"
                     + (f" and {len(poor) - 6} more" if len(poor) > 6 else ""))  # fmt: skip
    return Fit(
        replace(runs, notes=()),
        chosen,
        tuple(attempt.law for attempt, _ in best),
        tuple(tuple(attempt.folds[f] for attempt, _ in best) for f in range(int(fold_of.max()) + 1)),
        fold_of,
        np.column_stack([attempt.held_out for attempt, _ in best]),
        {name: np.array([1.0 - said.get(name, np.nan) for _, said in best]) for name in forms},
        means,
        (*runs.notes, *notes),
    )


@dataclass(frozen=True)
class _Attempt:
    """One form fitted to one metric: numbers, those without each fold, held-out predictions (n,)."""

    form: str
    law: Array
    folds: list[Array]
    held_out: Array


def _try(
    forms: Sequence[str], k: int, runs: Runs, scales: Array, fold_of: NDArray[np.int64]
) -> tuple[_Attempt, dict[str, float]]:
    """The attempt taken for metric k, and the share of held-out variance that each form tried for it leaves.

    The first form is taken unless a later one is clearly better; later ones are not tried where it is good enough.
    """
    loss = runs.losses[:, k]
    variance = float(np.nanvar(loss))
    taken, left = None, dict[str, float]()
    for name in forms:
        attempt = _held_out(name, Sample(runs.weights, scales, loss), fold_of)
        error = float(np.nanmean((attempt.held_out - loss) ** 2))
        left[name] = error / variance if variance > 0 else 0.0
        useful = registry.get(name).convex or left[name] < 0.5  # a metric that nothing predicts must not cost convexity
        if taken is None or (useful and left[name] < BETTER * left[taken.form]):
            taken = attempt
        if left[taken.form] < ENOUGH:
            break
    assert taken is not None
    return taken, left


def _held_out(name: str, sample: Sample, fold_of: NDArray[np.int64]) -> _Attempt:
    """One form fitted to all runs and without each fold, and what the latter predict for the fold."""
    form, loss, scales = registry.get(name), sample.loss, sample.scales
    seen = np.isfinite(loss)
    whole = form.fit(sample.take(seen))
    low, high = np.nanmin(loss), np.nanmax(loss)
    distinct = np.unique(scales, axis=0) if scales.size else np.zeros((1, scales.shape[1]))
    folds, held_out = [], np.empty_like(loss)
    for f in range(int(fold_of.max()) + 1):
        inside = fold_of == f
        law: Law = form.fit(sample.take(seen & ~inside), whole)
        folds.append(law.numbers)
        for scale in distinct:
            rows = inside & (scales == scale).all(axis=1)
            if rows.any():
                said = form.predict(law.numbers[None], sample.weights[rows], scale)[:, 0]
                # A law may explode at a mixture unlike those it saw; that much is no prediction.
                held_out[rows] = np.clip(said, low - (high - low), high + (high - low))
    return _Attempt(name, whole.numbers, folds, held_out)


def _fold_mixtures(weights: Array, folds: int) -> NDArray[np.int64]:
    """The fold of every run: runs of one mixture share it."""
    mixture = np.unique(np.round(weights, 6), axis=0, return_inverse=True)[1].reshape(-1)
    n = int(mixture.max()) + 1
    if n < 4:
        raise RequestError(f"a fit needs at least 4 different mixtures, got {n}")
    order = np.random.default_rng(0).permutation(n)
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n) % min(folds, n)
    return np.asarray(place[mixture])


def _one_step(runs: Runs) -> tuple[Runs, list[str]]:
    """The runs at the last step that most reached, if the table has several."""
    if runs.steps is None or len(np.unique(runs.steps)) == 1:
        return runs, []
    steps, longer = common_steps(runs)
    also = f"; {longer} rows of further steps, which few runs reached, are left out" if longer else ""
    return runs.take(runs.steps == steps[-1]), [f"metrics are those at step {steps[-1]:g}, the last one{also}"]


def _without_constant_scales(runs: Runs) -> Runs:
    keep = [i for i in range(runs.scales.shape[1]) if np.ptp(runs.scales[:, i]) > 1e-9]
    return replace(runs, scale_names=tuple(runs.scale_names[i] for i in keep), scales=runs.scales[:, keep])
