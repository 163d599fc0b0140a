"""The design of a swarm: mixtures around a prior, wide and narrow, sparse ones included, that keep bounds and caps and
fill the space.

Candidates are Dirichlet draws around the prior with concentrations from a quarter of the number of domains to 16 times
it, a share of them on a random subset of the domains, brought within the bounds. Of the candidates of each width, those
are taken one by one that are farthest, in Hellinger distance, from the nearest mixture taken before (greedy maximin).
"""

from __future__ import annotations

import numpy as np

from scalarize.search.mixture.forms.least_squares import Array
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex

WIDTHS = (0.25, 1.0, 4.0, 16.0)  # concentrations, as multiples of the number of domains
CANDIDATES = 16  # a run
LEAST = 1e-3  # weights below are 0: nobody trains on them


def design_mixtures(
    prior: Array,
    n_runs: int,
    low: Array | None = None,
    high: Array | None = None,
    sparse: float = 0.25,
    seed: int = 0,
    existing: Array | None = None,
    least: float = LEAST,
) -> Array:
    """Mixtures (n_runs, T) to train.

    Args:
        prior: mixture (T,) to draw around; it is the first run itself, unless ``existing`` holds it.
        n_runs: how many.
        low, high: bounds (T,) of the weights (repetition caps among them).
        sparse: share of the candidates in which a random half or more of the domains are left out.
        seed: of everything random.
        existing: mixtures (m, T) that were trained already: new ones keep away from them.
        least: weights below are set to 0 where the bounds allow it.

    Raises:
        RequestError: numbers out of range, or bounds that cannot be met.
    """
    n_domains = len(prior)
    if n_runs < 1:
        raise RequestError(f"a swarm needs at least 1 run, got {n_runs}")
    if n_domains < 2:
        raise RequestError(f"a swarm needs at least 2 domains, got {n_domains}")
    if not 0 <= sparse <= 1:
        raise RequestError(f"sparse: a share lies in [0, 1], got {sparse}")
    low = np.zeros(n_domains) if low is None else low
    high = np.ones(n_domains) if high is None else high
    if low.sum() > 1 + 1e-9 or high.sum() < 1 - 1e-9 or (low > high + 1e-12).any():
        raise RequestError(
            f"bounds: least weights sum to {low.sum():g}, greatest to {high.sum():g}; 1 must lie between"
        )
    rng = np.random.default_rng(seed)
    centre = within(prior, low, high)
    taken = [np.asarray(x, dtype=np.float64) for x in (existing if existing is not None else [])]
    new: list[Array] = []
    if not any(np.abs(x - centre).max() < 1e-6 for x in taken):
        new.append(centre)
    distance: Array | None = None
    pools = [_candidates(rng, centre, width * n_domains, n_runs, low, high, sparse, least) for width in WIDTHS]
    near = [_distances(pool, [*taken, *new]) for pool in pools]
    turn = 0
    while len(new) < n_runs:
        k = turn % len(pools)
        turn += 1
        distance = near[k]
        best = int(distance.argmax())
        new.append(pools[k][best])
        for pool, d in zip(pools, near, strict=True):
            np.minimum(d, _distances(pool, [new[-1]]), out=d)
    return np.array(new)


def within(w: Array, low: Array, high: Array) -> Array:
    """The mixture nearest in shape to ``w`` within bounds: proportional to it wherever no bound holds it."""
    w = simplex.normalise(np.maximum(w, 1e-12))
    least, most = 0.0, float((high / np.maximum(w, 1e-12)).max())
    for _ in range(100):  # clip(f w) grows with f: bisect for the f at which it sums to 1
        factor = 0.5 * (least + most)
        if np.clip(factor * w, low, high).sum() < 1.0:
            least = factor
        else:
            most = factor
    found = np.clip(most * w, low, high)
    room = found - low
    return np.asarray(found - (found.sum() - 1.0) * room / max(float(room.sum()), 1e-300))


def _candidates(
    rng: np.random.Generator, centre: Array, concentration: float, n_runs: int, low: Array, high: Array, sparse: float,
    least: float,
) -> Array:  # fmt: skip
    found = []
    n = len(centre)
    for i in range(max(CANDIDATES * n_runs // len(WIDTHS), 16)):
        if i < sparse * CANDIDATES * n_runs / len(WIDTHS):
            kept = rng.random(n) < rng.uniform(0.0, 0.5)
            kept[rng.integers(n)] = True
            shape = np.where(kept, centre, 0.0)
            shape = simplex.normalise(shape if shape.sum() > 0 else kept.astype(np.float64))
        else:
            kept, shape = np.ones(n, dtype=bool), centre
        w = np.where(kept, simplex.sample_dirichlet(rng, shape, concentration), 0.0)
        w = within(w, low, high)
        w = np.where((w < least) & (low <= 0), 0.0, w)
        found.append(within_sum(w, low, high))
    return np.array(found)


def within_sum(w: Array, low: Array, high: Array) -> Array:
    """``w`` with its sum brought back to 1, within the bounds, by what has weight already, then by anything."""
    for room_of in (np.where(w > 0, 1.0, 0.0), np.ones(len(w))):
        missing = 1.0 - float(w.sum())
        room = ((high - w) if missing > 0 else (w - low)) * room_of
        if room.sum() > 0:
            w = w + missing * room / room.sum() if room.sum() >= abs(missing) else w + np.sign(missing) * room
    return np.asarray(w)


def _distances(pool: Array, taken: list[Array]) -> Array:
    """Hellinger distance of every candidate to the nearest mixture taken; infinite if there is none."""
    if not taken:
        return np.full(len(pool), np.inf)
    affinity = np.sqrt(pool) @ np.sqrt(np.array(taken)).T
    return np.asarray(np.sqrt(np.maximum(1.0 - affinity.max(axis=1), 0.0)))


def runs_for(n_domains: int, metrics_share: float = 4.0) -> int:
    """Runs for a first swarm, without an earlier fit to judge by: 4 for each number of the default law (our choice)."""
    return int(np.ceil(metrics_share * (n_domains + 2)))
