"""The first lines about a table: rows, targets, inputs, what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalarize.workloads.table.own_table import OwnTable
from scalarize.workloads.table.splits import Rows
from scalarize.workloads.table.targets import CLASSES, Target
from scalarize.workloads.table.tasks import task_of

MOST_NAMES = 30


def first_lines(table: OwnTable, settings: Mapping[str, Any]) -> list[str]:
    """Say what a table was understood as, before anything is trained.

    Args:
        table: the table.
        settings: data settings of the recipe, which the split follows from.

    Returns:
        Lines: the rows and their split, a line a target, the inputs, what was left out, and doubts.
    """
    rows = table.rows(settings)
    sizes = ", ".join(f"{len(part)} {name}" for name, part in rows.parts.items())
    lines = [f"{table.name}: {table.rows_read} rows, split {rows.how}: {sizes}"]
    if table.domains is not None:
        counted = ", ".join(f"{name} ({len(own)})" for name, own in table.domains.items())
        lines.append(f"domains in {table.options.domain!r}: {counted}")
        lines += [f"target {t!r} is not learned in domain {d!r}: {why}" for (t, d), why in table.unlearnable.items()]
    lines += [_target(t, v, rows) for t, v in zip(table.posed, table.values, strict=True)]
    lines.append(f"inputs: {_names(table.inputs)}")
    if table.left_out:
        why = [f"{name} ({reason})" for name, reason in table.left_out.items()]
        lines.append(f"left out: {_names(why)}")
    return lines + [f"note: {doubt}" for doubt in table.doubts(settings)]


def in_one_line(table: OwnTable) -> str:
    """Say in one line what the targets were taken for."""
    targets = ", ".join(f"{t.name}: {t.words()}" for t in table.posed)
    left = f"; left out: {_names(list(table.left_out))}" if table.left_out else ""
    return f"inferred targets: {targets}; {len(table.inputs)} inputs{left}"


def _target(target: Target, values: np.ndarray, rows: Rows) -> str:
    fitted = target.fitted(values, rows.train)
    task = task_of(fitted)
    known = values[~np.isnan(values)]
    missing = "" if len(known) == len(values) else f", {len(values) - len(known)} rows without a label"
    if target.kind in CLASSES:
        shares = np.bincount(known.astype(np.int64), minlength=len(target.classes)) / len(known)
        if target.kind == "binary":
            balance = f"{100 * shares[1]:.1f} % {target.classes[1]}"
            chance = "0.5 is chance" if task.metric_name == "auroc" else f"the larger class has {max(shares):.3f}"
        else:
            largest = int(np.argmax(shares))
            balance = f"{100 * shares[largest]:.1f} % {target.classes[largest]}, the largest class"
            chance = (
                f"always the largest has {shares[largest]:.3f}" if task.metric_name == "accuracy" else "1/C is chance"
            )
    else:
        balance = f"{known.min():g} to {known.max():g}, mean {known.mean():g}"
        chance = "0.5 is chance" if task.metric_name == "rank-agreement" else "the mean has 0 or its deviation"
    beside = ", ".join(m.name for m in task.extra_metrics)
    line = f"target {target.name}: {target.words()}, {balance}{missing}; judged by {task.metric_name} ({chance})"
    line += f", beside it {beside}" if beside else ""
    if target.kind == "classes" and all(isinstance(c, int) and not isinstance(c, bool) for c in target.classes):
        line += f"; whole numbers: `types` {target.name}=count, regression or ordinal predicts them as numbers"
    return line


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
