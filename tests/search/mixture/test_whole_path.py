"""A swarm designed, trained with our learner, fitted, chosen, trained longer and checked: one command each."""

from __future__ import annotations

import json
import shlex

import pytest

SITES = ("rand-hie-sites", "--device", "cpu")


def test_design_train_fit_choose_train_check(command, tmp_path):
    listed = command("workloads", "--json").json
    rows = listed if isinstance(listed, list) else next(v for v in listed.values() if isinstance(v, list))
    domains = next(r for r in rows if r["name"] == "rand-hie-sites")["tasks"]
    (tmp_path / "domains.csv").write_text("domain\n" + "".join(f"{d}\n" for d in domains))
    template = "scalarize train rand-hie-sites --epochs 1 --weights {weights} --out runs/{run}"
    made = command("mixture", "design", "--domains", "domains.csv", "--runs", 12, "--template", template)
    assert made.status == 0
    lines = (tmp_path / "swarm.sh").read_text().splitlines()
    assert lines[0] == "set -e"
    assert len(lines) == 13
    for line in lines[1:]:
        program, *words = shlex.split(line)
        assert program == "scalarize"
        assert command(*words).status == 0
    fitted = command("mixture", "fit", "--runs", "runs", "--json")
    assert fitted.status == 0, fitted.err
    assert fitted.json["runs"] == 12
    assert set(fitted.json["domains"]) == set(domains)
    assert command("mixture", "choose", "fit.json", "--kl", 0.5).status == 0
    assert (
        command("train", "rand-hie-sites", "--epochs", 2, "--policy", "policy.json", "--out", "large/chosen").status
        == 0
    )
    checked = command("mixture", "check", "fit.json", "--runs", "large", "--json")
    assert checked.status == 0, checked.err
    assert checked.json["rows"][0]["runs"] == 1
    trained = json.loads((tmp_path / "large/chosen/result.json").read_text())
    losses = [m["loss"] for m in trained["measures"]["validation"].values()]
    bias = checked.json["rows"][0]["bias"]
    predicted = bias + sum(losses) / len(losses)
    assert predicted == pytest.approx(
        json.loads((tmp_path / "policy.json").read_text())["provenance"]["found"]["score"]["value"]
    )


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
