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
from scipy.optimize import linprog, minimize, root

from scalarize.methods import create, get, names
from scalarize.weights.policy import Policy

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


twin("uw-so", temperature=2.0)(stateless(lambda j, losses, u: np.exp(0.5 / losses) / np.exp(0.5 / losses).sum() @ j))
twin("gls")(stateless(lambda j, losses, u: losses.prod() ** (1 / T) / (T * losses) @ j))
twin("stch", mu=0.5)(stateless(lambda j, losses, u: np.exp(losses / T / 0.5) / np.exp(losses / T / 0.5).sum() / T @ j))
twin("stch", form="mtl", mu=0.5, nadir=[1.0, 2.0, 0.5, 3.0])(
    stateless(lambda j, losses, u: _stch_mtl(losses, np.array([1.0, 2.0, 0.5, 3.0])) @ j)
)


def _stch_mtl(losses: Array, nadir: Array) -> Array:
    powers = (losses / nadir) ** 2  # exp(log(L / nadir) / 0.5)
    return T * powers / powers.sum() / losses


@twin("go4align", groups=2, beta=0.5)
def go4align(steps: Steps) -> list[Array]:
    """Every division into two groups is tried."""
    p, result = np.full(T, 1 / T), []
    for j, losses, _ in steps:
        p = p * np.exp(-0.5 * losses)
        p = p / p.sum()
        risk = p * losses.sum() / losses
        divided = []
        for code in range(1, 2 ** (T - 1)):
            one = np.array([code >> t & 1 == 1 for t in range(T)])
            means = np.where(one, risk[one].mean(), risk[~one].mean())
            divided.append((((risk - means) ** 2).sum(), tuple(means)))
        result.append(np.array(min(divided)[1]) @ j)
    return result


WANTED = [1.0, 2.0, 4.0, 1.0]
R = np.array(WANTED) / 8
twin("stch", mu=0.5, preference=WANTED)(
    stateless(lambda j, losses, u: R * np.exp(R * losses / 0.5) / np.exp(R * losses / 0.5).sum() @ j)
)


def slope(objective: Callable[[Array], float], at: Array) -> Array:
    """The derivatives of a function of T numbers, by central differences."""
    steps = 1e-5 * np.eye(len(at))
    return np.array([(objective(at + h) - objective(at - h)) / 2e-5 for h in steps])


def penalised(losses: Array) -> float:
    u, above = R / norm(R), losses - np.array([0.1, 0.0, 0.1, 0.0])
    return float(above @ u + 3.0 * norm(above - (above @ u) * u))


twin("pbi", theta=3.0, preference=WANTED, ideal=[0.1, 0.0, 0.1, 0.0])(
    stateless(lambda j, losses, u: slope(penalised, losses) @ j)
)
twin("cosmos", lambda_=0.5, preference=WANTED)(
    stateless(lambda j, losses, u: slope(lambda x: float(R @ x - 0.5 * (R @ x) / (norm(R) * norm(x))), losses) @ j)
)


@twin("famo", lr=0.1)
def famo(steps: Steps) -> list[Array]:
    logits = torch.zeros(T, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.1, weight_decay=0.001)
    result = []
    for j, losses, _ in steps:
        z = torch.softmax(logits, 0).detach().numpy()
        share = z / (losses + 1e-8)
        result.append(share / share.sum() @ j)
        fell = torch.tensor(np.log(losses + 1e-8) - np.log(0.9 * losses**1.1 + 1e-8))
        adam.zero_grad()
        (torch.softmax(logits, 0) * fell).sum().backward()
        adam.step()
    return result


# --- from the gradients --------------------------------------------------------------------------------------------


def shortest(j: Array) -> Array:
    return on_simplex(lambda w: norm(w @ j) ** 2 / (j**2).sum(), len(j))


twin("mgda")(stateless(lambda j, losses, u: shortest(j) @ j))
twin("mgda", normalization="loss+")(
    stateless(lambda j, losses, u: shortest(np.array([g / (norm(g) * x) for g, x in zip(j, losses, strict=True)])) @ j)
)


def projected_in_order(j: Array, losses: Array, orders: Array) -> Array:
    total = np.zeros(j.shape[1])
    for i in range(len(j)):
        g = j[i].copy()
        for k in orders[i].astype(int):
            if g @ j[k] < 0:
                g -= g @ j[k] / norm(j[k]) ** 2 * j[k]
        total += g
    return total


IN_TURN = np.array([[k for k in range(T) if k != i] for i in range(T)])


