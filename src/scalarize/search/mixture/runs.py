"""Runs made anywhere: mixtures and metrics, checked, with notes on everything that was not as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scalarize.search.mixture import columns, tables
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.utils.errors import RequestError

ROUNDED = 0.02  # by how much a row of weights may miss the sum 1 (published weights are rounded to 3 digits)
BAD_STATES = {"crashed", "failed", "running", "killed", "preempted", "preempting"}
UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


@dataclass(frozen=True)
class Runs:
    """n runs: weights (n, T) on the simplex; losses (n, K), lower is better (metrics that are better higher are
    negated), nan if not measured; scales (n, S), logarithms of the size and of the tokens if the runs have several;
    steps (n,), or None; ids; notes."""

    domains: tuple[str, ...]
    metrics: tuple[str, ...]
    higher: tuple[bool, ...]
    weights: Array
    losses: Array
    ids: tuple[str, ...]
    scale_names: tuple[str, ...] = ()
    scales: Array = field(default_factory=lambda: np.zeros((0, 0)))
    steps: Array | None = None
    notes: tuple[str, ...] = ()

    def take(self, rows: ArrayLike) -> Runs:
        """The runs at ``rows``, a mask or indices."""
        where = np.arange(len(self.weights))[np.asarray(rows)]
        steps = None if self.steps is None else self.steps[where]
        ids = tuple(self.ids[i] for i in where)
        return replace(
            self,
            weights=self.weights[where],
            losses=self.losses[where],
            ids=ids,
            scales=self.scales[where],
            steps=steps,
        )


def read_runs(
    *sources: Any,
    weights: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] | None = None,
    higher: str | Sequence[str] | None = None,
    lower: str | Sequence[str] | None = None,
    size: str | None = None,
    tokens: str | None = None,
    step: str | None = None,
    normalise: bool = False,
    domains: Sequence[str] | None = None,
) -> Runs:
    """Read runs from one table, or from two: weights first, metrics second, joined by run or index.

    Args:
        sources: CSV files or pandas frames.
        weights, metrics, higher, lower, size, tokens, step: see :func:`~scalarize.search.mixture.columns.understand`.
        normalise: divide every row of weights by its sum, whatever it is (loss weights, token counts).
        domains: an order of the domains to keep to (another fit's).

    Returns:
        Runs: with notes on what was joined, left out, rounded or repeated.

    Raises:
        RequestError: naming table, line and column of what is wrong.
    """
    if len(sources) not in (1, 2):
        raise RequestError(f"give one table of runs, or two (weights, metrics), not {len(sources)}")
    first = tables.read(sources[0])
    table, notes = (first, []) if len(sources) == 1 else tables.join(first, tables.read(sources[1]))
    meaning = columns.understand(
        table,
        tables.parse_names(weights), tables.parse_names(metrics), tables.parse_names(higher), tables.parse_names(lower),
        first if len(sources) == 2 else None, size, tokens, step,
    )  # fmt: skip
    if domains is not None:
        _same_domains(table, meaning.weights, domains)
    notes += meaning.notes
    keep = _finished(table, meaning, notes)
    order = list(domains or meaning.weights)
    w = _weight_rows(table, [meaning.weights[d] for d in order], keep, normalise, notes)
    values = np.column_stack([_metric(table, c, keep) for c in meaning.metrics.values()])
    up = np.array([m in meaning.higher for m in meaning.metrics])
    losses = np.where(up, -values, values)
    scale_names, scales = _scales(table, meaning, keep)
    steps = None if meaning.step is None else _numbers(table, meaning.step, keep)
    ids = tuple(str(table.columns[meaning.key][i]) for i in keep) if meaning.key is not None else ()
    ids = ids or tuple(str(table.lines[i]) for i in keep)
    read = Runs(tuple(order), tuple(meaning.metrics), tuple(up.tolist()), w, losses, ids, scale_names, scales, steps)
    return _cleaned(read, notes)


def read_mixtures(source: Any, domains: Sequence[str]) -> Array:
    """Mixtures (m, T) of a table of weights; its other columns do not matter. Domains are taken by their names, with or
    without a prefix."""
    table = tables.read(source)
    found = {}
    for name in table.columns:
        short = next(
            (d for d in domains if name in (d, f"weight:{d}") or columns.WEIGHT_PREFIX.sub("", name) == d), None
        )
        if short is not None:
            found[short] = name
    missing = [d for d in domains if d not in found]
    if missing:
        raise RequestError(f"{table.name}: has no weights of {', '.join(missing[:5])}")
    return _weight_rows(table, [found[d] for d in domains], range(table.n_rows), False, [])


def _same_domains(table: tables.Table, found: dict[str, str], wanted: Sequence[str]) -> None:
    missing = [d for d in wanted if d not in found]
    extra = [d for d in found if d not in wanted]
    if missing or extra:
        said = [f"{label}: {', '.join(names)}" for label, names in (("missing", missing), ("unknown", extra)) if names]
        raise RequestError(f"{table.name}: its domains are not those of the fit; {'; '.join(said)}")


def _finished(table: tables.Table, meaning: columns.Meaning, notes: list[str]) -> list[int]:
    if meaning.state is None:
        return list(range(table.n_rows))
    states = [str(s).strip().lower() for s in table.columns[meaning.state]]
    keep = [i for i, s in enumerate(states) if s not in BAD_STATES]
    if len(keep) < len(states):
        bad = sorted({s for s in states if s in BAD_STATES})
        notes.append(f"{len(states) - len(keep)} runs are left out: their {meaning.state} is {' or '.join(bad)}")
    if not keep:
        raise RequestError(f"{table.name}: no run has finished, by the column {meaning.state!r}")
    return keep


def _weight_rows(
    table: tables.Table, names: Sequence[str], keep: Sequence[int], normalise: bool, notes: list[str]
) -> Array:
    w = np.column_stack([_numbers(table, n, keep) for n in names])
    row, column = np.nonzero(w < 0)
    if len(row):
        raise RequestError(
            f"{table.at(keep[row[0]])}, column {names[column[0]]}: a weight must be >= 0, got {w[row[0], column[0]]:g}"
        )
    sums = w.sum(axis=1)
    if not normalise and (np.abs(sums - 100.0) <= 100.0 * ROUNDED).all():
        notes.append("weights are percentages")
        w, sums = w / 100.0, sums / 100.0
    bad = np.flatnonzero(sums <= 0 if normalise else np.abs(sums - 1.0) > ROUNDED)
    if len(bad):
        raise RequestError(
            f"{table.at(keep[bad[0]])}: its {len(names)} weights sum to {sums[bad[0]]:.4g}, not 1: is a column "
            "missing, or one too many? (normalise divides by the sum)"
        )
    if not normalise and (np.abs(sums - 1.0) > 1e-6).any():
        n = int((np.abs(sums - 1.0) > 1e-6).sum())
        notes.append(
            f"{n} rows of weights sum to 1 only after rounding ({sums.min():.4g} to {sums.max():.4g}): divided"
        )
    return np.asarray(w / sums[:, None])


def _numbers(table: tables.Table, name: str, keep: Sequence[int]) -> Array:
    """A column in which every cell must be a finite number."""
    cells = [table.columns[name][i] for i in keep]
    values = np.array([parse_number(c) for c in cells])
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        cell = str(cells[bad[0]])
        said = f"{cell!r} is no finite number" if cell.strip() else "the cell is empty (write 0 for none)"
        raise RequestError(f"{table.at(keep[bad[0]])}, column {name}: {said}")
    return values


def _metric(table: tables.Table, name: str, keep: Sequence[int]) -> Array:
    """A column in which a cell may be empty or not finite (not measured, diverged); a word is refused."""
    found = []
    for i in keep:
        cell = table.columns[name][i]
        if cell is None or str(cell).strip().lower() in ("", "nan", "none", "null", "n/a"):
            found.append(float("nan"))
            continue
        try:
            found.append(float(cell))
        except (TypeError, ValueError):
            raise RequestError(f"{table.at(i)}, column {name}: {str(cell)!r} is no number") from None
    values = np.array(found)
    return np.where(np.isfinite(values), values, np.nan)


def parse_number(cell: Any) -> float:
    """A number, with a unit as in ``60M`` or ``1.5B``; nan for anything else."""
    text = str(cell).strip()
    factor = UNITS.get(text[-1:].lower(), 0.0)
    try:
        return float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        return float("nan")


def _scales(table: tables.Table, meaning: columns.Meaning, keep: Sequence[int]) -> tuple[tuple[str, ...], Array]:
    """Logarithms of the size and of the tokens; a column of one value is left out."""
    names, found = [], []
    for name, column in (("size", meaning.size), ("tokens", meaning.tokens)):
        if column is None:
            continue
        values = _numbers(table, column, keep)
        if (values <= 0).any():
            at = keep[int(np.flatnonzero(values <= 0)[0])]
            raise RequestError(f"{table.at(at)}, column {column}: must be above 0")
        names.append(name)
        found.append(np.log(values))
    return tuple(names), np.column_stack(found) if found else np.zeros((len(keep), 0))


def _cleaned(runs: Runs, notes: list[str]) -> Runs:
    """Leave out runs without any metric and rows repeated whole; note missing metrics, repeats and constants."""
    empty = np.isnan(runs.losses).all(axis=1)
    if empty.any():
        notes.append(f"{int(empty.sum())} runs are left out: they have no finite metric")
        runs = runs.take(~empty)
    step = np.zeros(len(runs.ids)) if runs.steps is None else runs.steps
    whole = np.column_stack([runs.weights, np.nan_to_num(runs.losses, nan=1e300), runs.scales, step])
    first = np.sort(np.unique(whole, axis=0, return_index=True)[1])
    if len(first) < len(whole):
        notes.append(f"{len(whole) - len(first)} rows repeat another one to the last digit and count once")
        runs = runs.take(first)
    missing = int(np.isnan(runs.losses).sum())
    if missing:
        notes.append(
            f"{missing} of {runs.losses.size} metrics are missing: each metric is fitted to the runs that have it"
        )
    for k, metric in enumerate(runs.metrics):
        values = runs.losses[:, k][np.isfinite(runs.losses[:, k])]
        if len(values) and np.ptp(values) <= 1e-12 * max(1.0, abs(float(values[0]))):
            notes.append(
                f"{metric} is {(-1) ** runs.higher[k] * values[0]:g} in every run: nothing can be learnt from it"
            )
    scale = np.column_stack([runs.weights, runs.scales, np.zeros(len(runs.ids)) if runs.steps is None else runs.steps])
    alike = len(scale) - len(np.unique(scale, axis=0))
    if alike:
        notes.append(f"{alike} runs repeat another one's mixture: they are held out together")
    return replace(runs, notes=tuple(notes))
