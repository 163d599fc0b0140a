"""The synthetic part of results/search.md is what its command makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_it_writes_its_part_and_leaves_the_rest(benchmark, tmp_path, capsys):
    out = tmp_path / "search.md"
    out.write_text(f"old\n{benchmark.MARKER}\n## Real data\n")
    benchmark.main(["--out", str(out), "--seeds", "3", "--algorithms", "pbt,grid,halving"])
    text = out.read_text()
    assert text.endswith(f"{benchmark.MARKER}\n## Real data\n")
    assert "old" not in text
    assert text.count("### ") == 3
    assert "halving" in capsys.readouterr().out


def test_values_and_distances_are_right_where_they_can_be_known(benchmark):
    for problem in benchmark.toy_problems.PROBLEMS.values():
        judge = problem(seed=0, epochs=benchmark.EPOCHS)
        course = [(e, judge.best(e).tolist()) for e in range(benchmark.EPOCHS)]
        best = benchmark.toy_problems.Policy.from_schedule(problem.tasks, course, benchmark.EPOCHS)
        assert judge.value(best) == pytest.approx(1.0)
        assert judge.distance(best) == pytest.approx(0.0, abs=1e-12)
        uniform = benchmark.toy_problems.Policy.constant(dict.fromkeys(problem.tasks, 1.0), benchmark.EPOCHS)
        assert judge.value(uniform) < 0.95
    noiseless = benchmark.search("pbt", benchmark.toy_problems.PROBLEMS["stationary"], 0)
    assert noiseless.score == pytest.approx(noiseless.value)


def test_the_verdict_needs_a_difference(benchmark):
    rng = np.random.default_rng(0)
    same = [benchmark.Found(*rng.normal(size=5)) for _ in range(20)]
    better = [benchmark.Found(f.value + 1 + 0.1 * rng.normal(), *f[1:]) for f in same]
    text = benchmark.table(
        "x",
        {
            "random": same,
            "twin": list(same),
            "better": better,
            "worse": [
                benchmark.Found(f.value - (b.value - f.value), *f[1:]) for f, b in zip(same, better, strict=True)
            ],
        },
    )
    verdicts = {
        line.split()[0]: line.split()[-1]
        for line in text.splitlines()
        if line.split() and line.split()[0] in ("twin", "better", "worse")
    }
    assert verdicts == {"twin": "ties", "better": "wins", "worse": "loses"}
