"""A user's table that has been read: its targets, inputs and splits, decided once for all runs of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain, Objective, Task
from scalarize.utils.errors import RequestError, unknown_name_error
from scalarize.workloads.table import doubts, encodings, splits
from scalarize.workloads.table.cells import Column, understand
from scalarize.workloads.table.domains import rows_by_domain
from scalarize.workloads.table.fitted import FittedTable
from scalarize.workloads.table.inputs import leave_out
from scalarize.workloads.table.options import TableOptions
from scalarize.workloads.table.pairs import learnable
from scalarize.workloads.table.reading import RawTable
from scalarize.workloads.table.splits import Rows
from scalarize.workloads.table.targets import Target, pose

SMALLEST = 50  # rows below which nothing is left to measure on
DOMAIN = "table"  # a fixed name: seeds derive from it, and a file that is renamed is the same table


class OwnTable:
    """The columns of a table, in their kinds, and what follows from its options.

    columns: all but the targets. left_out: those that are no inputs, and why. posed: the targets, not fitted yet;
    values: theirs, float64 (N,) each, NaN if missing. domains: rows of each, None if there is one; pairs: of a target
    and a domain that are learned; unlearnable: the other such pairs, and why.

    Args:
        raw: the table as it was read; its frame is taken apart, so that no second copy is held.
        targets: names of the target columns.
        options: of the table.

    Raises:
        RequestError: a column or an option is wrong, or the table is too small.
    """

    def __init__(self, raw: RawTable, targets: Sequence[str], options: TableOptions) -> None:
        frame, where = raw.frame, raw.name
        if not targets:
            some = ", ".join(map(str, frame.columns[:20])) + (", ..." if len(frame.columns) > 20 else "")
            raise RequestError(f"`csv` {where} needs `targets`: name columns of {some}")
        for name in targets:
            if name not in frame.columns:
                raise unknown_name_error("target", name, map(str, frame.columns), where=f" in {where}")
        if len(set(targets)) != len(targets):
            raise RequestError(f"`targets` names a column twice: {', '.join(targets)}")
        if len(frame) < SMALLEST:
            raise RequestError(
                f"{where}: {len(frame)} rows are too few to train, validate and test on; {SMALLEST} at least"
            )
        options.check(list(map(str, frame.columns)), tuple(targets), where)
        self.name, self.options, self.rows_read = where, options, len(frame)
        found = [pose(name, frame[name], options) for name in targets]
        self.posed: list[Target] = [target for target, _ in found]
        self.values: list[np.ndarray] = [values for _, values in found]
        self.columns: dict[str, Column] = {}
        self.domains: dict[str, np.ndarray] | None = None
        for name in [c for c in frame.columns if c not in targets]:
            asked = options.types.get(name)
            cells = frame.pop(name)
            self.columns[name] = understand(name, cells, asked if asked in ("category", "date") else None)
            if name == options.domain:
                self.domains = rows_by_domain(self.columns[name], cells.reset_index(drop=True))
        uses = {"groups": "it names the groups", "split_column": "it names the splits"}
        used = {getattr(options, key): use for key, use in uses.items() if getattr(options, key) is not None}
        if options.time is not None and self.columns[options.time].kind != "date":
            used[options.time] = "it orders the rows"
        self.left_out = leave_out(self.columns, options, raw.nameless, used)
        self.inputs = [name for name in self.columns if name not in self.left_out]
        if not self.inputs:
            why = "; ".join(f"{name}: {reason}" for name, reason in list(self.left_out.items())[:5])
            raise RequestError(f"{where}: no column is left as input: {why or 'every column is a target'}")
        kinds = {t.name: t.kind for t in self.posed} | {n: self.columns[n].kind for n in self.inputs}
        told = {"name": where, "rows": self.rows_read, "columns": len(found) + len(self.columns)}
        self.fingerprint: dict[str, Any] = told | {"sha256": raw.hash, "kinds": kinds}
        self.pairs, self.unlearnable = learnable(self.posed, self.values, self.domains or {})
        self._rows: dict[str, Rows] = {}

    def share(self, other: OwnTable) -> None:
        """Use the columns that ``other`` holds, which was made from this one."""
        self.columns, self.values = other.columns, other.values

    def rows(self, settings: Mapping[str, Any]) -> Rows:
        """Return the rows of each split.

        Args:
            settings: ``split_seed``, and ``shares`` of training, validation and test.

        Raises:
            RequestError: a split would lack what a target needs, or the shares are none.
        """
        key = repr([settings["split_seed"], settings["shares"]])
        if key not in self._rows:
            found = self._split(settings)
            for name, domain in self._places():
                here = found if domain is None else found.within(domain)
                learned = [k for k, t in enumerate(self.posed) if domain is None or (t.name, name) in self.pairs]
                posed, values = [self.posed[k] for k in learned], [self.values[k] for k in learned]
                if (reason := splits.lacking(posed, values, here)) is not None:
                    raise RequestError(f"{'' if domain is None else f'domain {name!r}, '}{reason}")
            self._rows[key] = found
        return self._rows[key]

    def _split(self, settings: Mapping[str, Any]) -> Rows:
        shares, seed, options = list(settings["shares"]), int(settings["split_seed"]), self.options
        if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise RequestError(f"`settings` data.shares={shares}: three shares above 0 with a sum of 1")
        if options.split_column is not None:
            words = understand(options.split_column, self.columns[options.split_column].values, "category").values
            return splits.by_column(words.tolist(), options.split_column)
        if options.time is not None:
            column = self.columns[options.time]
            if column.kind == "category" or column.missing.any():
                row = int(np.flatnonzero(column.missing)[0]) + 1 if column.missing.any() else 1
                raise RequestError(f"time column {column.name!r}: row {row} holds no date and no number")
            return splits.by_time(column.values.to_numpy(dtype="float64"), shares, column.name)
        if options.groups is not None:
            return splits.by_groups(self._groups(), self.posed, self.values, shares, seed, options.groups)
        parts = [
            splits.stratified(self.posed, self.values, shares, seed, rows)
            for rows in (self.domains or {"": np.arange(self.rows_read)}).values()
        ]
        joined = [np.sort(np.concatenate([p.parts[name] for p in parts])) for name in parts[0].parts]
        return Rows(parts[0].how, *joined)

    def _groups(self) -> np.ndarray:
        """Return the group of each row, int64 (N,)."""
        column = self.columns[str(self.options.groups)]
        if column.missing.any():
            row = int(np.flatnonzero(column.missing)[0]) + 1
            raise RequestError(f"groups column {column.name!r}: row {row} is empty: of which group is it?")
        return column.values.factorize()[0].astype(np.int64)

    def fitted(self, settings: Mapping[str, Any]) -> FittedTable:
        """Return encodings and targets, fitted to the training rows of a split."""
        rows = self.rows(settings)
        train, split = rows.train, {"how": rows.how} | {name: len(part) for name, part in rows.parts.items()}
        # The test lies after all that was seen, if time splits the rows: a trend would be extrapolated.
        time = self.options.time
        made = tuple(encodings.fit(self.columns[name], train, trend=name != time) for name in self.inputs)
        targets = tuple(t.fitted(v, train) for t, v in zip(self.posed, self.values, strict=True))
        domain = None if self.domains is None else (str(self.options.domain), tuple(self.domains))
        return FittedTable(made, targets, self.left_out, self.fingerprint, domain, split)

    def data(self, settings: Mapping[str, Any]) -> Data:
        """Return tasks, domains and splits as tensors."""
        fitted, rows = self.fitted(settings), self.rows(settings)
        tables = self._tables(fitted, {name: rows if of is None else rows.within(of) for name, of in self._places()})
        tasks, info = fitted.tasks, fitted.info
        if self.domains is None:
            return Data.multi_task(tasks, Domain(DOMAIN, tables[DOMAIN]), **info)
        domains = {name: Domain(name, parts) for name, parts in tables.items()}
        of = {t.name: t for t in tasks}
        objectives = tuple(Objective(objective_name(of[t], d, tasks), of[t], d) for t, d in self.pairs)
        return Data(objectives, domains, len(rows.train), info)

    def _places(self) -> list[tuple[str, np.ndarray | None]]:
        return [(DOMAIN, None)] if self.domains is None else [*self.domains.items()]

    def _tables(self, fitted: FittedTable, rows: Mapping[str, Rows]) -> dict[str, dict[str, TensorTable]]:
        """Return tensors by domain and split."""
        places = [(name, split, part) for name, own in rows.items() for split, part in own.parts.items()]
        inputs = encodings.matrices(fitted.encodings, self.columns, [part for *_, part in places])
        for (*_, part), matrix in zip(places, inputs, strict=True):
            if len(wild := np.flatnonzero(~np.isfinite(matrix).all(axis=1))):
                raise RequestError(f"row {part[wild[0]] + 1} holds numbers too far from those of the training rows")
        prepared = {t.name: t.prepared(v) for t, v in zip(fitted.targets, self.values, strict=True)}
        known = {t.name: ~np.isnan(v) for t, v in zip(fitted.targets, self.values, strict=True)}
        partly = {name: mask for name, mask in known.items() if not mask.all()}
        groups = None if self.options.groups is None else self._groups()
        found: dict[str, dict[str, TensorTable]] = {name: {} for name in rows}
        for (name, split, part), matrix in zip(places, inputs, strict=True):
            found[name][split] = TensorTable(
                torch.from_numpy(matrix),
                {task: torch.from_numpy(values[part]) for task, values in prepared.items()},
                None if groups is None else torch.from_numpy(groups[part]),
                labelled={task: torch.from_numpy(mask[part]) for task, mask in partly.items()} or None,
            )
        return found

    @property
    def objectives(self) -> list[str]:
        """Names of what has a weight: targets, domains, or both."""
        if self.domains is None:
            return [t.name for t in self.posed]
        of = {t.name: t for t in self.posed}
        return [objective_name(of[t], d, self.posed) for t, d in self.pairs]

    def doubts(self, settings: Mapping[str, Any]) -> list[str]:
        """Return sentences on what was read, on inputs that give a target away, and on rows that repeat."""
        read = [t.understood for t in self.posed if t.understood]
        strays = [line for name in self.inputs if (line := self.columns[name].stray_words())]
        inputs = {name: self.columns[name] for name in self.inputs}
        away = doubts.giveaways(inputs, self.posed, self.values, self.rows(settings).train)
        grouped = self.options.groups is not None or self.options.split_column is not None
        return read + strays + away + ([] if grouped else doubts.repeated(self.columns, self.values))


def objective_name(task: Target | Task, domain: str, tasks: Sequence[Target] | Sequence[Task]) -> str:
    """Name a task on a domain: by the domain alone if there is only one task."""
    return domain if len(tasks) == 1 else f"{task.name} on {domain}"
