"""Domains that change keep what is known of the others; runs at several steps give a mixture a stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fake_swarms as swarms
from scalarize.search import mixture
from scalarize.search.mixture import objective, outlook, reuse, stages, texts
from scalarize.search.mixture.fitting import fit_runs
from scalarize.search.mixture.runs import read_runs
from scalarize.utils.errors import RequestError


def table_of(runs):
    columns = {"run": list(runs.ids)}
    columns |= {f"weight:{d}": runs.weights[:, i].tolist() for i, d in enumerate(runs.domains)}
    return columns | {f"metric-:{m}": runs.losses[:, k].tolist() for k, m in enumerate(runs.metrics)}


def natural(runs):
    """The runs before ``math`` was told from ``code``: one domain of three parts of code and one of math."""
    w = runs.weights.copy()
    both = w[:, 1] + w[:, 3]
    w[:, 1], w[:, 3] = 0.75 * both, 0.25 * both
    losses = swarms.law(w)
    merged = np.column_stack([w[:, 0], both, w[:, 2]])
    return replace(runs, domains=("web", "sources", "books"), weights=merged, losses=losses)


def test_a_split_needs_few_new_runs():
    old, new = natural(swarms.runs(60)), swarms.runs(12, seed=5)
    split = {"sources": {"code": 0.75, "math": 0.25}}
    fitted = mixture.fit(table_of(new), reuse=[table_of(old)], split=split)
    assert fitted.domains == swarms.DOMAINS
    assert any("60 old runs are used beside 12 new ones" in note for note in fitted.notes)
    w = swarms.mixtures(200, 77)
    truth = swarms.law(w)

    def error(fit):
        return float(((fit.predict(w) - truth) ** 2).mean() / truth.var())

    assert error(fitted) < 0.5 * error(fit_runs(new))


def test_older_runs_that_mislead_are_left_out():
    old, new = swarms.runs(60), swarms.runs(40, seed=5)
    wrong = replace(old, losses=old.losses[::-1])  # the losses of other mixtures
    fitted = mixture.fit(table_of(new), reuse=[table_of(wrong)])
    assert len(fitted.runs.ids) == 40
    assert any("the old ones are left out" in note for note in fitted.notes)
    assert len(mixture.fit(table_of(new), reuse=[table_of(old)]).runs.ids) == 100


def test_an_added_and_a_merged_domain():
    old = swarms.runs(20)
    more = reuse.carry_over(old, merge={"sources": ["code", "math"]}, add=["speech"])
    assert more.domains == ("web", "books", "sources", "speech")
    np.testing.assert_allclose(more.weights[:, 2], old.weights[:, 1] + old.weights[:, 3])
    assert (more.weights[:, 3] == 0).all()
    np.testing.assert_allclose(more.weights.sum(axis=1), 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"cod": {"a": 1, "b": 1}}}, "did you mean 'code'"),
        ({"split": {"code": {"a": 1}}}, "at least two parts"),
        ({"split": {"code": {"a": 1, "b": 1}}, "merge": {"m": ["code", "web"]}}, "'code' is split or merged twice"),
        ({"add": ["web"]}, "'web' is there already"),
    ],
)
def test_impossible_changes_are_refused(changes, message):
    with pytest.raises(RequestError, match=message):
        reuse.carry_over(swarms.runs(10), **changes)


def test_domains_that_still_differ_are_refused():
    with pytest.raises(RequestError, match="differ in books, code"):
        reuse.together(reuse.carry_over(swarms.runs(10), merge={"x": ["books", "code"]}), swarms.runs(10))
    with pytest.raises(RequestError, match="give them with reuse"):
        mixture.fit(swarms.table(), add=["x"])


def staged(n=40):
    """Early, code helps little; late, as much as the law says."""
    runs = swarms.runs(n)
    early = 3.0 + (runs.weights**0.7 @ (swarms.USE * [[1], [0.05], [1], [1]]) + 1e-3) ** -0.4
    columns = table_of(runs)
    both = {key: [*values, *values] for key, values in columns.items()}
    for k, metric in enumerate(runs.metrics):
        both[f"metric-:{metric}"] = [*early[:, k].tolist(), *runs.losses[:, k].tolist()]
    both["step"] = [1000] * n + [4000] * n
    return both


def test_stages_give_a_policy_of_one_epoch_each(tmp_path):
    several = mixture.fit_steps(staged())
    assert several.steps == (1000.0, 4000.0)
    again = stages.load(several.save(tmp_path / "stages.json"))
    choices = [mixture.choose(f) for f in again.fits]
    policy = mixture.schedule(choices)
    assert policy.epochs == 2
    assert [s.from_epoch for s in policy.segments] == [0, 1]
    first, second = (dict(zip(policy.tasks, s.weights, strict=True)) for s in policy.segments)
    assert first["code"] + 0.05 < second["code"]


def test_one_step_is_no_schedule_and_the_last_step_is_the_default():
    with pytest.raises(RequestError, match="metrics at several steps"):
        mixture.fit_steps(swarms.table())
    fitted = mixture.fit(staged())
    assert len(fitted.runs.ids) == 40
    assert any("step 4000, the last one" in note for note in fitted.notes)
    np.testing.assert_allclose(fitted.predict(swarms.mixtures(5)), mixture.fit(table_of(swarms.runs(40))).predict(
        swarms.mixtures(5)), rtol=1e-6)  # fmt: skip


def test_steps_that_few_runs_reached_are_left_out_and_said():
    several = read_runs(staged())
    last = several.steps.max()
    longer = replace(several.take(np.arange(len(several.ids)) < 2), steps=np.full(2, 2 * last))
    ragged = replace(
        several,
        weights=np.concatenate([several.weights, longer.weights]),
        losses=np.concatenate([several.losses, longer.losses]),
        scales=np.concatenate([several.scales, longer.scales]),
        steps=np.concatenate([several.steps, longer.steps]),
        ids=(*several.ids, "x", "y"),
    )
    fitted = fit_runs(ragged)
    assert len(fitted.runs.ids) == (several.steps == last).sum()
    assert f"metrics are those at step {last:g}, the last one; 2 rows of further steps" in " ".join(fitted.notes)
    found = stages.fit_stages(ragged)
    assert found.steps == tuple(np.unique(several.steps))
    assert f"no stages: {2 * last:g}" in found.fits[-1].notes[-1]


def test_runs_that_lack_a_metric_at_the_largest_size_leave_the_outlook_and_the_gain_open(tmp_path):
    runs = swarms.runs(60)
    sizes = np.log(np.where(np.arange(60) < 50, 1e6, 6e7))[:, None]
    losses = runs.losses.copy()
    losses[50:, 1] = np.nan
    fitted = fit_runs(replace(runs, losses=losses, scale_names=("size",), scales=sizes))
    ahead = outlook.of_fit(fitted, objective.create("mean", fitted.metrics))
    assert not ahead.enough
    assert ahead.to_dict()["regret"] is None
    assert ahead.runs_for(0.05) == 0
    assert "too few to say" in " ".join(texts.fit_lines(fitted, ahead))
    choice = mixture.choose(fitted)
    assert not choice.distinguishable
    assert choice.gain.low == -np.inf
    assert choice.to_dict()["gain"]["low"] is None
    assert "too few to say" in mixture.report(fitted, tmp_path / "page.html").read_text()


def test_the_command_line_makes_a_schedule_and_reuses_runs(command, tmp_path):
    swarms.write(tmp_path / "steps.csv", staged())
    assert command("mixture", "fit", "--runs", "steps.csv", "--stages", "--out", "stages.json").status == 0
    said = command("mixture", "choose", "stages.json", "--kl", 0.5)
    assert "stage 2, to step 4000" in said.out
    assert "a proposal to test" in said.out
    swarms.write(tmp_path / "old.csv", table_of(natural(swarms.runs(60))))
    swarms.write(tmp_path / "new.csv", table_of(swarms.runs(12, seed=5)))
    words = ("--reuse", "old.csv", "--split", "sources=code:0.75+math:0.25")
    assert command("mixture", "fit", "--runs", "new.csv", *words).status == 0
    refused = command("mixture", "fit", "--runs", "new.csv", "--reuse", "old.csv", "--out", "x.json")
    assert refused.status == 2
    assert "say what was split, merged or added" in refused.err


def test_the_page_is_one_file_that_asks_for_nothing(command, tmp_path):
    columns = swarms.table(40)
    columns["metric-:<b>&x</b>"] = columns["metric-:web_loss"]
    swarms.write(tmp_path / "runs.csv", columns)
    assert command("mixture", "fit", "--runs", "runs.csv").status == 0
    assert command("mixture", "report", "fit.json").status == 0
    page = (tmp_path / "mixture.html").read_text()
    assert page.count("<circle") == 3 * 40
    assert "&lt;b&gt;&amp;x" in page
    assert "<b>&x" not in page
    assert "http" not in page.replace("http-equiv", "")
    for word in ("Is the swarm large enough?", "The choice", "Held-out predictions", "gain over the prior"):
        assert word in page
