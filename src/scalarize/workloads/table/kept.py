"""Checks of what is read back from a run's directory: every field is of the kind that was written."""

from __future__ import annotations

import dataclasses
from typing import Any

_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "float": (int, float),
    "int": (int,),
    "bool": (bool,),
    "tuple[str, ...]": (tuple,),
    "tuple[float, ...]": (tuple,),
    "tuple[Any, ...]": (tuple,),
    "tuple[str, str]": (tuple,),
}
_PARTS: dict[str, tuple[type, ...]] = {"tuple[str, ...]": (str,), "tuple[float, ...]": (int, float)}


def check(made: Any) -> None:
    """Check the fields of a dataclass instance whose annotations are words.

    Args:
        made: the instance.

    Raises:
        TypeError: a field is of another kind than its annotation says.
    """
    for field in dataclasses.fields(made):
        value, kind = getattr(made, field.name), str(field.type)
        if value is None and kind.endswith(" | None"):
            continue
        kind = kind.removesuffix(" | None")
        wanted = _KINDS.get(kind)
        good = wanted is None or (isinstance(value, wanted) and (kind == "bool" or not isinstance(value, bool)))
        if not good or not all(isinstance(part, _PARTS.get(kind, object)) for part in _parts(value)):
            raise TypeError(f"{field.name!r} is {str(value)[:80]!r}")


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else ()
