"""Conversions between the history of a search and its files; the best member, and its policy through its ancestors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalarize.search.algorithms.base import NO_PARENT, Generation, GenerationResult, History, ranking
from scalarize.search.space import Array
from scalarize.utils.errors import RunError
from scalarize.weights.policy import Policy


def decision_rows(generation: Generation) -> list[dict[str, Any]]:
    """Return the decisions as plain rows, one per member: generation, member, parent, epoch of its score, weights."""
    rows: list[dict[str, Any]] = []
    for i, weights in enumerate(generation.weights.tolist()):
        parent = int(generation.parent[i])
        row: dict[str, Any] = {
            "generation": generation.index,
            "member": int(generation.member[i]),
            "parent": None if parent == NO_PARENT else parent,
            "epoch": generation.until_epoch,
            "weights": weights,
        }
        if generation.extras:
            row["extras"] = {key: float(values[i]) for key, values in generation.extras.items()}
        rows.append(row)
    return rows


def lineage_rows(result: GenerationResult) -> list[dict[str, Any]]:
    """Return the rows of ``lineage.jsonl``: decisions with ``score`` and ``metrics`` (null if not finite)."""
    return [
        {**row, "score": _null(score), "metrics": [_null(x) for x in metrics]}
        for row, score, metrics in zip(
            decision_rows(result.generation), result.score.tolist(), result.metrics.tolist(), strict=True
        )
    ]


def generation_from(rows: Sequence[Mapping[str, Any]], keep: bool) -> Generation:
    """Invert :func:`decision_rows`. Raises KeyError, TypeError or ValueError for damaged rows."""
    index, epoch = int(rows[0]["generation"]), int(rows[0]["epoch"])
    if any((r["generation"], r["epoch"]) != (index, epoch) for r in rows):
        raise ValueError("rows of several generations")
    member = np.array([int(r["member"]) for r in rows], dtype=np.int64)
    if (np.diff(member) <= 0).any():
        raise ValueError("members are not in increasing order")
    parent = np.array([NO_PARENT if r["parent"] is None else int(r["parent"]) for r in rows], dtype=np.int64)
    weights = np.array([r["weights"] for r in rows], dtype=np.float64)
    keys = list(rows[0].get("extras", {}))
    extras = {key: np.array([r["extras"][key] for r in rows], dtype=np.float64) for key in keys}
    return Generation(index, epoch, member, parent, weights, extras, keep)


def result_from(rows: Sequence[Mapping[str, Any]]) -> GenerationResult:
    """Invert :func:`lineage_rows`."""
    metrics = np.array([[_nan(x) for x in r["metrics"]] for r in rows], dtype=np.float64)
    return GenerationResult(
        generation_from(rows, True), metrics, np.array([_nan(r["score"]) for r in rows], dtype=np.float64)
    )


def subset(generation: Generation, members: Sequence[int]) -> Generation:
    """Return the rows of ``members`` (in increasing order)."""
    rows = np.array([generation.row_of(m) for m in members], dtype=np.int64)
    extras = {key: values[rows] for key, values in generation.extras.items()}
    return replace(
        generation,
        member=generation.member[rows],
        parent=generation.parent[rows],
        weights=generation.weights[rows],
        extras=extras,
    )


def _null(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _nan(x: float | None) -> float:
    return math.nan if x is None else float(x)


def best(history: History) -> tuple[int, int]:
    """Return generation and row of the best score among the members that have trained longest.

    Raises RunError if none of these scores is finite.
    """
    longest = max(result.generation.until_epoch for result in history)
    found: tuple[float, int, int] | None = None
    for g, result in enumerate(history):
        if result.generation.until_epoch == longest:
            row = int(ranking(result.score, result.generation.member)[0])
            score = float(result.score[row])
            if math.isfinite(score) and (found is None or score > found[0]):
                found = (score, g, row)
    if found is None:
        raise RunError(f"no member has a finite score after epoch {longest}: nothing was found")
    return found[1], found[2]


def ancestry(history: History, generation: int, row: int) -> list[tuple[int, GenerationResult, int]]:
    """Return (first epoch, generation, row) from the first ancestor to the member itself."""
    chain: list[tuple[int, GenerationResult, int]] = []
    while True:
        result = history[generation]
        parent = int(result.generation.parent[row])
        if parent == NO_PARENT:
            chain.append((0, result, row))
            return chain[::-1]
        before = history[generation - 1].generation
        chain.append((before.until_epoch, result, row))
        generation, row = generation - 1, before.row_of(parent)


def trace(
    history: History, generation: int, row: int, tasks: Sequence[str], epochs: int, provenance: Mapping[str, Any]
) -> Policy:
    """Return the policy that a member and its ancestors followed (Royer et al. 2023, appendix 5.2).

    If recipe numbers were searched beside the weights, their values over epochs are in the provenance under ``also``.
    """
    chain = ancestry(history, generation, row)
    found: dict[str, Any] = dict(provenance)
    if history[generation].generation.extras:
        found["also"] = [{"from_epoch": start, **extras_of(result, i)} for start, result, i in chain]
    schedule = [(start, result.generation.weights[i]) for start, result, i in chain]
    return Policy.from_schedule(tasks, [(e, w.tolist()) for e, w in schedule], epochs, provenance=found)


def extras_of(result: GenerationResult, row: int) -> dict[str, float]:
    """Return the recipe numbers of a member."""
    return {key: float(values[row]) for key, values in result.generation.extras.items()}


def epochs_trained(history: History, generation: Generation) -> NDArray[np.int64]:
    """Return the epochs (M,) that each member of ``generation``, the one after ``history``, trains in it."""
    begun = history[generation.index - 1].generation.until_epoch if generation.index else 0
    return generation.until_epoch - np.where(generation.parent == NO_PARENT, 0, begun)


def configurations(history: History) -> int:
    """Count the configurations that were trained: fresh ones, and those that differ from their parent's."""
    count = 0
    for g, result in enumerate(history):
        now = result.generation
        fresh = now.parent == NO_PARENT
        if g > 0 and not fresh.all():
            before = history[g - 1].generation
            source = np.searchsorted(before.member, np.where(fresh, before.member[0], now.parent))
            changed = (_columns(now) != _columns(before)[source]).any(axis=1)
            count += int((fresh | changed).sum())
        else:
            count += now.size
    return count


def _columns(generation: Generation) -> Array:
    return np.column_stack([generation.weights, *generation.extras.values()])
