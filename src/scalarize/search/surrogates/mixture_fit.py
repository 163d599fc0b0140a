"""From runs to a proposal: forms are fitted and cross-validated, one is chosen per metric, and its optimum is checked.

All functions are pure and deterministic. Metrics are higher-is-better here; the forms of ``mixture_forms`` see their
negatives. The objective is ``score``, a function from metrics (m, K) to (m,), applied to predicted metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalarize.search.surrogates.mixture_forms import FORMS, Array, Predict
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex

MixtureScore = Callable[[Array], Array]

LAW = "log-linear"  # the form that is preferred: a law of losses over mixtures
MARGIN = 0.25  # share of held-out variance by which another form must be better to replace it (our choice)
DOUBT = 0.15  # predicted regret of the proposal from which forms are said to disagree (our choice)
FOLDS = 5


def average(metrics: Array) -> Array:
    """Return the mean over metrics."""
    return np.asarray(metrics.mean(axis=1))


@dataclass(frozen=True)
class Fit:
    """Forms fitted to n runs.

    Args:
        weights: shape (n, T).
        metrics: shape (n, K).
        forms: prediction by name of the form.
        explained: share of each metric's variance that a form predicts on held-out runs, (K,), by form.
        chosen: name of the form that is used for each metric.
        held_out: held-out predictions (n, K) by form.
        folds: the fits that made them, fold by fold, by form.
        fold_of: fold of each run, int64 (n,).
    """

    weights: Array
    metrics: Array
    forms: Mapping[str, Predict]
    explained: Mapping[str, Array]
    chosen: tuple[str, ...]
    held_out: Mapping[str, Array]
    folds: Mapping[str, tuple[Predict, ...]]
    fold_of: NDArray[np.int64]

    @property
    def n_folds(self) -> int:
        """The number of folds."""
        return int(self.fold_of.max()) + 1

    def predict(self, weights: Array, form: str = "default") -> Array:
        """Predict metrics (m, K) at ``weights`` (m, T) by one form, or by the form chosen for each metric."""
        return _pick(self, form, {name: -self.forms[name](weights) for name in _used(self, form)})


def fit(weights: Array, metrics: Array) -> Fit:
    """Fit every form to n >= 2 runs and choose one for each metric.

    The log-linear law is chosen unless another form explains more of the held-out variance by ``MARGIN``. Plain
    cross-validation is not trusted with close calls: proxies favour flexible forms, which extrapolate worse.
    """
    n = len(weights)
    if n < 2:
        raise RequestError(f"a regression needs at least 2 runs with finite metrics, got {n}")
    losses = -metrics
    fold_of = np.random.default_rng(0).permutation(n) % min(FOLDS, n)
    forms, folds, held_out, explained = {}, {}, {}, {}
    variance = np.maximum(losses.var(axis=0), 1e-300)
    for name, form in FORMS.items():
        forms[name] = form.fit(weights, losses)
        folds[name] = tuple(form.fit(weights[fold_of != k], losses[fold_of != k]) for k in range(fold_of.max() + 1))
        predicted = np.stack([folds[name][k](w[None])[0] for w, k in zip(weights, fold_of, strict=True)])
        held_out[name] = -predicted
        explained[name] = 1.0 - ((predicted - losses) ** 2).mean(axis=0) / variance
    table = np.stack(list(explained.values()))
    best = table.argmax(axis=0)
    names = list(explained)
    chosen = tuple(
        LAW if explained[LAW][k] >= table[best[k], k] - MARGIN else names[best[k]] for k in range(losses.shape[1])
    )
    return Fit(weights, metrics, forms, explained, chosen, held_out, folds, fold_of)


class Opinion(NamedTuple):
    """The prediction of one form about a proposal.

    Args:
        form: name of the form.
        explained: share of the held-out variance of the score that it explains.
        predicted: score that it predicts for the proposal.
        low: lower end of the 90 % interval of that score.
        high: upper end of it.
        optimum: the form's own best weights (T,).
        regret: regret that it predicts for the proposal; 0: as good as the form's own optimum, 1: as bad as the average
            run.
    """

    form: str
    explained: float
    predicted: float
    low: float
    high: float
    optimum: Array
    regret: float


@dataclass(frozen=True)
class Proposal:
    """The best weights by the default choice of forms, and reasons to doubt them.

    Args:
        weights: the proposed weights (T,).
        opinions: the prediction of each form, the default first.
        shifts: regret of the proposal by the default fitted without each fold of the runs.
        warnings: one line each.
    """

    weights: Array
    opinions: tuple[Opinion, ...]
    shifts: tuple[float, ...]
    warnings: tuple[str, ...]


def propose(fitted: Fit, score: MixtureScore = average, candidates: Array | None = None, seed: int = 0) -> Proposal:
    """Return the best weights, and their predictions by every form.

    A warning is given if a form that explains held-out runs about as well as the best one (within ``MARGIN``) predicts
    a regret above ``DOUBT`` for the proposal; if the default does so, fitted without a fold; if no form predicts
    held-out runs; and if there are fewer runs than numbers to fit.

    Args:
        fitted: the fitted forms.
        score: function from metrics (m, K) to (m,) that is maximised. Default: their mean.
        candidates: weights (m, T) to choose from. Default: the simplex.
        seed: seed of the optimisation.
    """
    names = ["default", *fitted.forms]

    def predict(form: str) -> MixtureScore:
        return lambda weights: score(fitted.predict(weights, form))

    def best(of: MixtureScore) -> Array:
        return optimum(of, fitted.weights, seed) if candidates is None else candidates[int(of(candidates).argmax())]

    field = fitted.weights if candidates is None else candidates
    optima = {name: best(predict(name)) for name in names}
    weights = optima["default"]

    def regret(of: MixtureScore, own: Array) -> float:
        top, here = (float(of(w[None])[0]) for w in (own, weights))
        return (top - here) / max(top - float(of(field).mean()), 1e-12)

    truth = score(fitted.metrics)
    opinions = []
    for name in names:
        held_out = score(_pick(fitted, name, fitted.held_out))
        explained = 1.0 - float(((held_out - truth) ** 2).mean() / max(float(truth.var()), 1e-300))
        predicted = float(predict(name)(weights[None])[0])
        low, high = _interval(fitted, name, score, weights, truth - held_out)
        doubt = regret(predict(name), optima[name])
        opinions.append(Opinion(name, explained, predicted, low, high, optima[name], doubt))
    left_out = [_fold(fitted, "default", score, k) for k in range(fitted.n_folds)]
    shifts = tuple(regret(of, best(of)) for of in left_out)
    return Proposal(weights, tuple(opinions), shifts, tuple(_warnings(fitted, opinions, shifts)))


def _warnings(fitted: Fit, opinions: list[Opinion], shifts: tuple[float, ...]) -> list[str]:
    found = []
    n, n_tasks = fitted.weights.shape
    needed = max(FORMS[name].coefficients(n_tasks) for name in fitted.chosen)
    if n <= needed:
        found.append(f"{n} runs are too few for {n_tasks} tasks: the regression fits {needed} numbers a metric")
    top = max(o.explained for o in opinions)
    against = [o for o in opinions if o.explained >= top - MARGIN and o.regret > DOUBT]
    if against:
        said = ", ".join(f"{o.regret:.2f} by {o.form}" for o in against)
        found.append(f"the forms disagree about the best weights: the regret of the proposal is {said}")
    if max(shifts) > DOUBT:
        found.append(
            f"the best weights hang on few runs: without a fifth of them the regret is up to {max(shifts):.2f}"
        )
    if top < 0.5:
        found.append(f"no form predicts held-out runs well: the best explains {max(top, 0.0):.0%} of the variance")
    return found


def _interval(fitted: Fit, form: str, score: MixtureScore, weights: Array, residuals: Array) -> tuple[float, float]:
    """Return the 90 % CV+ interval at ``weights`` (T,), from each run's held-out error (Barber et al. 2021)."""
    by_fold = [float(_fold(fitted, form, score, k)(weights[None])[0]) for k in range(fitted.n_folds)]
    at = np.array(by_fold)[fitted.fold_of]
    size = np.abs(residuals)
    return float(np.quantile(at - size, 0.1, method="lower")), float(np.quantile(at + size, 0.9, method="higher"))


