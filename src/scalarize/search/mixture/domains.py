"""The table of domains: sizes, prior weights, bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarize.search.mixture import tables
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.runs import parse_number
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex

NAMES = ("domain", "name", "source", "task")
SIZES = ("size", "tokens", "token_count", "n_tokens", "count", "samples")


@dataclass(frozen=True)
class Domains:
    """Names, and by name: sizes in tokens or samples, prior weights, least and greatest weights, as far as given."""

    names: tuple[str, ...]
    sizes: dict[str, float]
    prior: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]

    def prior_mixture(self, temperature: float = 1.0) -> Array:
        """The prior (T,): the column ``prior``, else the sizes, else uniform; to the power 1 / temperature."""
        source = self.prior or self.sizes
        return tempered(np.array([source.get(n, 0.0) for n in self.names]) if source else np.ones(len(self.names)),
                        temperature)  # fmt: skip


def tempered(weights: Array, temperature: float) -> Array:
    """The mixture proportional to weights ** (1 / temperature): 1 leaves it as it is, greater is flatter."""
    if not (temperature > 0 and np.isfinite(temperature)):
        raise RequestError(f"temperature must be above 0, got {temperature}")
    return simplex.normalise(simplex.normalise(weights) ** (1.0 / temperature))


def read_domains(source: Any) -> Domains:
    """Read a CSV file or frame with a column ``domain`` and any of ``size`` (or tokens), ``prior``, ``low``, ``high``;
    or take a mapping of sizes, ``{"web": 3e12}``.

    Raises:
        RequestError: naming line and column of what is wrong.
    """
    if isinstance(source, Mapping) and all(isinstance(v, int | float) for v in source.values()):
        source = {"domain": list(source), "size": list(source.values())}
    table = tables.read(source)
    columns = {name.lower(): name for name in table.columns}
    key = next((columns[n] for n in NAMES if n in columns), None)
    if key is None:
        raise RequestError(f"{table.name}: needs a column 'domain' (columns: {', '.join(table.columns)})")
    names = tuple(str(c).strip() for c in table.columns[key])
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None or not all(names):
        raise RequestError(f"{table.name}: domains must have distinct names; {twice!r} stands twice")

    def column(known: tuple[str, ...], most: float) -> dict[str, float]:
        name = next((columns[n] for n in known if n in columns), None)
        found: dict[str, float] = {}
        for i, cell in enumerate(table.columns[name] if name is not None else []):
            if cell is None or not str(cell).strip():
                continue
            value = parse_number(cell)
            if not (np.isfinite(value) and 0 <= value <= most):
                raise RequestError(f"{table.at(i)}, column {name}: {cell!r} is no number between 0 and {most:g}")
            found[names[i]] = value
        return found

    return Domains(names, column(SIZES, 1e30), column(("prior", "weight", "ratio"), 1e30), column(("low", "min"), 1.0),
                   column(("high", "max"), 1.0))  # fmt: skip
