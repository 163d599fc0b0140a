"""What every test may use: the command line as a user calls it, in an empty directory."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

from scalarize import cli

# Tests run side by side already: each trains in its own process, unless it asks for workers.
os.environ.setdefault("SCALARIZE_WORKERS", "1")

# No test depends on timing, nor on the day's luck: a busy machine must not fail what is right.
hypothesis.settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")


@dataclass
class Answer:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as the one JSON object that it must be."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """``command("train", "rand-hie", "--epochs", 1)`` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCALARIZE_DATA", str(tmp_path / "data"))

    def run(*words: Any) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main([str(w) for w in words])
        captured = capsys.readouterr()
        return Answer(int(stop.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def fixtures() -> ModuleType:
    """Writers of tiny data sets in their published layouts: ``workloads/fixtures.py``."""
    spec = importlib.util.spec_from_file_location(
        "workload_fixtures", Path(__file__).parent / "workloads" / "fixtures.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
