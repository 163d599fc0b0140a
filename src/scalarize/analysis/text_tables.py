"""Plain-text tables: aligned columns, nothing but characters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from scalarize.analysis import comparison

LONGEST = 24  # a longer title of a column would push the others off the line


def render(header: Sequence[str], body: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Pad columns to their widest cell; those in ``left`` are flush left, the others flush right.

    Long names in the header are broken after hyphens. The text ends without a newline.

    >>> print(render(["method", "long-name"], [["a", "1.5"], ["bb", "10"]]))
    method  long-
             name
    -------------
    a         1.5
    bb         10
    """
    widths = []
    for column, title in enumerate(header):
        pieces = _pieces(title)
        widths.append(max(len(s) for s in [*pieces, *(row[column] for row in body)]))
    titles = [_wrap(title, width) for title, width in zip(header, widths, strict=True)]
    depth = max(len(t) for t in titles)
    lines = [[t[k] if k < len(t) else "" for t in titles] for k in range(depth)]
    text = [_line(line, widths, left) for line in lines]
    text.append("-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join(text + [_line(row, widths, left) for row in body])


def comparison_table(
    rows: Sequence[Mapping[str, Any]],
    scale: float = 1.0,
    lower_is_better: Collection[str] = (),
    title: str = "average",
) -> str:
    """Write the rows of ``compare`` as text: mean and half of the 95 % interval, a star at the best of a column.

    title: of the column by which rows are ranked, see :func:`scalarize.analysis.comparison.ranking`.
    """
    if not rows:
        return "no runs"
    tasks = list(rows[0]["tasks"])
    best = comparison.best(rows, lower_is_better)
    sized = any("parameters" in row for row in rows)
    body = []
    for row in rows:
        cells = {None: comparison.headline(row), **row["tasks"]}
        digits = {t: (2 if t is None else 1) if scale == 100 else 3 for t in cells}
        shown = [cell(cells[t], scale, row["method"] in best.get(t, ()), digits[t]) for t in (None, *tasks)]
        groups = row.get("splits") or row.get("searches")
        behind = f"{groups} x {row['runs'] // groups}" if groups else str(row["seeds"])
        size = [f"{row.get('parameters', '-')}"] if sized else []
        body.append([str(row["method"]), *shown, *size, behind, f"{row['trainings']:g}"])
    first = title if len(title) <= LONGEST else "score"
    text = render(["method", first, *tasks, *(["parameters"] if sized else []), "seeds", "trainings"], body)
    unit = "test metric x 100" if scale == 100 else "test metric"
    ranked = "" if title == "average" else f"ranked by {title}; "
    return (
        text
        + f"\n{ranked}{unit}, mean and half of the 95 % interval; * best of its column; a x b: "
        + ("splits x seeds" if any(row.get("splits") for row in rows) else "searches x retrains")
    )


def cell(interval: Mapping[str, float | None], scale: float = 1.0, best: bool = False, digits: int = 2) -> str:
    """Write ``68.41 ±0.20*``; ``±?`` if one unit gives no interval, ``-`` if the mean is unknown."""
    mean, low, high = (interval[k] for k in ("mean", "low", "high"))
    if mean is None:
        return "- "
    half = "?" if low is None or high is None else f"{scale * (high - low) / 2:.{digits}f}"
    return f"{scale * mean:.{digits}f} ±{half}" + ("*" if best else " ")


def _pieces(title: str) -> list[str]:
    parts = title.split("-")
    return [part + "-" for part in parts[:-1]] + parts[-1:]


def _wrap(title: str, width: int) -> list[str]:
    lines = [""]
    for piece in _pieces(title):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return lines


def _line(cells: Sequence[str], widths: Sequence[int], left: Collection[int]) -> str:
    padded = [c.ljust(w) if k in left else c.rjust(w) for k, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(padded).rstrip()
