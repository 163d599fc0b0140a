"""The weights that a run used, as a policy: any method can be drawn, and replayed as plain scalarization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.runs.directory import Records, read_config
from scalarize.utils import files, limits
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex
from scalarize.weights.policy import Policy

MOST_CLIPPED = 0.1
MOST_NUMBERS = 2 * 10**8  # weights over steps; beyond it the records are taken for damaged


def policy_of_run(directory: str | Path) -> tuple[Policy, float]:
    """Make a policy of a run's recorded weights, averaged over each epoch.

    Weights of a method need not sum to 1: the sum becomes the policy's scale. Negative ones are clipped to 0.

    Args:
        directory: the run's.

    Returns:
        The policy, and the share that had to be clipped: the negative weights' part of all weights' absolute sum.

    Raises:
        RequestError: the run's method has no weights, or more than 10 % would be clipped, since the policy would
            misrepresent the run.
    """
    config = read_config(directory)
    if config.get("kind") == "search":
        raise RequestError(f"{directory}: holds a search; its policy is {Path(directory) / 'policy.json'}")
    if config.get("kind") == "compare":
        raise RequestError(f"{directory}: holds a comparison; name one of its runs, below {Path(directory) / 'runs'}")
    rows = Records(Path(directory)).read()
    tasks, schedule = epoch_means(rows, str(directory))
    clipped = np.maximum(schedule, 0.0)
    total = float(np.abs(schedule).sum())
    share = float(1 - clipped.sum() / total) if total > 0 else 0.0
    if share > MOST_CLIPPED:
        raise RequestError(
            f"{directory}: {share:.0%} of its weights are negative; above {MOST_CLIPPED:.0%} a policy would "
            "misrepresent the run"
        )
    scales = clipped.sum(axis=1)
    if (scales <= 0).any():
        raise RequestError(f"{directory}: epoch {int(np.argmin(scales))} has no positive weight")
    pairs = [(epoch, simplex.normalise(w).tolist()) for epoch, w in enumerate(clipped)]
    origin = {"made-from": config.get("request", {}), "clipped": share} | _divergence(Path(directory))
    return Policy.from_schedule(tasks, pairs, len(schedule), scales.tolist(), origin), max(share, 0.0)


def _divergence(directory: Path) -> dict[str, str]:
    """Return the place at which the run diverged, if it did and says so."""
    place = directory / "result.json"
    result = files.read_json(place) if place.is_file() else {}
    said = result.get("diverged") if isinstance(result, dict) else None
    return {"diverged": said} if isinstance(said, str) else {}


def epoch_means(rows: Sequence[dict[str, Any]], where: str) -> tuple[list[str], np.ndarray]:
    """Return the tasks, and mean weights (epochs, T), from tidy rows, in which a weight holds until the next row."""
    trained = [r for r in rows if r.get("split") == "train"]
    weights = [r for r in trained if r.get("metric") == "weight" and _is_whole(r, where)]
    ends = [r for r in trained if r.get("metric") == "loss" and _is_whole(r, where)]
    if not weights or not ends:
        raise RequestError(f"{where}: its records hold no task weights: its method has none, or no epoch was finished")
    tasks = list(dict.fromkeys(str(r["task"]) for r in weights))
    last, epochs = ends[-1]["step"], ends[-1]["epoch"]
    if not 1 <= epochs <= limits.EPOCHS or last < 1 or last % epochs or last * len(tasks) > MOST_NUMBERS:
        raise RequestError(f"{where}: its records are damaged: {last} steps in {epochs} epochs")
    steps = last // epochs
    held = np.full((last, len(tasks)), np.nan)
    for row in weights:  # later rows overwrite earlier ones from their step on
        held[max(row["step"], 0) :, tasks.index(str(row["task"]))] = row["value"]
    by_epoch = held.reshape(-1, steps, len(tasks))
    present = ~np.isnan(by_epoch)
    return tasks, np.where(present, by_epoch, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)


def _is_whole(row: Mapping[str, Any], where: str) -> bool:
    """Return True; RequestError if an entry of ``row`` that should be a number is none."""
    whole = all(type(row.get(key)) is int for key in ("step", "epoch"))
    value = row.get("value") if row["metric"] == "weight" else 0.0
    if not whole or "task" not in row or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise RequestError(f"{where}: its records are damaged: {str(row)[:200]}")
    return True
