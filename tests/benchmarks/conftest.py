"""The script under test, loaded as a module: ``test_x.py`` tests ``benchmarks/x.py``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def benchmark(request: pytest.FixtureRequest) -> ModuleType:
    stem = request.path.stem.removeprefix("test_")
    path = Path(__file__).parents[2] / "benchmarks" / f"{stem}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
