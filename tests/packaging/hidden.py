"""Run something as if packages were not installed: ``python hidden.py pandas,scipy CODE``."""

from __future__ import annotations

import importlib.machinery
import sys
from typing import Any

hidden = set(sys.argv[1].split(","))
find_spec = importlib.machinery.PathFinder.find_spec


def find_what_is_shown(name: str, path: Any = None, target: Any = None) -> Any:
    return None if name.split(".")[0] in hidden else find_spec(name, path, target)


importlib.machinery.PathFinder.find_spec = find_what_is_shown  # type: ignore[method-assign,assignment]
for name in hidden & {"fcntl", "msvcrt"}:  # built in, or found by a path of their own
    sys.modules[name] = None  # type: ignore[assignment]
exec(sys.argv[2])
