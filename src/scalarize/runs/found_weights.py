"""The weights that a search found, in words: as trained, and for losses in the table's own units."""

from __future__ import annotations

from collections.abc import Mapping

from scalarize.weights.policy import Policy
from scalarize.workloads.table.fitted import FittedTable


def lines(policy: Policy, table: FittedTable | None = None) -> list[str]:
    """Say which weights a policy ends with.

    Args:
        policy: that was found.
        table: the user's own table, if the search was on one. Default: none.

    Returns:
        A line with the weights, which multiply losses of standardised targets if there is a table; and one with what
        to multiply losses of raw targets by, if that is something else.
    """
    last = dict(zip(policy.tasks, policy.segments[-1].weights, strict=True))
    said = ", ".join(f"{name} {weight:.3g}" for name, weight in last.items())
    if table is None:
        return [f"weights at the end: {said}"]
    raw = raw_weights(last, table)
    found = [f"weights at the end, of losses of targets in standard units: {said}"]
    if raw != last:
        found.append("for losses of the raw targets: " + ", ".join(f"{n} {w:.3g}" for n, w in raw.items()))
    return found


def raw_weights(weights: Mapping[str, float], table: FittedTable) -> dict[str, float]:
    """Return what to multiply losses of raw targets by, so that they count as the standardised ones did.

    A squared error in the table's units is deviation^2 times that of the standardised target, a Poisson loss its mean
    times. Other losses have no units, or are trained on another scale than that of the table.

    Args:
        weights: weight by objective.
        table: as it was fitted.

    Returns:
        Multiplier by objective.
    """
    found = {}
    for name, weight in weights.items():
        target = next((t for t in table.targets if name == t.name or name.startswith(f"{t.name} on ")), None)
        target = table.targets[0] if target is None and len(table.targets) == 1 else target
        power = {"regression": 2, "count": 1}.get(target.kind, 0) if target is not None else 0
        found[name] = weight / (target.scale**power if target is not None else 1.0)
    return found
