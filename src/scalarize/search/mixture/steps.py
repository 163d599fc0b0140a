"""Steps of a table with metrics at several of them: those that most runs reached."""

from __future__ import annotations

import numpy as np

from scalarize.search.mixture.runs import Runs

REACHED = 0.9  # share of the most runs at any step from which a step counts as reached by most (our choice)


def common_steps(runs: Runs) -> tuple[list[float], int]:
    """Steps that most runs have, increasing, and the number of rows at steps after the last of them."""
    assert runs.steps is not None
    steps, counts = np.unique(runs.steps, return_counts=True)
    common = steps[counts >= REACHED * counts.max()]
    return common.tolist(), int((runs.steps > common[-1]).sum())