@twin("cr-mogm", alpha=0.7)
def averaged(steps: Steps) -> list[Array]:
    kept, result = None, []
    for j, _, _ in steps:
        w = on_simplex(lambda w, j=j: norm(w @ j) ** 2 / (j**2).sum(), len(j))
        kept = w if kept is None else 0.7 * kept + 0.3 * w
        result.append(kept @ j)
    return result


twin("pcgrad", "orders")(stateless(projected_in_order))
twin("pcgrad", order="fixed")(stateless(lambda j, losses, u: projected_in_order(j, losses, IN_TURN)))
twin("pcgrad", "all_orders", include_self=True, reduction="mean")(
    stateless(lambda j, losses, orders: projected_in_order(j, losses, orders) / T)
)


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


@twin("sign-agnostic-graddrop", "entries", p=0.4, renormalize=True)
@stateless
def sign_agnostic_as_long_as_the_sum(j: Array, losses: Array, u: Array) -> Array:
    gradient = sum(np.where(u[t] < 0.4, 0, j[t]) for t in range(len(j)))
    return gradient * norm(j.sum(axis=0)) / (norm(gradient) + 1e-7)


@twin("cagrad", c=0.4)
@stateless
def cagrad(j: Array, losses: Array, u: Array) -> Array:
    mean = j.mean(axis=0)
    w = on_simplex(lambda w: (w @ j @ mean + 0.4 * norm(mean) * norm(w @ j)) / norm(mean) ** 2, len(j))
    return mean + 0.4 * norm(mean) * (w @ j) / norm(w @ j)


@twin("cagrad", c=0.4, preference=WANTED)
@stateless
def cagrad_around_a_weighted_sum(j: Array, losses: Array, u: Array) -> Array:
    aim = R @ j
    w = on_simplex(lambda w: (w @ j @ aim + 0.4 * norm(aim) * norm(w @ j)) / norm(aim) ** 2, len(j))
    return aim + 0.4 * norm(aim) * (w @ j) / norm(w @ j)


@twin("epo", preference=WANTED)
@stateless
def epo(j: Array, losses: Array, u: Array) -> Array:
    share = R * losses / (R * losses).sum()
    uneven = (share * np.log(T * share)).sum()
    assert uneven > 1e-4
    g = j @ j.T
    towards = g @ (R * (np.log(T * share) - uneven))
    rows, least = [], []
    for t in range(T):
        if not (towards > 0).any() or share[t] == share.max():
            rows, least = [*rows, g[t]], [*least, 0.0]
        elif towards[t] <= 0:
            rows, least = [*rows, g[t]], [*least, towards[t]]
    return vertex(towards, rows, least) @ j


@twin("epo", preference=WANTED, tolerance=100.0)
@stateless
def epo_descends(j: Array, losses: Array, u: Array) -> Array:
    share = R * losses / (R * losses).sum()
    g = j @ j.T
    towards = g @ (R * (np.log(T * share) - (share * np.log(T * share)).sum()))
    return vertex(g.sum(axis=1), [*g, towards], [*np.zeros(T), min(towards.max(), 0)]) @ j


def vertex(objective: Array, rows: list[Array], least: list[float]) -> Array:
    """The best simplex weights with ``rows @ w >= least``, by a general solver of linear programmes."""
    found = linprog(-objective, -np.array(rows), -np.array(least), np.ones((1, T)), [1.0], bounds=(0, None))
    assert found.success
    return found.x


@twin("imtl-g")
@stateless
def imtl_g(j: Array, losses: Array, u: Array) -> Array:
    # The paper's closed form: alpha_2..T = g_1 U^T (D U^T)^-1, D and U the differences to the first (unit) gradient.
    units = np.array([g / norm(g) for g in j])
    d, v = j[0] - j[1:], units[0] - units[1:]
    rest = j[0] @ v.T @ np.linalg.inv(d @ v.T)
    return np.array([1 - rest.sum(), *rest]) @ j


twin("imtl")(imtl_g)  # at the start every s is 0


@twin("gradnorm", form="free", alpha=1.5, lr=0.01)
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


@twin("gradnorm", lr=0.1)
def positive_gradnorm(steps: Steps) -> list[Array]:
    # The same objective over its mean weighted norm, descended in log w, w = T exp(log w) / sum.
    logs, result = torch.zeros(T, dtype=torch.float64), []
    first = torch.tensor(steps[0][1])
    for j, losses, _ in steps:
        free = logs.clone().requires_grad_()
        w = T * torch.exp(free) / torch.exp(free).sum()
        result.append(w.detach().numpy() @ j)
        sizes = torch.stack([torch.linalg.vector_norm(x * torch.tensor(g)) for x, g in zip(w, j, strict=True)])
        rate = torch.tensor(losses) / first
        mean = sizes.mean().detach()
        ((sizes - mean * (rate / rate.mean()) ** 1.5).abs().sum() / mean).backward()
        logs = logs - 0.1 * free.grad
    return result


