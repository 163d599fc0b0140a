"""Real environments, where the extra is installed: some steps and updates, a crash, and what is listed without it.

Simulators run in processes of their own, so that they choose no graphics for other tests.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scalarize import workloads
from scalarize.utils.errors import RequestError

installed = pytest.mark.skipif(importlib.util.find_spec("metaworld") is None, reason="the extra rl is not installed")
FEW = ("goals=2", "validation=1", "test=1", "steps=30", "initial_steps=20", "horizon=20", "replay=100")


def python(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MUJOCO_GL": "disable", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)


@installed
def test_real_steps_and_updates_from_the_command_line(tmp_path: Path) -> None:
    settings = [w for s in FEW for w in ("--set", f"data.{s}")]
    small = ["--set", "model.widths=[16]", "--set", "batch_size=4", "--tasks", "reach-v3,drawer-close-v3"]
    words = ["train", "mt10", "--method", "pcgrad", "--epochs", "2", *settings, *small, "--out", str(tmp_path / "r")]
    answer = python("-c", "from scalarize.cli import main; main()", *words, "--json")
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout)
    assert (result["environment_steps"], result["updates"]) == (2 * 2 * 30, 10 + 30)
    assert set(result["test"]) == {"reach-v3", "drawer-close-v3", "average"}
    assert result["measures"]["test"]["reach-v3"]["return"] > 0


SCRIPT = """
import numpy as np
from scalarize.workloads import metaworld
from metaworld.env_dict import ALL_V3_ENVIRONMENTS, MT10_V3
assert metaworld.MT10 == tuple(MT10_V3)
assert set(metaworld.MT50) == set(ALL_V3_ENVIRONMENTS)
env = metaworld.environments(("reach-v3", "push-v3"), 3, 0, 6)
def roll():
    seen = [env.reset([[1], [2]], 5)]
    draw = np.random.default_rng(0)
    for k in range(6):
        step = env.step(draw.uniform(-1, 1, (2, 4)))
        seen += [step.observations, step.successors, step.rewards]
    return seen, step
first, last = roll()
assert last.ended.all() and not last.terminated.any()
assert not np.array_equal(last.observations, last.successors)  # the next episode has begun
assert last.rewards.dtype == np.float64 and first[0].shape == (2, 39)
env.reset([[0, 2], [0, 1]], 1)
env.step(np.ones((2, 4)))
second, _ = roll()
assert all(np.array_equal(a, b) for a, b in zip(first, second)), "what was played before matters"
inner = env._episodes[1].env.unwrapped
inner.do_simulation = lambda *a, **k: 1 / 0
try:
    env.step(np.ones((2, 4)))
except Exception as error:
    print(type(error).__name__, error)
"""


@installed
def test_episodes_depend_on_their_goals_alone_and_a_crash_names_its_task() -> None:
    answer = python("-c", SCRIPT)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("RunError the environment of task 'push-v3' failed: ZeroDivisionError")


def test_without_the_extra_it_is_listed_with_what_it_needs(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "metaworld" else original(name))
    lines = {line.split()[0]: line for line in command("workloads").out.splitlines()}
    assert "pip install 'scalarize[rl]'" in lines["mt10"]
    assert "50 tasks" in lines["mt50"]
    refused = command("train", "mt10", "--out", "r")
    assert refused.status == 2
    assert "pip install 'scalarize[rl]'" in refused.err
    with pytest.raises(RequestError, match="metaworld"):
        workloads.get("mt50").load(workloads.get("mt50").recipe.data, Path())


@pytest.mark.parametrize("setting", ["horizon=501", "goals=0", "test=0"])
def test_numbers_out_of_range_are_named(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from scalarize.workloads import metaworld

    monkeypatch.setattr(metaworld, "missing", lambda root: None)
    key, _, value = setting.partition("=")
    recipe = workloads.get("mt10").recipe
    with pytest.raises(RequestError, match=f"data.{setting}"):
        workloads.get("mt10").load({**recipe.data, key: int(value)}, Path())
