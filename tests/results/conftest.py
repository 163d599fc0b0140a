"""The script under test, loaded as a module: ``test_x.py`` tests ``results/x.py``."""

from __future__ import annotations

from types import ModuleType

import pytest

from scripts import load


@pytest.fixture(scope="module")
def benchmark(request: pytest.FixtureRequest) -> ModuleType:
    return load(f"results/{request.path.stem.removeprefix('test_')}.py")
