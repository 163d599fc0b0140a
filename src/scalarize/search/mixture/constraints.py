"""Constraints on a mixture: bounds, repetition caps, sums of groups, and a distance to a prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from scalarize.search.mixture.forms.least_squares import Array
from scalarize.utils.errors import RequestError, unknown_name_error

TINY = 1e-9


@dataclass(frozen=True)
class Constraints:
    """Mixtures w (T,) on the simplex with low <= w <= high, rows . w <= most, KL(w || prior) <= kl and total variation
    |w - prior|_1 / 2 <= tv."""

    low: Array
    high: Array
    prior: Array
    rows: Array = field(default_factory=lambda: np.zeros((0, 0)))
    most: Array = field(default_factory=lambda: np.zeros(0))
    kl: float | None = None
    tv: float | None = None

    def violation(self, w: Array) -> float:
        """By how much ``w`` misses the constraints, at most over all of them."""
        found = [abs(float(w.sum()) - 1.0), float((self.low - w).max()), float((w - self.high).max())]
        if len(self.rows):
            found.append(float((self.rows @ w - self.most).max()))
        if self.kl is not None:
            found.append(divergence(w, self.prior) - self.kl)
        if self.tv is not None:
            found.append(0.5 * float(np.abs(w - self.prior).sum()) - self.tv)
        return max(0.0, *found)


def divergence(w: Array, prior: Array) -> float:
    """KL(w || prior) in nats; infinite if w has weight where the prior has none."""
    used = w > 0
    if (prior[used] <= 0).any():
        return float("inf")
    return float((w[used] * np.log(w[used] / prior[used])).sum())


def create(
    domains: Sequence[str],
    prior: Array,
    low: Mapping[str, float] | None = None,
    high: Mapping[str, float] | None = None,
    fixed: Mapping[str, float] | None = None,
    sizes: Mapping[str, float] | None = None,
    budget: float | None = None,
    repeats: float = 4.0,
    groups: Mapping[str, tuple[float, float]] | None = None,
    kl: float | None = None,
    tv: float | None = None,
    within: tuple[Array, Array] | None = None,
) -> Constraints:
    """Constraints from words.

    Args:
        domains: names of the T domains.
        prior: mixture (T,) that kl and tv are measured from.
        low, high: least and greatest weight of a domain.
        fixed: weights that are given.
        sizes: tokens that a domain has; with ``budget``, the tokens to be trained on, no domain is seen more than
            ``repeats`` times: its weight is at most repeats * size / budget.
        groups: ``{"a+b": (0.1, 0.4)}`` bounds the sum of domains.
        kl: greatest KL(w || prior), in nats. tv: greatest total variation, in [0, 1].
        within: ranges (T,), (T,) of the runs' weights, which hold where nothing above says otherwise.

    Raises:
        RequestError: an unknown domain, a number out of range, or bounds that cannot be met together.
    """
    n = len(domains)
    place = {d: i for i, d in enumerate(domains)}
    lowest, highest = np.zeros(n), np.ones(n)
    said = np.zeros((2, n), dtype=bool)
    for option, given, target, row in (("low", low, lowest, 0), ("high", high, highest, 1)):
        for name, value in (given or {}).items():
            target[_place(place, name, option)] = _share(value, option, name)
            said[row, place[name]] = True
    for name, value in (fixed or {}).items():
        i = _place(place, name, "fix")
        lowest[i] = highest[i] = _share(value, "fix", name)
        said[:, i] = True
    if sizes is not None:
        highest = np.minimum(highest, _caps(domains, sizes, budget, repeats))
    elif budget is not None:
        raise RequestError("budget: repetition caps need sizes, the tokens of every domain")
    if within is not None:
        lowest = np.where(said[0], lowest, np.minimum(within[0], highest))
        highest = np.where(said[1], highest, np.minimum(highest, np.maximum(within[1], lowest)))
    crossed = np.flatnonzero(lowest > highest + TINY)
    if len(crossed):
        i = int(crossed[0])
        raise RequestError(f"{domains[i]}: its least weight {lowest[i]:g} is above its greatest, {highest[i]:g}")
    if lowest.sum() > 1 + TINY:
        raise RequestError(f"the least weights sum to {lowest.sum():g}, more than 1")
    if highest.sum() < 1 - TINY:
        tight = ", ".join(domains[i] for i in np.argsort(highest)[:3])
        raise RequestError(
            f"the greatest weights sum to {highest.sum():g}, less than 1 (the tightest: {tight}): allow more "
            "repetition, a smaller budget or higher bounds"
        )
    rows, most = _rows(place, groups or {})
    for name, number, top in (("kl", kl, np.inf), ("tv", tv, 1.0)):
        if number is not None and not 0 <= number <= top:
            raise RequestError(f"{name} must be at least 0{'' if top == np.inf else ' and at most 1'}, got {number:g}")
    if kl is not None:  # weight where the prior has none is infinitely far
        none = prior <= 0
        if (lowest[none] > 0).any():
            i = int(np.flatnonzero(none & (lowest > 0))[0])
            raise RequestError(f"{domains[i]}: must have weight, but the prior has none and kl is bounded")
        highest = np.where(none, 0.0, highest)
    return Constraints(lowest, highest, prior, rows, most, kl, tv)


def _place(place: Mapping[str, int], name: str, option: str) -> int:
    if name not in place:
        raise unknown_name_error("domain", name, place, where=f" in {option}")
    return place[name]


def _share(value: float, option: str, name: str) -> float:
    if not 0 <= value <= 1:
        raise RequestError(f"{option} of {name}: a weight lies in [0, 1], got {value:g}")
    return float(value)


def _caps(domains: Sequence[str], sizes: Mapping[str, float], budget: float | None, repeats: float) -> Array:
    if budget is None:
        raise RequestError("sizes: repetition caps need a budget, the tokens to be trained on")
    if not (budget > 0 and np.isfinite(budget)) or not (repeats > 0 and np.isfinite(repeats)):
        raise RequestError(f"budget and repeats must be above 0, got {budget:g} and {repeats:g}")
    missing = [d for d in domains if d not in sizes]
    if missing:
        raise RequestError(f"sizes: no size of {', '.join(missing[:5])}")
    tokens = np.array([float(sizes[d]) for d in domains])
    if not (np.isfinite(tokens).all() and (tokens >= 0).all()):
        raise RequestError("sizes must be finite and >= 0")
    return np.minimum(repeats * tokens / budget, 1.0)


def _rows(place: Mapping[str, int], groups: Mapping[str, tuple[float, float]]) -> tuple[Array, Array]:
    rows, most = [], []
    for text, (low, high) in groups.items():
        row = np.zeros(len(place))
        for name in text.split("+"):
            row[_place(place, name.strip(), "groups")] = 1.0
        if not 0 <= low <= high <= 1:
            raise RequestError(f"groups: {text} must lie between 0 and 1, the least first, got {low:g} to {high:g}")
        rows += [row, -row]
        most += [high, -low]
    return (np.array(rows), np.array(most)) if rows else (np.zeros((0, len(place))), np.zeros(0))
