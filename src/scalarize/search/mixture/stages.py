"""A mixture a stage: laws of the metrics at several steps, and a choice for each.

A stage gets the mixture that is best for the metrics at its end, by runs that kept one mixture from the start. No run
changed its mixture, so that no law knows what a change does: a schedule is a proposal to test, not a prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.search.mixture import store
from scalarize.search.mixture.choice import Choice
from scalarize.search.mixture.fitting import Fit, fit_runs
from scalarize.search.mixture.runs import Runs
from scalarize.search.mixture.steps import common_steps
from scalarize.utils import files
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy

FORMAT = "scalarize-mixture-stages/1"


@dataclass(frozen=True)
class Stages:
    """One fit a step, steps increasing."""

    steps: tuple[float, ...]
    fits: tuple[Fit, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"format": FORMAT, "steps": list(self.steps), "fits": [store.to_dict(f) for f in self.fits]}

    def save(self, path: str | Path) -> Path:
        """Write to ``path`` as JSON."""
        return files.write_json(path, self.to_dict())


def fit_stages(runs: Runs, forms: Sequence[str] | None = None, folds: int = 5) -> Stages:
    """Fit the metrics of every step by themselves.

    Raises:
        RequestError: no column of steps, or one step only; and see
            :func:`~scalarize.search.mixture.fitting.fit_runs`, naming the step.
    """
    if runs.steps is None or len(np.unique(runs.steps)) < 2:
        raise RequestError(
            "a schedule needs runs with metrics at several steps: a column named step, or the name of one as step"
        )
    steps, _ = common_steps(runs)
    left = sorted(set(runs.steps.tolist()) - set(steps))
    if len(steps) < 2:
        raise RequestError(f"a schedule needs 2 steps that most runs reached; only step {steps[0]:g} is one")
    fits = []
    for step in steps:
        try:
            fits.append(fit_runs(replace(runs.take(runs.steps == step), steps=None), forms, folds))
        except RequestError as error:
            raise RequestError(f"step {step:g}: {error}") from None
    if left:
        said = f"{len(left)} steps that few runs reached are no stages: {', '.join(f'{s:g}' for s in left[:5])}"
        fits[-1] = replace(fits[-1], notes=(*fits[-1].notes, said))
    return Stages(tuple(steps), tuple(fits))


def load(path: str | Path) -> Stages | Fit:
    """A file of ``fit``, of one step or of several.

    Raises:
        RequestError: naming the file if it is missing or damaged.
    """
    content = files.read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return store.from_dict(content, str(path))
    try:
        steps = tuple(float(s) for s in content["steps"])
        fits = tuple(store.from_dict(f, str(path)) for f in content["fits"])
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{path}: damaged fit: {error}") from None
    same = all(f.domains == fits[0].domains for f in fits)
    if not fits or len(steps) != len(fits) or not same or list(steps) != sorted(set(steps)):
        raise RequestError(f"{path}: damaged fit: its parts do not fit together")
    return Stages(steps, fits)


def schedule(choices: Sequence[Choice], provenance: dict[str, Any] | None = None) -> Policy:
    """The policy with one epoch a stage; equal neighbours become one segment."""
    pairs = [(k, c.weights.tolist()) for k, c in enumerate(choices)]
    return Policy.from_schedule(choices[0].domains, pairs, len(choices), provenance=provenance or {})
