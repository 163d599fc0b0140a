"""From a search's history to its files and back: lineage rows, the best member, its policy through its ancestors."""

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
    """What was decided, a row a member: generation, member, parent, epoch (at which it is scored), weights."""
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


def lineage_rows(told: GenerationResult) -> list[dict[str, Any]]:
    """Rows of ``lineage.jsonl``: what was decided, ``score`` and ``metrics`` (null where not finite)."""
    return [
        {**row, "score": _null(score), "metrics": [_null(x) for x in metrics]}
        for row, score, metrics in zip(
            decision_rows(told.generation), told.score.tolist(), told.metrics.tolist(), strict=True
        )
    ]


def generation_from(rows: Sequence[Mapping[str, Any]], keep: bool) -> Generation:
    """The inverse of :func:`decision_rows`. Raises KeyError, TypeError or ValueError for damaged rows."""
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


def told_from(rows: Sequence[Mapping[str, Any]]) -> GenerationResult:
    """The inverse of :func:`lineage_rows`."""
    metrics = np.array([[_nan(x) for x in r["metrics"]] for r in rows], dtype=np.float64)
    return GenerationResult(
        generation_from(rows, True), metrics, np.array([_nan(r["score"]) for r in rows], dtype=np.float64)
    )


def subset(generation: Generation, members: Sequence[int]) -> Generation:
    """The rows of ``members`` (increasing)."""
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
    """Generation and row of the best score among the members that have trained longest.

    Raises RunError where no score of these is finite.
    """
    longest = max(told.generation.until_epoch for told in history)
    found: tuple[float, int, int] | None = None
    for g, told in enumerate(history):
        if told.generation.until_epoch == longest:
            row = int(ranking(told.score, told.generation.member)[0])
            score = float(told.score[row])
            if math.isfinite(score) and (found is None or score > found[0]):
                found = (score, g, row)
    if found is None:
        raise RunError(f"no member has a finite score after epoch {longest}: nothing was found")
    return found[1], found[2]


def ancestry(history: History, generation: int, row: int) -> list[tuple[int, GenerationResult, int]]:
    """(epoch at which it began, generation, row) from the first ancestor to the member itself."""
    chain: list[tuple[int, GenerationResult, int]] = []
    while True:
        told = history[generation]
        parent = int(told.generation.parent[row])
        if parent == NO_PARENT:
            chain.append((0, told, row))
            return chain[::-1]
        before = history[generation - 1].generation
        chain.append((before.until_epoch, told, row))
        generation, row = generation - 1, before.row_of(parent)


def trace(
    history: History, generation: int, row: int, tasks: Sequence[str], epochs: int, provenance: Mapping[str, Any]
) -> Policy:
    """The policy that a member and its ancestors followed (Royer et al. 2023, appendix 5.2).

    Where recipe numbers were searched beside the weights, their course stands in the provenance under ``also``.
    """
    chain = ancestry(history, generation, row)
    found: dict[str, Any] = dict(provenance)
    if history[generation].generation.extras:
        found["also"] = [{"from_epoch": start, **extras_of(told, i)} for start, told, i in chain]
    schedule = [(start, told.generation.weights[i]) for start, told, i in chain]
    return Policy.from_schedule(tasks, [(e, w.tolist()) for e, w in schedule], epochs, provenance=found)


def extras_of(told: GenerationResult, row: int) -> dict[str, float]:
    """The recipe numbers of a member."""
    return {key: float(values[row]) for key, values in told.generation.extras.items()}


def epochs_trained(history: History, generation: Generation) -> NDArray[np.int64]:
    """Epochs (M,) that each member of ``generation``, the one after ``history``, trains in it."""
    begun = history[generation.index - 1].generation.until_epoch if generation.index else 0
    return generation.until_epoch - np.where(generation.parent == NO_PARENT, 0, begun)


def configurations(history: History) -> int:
    """How many configurations were trained: fresh ones, and those that differ from what their parent had."""
    count = 0
    for g, told in enumerate(history):
        now = told.generation
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
