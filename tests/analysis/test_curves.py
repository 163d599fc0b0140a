"""Directories read back as frames: what holds until when, and who belongs to whom."""

import numpy as np
import pandas as pd
import pytest

import fake_runs
from scalarize.analysis import curves, read_runs
from scalarize.analysis.read_runs import Run
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy


def run_of(tmp_path, rows) -> Run:
    fake_runs.training(tmp_path, "x", 0, 0.7)
    fake_runs.write(tmp_path, records_jsonl=rows)
    return read_runs.read_run(tmp_path)


def test_a_weight_holds_until_the_next_and_is_averaged_over_steps(tmp_path):
    row = fake_runs.row
    rows = [row(0, 0, "train", "a", "weight", 0.2), row(0, 0, "train", "b", "weight", 0.8)]
    rows += [row(10, 1, "train", "a", "loss", 1.0)]
    rows += [row(15, 1, "train", "a", "weight", 0.6), row(15, 1, "train", "b", "weight", 0.4)]
    rows += [row(20, 2, "train", "a", "loss", 1.0), row(30, 3, "train", "a", "loss", 1.0)]
    weights = curves.weights(run_of(tmp_path, rows))
    assert weights["a"].tolist() == pytest.approx([0.2, 0.4, 0.6])
    assert weights["b"].tolist() == pytest.approx([0.8, 0.6, 0.4])
    assert weights.index.tolist() == [0, 1, 2]


def test_steps_may_be_written_as_floats_and_absurd_ones_are_refused(tmp_path):
    row = fake_runs.row
    rows = [row(0.0, 0, "train", "a", "weight", 0.2), row(10.0, 1, "train", "a", "loss", 1.0)]
    assert curves.weights(run_of(tmp_path / "floats", rows))["a"].tolist() == pytest.approx([0.2])
    rows.append(row(9e12, 0, "train", "a", "weight", 0.5))
    with pytest.raises(RequestError, match=r"records\.jsonl: damaged: 900,000,000,000 epochs"):
        curves.weights(run_of(tmp_path / "absurd", rows))
    with pytest.raises(RequestError, match="cannot be drawn"):
        curves.policy_weights(Policy.constant({"a": 1.0, "b": 1.0}, epochs=10**6))


def test_domains_are_the_objectives_where_the_task_is_shared(tmp_path):
    rows = [fake_runs.row(1, 1, "validation", "t", "accuracy", v, d) for d, v in (("s1", 0.1), ("s2", 0.3))]
    run = run_of(tmp_path, rows)
    assert curves.metric(run).to_dict() == {"s1": {1: 0.1}, "s2": {1: 0.3}}
    assert curves.weights(run).empty
    both = [fake_runs.row(1, 1, "validation", t, "accuracy", 0.5, d) for d in ("s1", "s2") for t in ("t", "u")]
    assert list(curves.metric(run_of(tmp_path, both))) == ["s1/t", "s1/u", "s2/t", "s2/u"]


def test_metric_and_loss_are_told_apart_and_not_finite_is_unknown(tmp_path):
    row = fake_runs.row
    rows = [row(1, 1, "validation", "a", "auroc", 0.7), row(1, 1, "validation", "a", "loss", 2.0)]
    rows += [row(1, 1, "train", "a", "loss", float("inf")), row(1, 1, "test", "a", "auroc", None)]
    run = run_of(tmp_path, rows)
    assert curves.metric(run).loc[1, "a"] == 0.7
    assert curves.loss(run, "validation").loc[1, "a"] == 2.0
    assert np.isnan(curves.loss(run).loc[1, "a"])
    assert np.isnan(curves.metric(run, "test").loc[1, "a"])


def test_band_is_the_mean_and_range_of_runs_averages():
    first = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 2.0]}, index=[1, 2])
    band = curves.band([first, first + 2, pd.DataFrame()])
    assert band.loc[2].tolist() == [2.5, 1.5, 3.5]
    assert curves.band([]).empty


def test_shares_sum_to_one_without_negatives():
    shares = curves.shares(pd.DataFrame({"a": [2.0, -1.0, 0.0], "b": [6.0, 4.0, 0.0]}))
    assert shares.iloc[:2].to_numpy().tolist() == [[0.25, 0.75], [0.0, 1.0]]
    assert shares.iloc[2].isna().all()


def test_policy_weights_follow_the_segments():
    policy = Policy.from_schedule(("a", "b"), [(0, [1, 1]), (3, [1, 3])], 4)
    assert curves.policy_weights(policy)["b"].tolist() == [0.5, 0.5, 0.5, 0.75]


def test_generations_summarise_members(tmp_path):
    table = curves.generations(read_runs.read_search(fake_runs.search(tmp_path)).lineage)
    assert table["epoch"].tolist() == [3, 6, 9, 12]
    assert (table["best"] >= table["median"]).all()
    assert (table["median"] >= table["worst"]).all()


def test_a_comparison_names_its_runs_by_the_longest_fitting_row(tmp_path):
    demo = fake_runs.compare(tmp_path, searches=2, seeds=1)
    found = read_runs.read([tmp_path]).comparisons[0]
    assert [search.path.name for search in found.searches] == ["search-0", "search-1"]
    methods = {run.path.name: run.method for run in found.runs}
    assert methods["policy-last-search1-seed0"] == "policy-last"
    assert methods["policy-search1-seed0"] == "policy"
    assert methods["single-seed0-log-drugs"] == "single"
    again = read_runs.read([demo, demo / "runs", demo])
    assert (len(again.comparisons), len(again.runs)) == (1, len(found.runs))


def test_retrains_inside_a_search_are_found(tmp_path):
    fake_runs.search(tmp_path)
    fake_runs.compare(tmp_path / "retrain-full-1234", searches=1, seeds=1)
    fake_runs.training(tmp_path / "members" / "m0", "x", 0, 0.7)
    found = read_runs.read([tmp_path])
    assert (len(found.searches), len(found.comparisons), len(found.runs)) == (1, 1, 0)
