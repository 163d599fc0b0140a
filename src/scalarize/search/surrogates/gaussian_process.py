"""A Gaussian process over weights, recipe numbers and (for a population) time, and the batch that it proposes.

The model is botorch's; proposals maximise an upper confidence bound. Candidates are drawn and refined, without
gradients, so that every proposal keeps the floor and the groups of its space, and equal data give equal proposals.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from scalarize.search.sampling import Extras, Spread, initial
from scalarize.search.space import Array, Range, Space
from scalarize.utils.seeds import fork_rng
from scalarize.weights import simplex

Bound = Callable[[Array], Array]
ITERATIONS = 50  # of a fit: with 20 the policies found are measurably worse, with more they are not better


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run on one thread: sums in one order, and so equal bits, in a worker and in a process that resumes the search."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Surrogate:
    """A Gaussian process fitted to ``inputs`` (n, d) and ``values`` (n,), which are standardised internally.

    The kernel is Gaussian, with one length scale per dimension and botorch's priors. If ``time`` is set, the last
    column is time and the kernel is multiplied by (1 - omega)^(|t - t'| / 2), equation 5 of Parker-Holder et al. 2020,
    a Matern-1/2 kernel of t. Hyper-parameters maximise the marginal likelihood, in at most ``ITERATIONS`` steps of
    L-BFGS; if that fails, they keep their starting values. Linear algebra is in float64 on dense matrices.
    """

    @_one_thread()
    def __init__(self, inputs: Array, values: Array, time: bool = False, seed: int = 0) -> None:
        import torch

        self._low = inputs.min(axis=0)
        span = inputs.max(axis=0) - self._low
        self._span = np.where(span > 1e-6, span, 1.0)  # columns that never varied keep their unit
        self.level, self.scale = float(values.mean()), float(values.std()) or 1.0
        self._x = self._tensor(inputs)
        y = torch.as_tensor((values - self.level) / self.scale)
        with _quiet(seed):
            self.model = fitted(self._x, y, time)
        with torch.no_grad():
            self._noise, self._mean = self.model.likelihood.noise, self.model.mean_module.constant
            self._factor = self._cholesky()
            self._slope = torch.cholesky_solve((y - self._mean)[:, None], self._factor)  # (n, 1)

    def _tensor(self, inputs: Array) -> Any:
        import torch

        return torch.as_tensor((inputs - self._low) / self._span, dtype=torch.float64)

    def _cholesky(self) -> Any:
        import torch

        return torch.linalg.cholesky(_noisy(covariance(self.model.covar_module, self._x, self._x), self._noise))

    @_one_thread()
    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Return mean (m,) and standard deviation (m,) of the function, without noise, at ``inputs`` (m, d)."""
        import torch

        with torch.no_grad():
            shared = covariance(self.model.covar_module, self._tensor(inputs), self._x)
            mean = self._mean + (shared[:, : len(self._slope)] @ self._slope)[:, 0]
            known = torch.linalg.solve_triangular(self._factor, shared.T, upper=False).square().sum(dim=0)
        variance = np.maximum(1.0 - known.numpy(), 0.0)
        return self.level + self.scale * mean.numpy(), self.scale * np.sqrt(variance)

    def upper(self, inputs: Array, beta: float) -> Array:
        """Return the upper confidence bound mean + sqrt(beta) sigma, (m,)."""
        mean, deviation = self.predict(inputs)
        return np.asarray(mean + np.sqrt(beta) * deviation)

    @_one_thread()
    def expect(self, inputs: Array) -> None:
        """Count ``inputs`` (m, d) as pending: the mean stays, the variance falls (GP-BUCB, Desautels et al. 2014)."""
        import torch

        with torch.no_grad():
            self._x = torch.cat([self._x, self._tensor(inputs)])
            self._factor = self._cholesky()


def fitted(x: Any, y: Any, time: bool) -> Any:
    """Return botorch's model of ``y`` (n,) at ``x`` (n, d), with fitted hyper-parameters."""
    from botorch.exceptions.errors import ModelFittingError
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior as smooth
    from gpytorch.kernels import MaternKernel, ProductKernel
    from gpytorch.mlls import ExactMarginalLogLikelihood

    columns = x.shape[1] - int(time)
    kernel: Any = smooth(ard_num_dims=columns, active_dims=list(range(columns))) if columns else None
    if time:
        fading = MaternKernel(nu=0.5, active_dims=[columns])
        kernel = ProductKernel(kernel, fading) if kernel is not None else fading
    model = SingleTaskGP(x, y[:, None], covar_module=kernel, outcome_transform=None)
    start = {k: v.clone() for k, v in model.state_dict().items()}
    parameters = [p for p in model.parameters() if p.requires_grad]

    def loss() -> tuple[Any, tuple[Any, ...]]:
        """Return the loss and its gradient, in the form that botorch's optimiser takes."""
        model.zero_grad()
        found = -log_likelihood(model, x, y)
        found.backward()
        return found, tuple(p.grad for p in parameters)

    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    try:
        fit_gpytorch_mll(likelihood, closure=loss, optimizer_kwargs={"options": {"maxiter": ITERATIONS}})
    except ModelFittingError:
        model.load_state_dict(start)
    return model.eval()


def log_likelihood(model: Any, x: Any, y: Any) -> Any:
    """Return botorch's objective of a fit, log p(y | x) plus the log priors, divided by n.

    It avoids gpytorch's lazy matrices, which take ten times as long for some dozens of points.
    """
    import torch

    factor = torch.linalg.cholesky(_noisy(covariance(model.covar_module, x, x), model.likelihood.noise))
    white = torch.linalg.solve_triangular(factor, (y - model.mean_module.constant)[:, None], upper=False)
    log = -0.5 * white.square().sum() - factor.diagonal().log().sum() - 0.5 * len(y) * math.log(2 * math.pi)
    priors = [prior.log_prob(value(module)).sum() for _, module, prior, value, _ in model.named_priors()]
    return (log + sum(priors)) / len(y)


def covariance(kernel: Any, a: Any, b: Any) -> Any:
    """Return ``kernel``, Gaussian or Matern-1/2 or their product, between ``a`` (n, d) and ``b`` (m, d): (n, m)."""
    import torch
    from gpytorch.kernels import MaternKernel, ProductKernel

    exponent: Any = 0.0
    for part in kernel.kernels if isinstance(kernel, ProductKernel) else [kernel]:
        apart = (a[:, None, part.active_dims] - b[None, :, part.active_dims]) / part.lengthscale
        fading = isinstance(part, MaternKernel)
        exponent = exponent + (apart.abs().sum(dim=-1) if fading else 0.5 * apart.square().sum(dim=-1))
    return torch.exp(-exponent)


def _noisy(matrix: Any, noise: Any) -> Any:
    import torch

    return matrix + noise * torch.eye(len(matrix), dtype=matrix.dtype)


@contextmanager
def _quiet(seed: int) -> Iterator[None]:
    """Isolate the random state, and silence warnings about scaling, jitter and restarts, which are handled here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies use what newer versions of torch deprecate
        import botorch  # noqa: F401
    from botorch.exceptions.warnings import BotorchWarning
    from gpytorch.utils.warnings import GPInputWarning
    from linear_operator.utils.warnings import NumericalWarning

    with fork_rng(seed), warnings.catch_warnings():
        for category in (BotorchWarning, GPInputWarning, NumericalWarning, RuntimeWarning):
            warnings.simplefilter("ignore", category)
        yield


def coordinates(space: Space, weights: Array, extras: Extras) -> Array:
    """Return weights (M, T) and extras (M,) as points (M, D - 1 + extras): log-ratios, and shares of ranges."""
    points = space.collapse(weights)
    ratios = simplex.to_log_ratio(points).reshape(len(points), space.dimension - 1)
    shares = [share_of(wanted, extras[key]) for key, wanted in space.also.items()]
    return np.column_stack([ratios, *shares])


def share_of(wanted: Range, values: Array) -> Array:
    """Return the shares (M,) of the way from low to high at which ``values`` (M,) lie: the inverse of ``Range.at``."""
    if wanted.log:
        return np.asarray(np.log(values / wanted.low) / np.log(wanted.high / wanted.low))
    return np.asarray((values - wanted.low) / (wanted.high - wanted.low))


def best_of(
    space: Space,
    spread: Spread,
    bound: Bound,
    rng: np.random.Generator,
    known: tuple[Array, Extras],
    draws: int = 512,
    rounds: tuple[float, ...] = (0.5, 0.2, 0.1, 0.05),
) -> tuple[Array, Extras]:
    """Return task weights (T,) and extras with the greatest ``bound``.

    Candidates are draws twice as wide as ``spread`` and the known points; then, with shrinking steps, moves of the best
    ones. All keep the floor.

    Args:
        space: the search space.
        spread: distribution of initial weights.
        bound: function of :func:`coordinates` (m, d) to be maximised, with values (m,).
        rng: generator of the candidates.
        known: weights (M, T) and extras (M,) that are candidates too.
        draws: number of random candidates. Default 512.
        rounds: step sizes of the refinement.
    """
    wide = spread.narrower(0.5)
    points, extras = initial(space, wide, [rng] * draws)
    points = np.concatenate([points, space.collapse(known[0])])
    extras = {key: np.concatenate([values, known[1][key]]) for key, values in extras.items()}
    for sigma in (*rounds, 0.0):
        weights = space.expand(points)
        order = np.argsort(-bound(coordinates(space, weights, extras)), kind="stable")[:16]
        if sigma == 0.0:
            return weights[order[0]], {key: values[order[:1]] for key, values in extras.items()}
        source = np.concatenate([order, order.repeat(16)])
        step = sigma * rng.standard_normal((source.size, space.dimension))
        step[: order.size] = 0.0
        points = space.limit(simplex.normalise_rows(points[source] * np.exp(step)))
        for key, wanted in space.also.items():
            moves = sigma / 2 * rng.standard_normal(source.size)
            moves[: order.size] = 0.0
            extras[key] = wanted.at(np.clip(share_of(wanted, extras[key][source]) + moves, 0.0, 1.0))
    raise AssertionError("unreachable: the last round returns")
