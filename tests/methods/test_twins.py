"""A slow, readable twin of every method, straight from its paper's formula, on whole vectors and with no tricks.

A twin gets the steps of a short training, each (Jacobian (T, P), losses (T,), draws or None), and gives the gradient
of every step; it shares no code with the method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from scalarize.methods import create, get, names
from scalarize.policy import Policy

Array = Any
Steps = Sequence[tuple[Array, Array, Array]]
TWINS: dict[str, tuple[Callable[[Steps], list[Array]], dict[str, Any], str]] = {}
T, P, K = 4, 9, 3
POLICY = Policy.from_schedule(["a", "b", "c", "d"], [(0, [1, 2, 3, 4]), (2, [4, 1, 1, 1])], epochs=3, scales=[1, 2])


def twin(name: str, draws: str = "none", **hyper: Any) -> Callable[[Any], Any]:
    """Register a twin of ``create(name, **hyper)``; draws: what the method's random numbers are."""

    def keep(function: Any) -> Any:
        TWINS[f"{name} {hyper}" if hyper else name] = (function, {"name": name, **hyper}, draws)
        return function

    return keep


def stateless(rule: Callable[[Array, Array, Array], Array]) -> Callable[[Steps], list[Array]]:
    return lambda steps: [rule(j, losses, u) for j, losses, u in steps]


def norm(x: Array) -> float:
    return float(np.sqrt((x**2).sum()))


def on_simplex(objective: Callable[[Array], float], n: int) -> Array:
    """The minimiser over the simplex, by a general solver from several starts, polished to its accuracy."""
    best = None
    for start in [np.full(n, 1 / n), *np.eye(n) * 0.9 + 0.1 / n]:
        found = minimize(
            objective,
            start,
            method="SLSQP",
            bounds=[(0, 1)] * n,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-15, "maxiter": 500},
        )
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    return best.x


# --- scalarization -----------------------------------------------------------------------------------------------

twin("unitary")(stateless(lambda j, losses, u: j.sum(axis=0)))
twin("uniform")(stateless(lambda j, losses, u: j.mean(axis=0)))
twin("fixed", weights=[1, 1, 2, 4], scale=3.0)(stateless(lambda j, losses, u: 3 * np.array([1, 1, 2, 4]) / 8 @ j))
twin("rlw", "normal")(stateless(lambda j, losses, u: np.exp(u) / np.exp(u).sum() @ j))
twin("rlw", "exponential", distribution="dirichlet")(stateless(lambda j, losses, u: u / u.sum() @ j))
twin("rgd", "uniform", p=0.6)(stateless(lambda j, losses, u: sum(g for g, x in zip(j, u, strict=True) if x < 0.6)))


@twin("policy", policy=POLICY)
def policy(steps: Steps) -> list[Array]:
    weights = [np.array([1, 2, 3, 4]) / 10] * 2 + [2 * np.array([4, 1, 1, 1]) / 7]
    return [w @ j for w, (j, _, _) in zip(weights, steps, strict=True)]


# --- from the losses -----------------------------------------------------------------------------------------------

twin("uncertainty")(stateless(lambda j, losses, u: j.sum(axis=0) / 2))
twin("imtl-l")(stateless(lambda j, losses, u: j.sum(axis=0)))


@twin("dwa", temperature=2.0)
def dwa(steps: Steps) -> list[Array]:
    result = []
    for k, (j, losses, _) in enumerate(steps):
        weights = np.ones(len(losses))
        if k >= 2:
            rate = steps[k - 1][1] / steps[k - 2][1]
            weights = len(losses) * np.exp(rate / 2) / np.exp(rate / 2).sum()
        result.append(weights @ j)
    return result


# --- from the gradients --------------------------------------------------------------------------------------------


def shortest(j: Array) -> Array:
    return on_simplex(lambda w: norm(w @ j) ** 2 / (j**2).sum(), len(j))


twin("mgda")(stateless(lambda j, losses, u: shortest(j) @ j))
twin("mgda", normalization="loss+")(
    stateless(lambda j, losses, u: shortest(np.array([g / (norm(g) * x) for g, x in zip(j, losses, strict=True)])) @ j)
)


@twin("pcgrad", "orders")
@stateless
def pcgrad(j: Array, losses: Array, orders: Array) -> Array:
    total = np.zeros(j.shape[1])
    for i in range(len(j)):
        g = j[i].copy()
        for k in orders[i].astype(int):
            if g @ j[k] < 0:
                g -= g @ j[k] / norm(j[k]) ** 2 * j[k]
        total += g
    return total


