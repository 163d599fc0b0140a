"""Facts about the table behind runs, as their directories keep them: rows, targets, inputs, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalarize.analysis import readers
from scalarize.utils.errors import RequestError

FILE = "table.json"


@dataclass(frozen=True)
class TableFacts:
    """A table as its runs saw it.

    name: of the file. rows: in all; split: how they were split, and the number of rows by part. targets: name, kind
    and classes with their shares, or mean and deviation. inputs: names. left_out: reason by column.
    """

    name: str
    rows: int
    split: Mapping[str, Any]
    targets: Sequence[Mapping[str, Any]]
    inputs: Sequence[str]
    left_out: Mapping[str, str]


def find(directory: Path) -> TableFacts | None:
    """Return the facts of the table behind the run, search or comparison in ``directory``, or None.

    Raises:
        RequestError: its description is damaged.
    """
    path = directory / FILE
    if not path.exists():
        return None
    content = readers.read_mapping(path)
    try:
        told = content["fingerprint"]
        return TableFacts(
            str(told["name"]),
            int(told["rows"]),
            dict(content.get("split") or {}),
            [_target(target) for target in content["targets"]],
            [str(encoding["name"]) for encoding in content["inputs"]],
            {str(k): str(v) for k, v in content["left_out"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RequestError(f"{path}: no description of a table: {type(error).__name__}: {error}") from None


def _target(content: Any) -> dict[str, Any]:
    """Return a target. Raises KeyError, TypeError or ValueError unless :func:`in_words` can say it."""
    classes, shares = content.get("classes") or [], content.get("frequencies") or []
    numbers = [*shares, *((content["centre"], content["scale"]) if not classes else ())]
    if not all(isinstance(content[key], str) for key in ("name", "kind")):
        raise TypeError("a target needs a name and a kind")
    if not isinstance(classes, list) or not isinstance(shares, list) or len(classes) != len(shares):
        raise ValueError("each class needs its frequency")
    if not all(readers.is_number(x) for x in numbers) or len(set(map(str, classes))) != len(classes):
        raise ValueError("frequencies, centre and scale must be numbers, and classes distinct")
    return dict(content)


def in_words(target: Mapping[str, Any]) -> str:
    """Say what a target is, and what always saying the same would get.

    >>> in_words({"kind": "binary", "classes": ["no", "yes"], "frequencies": [0.75, 0.25]})
    'binary: no 75.0 %, yes 25.0 %'
    >>> in_words({"kind": "regression", "classes": [], "centre": 50.0, "scale": 9.5})
    'regression: mean 50, deviation 9.5'
    """
    kind, classes, shares = target["kind"], target.get("classes") or [], target.get("frequencies") or []
    if not classes:
        if kind == "count":
            return f"count: mean {target['scale']:.4g}"
        return f"{kind}: mean {target['centre']:.4g}, deviation {target['scale']:.4g}" if kind != "log" else "log"
    largest = sorted(zip(classes, shares, strict=True), key=lambda pair: -pair[1])[:3]
    shown = sorted(largest, key=lambda pair: classes.index(pair[0]))
    more = f" and {len(classes) - 3} more" if len(classes) > 3 else ""
    return f"{kind}: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in shown) + more
