"""The script under test, loaded as a module: ``test_x.py`` tests ``benchmarks/x.py``."""

from __future__ import annotations

from types import ModuleType

import pytest

from scripts import load


@pytest.fixture(scope="module")
def benchmark(request: pytest.FixtureRequest) -> ModuleType:
    return load(f"benchmarks/{request.path.stem.removeprefix('test_')}.py")
