"""The front of one model for all preferences, as ``front.json`` in its directory holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalarize.analysis import readers
from scalarize.utils import vouched
from scalarize.utils.errors import RequestError

FILE = "front.json"
FORMAT = "scalarize-front/1"


def find(directory: Path) -> Mapping[str, Any] | None:
    """Return the measured front of the training in ``directory``, or None.

    Raises:
        RequestError: it is damaged.
    """
    path = directory / FILE
    if not path.exists():
        return None
    vouched.check(directory, [FILE])
    content = readers.read_mapping(path)
    if content.get("format") != FORMAT or not _is_whole(content):
        raise RequestError(f"{path}: no front; measure it again: scalarize front RUN")
    return content


def _is_whole(content: Mapping[str, Any]) -> bool:
    """Return True if all is there that is drawn."""
    tasks, points, by = (content.get(key) for key in ("tasks", "points", "nondominated_by"))
    if not (isinstance(tasks, list) and tasks and isinstance(points, list) and by in ("validation", "test")):
        return False
    told = [content.get(key) for key in ("metrics", "higher_is_better")]
    if not all(isinstance(own, dict) and set(own) == set(tasks) for own in told):
        return False
    return isinstance(content.get("front"), str) and all(_is_point(p, tasks, by) for p in points)


def _is_point(point: Any, tasks: list[str], by: str) -> bool:
    if not isinstance(point, dict) or not isinstance(point.get("nondominated"), bool):
        return False
    for key in ("preference", by, *(["test"] if "test" in point else [])):
        own = point.get(key)
        if not isinstance(own, dict) or set(own) != set(tasks):
            return False
        if not all(v is None or readers.is_number(v) for v in own.values()):
            return False
    return True