def fair(j: Array, power: float) -> Array:
    """w > 0 with G w = w^-power: found in log w by a general root finder, from many starts."""
    g = j @ j.T
    for start in np.random.default_rng(0).standard_normal((40, len(j))):
        found = root(lambda x: np.log(np.maximum(g @ np.exp(x), 1e-12)) + power * x, start, tol=1e-13)
        w = np.exp(found.x)
        if found.success and np.allclose(g @ w, w**-power, rtol=1e-8):
            return w
    raise AssertionError("no solution found")


twin("nash-mtl")(stateless(lambda j, losses, u: fair(j, 1.0) @ j))
twin("fairgrad", alpha=2.0)(stateless(lambda j, losses, u: fair(j, 0.5) @ j))


@twin("aligned-mtl", scale="rmse")
@stateless
def aligned_mtl(j: Array, losses: Array, u: Array) -> Array:
    u_, roots, v = np.linalg.svd(j, full_matrices=False)
    return np.sqrt((roots**2).mean()) * np.full(len(j), 1 / len(j)) @ (u_ @ v)


twin("aligned-mtl", scale="rmse", preference=WANTED)(
    stateless(
        lambda j, losses, u: (
            (np.sqrt((np.linalg.svd(j)[1] ** 2).mean()) * R @ np.linalg.svd(j, full_matrices=False)[0])
            @ np.linalg.svd(j, full_matrices=False)[2]
        )
    )
)


def onto_cone(j: Array, g: Array) -> Array:
    """The d nearest to g with ``j @ d >= 0``."""
    found = minimize(
        lambda d: ((d - g) ** 2).sum(),
        g,
        jac=lambda d: 2 * (d - g),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda d: j @ d, "jac": lambda d: j},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return found.x


@twin("pcd", tau=[0.6, 0.1, 0.3], beta=0.9, primary=1)
def pcd(steps: Steps) -> list[Array]:
    shares, squares, result = np.array([0.6, 0, 0.1, 0.3]), np.zeros(T), []
    for k, (j, _, _) in enumerate(steps):
        squares = 0.9 * squares + 0.1 * (j**2).sum(axis=1)
        unit = j / np.sqrt(squares / (1 - 0.9 ** (k + 1)) + 1e-8)[:, None]
        others = unit[[0, 2, 3]]
        least = shares[[0, 2, 3]] * (others**2).sum(axis=1)
        found = minimize(
            lambda d, g=unit[1]: ((d - g) ** 2).sum(),
            unit[1],
            jac=lambda d, g=unit[1]: 2 * (d - g),
            method="SLSQP",
            constraints={
                "type": "ineq",
                "fun": lambda d, a=others, b=least: a @ d - b,
                "jac": lambda d, a=others: a,
            },
            options={"ftol": 1e-15, "maxiter": 500},
        )
        result.append(found.x * norm(j[1]) / norm(found.x))
    return result


twin("upgrad")(stateless(lambda j, losses, u: np.mean([onto_cone(j, g) for g in j], axis=0)))
twin("dualproj")(stateless(lambda j, losses, u: onto_cone(j, j.mean(axis=0))))
twin("upgrad", preference=WANTED)(
    stateless(lambda j, losses, u: sum(r * onto_cone(j, g) for r, g in zip(R, j, strict=True)))
)
twin("dualproj", preference=WANTED)(stateless(lambda j, losses, u: onto_cone(j, R @ j)))


@twin("config")
@stateless
def config(j: Array, losses: Array, u: Array) -> Array:
    units = np.array([g / norm(g) for g in j])
    direction = np.linalg.pinv(units) @ np.ones(len(j))
    direction /= norm(direction)
    return sum(g @ direction for g in j) * direction


@twin("config", preference=WANTED)
@stateless
def config_of_a_preference(j: Array, losses: Array, u: Array) -> Array:
    direction = np.linalg.pinv(np.array([g / norm(g) for g in j])) @ R
    direction /= norm(direction)
    return sum(g @ direction for g in j) * direction


twin("gradvac", "orders", beta=0.5)(lambda steps: vaccinated(steps, follow_all=True))
twin("gradvac", "orders", beta=0.5, update="corrected")(lambda steps: vaccinated(steps, follow_all=False))


