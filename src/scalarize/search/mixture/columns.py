"""The meaning of columns: which are weights, which metrics, which of those are better higher, which tell the run."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalarize.search.mixture.directions import is_beside, is_higher_better
from scalarize.search.mixture.known import EMPTY, KEYS, OTHER, SIZES, STATES, STEPS, TOKENS, TUNED
from scalarize.search.mixture.tables import Table
from scalarize.utils.errors import RequestError

WEIGHT_PREFIX = re.compile(r"^(?:config[./])?(?:weights?|ratios?|mixture|mix|proportions?|train)[:./_]", re.IGNORECASE)
TRAIN_PREFIX = re.compile(r"^(?:config[./])?train[:./_]", re.IGNORECASE)
METRIC_PREFIX = re.compile(r"^(?:summary[./])?(?:metrics?-?|evals?|val|valid|validation|test)[:./_]", re.IGNORECASE)
TOTAL = 0.02  # weights of a row may sum to 1 give or take this, as printed
ROUNDED = 1e-6  # sums of single precision


@dataclass(frozen=True)
class Meaning:
    """Columns by their use; names of domains and metrics are shortened by their common prefix and suffix."""

    weights: dict[str, str]  # domain -> column
    metrics: dict[str, str]  # metric -> column
    higher: frozenset[str]  # metrics, by their name, that are better higher
    size: str | None
    tokens: str | None
    step: str | None
    state: str | None
    key: str | None
    beside: tuple[str, ...] = ()  # columns left out: spreads, times and numbers of samples of metrics

    @property
    def notes(self) -> list[str]:
        """What was left out, in words."""
        if not self.beside:
            return []
        return [f"no metrics, but what stands beside them: {_some(self.beside)} (name them as metrics to keep them)"]


def understand(
    table: Table,
    weights: Sequence[str] = (),
    metrics: Sequence[str] = (),
    higher: Sequence[str] = (),
    lower: Sequence[str] = (),
    first: Table | None = None,
    size: str | None = None,
    tokens: str | None = None,
    step: str | None = None,
) -> Meaning:
    """Decide what the columns are.

    Args:
        table: the runs; ``first`` is the table of weights where two were joined.
        weights: patterns (``train_*``) or names of the columns of weights; found by prefix, table or sum if none.
        metrics: the same for metrics.
        higher: patterns of metrics that are better higher; ``lower`` of those that are better lower. By their names
            (loss, bpb, acc) otherwise, or by ``metric:`` and ``metric-:``.
        size, tokens, step: columns of the model's size, of the tokens trained on, of the step; by name otherwise.

    Raises:
        RequestError: no weights or metrics found; a pattern matches nothing; a direction cannot be told.
    """
    names = [n for n in table.columns if n.lower() not in OTHER and not n.startswith("Unnamed")]
    key = next((k for k in KEYS if k in names), None) if "Name" not in names else "Name"
    special = {kind: _special(table, given, known) for kind, given, known in (
        ("size", size, SIZES), ("tokens", tokens, TOKENS), ("step", step, STEPS), ("state", None, STATES))}  # fmt: skip
    free = [n for n in names if n not in special.values() and n.lower() not in KEYS and n != key]
    numeric = [n for n in free if _numeric(table.columns[n])]
    chosen = _matching(table, free, weights, "weights") or _weights(table, free, numeric, first)
    if not chosen:
        raise RequestError(
            f"{table.name}: finds no columns of weights; name them weight:NAME, or give a pattern as weights "
            f"(columns: {_some(table.columns)})"
        )
    left = [n for n in free if n not in chosen]
    measured, beside = _matching(table, left, metrics, "metrics"), list[str]()
    if not measured:
        left = [n for n in left if n.startswith(("metric:", "metric-:")) or _numeric(table.columns[n], blank=True)]
        measured = [n for n in left if METRIC_PREFIX.match(n)] if first is None else left
        beside = [n for n in measured or left if is_beside(n) and not n.startswith(("metric:", "metric-:"))]
        measured = [n for n in measured or left if n not in beside]
    if not measured:
        raise RequestError(
            f"{table.name}: finds no columns of metrics beside {_some(chosen)}; give a pattern as metrics"
        )
    named = dict(zip(_short(measured, METRIC_PREFIX), measured, strict=True))
    better = frozenset(m for m, c in named.items() if _is_higher(table, m, c, higher, lower))
    domains = dict(zip(_short(chosen, WEIGHT_PREFIX), chosen, strict=True))
    size, tokens, step, state = (special[kind] for kind in ("size", "tokens", "step", "state"))
    return Meaning(domains, named, better, size, tokens, step, state, key, tuple(beside))


def _special(table: Table, given: str | None, known: set[str]) -> str | None:
    if given is not None:
        if given not in table.columns:
            raise RequestError(f"{table.name}: has no column {given!r} (columns: {_some(table.columns)})")
        return given
    return next((n for n in table.columns if n.lower() in known), None)


def _matching(table: Table, names: Sequence[str], patterns: Sequence[str], option: str) -> list[str]:
    found: dict[str, None] = {}
    for pattern in patterns:
        hits = [n for n in names if n == pattern or fnmatch.fnmatchcase(n, pattern)]
        if not hits:
            raise RequestError(f"{table.name}: no column matches {pattern!r} of {option} (columns: {_some(names)})")
        found.update(dict.fromkeys(hits))
    return list(found)


def _weights(table: Table, free: list[str], numeric: list[str], first: Table | None) -> list[str]:
    """Columns with a prefix for weights; else the numbers of the first of two tables; else those that sum to 1."""
    prefixed = [n for n in free if WEIGHT_PREFIX.match(n) and is_higher_better(n) is None]
    logged = [n for n in prefixed if TRAIN_PREFIX.match(n)]  # as trainers log what is no weight, too
    if 0 < len(logged) < len(prefixed):
        prefixed = [n for n in prefixed if n not in logged]
    else:
        prefixed = [n for n in prefixed if not (n in logged and _is_log(WEIGHT_PREFIX.sub("", n).lower()))]
    if first is not None:
        own = [n for n in numeric if n in first.columns]
        return [n for n in prefixed if n in first.columns] or own
    if prefixed:
        return prefixed
    return _summing_to_one([n for n in numeric if n.lower() not in TUNED and is_higher_better(n) is None], table)


def _is_log(name: str) -> bool:
    return is_beside(name) or name in {*OTHER, *TUNED, *STEPS, *TOKENS, "grad_norm"}


def _summing_to_one(names: Sequence[str], table: Table) -> list[str]:
    """Find neighbouring columns within [0, 1] whose rows all sum to about 1.

    Of several runs of columns those that come as near to 1 as any, but for rounding, and of these the longest: a small
    number that has nothing to do with the weights, such as a dropout rate beside them, moves the sums away from 1.
    """
    values = {n: _floats(table.columns[n]) for n in names}
    runs: list[tuple[float, list[str]]] = []
    for begin in range(len(names)):
        total = np.zeros(table.n_rows)
        for end in range(begin, len(names)):
            column = values[names[end]]
            if not (np.isfinite(column).all() and (column >= 0).all() and (column <= 1 + TOTAL).all()):
                break
            total = total + column
            if (off := float(np.abs(total - 1).max())) <= TOTAL and end > begin:
                runs.append((off, list(names[begin : end + 1])))
    nearest = min((off for off, _ in runs), default=0.0)
    return max((own for off, own in runs if off <= 2 * nearest + ROUNDED), key=len, default=[])


def _is_higher(table: Table, metric: str, column: str, higher: Sequence[str], lower: Sequence[str]) -> bool:
    def says(patterns: Sequence[str]) -> bool:
        return any(fnmatch.fnmatchcase(n, p) for p in patterns for n in (metric, column))

    up, down = says(higher), says(lower)
    if not up and not down:
        if column.startswith(("metric:", "metric-:")):
            return column.startswith("metric:")
        known = is_higher_better(column)
        up, down = known is True, known is False
    if up == down:
        raise RequestError(
            f"{table.name}: cannot tell if {metric!r} is better higher or lower: give its name, "
            "or a pattern such as '*', as higher or as lower"
        )
    return up


def _short(names: Sequence[str], prefix: re.Pattern[str]) -> list[str]:
    """Names without a prefix for their kind, ``metric:`` and the like, as long as they stay distinct."""
    if all(n.startswith(("weight:", "metric:", "metric-:")) for n in names):
        short = [n.split(":", 1)[1] for n in names]
    else:
        short = [prefix.sub("", n) for n in names]
    return short if len(set(short)) == len(short) and all(short) else list(names)


def _numeric(cells: Sequence[object], blank: bool = False) -> bool:
    """True if every cell is a number; with ``blank``, if most of those that are not empty are.

    A column of numbers in which a word stands is still taken, so that the word is refused by line and column.
    """
    values = _floats(cells)
    if not blank:
        return bool(np.isfinite(values).all())
    full = [str(c).strip().lower() not in EMPTY for c in cells]
    return int(np.isfinite(values).sum()) > sum(full) / 2 if any(full) else False


def _floats(cells: Sequence[object]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    def number(cell: object) -> float:
        try:
            return float(cell)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return float("nan")

    return np.array([number(c) for c in cells])


def _some(names: Sequence[str] | dict[str, list[object]], most: int = 8) -> str:
    shown = list(names)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
