"""If a swarm is large enough: the regret of choices by held-out predictions, with all and with half the runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalarize.search.mixture.fitting import Fit, fit_runs
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.objective import Objective

FIELD = 64  # mixtures among which a choice is played through
DRAWS = 200
LEAST = 4  # runs with every metric of the score, of the largest size, below which nothing is said
ENOUGH = 0.05  # regret below which a swarm is large enough (our choice)


@dataclass(frozen=True)
class Outlook:
    """Held-out regret of a choice among ``field`` of the runs (0: the best, 1: their average), its 90 % quantile, the
    same of laws fitted to half the runs, and the regret that twice the runs would leave if the trend held."""

    runs: int
    field: int
    regret: float
    regret_high: float
    regret_half: float
    regret_double: float
    enough: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; None for a regret that too few runs tell."""
        return {k: None if v != v else v for k, v in asdict(self).items()}

    @property
    def verdict(self) -> str:
        """If the swarm is large enough, in a sentence without its full stop."""
        if self.enough:
            return "the swarm is large enough for a choice like this"
        if self.regret >= 1.0:
            return (
                "choices by such predictions are no better than one of the runs at random: train more runs, or longer"
            )
        if self.regret_half != self.regret_half:  # nan
            return "too few runs to say what twice as many would leave"
        if self.regret_double >= self.regret:
            return "half the runs did no worse, so that there is no trend to say what twice the runs would leave"
        return f"twice the runs would leave a regret of about {self.regret_double:.2f}, if the trend holds"

    def runs_for(self, regret: float) -> int:
        """Runs at which the trend reaches ``regret``, at most 16 times and at least a quarter of these."""
        if not (self.regret > 1e-9 and self.regret_half > 1e-9):  # nan where too few runs tell
            return self.runs
        power = max(np.log2(self.regret_half / self.regret), 0.1)
        factor = (self.regret / max(regret, 1e-9)) ** (1.0 / power)
        return int(np.ceil(self.runs * float(np.clip(factor, 0.25, 16.0))))


def of_fit(fit: Fit, objective: Objective, seed: int = 0) -> Outlook:
    """Play choices through: every run is predicted by laws that did not see its mixture.

    A power law through the regret at half and at all of the runs says what twice as many would leave. Both are means
    over random fields of candidates, so that small differences between them are noise; no trend is taken if the regret
    does not fall.
    """
    rng = np.random.default_rng(seed)
    used = objective.utility > 0
    seen = np.flatnonzero(fit.at_scale() & np.isfinite(fit.runs.losses[:, used]).all(axis=1))
    truth = objective(np.where(used, fit.runs.losses, 0.0))
    said = objective(np.where(used, fit.held_out, 0.0))
    if len(seen) < LEAST:  # nothing to play a choice among
        nan = float("nan")
        return Outlook(len(seen), len(seen), nan, nan, nan, nan, False)
    field = min(FIELD, max(len(seen) // 2, 2))
    regrets = _regrets(truth[seen], said[seen], field, rng)
    half = _half(fit, objective, seen, field, rng)
    now = float(regrets.mean())
    double = now * min(now / half, 1.0) if half > 0 else now
    return Outlook(len(seen), field, now, float(np.quantile(regrets, 0.9)), half, double, now <= ENOUGH)


def _half(fit: Fit, objective: Objective, seen: NDArray[np.int64], field: int, rng: np.random.Generator) -> float:
    """The regret of laws of each half of the mixtures on the other half."""
    mixtures = np.unique(fit.runs.weights, axis=0, return_inverse=True)[1].reshape(-1)
    side = rng.permutation(int(mixtures.max()) + 1) % 2
    used = objective.utility > 0
    found = []
    for own in (0, 1):
        rows = side[mixtures] == own
        forms = list(dict.fromkeys(fit.forms))
        try:
            laws = fit_runs(fit.runs.take(rows), forms, 2)
        except ValueError:  # too few runs for a half
            return float("nan")
        other = seen[~rows[seen]]
        if len(other) < 2:
            return float("nan")
        truth = objective(np.where(used, fit.runs.losses[other], 0.0))
        said = objective(laws.predict(fit.runs.weights[other], fit.largest[: laws.runs.scales.shape[1]]))
        found.append(_regrets(truth, said, min(field, len(other)), rng))
    return float(np.concatenate(found).mean())


def _regrets(truth: Array, said: Array, field: int, rng: np.random.Generator) -> Array:
    """Regrets (DRAWS,) of the least prediction among random fields."""
    found = []
    for _ in range(DRAWS):
        rows = rng.choice(len(truth), field, replace=False)
        t = truth[rows]
        spread = float(t.mean() - t.min())
        found.append(float(t[said[rows].argmin()] - t.min()) / spread if spread > 0 else 0.0)
    return np.array(found)