@twin("graddrop", "coordinates", leak=0.2)
@stateless
def graddrop(j: Array, losses: Array, u: Array) -> Array:
    gradient = np.zeros(j.shape[1])
    for p in range(j.shape[1]):
        positive = 0.5 * (1 + j[:, p].sum() / np.abs(j[:, p]).sum())
        for t in range(len(j)):
            kept = j[t, p] > 0 if positive > u[p] else j[t, p] < 0
            gradient[p] += (0.2 + 0.8 * kept) * j[t, p]
    return gradient


@twin("sign-agnostic-graddrop", "entries")
@stateless
def sign_agnostic(j: Array, losses: Array, u: Array) -> Array:
    gradient = np.zeros(j.shape[1])
    for t in range(len(j)):
        for p in range(j.shape[1]):
            gradient[p] += 0 if u[t, p] < 0.75 else j[t, p]
    return gradient


@twin("cagrad", c=0.4)
@stateless
def cagrad(j: Array, losses: Array, u: Array) -> Array:
    mean = j.mean(axis=0)
    w = on_simplex(lambda w: (w @ j @ mean + 0.4 * norm(mean) * norm(w @ j)) / norm(mean) ** 2, len(j))
    return mean + 0.4 * norm(mean) * (w @ j) / norm(w @ j)


@twin("imtl-g")
@stateless
def imtl_g(j: Array, losses: Array, u: Array) -> Array:
    # The paper's closed form: alpha_2..T = g_1 U^T (D U^T)^-1, D and U the differences to the first (unit) gradient.
    units = np.array([g / norm(g) for g in j])
    d, v = j[0] - j[1:], units[0] - units[1:]
    rest = j[0] @ v.T @ np.linalg.inv(d @ v.T)
    return np.array([1 - rest.sum(), *rest]) @ j


twin("imtl")(imtl_g)  # at the start every s is 0


@twin("gradnorm", alpha=1.5, lr=0.01)
def gradnorm(steps: Steps) -> list[Array]:
    w, result = torch.ones(T, dtype=torch.float64), []
    first = torch.tensor(steps[0][1])
    for j, losses, _ in steps:
        result.append(w.numpy() @ j)
        free = w.clone().requires_grad_()
        sizes = torch.stack([torch.linalg.vector_norm(x * torch.tensor(g)) for x, g in zip(free, j, strict=True)])
        rate = torch.tensor(losses) / first
        target = (sizes.mean() * (rate / rate.mean()) ** 1.5).detach()
        (slope,) = torch.autograd.grad((sizes - target).abs().sum(), free)
        moved = w - 0.01 * slope
        w = moved * T / moved.sum()
    return result


# --- the comparison ------------------------------------------------------------------------------------------------


def draw(kind: str, rng: np.random.Generator) -> Array:
    """Random numbers as the method of that kind takes them."""
    if kind == "orders":
        return np.array([rng.permutation([k for k in range(T) if k != i]) for i in range(T)])
    shape = {"coordinates": (P,), "entries": (T, P)}.get(kind, (T,))
    return {"normal": rng.standard_normal, "exponential": rng.standard_exponential}.get(kind, rng.random)(shape)


def test_every_method_has_a_twin() -> None:
    assert {spec["name"] for _, spec, _ in TWINS.values()} == set(names())


@pytest.mark.parametrize("key", TWINS)
@pytest.mark.parametrize("seed", [0, 1])
def test_method_equals_its_twin(key: str, seed: int) -> None:
    function, spec, kind = TWINS[key]
    rng = np.random.default_rng(seed)
    method = create(**spec)
    common = rng.standard_normal(P)
    steps = [
        (
            rng.standard_normal((T, P)) * rng.uniform(0.5, 2, (T, 1)) + np.outer([1, -1, 0.5, -0.2], common),
            rng.uniform(0.2, 2, T),
            draw(kind, rng),
        )
        for _ in range(K + get(spec["name"]).extra_batches)
    ]
    expected = function(steps)
    for k, want in enumerate(expected[:K]):
        j, losses, u = (torch.tensor(x) for x in steps[k])
        extra = [torch.tensor(s[0]) for s in steps[k + 1 : k + 1 + method.extra_batches]]
        got = method.combine_gradients(j, losses, draws=None if kind == "none" else u, extra=extra).gradient
        if method.observes:
            method.observe(torch.tensor(steps[k][1] * 0.9))
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5 * np.abs(want).max(), err_msg=f"step {k}")