def vaccinated(steps: Steps, follow_all: bool) -> list[Array]:
    target, result = np.zeros((T, T)), []
    for j, _, orders in steps:
        total = np.zeros(P)
        for i in range(T):
            g = j[i].copy()
            for k in orders[i].astype(int):
                phi, goal = g @ j[k] / (norm(g) * norm(j[k])), target[i, k]
                if phi < goal:
                    turn = goal * np.sqrt(1 - phi**2) - phi * np.sqrt(1 - goal**2)
                    g = g + norm(g) * turn / (norm(j[k]) * np.sqrt(1 - goal**2)) * j[k]
                target[i, k] = 0.5 * goal + 0.5 * phi if follow_all or phi < goal else goal
            total += g
        result.append(total)
    return result


def to_simplex(x: Array) -> Array:
    """The nearest simplex point, by bisection on the shift."""
    low, high = x.min() - 1, x.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(x - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(x - high, 0)


@twin("sdmgrad", lr=5.0)
def sdmgrad(steps: Steps) -> list[Array]:
    w, result = np.full(T, 1 / T), []
    for k in range(K):
        a = steps[k + 1][0] @ steps[k + 2][0].T
        a = a / (np.mean([np.sqrt(max(x, 0)) for x in np.diag(a)]) ** 2 or 1.0)
        speed = np.zeros(T)
        for _ in range(20):
            speed = 0.5 * speed + a @ (w + 0.3 / T)
            w = to_simplex(w - 5.0 * speed)
        result.append((w + 0.3 / T) / 1.3 @ steps[k][0])
    return result


@twin("sdmgrad", lr=5.0, preference=WANTED)
def sdmgrad_of_a_preference(steps: Steps) -> list[Array]:
    w, result = np.full(T, 1 / T), []
    for k in range(K):
        a = steps[k + 1][0] @ steps[k + 2][0].T
        a = a / (np.mean([np.sqrt(max(x, 0)) for x in np.diag(a)]) ** 2 or 1.0)
        speed = np.zeros(T)
        for _ in range(20):
            speed = 0.5 * speed + a @ (w + 0.3 * R)
            w = to_simplex(w - 5.0 * speed)
        result.append((w + 0.3 * R) / 1.3 @ steps[k][0])
    return result


@twin("modo", gamma=0.05)
def modo(steps: Steps) -> list[Array]:
    w, result = np.full(T, 1 / T), []
    for k in range(K):
        w = to_simplex(w - 0.05 * steps[k + 1][0] @ steps[k + 2][0].T @ w)
        result.append(w @ steps[k][0])
    return result


@twin("db-mtl", beta=0.5, sigma=0.5)
def db_mtl(steps: Steps) -> list[Array]:
    buffer, result = np.zeros((T, P)), []
    for k, (j, losses, _) in enumerate(steps):
        rate = 0.5 / np.sqrt(k + 1)
        for t in range(T):
            buffer[t] = (1 - rate) * j[t] / (losses[t] + 1e-8) + rate * buffer[t]
        longest = max(norm(b) for b in buffer)
        result.append(sum(longest / norm(b) * b for b in buffer))
    return result


@twin("moco", gamma=0.05)
def moco(steps: Steps) -> list[Array]:
    y, w, result = np.zeros((T, P)), np.full(T, 1 / T), []
    for k, (j, _, _) in enumerate(steps):
        y = y - 0.5 / np.sqrt(k + 1) * (y - j)
        w = to_simplex(w - 0.05 / np.sqrt(k + 1) * y @ y.T @ w)
        result.append(w @ y)
    return result


@twin("excess-mtl", lr=0.5)
def excess_mtl(steps: Steps) -> list[Array]:
    w, squares, first, result = np.full(T, 1 / T), np.zeros((T, P)), None, []
    for j, _, _ in steps:
        squares = squares + j**2
        risk = np.array([(g / np.sqrt(s)) @ g for g, s in zip(j, squares, strict=True)])
        first = risk if first is None else first
        w = w * np.exp(0.5 * risk / first)
        w = w / w.sum()
        result.append(w @ j)
    return result


@twin("rotograd")
def rotograd(steps: Steps) -> list[Array]:
    """What reaches the encoder; the rotations are seen by the heads alone, and have tests of their own."""
    first, result = [norm(g) for g in steps[0][0]], []
    for j, _, _ in steps:
        progress = [norm(g) / n for g, n in zip(j, first, strict=True)]
        length = sum(p * norm(g) for p, g in zip(progress, j, strict=True)) / sum(progress)
        result.append(length * sum(g / norm(g) for g in j))
    return result


# --- the comparison ------------------------------------------------------------------------------------------------


def draw(kind: str, rng: np.random.Generator) -> Array:
    """Random numbers as the method of that kind takes them."""
    if kind == "all_orders":
        return np.array([rng.permutation(T) for _ in range(T)])
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
            method.observe(torch.tensor(0.9 * steps[k][1] ** 1.1))
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5 * np.abs(want).max(), err_msg=f"step {k}")
