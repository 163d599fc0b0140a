"""Numbers that are not finite, which JSON has not: null in a document, and an entry that says what each was."""

from __future__ import annotations

import math
from typing import Any

ENTRY = "not_finite"
WORDS = ("nan", "inf", "-inf")


def without(content: Any, reasons: bool) -> Any:
    """Return ``content`` with None for every number that is not finite.

    Args:
        content: plain data.
        reasons: add the entry ``not_finite`` to a mapping: where they were, and what each was.

    Returns:
        A copy.

    >>> without({"a": [float("inf")]}, reasons=True)
    {'a': [None], 'not_finite': [{'at': ['a', 0], 'was': 'inf'}]}
    """
    found: list[dict[str, Any]] = []
    plain = _walk(content, [], found)
    return plain | {ENTRY: found} if reasons and isinstance(plain, dict) else plain


def _walk(value: Any, at: list[Any], found: list[dict[str, Any]]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        found.append({"at": at, "was": str(float(value))})
        return None
    if isinstance(value, dict):
        return {key: _walk(inner, [*at, key], found) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_walk(inner, [*at, index], found) for index, inner in enumerate(value)]
    return value


def restored(content: Any) -> Any:
    """Return what :func:`without` was given; entries that do not fit are left alone.

    >>> restored({'a': [None], 'not_finite': [{'at': ['a', 0], 'was': 'inf'}]})
    {'a': [inf]}
    """
    entries = content.get(ENTRY) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        return content
    left = [entry for entry in entries if not _put_back(content, entry)]
    if not left:
        del content[ENTRY]
    return content


def _put_back(content: Any, entry: Any) -> bool:
    try:
        *path, last = entry["at"]
        for key in path:
            content = content[key]
        if content[last] is not None or entry["was"] not in WORDS:
            return False
        content[last] = float(entry["was"])
    except (KeyError, IndexError, TypeError, ValueError):
        return False
    return True
