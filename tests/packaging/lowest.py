"""Print the lowest versions that pyproject.toml states as a constraints file; torch and torchvision are those tested.

``make lowest`` installs it into an environment of its own, and runs the tests of methods, balancer and search there.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTED = ("torch", "torchvision")  # one version of these was tested; it is both lowest and highest
DEVELOPERS = ("test", "docs")  # tools, not what a user installs


def lowest() -> dict[str, str]:
    """Package -> the lowest version stated by the package itself or by an extra for users."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needs = [
        *project["dependencies"],
        *(n for name, all_of in extras.items() if name not in DEVELOPERS for n in all_of),
    ]
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    found = {}
    for need in needs:
        name, bound = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?(?:[>=]=([\w.]+))?", need).groups()
        if bound is not None:
            found[name] = pinned[name] if name in TESTED else bound
    return found


if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in sorted(lowest().items())))
