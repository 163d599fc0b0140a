"""results/metaworld.md: its intervals and tables from known numbers, without a simulator."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from scalarize.utils import files


def test_learning_is_judged_by_intervals_that_do_not_touch(benchmark: ModuleType, tmp_path: Path) -> None:
    times = [{"acting": 10.0, "updating": 20.0}]
    result = {"times": times, "updates": 400, "environment_steps": 1000, "seconds": 60.0}
    rows = [
        {"split": "validation", "epoch": 1, "metric": m, "value": v} for m, v in (("success", 0.4), ("return", 7.0))
    ]
    files.append_lines(tmp_path / "records.jsonl", rows)
    seeds = [
        {"seed": seed, "before": {"a": 0.1}, "result": {**result, "test": {"a": after}}, "out": tmp_path}
        for seed, after in enumerate((0.9, 0.12))
    ]
    lost = {"seed": 2, "before": {"a": 0.1}, "result": {"diverged": "epoch 0: step 3"}, "out": tmp_path / "lost"}
    lines = benchmark.learns_section({"one": [*seeds, lost]}, 50)
    # Wilson's interval of 5 in 50 ends at 0.214
    assert "| a | 0 | 0.10 [0.04, 0.21] | 0.90 [0.79, 0.96] | yes | 1 | 100 | 20.0 |" in lines
    assert any(line.startswith("| a | 1 |") and "| no |" in line for line in lines)
    assert any("diverged: epoch 0: step 3" in line for line in lines)
    assert "| 1 | 0.40 (7) | 0.40 (7) |  |" in lines


def test_several_tasks_are_judged_together_too(benchmark: ModuleType, tmp_path: Path) -> None:
    result = {"times": [{"acting": 1.0, "updating": 1.0}], "updates": 1, "environment_steps": 1, "seconds": 60.0}
    one = {
        "seed": 0,
        "before": {"a": 0.0, "b": 0.2},
        "result": {**result, "test": {"a": 0.1, "b": 0.5}},
        "out": tmp_path,
    }
    lines = benchmark.learns_section({"two": [one]}, 50)
    # 10 and 30 of 100 episodes: Wilson's intervals touch neither
    assert any(line.startswith("| all | 0 | 0.10 [0.06, 0.17] | 0.30 [0.22, 0.40] | yes |") for line in lines)
    assert any(line.startswith("| a | 0 |") and "| no |" in line for line in lines)


def test_the_cost_is_within_rounds(benchmark: ModuleType) -> None:
    rounds = [{"unitary": s, "pcgrad": 3 * s} for s in (1.0, 10.0, 2.0)]  # a machine that is slow in between
    row = benchmark.row_of("pcgrad", rounds)
    assert (row["ratio"], row["low"], row["high"], row["seconds"]) == (3, 3, 3, 6)


def test_what_is_not_finished_is_named_and_not_run(benchmark: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    benchmark.main(["--out", str(tmp_path / "runs"), "--write", str(page), "--finished", "--seeds", "1"])
    text = page.read_text()
    assert "Not run yet: reach-v3 alone, seed 0; three easier tasks, seed 0; unitary on mt10; pcgrad on mt10" in text
    assert list((tmp_path / "runs").iterdir()) == []
