"""Two workloads of the command line that need no simulator."""

from __future__ import annotations

import pytest

from fake_environments import Broken, workload
from scalarize import workloads


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> None:
    """``points``, and ``broken``, which diverges."""
    known = dict(workloads._all()) | {"points": workload(), "broken": workload(Broken, "broken")}
    monkeypatch.setattr(workloads, "_all", lambda: known)
