"""One number from the losses of a mixture, and limits on single losses. Lower is better throughout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalarize.search.mixture.forms.least_squares import Array
from scalarize.utils.errors import RequestError, unknown_name_error


@dataclass(frozen=True)
class Objective:
    """The mean of losses under ``utility`` (K,), which sums to 1; or, if ``worst``, the largest loss among those whose
    utility is above 0. ``keep``, if given, is how far other losses may rise above the prior's."""

    utility: Array
    worst: bool = False
    keep: float | None = None
    text: str = "mean"

    def __call__(self, losses: Array) -> Array:
        """Scores (m,) of losses (m, K)."""
        used = self.utility > 0
        return np.asarray(losses[:, used].max(axis=1) if self.worst else losses[:, used] @ self.utility[used])

    def limits(self, prior_losses: Array) -> Array:
        """The most that every loss (K,) may be; infinite without a limit."""
        free = np.full(len(self.utility), np.inf)
        if self.keep is None:
            return free
        return np.where(self.utility > 0, np.inf, prior_losses + self.keep)


def create(
    score: str | Mapping[str, float], metrics: Sequence[str], target: str | None = None, keep: float | None = None
) -> Objective:
    """An objective from words.

    Args:
        score: ``mean``, ``worst``, or a weighted mean as ``a=2,b=1`` or a mapping; metrics left out count nothing.
        metrics: names of the K metrics.
        target: in place of a score, one metric to minimise.
        keep: how much every other metric may get worse than at the prior, in its own units (0: not at all).

    Raises:
        RequestError: an unknown score or metric, a weight that is no number or negative, or all of them 0.
    """
    if keep is not None and not (math.isfinite(keep) and keep >= 0):
        raise RequestError(f"keep must be a number >= 0, got {keep}")
    if target is not None:
        if score != "mean":
            raise RequestError(f"score {score!r} and target {target!r} exclude each other")
        if target not in metrics:
            raise unknown_name_error("metric", target, metrics)
        said = target if keep is None else f"{target}, others within {keep:g} of the prior's"
        return Objective(np.array([float(m == target) for m in metrics]), False, keep, said)
    if keep is not None and score in ("mean", "worst"):
        raise RequestError("keep holds metrics that the score leaves out: give a target, or a score such as a=2,b=1")
    if score in ("mean", "worst"):
        return Objective(np.full(len(metrics), 1.0 / len(metrics)), score == "worst", None, str(score))
    if isinstance(score, str) and "=" not in score:
        raise unknown_name_error("score", score, ("mean", "worst"), where=" (or a weighted mean such as a=2,b=1)")
    shares = parse_numbers(score, "score") if isinstance(score, str) else dict(score)
    unknown = next((m for m in shares if m not in metrics), None)
    if unknown is not None:
        raise unknown_name_error("metric", unknown, metrics, where=" in the score")
    utility = np.array([float(shares.get(m, 0.0)) for m in metrics])
    if not np.isfinite(utility).all() or (utility < 0).any() or utility.sum() <= 0:
        raise RequestError(f"score: weights must be finite, >= 0 and not all 0, got {dict(shares)}")
    text = ",".join(f"{m}={v:g}" for m, v in shares.items())
    return Objective(utility / utility.sum(), False, keep, text)


def parse_numbers(text: str, option: str) -> dict[str, float]:
    """``"a=2,b=1"`` as numbers by name. Raises RequestError naming the part that is wrong."""
    found: dict[str, float] = {}
    for part in (p.strip() for p in text.split(",")):
        if not part:
            continue
        name, equals, number = part.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            equals, value = "", 0.0
        if not equals or not name:
            raise RequestError(f"{option}: {part!r} is not NAME=NUMBER")
        if name in found:
            raise RequestError(f"{option} names {name!r} twice")
        found[name] = value
    return found
