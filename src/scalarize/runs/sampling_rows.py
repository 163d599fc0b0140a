"""Rows of a comparison that weigh domains by their numbers of samples, as multilingual models do.

``temperature-X`` is p_t ~ n_t^(1/X) (Arivazhagan et al. 2019, section 4): 1 is proportional to the samples, 5 much
flatter, and infinity uniform.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex
from scalarize.weights.policy import Policy

PROPORTIONAL = "proportional"
LISTED = (PROPORTIONAL, "temperature-2", "temperature-5")
_ROW = re.compile(r"temperature-(\d+(?:\.\d+)?)")


def temperature(row: str) -> float | None:
    """Return the temperature of a row by its name; None for the name of something else.

    >>> temperature("proportional"), temperature("temperature-2.5"), temperature("uniform")
    (1.0, 2.5, None)
    """
    found = _ROW.fullmatch(row)
    if found is None:
        return 1.0 if row == PROPORTIONAL else None
    return float(found[1])


def check(rows: Sequence[str], data: Data) -> None:
    """Check that rows by temperature have domains to weigh.

    Args:
        rows: names of rows, of any kind.
        data: what is trained on.

    Raises:
        RequestError: a temperature is not above 0, or weights are not over domains of their own samples.
    """
    asked = [(row, value) for row in rows if (value := temperature(row)) is not None]
    for row, value in asked:
        if not 0 < value < math.inf:
            raise RequestError(f"{row}: the temperature must be above 0 (1 is {PROPORTIONAL}, the larger the flatter)")
        if not data.separate:
            what = "these are tasks on the same samples" if len(data.names) > 1 else f"{data.names[0]} is all there is"
            raise RequestError(f"{row} weighs domains by their numbers of samples: {what}")


def samples(data: Data) -> dict[str, int]:
    """Return the number of training samples with a label, by objective of ``data``, each on a domain of its own."""
    found = {}
    for objective in data.objectives:
        rows = data.rows(objective.domain, "train")
        found[objective.name] = len(data.domains[objective.domain].splits["train"]) if rows is None else len(rows)
    return found


def tempered_policy(counts: Mapping[str, float], value: float) -> Policy:
    """Return the constant policy p_t ~ n_t^(1/value) of numbers of samples ``counts`` by domain.

    >>> tempered_policy({"a": 900, "b": 100}, 2.0).weights_at(0).round(6).tolist()
    [0.75, 0.25]
    """
    flat = simplex.normalise(np.array(list(counts.values()), dtype=np.float64)) ** (1.0 / value)
    return Policy.constant(dict(zip(counts, simplex.normalise(flat).tolist(), strict=True)))
