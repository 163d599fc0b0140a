"""``mixture`` as a user calls it."""

from __future__ import annotations

import json

import pytest

import fake_swarms as swarms
from scalarize.weights.policy import Policy


def test_design_fit_choose_check(command, tmp_path):
    (tmp_path / "domains.csv").write_text("domain,size\nweb,1T\ncode,100B\nbooks,300B\nmath,20B\n")
    made = command(
        "mixture", "design", "--domains", "domains.csv", "--runs", 30, "--budget", "1B", "--budget", "400B", "--json"
    )
    assert made.status == 0
    assert made.json["runs"] == 30
    assert len((tmp_path / "swarm.csv").read_text().splitlines()) == 31
    swarms.write(tmp_path / "runs.csv", swarms.table(60))
    fitted = command("mixture", "fit", "--runs", "runs.csv", "--json")
    assert fitted.status == 0
    assert {m["form"] for m in fitted.json["metrics"]} == {"power"}
    assert 0 <= fitted.json["outlook"]["regret"] < 0.2
    chosen = command(
        "mixture", "choose", "fit.json", "--kl", 0.2, "--group", "web+code=0.3..0.8", "--fix", "math=0.05", "--json"
    )
    assert chosen.status == 0
    assert chosen.json["solver"]["gap"] < 1e-4
    policy = Policy.load(tmp_path / "policy.json")
    assert policy.epochs == 1
    assert len(policy.segments) == 1
    weights = dict(zip(policy.tasks, policy.segments[0].weights, strict=True))
    assert weights["math"] == pytest.approx(0.05)
    assert 0.3 - 1e-6 <= weights["web"] + weights["code"] <= 0.8 + 1e-6
    assert "mixture choose" in policy.provenance["command"]
    swarms.write(tmp_path / "large.csv", swarms.table(20, seed=9))
    checked = command("mixture", "check", "fit.json", "--runs", "large.csv", "--json")
    assert checked.json["rows"][0]["name"] == "score (mean)"
    assert checked.json["rows"][0]["rank"] > 0.95
    needed = command(
        "mixture", "design", "--domains", "domains.csv", "--from", "fit.json", "--out", "more.csv", "--json"
    )
    assert needed.json["needed"] == needed.json["runs"] >= 15


def test_text_says_the_mixture_the_gain_and_the_certificate(command, tmp_path):
    swarms.write(tmp_path / "runs.csv", swarms.table(60))
    said = command("mixture", "fit", "--runs", "runs.csv").out
    assert "held-out variance explained" in said
    assert "choice among" in said
    said = command("mixture", "choose", "fit.json").out
    assert "gain over the prior" in said
    assert "no feasible mixture scores lower by more" in said
    swarms.write(tmp_path / "other.csv", {k: [x + 5.0 if k.startswith("metric") else x for x in v] if k != "run" else v
                                          for k, v in swarms.table(20, seed=9).items()})  # fmt: skip
    assert "the intervals do not hold here" in command("mixture", "check", "fit.json", "--runs", "other.csv").out


def test_published_layouts_on_the_command_line(command, tmp_path):
    a, b = swarms.regmix(tmp_path)
    assert command("mixture", "fit", "--runs", a, "--runs", b, "--out", "a.json").status == 0
    a, b = swarms.olmix(tmp_path)
    assert command("mixture", "fit", "--runs", a, "--runs", b, "--lower", "*", "--out", "b.json").status == 0
    assert command("mixture", "fit", "--runs", swarms.wandb(tmp_path), "--out", "c.json").status == 0
    better = [m["better"] for m in json.loads((tmp_path / "c.json").read_text())["metrics"]]
    assert better == ["higher", "lower"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "--runs", "none.csv"), "none.csv: no such file"),
        (("fit", "--runs", "runs.csv", "--metrics", "x*"), "no column matches 'x*' of metrics"),
        (("fit", "--runs", "runs.csv", "--forms", "magic"), "unknown form 'magic'"),
        (("fit", "--runs", "runs.csv", "--size", "params"), "has no column 'params'"),
        (("fit", "--runs", "runs.csv", "--out", "held.json"), "held.json: exists already"),
        (("choose", "none.json"), "none.json: no such file"),
        (("choose", "held.json"), "held.json: no fit of"),
        (("choose", "fit.json", "--group", "web=0.3"), "--group: 'web=0.3' is not A+B=LOW..HIGH"),
        (("choose", "fit.json", "--low", "web"), "--low: 'web' is not NAME=NUMBER"),
        (("choose", "fit.json", "--budget", "many"), "--budget: 'many' is no number above 0"),
        (("choose", "fit.json", "--kl", "0.01", "--low", "math=0.9"), "no mixture keeps all constraints"),
        (("check", "fit.json", "--runs", "none.csv"), "none.csv: no such file"),
        (("design", "--domains", "none.csv"), "none.csv: no such file"),
    ],
)
def test_bad_requests_exit_2_in_one_line(command, tmp_path, words, message):
    swarms.write(tmp_path / "runs.csv", swarms.table(40))
    (tmp_path / "held.json").write_text("{}")
    if "fit.json" in words:
        assert command("mixture", "fit", "--runs", "runs.csv").status == 0
    answer = command("mixture", *words)
    assert answer.status == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1
