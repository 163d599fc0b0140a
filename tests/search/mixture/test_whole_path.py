"""A swarm designed, trained with our learner, fitted, chosen, trained longer and checked: one command each."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "mixtures.md"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_every_command_of_the_page_runs_in_order(command, tmp_path):
    (tmp_path / "domains.csv").write_text(blocks("csv")[0])
    answers = {}
    for line in "".join(blocks("sh")).splitlines():
        program, *words = shlex.split(line)
        if program == "sh":
            script = (tmp_path / words[0]).read_text().splitlines()
            assert script[0] == "set -e"
            assert len(script) == 17
            for run in script[1:]:
                assert command(*shlex.split(run)[1:]).status == 0
            continue
        assert program == "scalarize"
        answer = command(*words)
        assert answer.status == 0, answer.err
        answers[" ".join(words[:2])] = answer.out
    assert "16 runs, 6 domains, 6 metrics" in answers["mixture fit"]
    assert "gain over the prior" in answers["mixture choose"]
    assert "the fit would have chosen" not in answers["mixture check"]  # one run leaves nothing to choose
    assert (tmp_path / "mixture.html").exists()
    predicted = json.loads((tmp_path / "policy.json").read_text())["provenance"]["found"]["score"]["value"]
    trained = json.loads((tmp_path / "large/chosen/result.json").read_text())["measures"]["validation"]
    measured = sum(m["loss"] for m in trained.values()) / 6
    row = command("mixture", "check", "fit.json", "--runs", "large", "--json").json["rows"][0]
    assert row["runs"] == 1
    assert row["bias"] == pytest.approx(predicted - measured, abs=1e-6)


def test_the_python_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[0], str(PAGE), "exec"), {})
    assert "Interval(value=" in capsys.readouterr().out
    assert (tmp_path / "python.html").exists()


def test_directories_that_are_no_swarm_are_refused(command, tmp_path):
    (tmp_path / "empty").mkdir()
    answer = command("mixture", "fit", "--runs", "empty")
    assert answer.status == 2
    assert "empty: holds no runs" in answer.err
    (tmp_path / "runs" / "0").mkdir(parents=True)
    (tmp_path / "runs" / "0" / "config.yaml").write_text("request: {method: mgda}\n")
    answer = command("mixture", "fit", "--runs", "runs")
    assert answer.status == 2
    assert "0: was not trained with constant weights" in answer.err
    (tmp_path / "domains.csv").write_text("domain\na\nb\n")
    answer = command("mixture", "design", "--domains", "domains.csv", "--template", "train {run}")
    assert answer.status == 2
    assert "lacks {weights}" in answer.err