def _fold(fitted: Fit, form: str, score: MixtureScore, k: int) -> MixtureScore:
    """Return the predicted score of the fit that did not see fold ``k``."""
    used = _used(fitted, form)
    return lambda weights: score(_pick(fitted, form, {name: -fitted.folds[name][k](weights) for name in used}))


def _used(fitted: Fit, form: str) -> list[str]:
    return sorted(set(fitted.chosen)) if form == "default" else [form]


def _pick(fitted: Fit, form: str, predictions: Mapping[str, Array]) -> Array:
    """Return one form's predictions (m, K), or each metric's from the form chosen for it."""
    if form != "default":
        return predictions[form]
    return np.stack([predictions[name][:, k] for k, name in enumerate(fitted.chosen)], axis=1)


def optimum(
    score: MixtureScore, runs: Array, seed: int = 0, rounds: int = 60, keep: int = 16, children: int = 16
) -> Array:
    """Find the weights (T,) of the greatest ``score`` by evolution from the runs' weights (n, T), with shrinking steps.

    No task gets more weight than in any run, nor less: forms are not trusted outside of the runs.
    """
    rng = np.random.default_rng(seed)
    lowest, highest = runs.min(axis=0) - 1e-9, runs.max(axis=0) + 1e-9
    pairs = rng.integers(len(runs), size=(2, 1000))
    share = rng.uniform(size=(1000, 1))
    parents = np.concatenate([runs, share * runs[pairs[0]] + (1 - share) * runs[pairs[1]]])
    for sigma in np.geomspace(1.0, 0.01, rounds):
        parents = parents[np.argsort(-score(parents), kind="stable")[:keep]]
        moved = parents.repeat(children, axis=0)
        step = np.exp(sigma * rng.standard_normal(moved.shape))
        # Tasks are also dropped, and weights moved towards a run's: products alone reach neither 0 nor leave it.
        step[rng.uniform(size=step.shape) < 0.5 / runs.shape[1]] = 0.0
        moved = moved * step
        mixed = rng.uniform(size=(len(moved), 1)) * sigma
        moved = (1 - mixed) * moved + mixed * runs[rng.integers(len(runs), size=len(moved))]
        moved = moved[moved.sum(axis=1) > 0]
        moved /= moved.sum(axis=1, keepdims=True)
        inside = ((moved >= lowest) & (moved <= highest)).all(axis=1)
        parents = np.concatenate([parents, moved[inside]])
    return simplex.normalise(parents[int(score(parents).argmax())])
