"""Every layout of runs that people have is read, said, or refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fake_swarms as swarms
from scalarize.search.mixture.directions import is_higher_better
from scalarize.search.mixture.fitting import fit_runs
from scalarize.search.mixture.runs import read_mixtures, read_runs
from scalarize.utils.errors import RequestError


def test_one_table_with_explicit_prefixes(tmp_path):
    path = swarms.write(tmp_path / "runs.csv", swarms.table())
    read = read_runs(path)
    assert read.domains == swarms.DOMAINS
    assert read.metrics == swarms.METRICS
    assert read.higher == (False, False)
    np.testing.assert_allclose(read.losses, swarms.runs(24).losses)
    assert read.ids[:2] == ("r0", "r1")


def test_a_frame_reads_like_its_file(tmp_path):
    frame = pd.DataFrame(swarms.table())
    path = tmp_path / "runs.csv"
    frame.to_csv(path, index=False)
    a, b = read_runs(frame), read_runs(path)
    np.testing.assert_allclose(a.weights, b.weights)
    np.testing.assert_allclose(a.losses, b.losses)
    assert a.ids == b.ids


def test_regmix_layout_is_joined_by_index_and_says_what_was_rounded(tmp_path):
    read = read_runs(*swarms.regmix(tmp_path))
    assert read.domains == swarms.DOMAINS
    assert read.metrics == swarms.METRICS
    np.testing.assert_allclose(read.weights.sum(axis=1), 1.0)
    assert any("joined by index: 24 runs" in note for note in read.notes)
    assert any("after rounding" in note for note in read.notes)


def test_olmix_layout_needs_a_direction_and_joins_by_run(tmp_path):
    ratios, metrics = swarms.olmix(tmp_path)
    with pytest.raises(RequestError, match=r"'arc:rc::olmes' is better higher or lower: give its name"):
        read_runs(ratios, metrics)
    read = read_runs(ratios, metrics, lower="*")
    np.testing.assert_allclose(read.losses, swarms.runs(24).losses)  # the second file is in another order
    assert read.domains == swarms.DOMAINS


def test_wandb_export_leaves_out_crashed_runs_and_knows_directions(tmp_path):
    read = read_runs(swarms.wandb(tmp_path))
    assert read.domains == swarms.DOMAINS
    assert dict(zip(read.metrics, read.higher, strict=True)) == {"arc_acc": True, "code_bpb": False}
    assert len(read.ids) == 23
    assert read.ids[0] == "swarm-0"
    assert any("their State is crashed" in note for note in read.notes)
    np.testing.assert_allclose(read.losses[:, 0], swarms.runs(24).losses[:23, 0] - 3.0)


def test_plain_names_are_told_by_their_sum(tmp_path):
    r = swarms.runs(12)
    columns = {
        **{d: r.weights[:, i].tolist() for i, d in enumerate(swarms.DOMAINS)},
        "val_loss": r.losses[:, 0].tolist(),
    }
    read = read_runs(swarms.write(tmp_path / "x.csv", columns))
    assert read.domains == swarms.DOMAINS
    assert len(read.metrics) == 1


def test_missing_metrics_repeats_and_constants_are_said():
    columns = swarms.table()
    columns["metric-:web_loss"][3] = float("nan")
    columns["metric-:flat"] = [2.5] * 24
    for name in columns:
        columns[name].append(columns[name][0])
    columns["run"][-1] = "again"
    read = read_runs(columns)
    assert len(read.ids) == 24
    said = " | ".join(read.notes)
    assert "1 of 72 metrics are missing" in said
    assert "repeat another one to the last digit" in said
    assert "flat is 2.5 in every run" in said


def test_same_mixture_with_other_seeds_is_kept():
    columns = swarms.table()
    for name in columns:
        columns[name].append(columns[name][0])
    columns["metric-:web_loss"][-1] += 0.1
    read = read_runs(columns)
    assert len(read.ids) == 25
    assert any("repeat another one's mixture" in note for note in read.notes)


def test_percentages_and_sums_to_normalise():
    columns = swarms.table()
    for d in swarms.DOMAINS:
        columns[f"weight:{d}"] = [100 * x for x in columns[f"weight:{d}"]]
    np.testing.assert_allclose(read_runs(columns).weights, swarms.runs(24).weights)
    columns["weight:web"][0] += 100.0
    with pytest.raises(RequestError, match="sum to"):
        read_runs(columns)
    np.testing.assert_allclose(read_runs(columns, normalise=True).weights.sum(axis=1), 1.0)


def test_sizes_and_tokens_take_units():
    columns = swarms.table()
    columns["size"] = ["60M"] * 12 + ["1.3B"] * 12
    read = read_runs(columns)
    assert read.scale_names == ("size",)
    np.testing.assert_allclose(np.exp(read.scales[[0, -1], 0]), [60e6, 1.3e9])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["weight:code"].__setitem__(2, -0.1), r"line 3, column weight:code: a weight must be >= 0"),
        (lambda c: c["weight:code"].__setitem__(2, ""), r"line 3, column weight:code: the cell is empty"),
        (lambda c: c["weight:code"].__setitem__(2, "lots"), r"line 3, column weight:code: 'lots' is no finite number"),
        (lambda c: c["weight:web"].__setitem__(4, 5.0), r"line 5: its 4 weights sum to"),
        (lambda c: c["metric-:web_loss"].__setitem__(1, "bad"), r"line 2, column metric-:web_loss: 'bad' is no number"),
        (lambda c: c.pop("weight:math"), r"its 3 weights sum to"),
        (lambda c: [c.pop(k) for k in list(c) if k.startswith("metric")], r"finds no columns of metrics"),
        (lambda c: [c.pop(k) for k in list(c) if k.startswith("weight")], r"finds no columns of weights"),
    ],
)
def test_bad_tables_are_refused_by_line_and_column(change, message):
    columns = swarms.table()
    change(columns)
    with pytest.raises(RequestError, match=message):
        read_runs(columns)


def test_joins_are_refused_by_name(tmp_path):
    a, b = swarms.regmix(tmp_path)
    twice = tmp_path / "twice.csv"
    twice.write_text(b.read_text() + "1,9.0,9.0\n")
    with pytest.raises(RequestError, match="index '1' stands twice"):
        read_runs(a, twice)
    other = tmp_path / "other.csv"
    other.write_text("key,metric/x_loss\n1,2.0\n")
    with pytest.raises(RequestError, match="in common to join by"):
        read_runs(a, other)
    apart = tmp_path / "apart.csv"
    apart.write_text("index,metric/x_loss\n900,2.0\n")
    with pytest.raises(RequestError, match="have no index in common"):
        read_runs(a, apart)


@pytest.mark.parametrize("text", ["", "a,b\n", "a,a\n1,2\n", "a,b\n1,2,3\n", "a,b\n1\n"])
def test_broken_csv_is_refused(tmp_path, text):
    path = tmp_path / "broken.csv"
    path.write_text(text)
    with pytest.raises(RequestError, match=r"broken\.csv"):
        read_runs(path)


def test_domains_of_another_fit_are_demanded():
    with pytest.raises(RequestError, match="missing: sport; unknown: math"):
        read_runs(swarms.table(), domains=["web", "code", "books", "sport"])
    back = read_runs(swarms.table(), domains=["math", "books", "code", "web"])
    np.testing.assert_allclose(back.weights[:, ::-1], swarms.runs(24).weights)


def test_mixtures_alone():
    assert read_mixtures(swarms.table(), swarms.DOMAINS).shape == (24, 4)
    with pytest.raises(RequestError, match="has no weights of sport"):
        read_mixtures(swarms.table(), ("web", "sport"))


def test_two_tables_may_share_a_column_of_words_and_the_names_of_domains(tmp_path):
    # As in tables written by hand: the model's name joins, and a domain names its weight and the loss on it.
    r = swarms.runs(12)
    models = [f"70M_{i}" for i in range(12)]
    ratios = {"model": models, **{d: r.weights[:, i].tolist() for i, d in enumerate(swarms.DOMAINS)}}
    losses = {"model": models[::-1], "web": r.losses[::-1, 0].tolist(), "code": r.losses[::-1, 1].tolist()}
    a, b = swarms.write(tmp_path / "ratios.csv", ratios), swarms.write(tmp_path / "losses.csv", losses)
    with pytest.raises(RequestError, match="cannot tell if 'web' is better higher or lower"):
        read_runs(a, b)
    read = read_runs(a, b, lower="*")
    assert (read.domains, read.metrics) == (swarms.DOMAINS, ("web", "code"))
    np.testing.assert_allclose(read.losses, r.losses)
    np.testing.assert_allclose(read.weights, r.weights)
    assert "joined by model: 12 runs" in read.notes
    twice = swarms.write(tmp_path / "twice.csv", {**losses, "model": ["a", "a", *models[2:]]})
    with pytest.raises(RequestError, match="in common to join by"):
        read_runs(a, twice)


def test_sizes_that_differ_between_two_tables_are_refused(tmp_path):
    a, b = (pd.DataFrame({"run": range(6), "size": [size] * 6, name: [0.5] * 6, name + "2": [0.5] * 6})
            for size, name in ((1e6, "web"), (2e6, "web_loss")))  # fmt: skip
    with pytest.raises(RequestError, match="both have a column 'size', with different cells"):
        read_runs(a, b)


def test_too_few_joined_runs_say_how_many_were_left_out(tmp_path):
    a, b = swarms.regmix(tmp_path)
    b.write_text("".join(b.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(RequestError, match=r"at least 4 runs, got 1 \(23 runs of .*mixture.* are left out"):
        fit_runs(read_runs(a, b))


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("valLoss", False), ("train/loss", False), ("crossentropy", False), ("pile_cc BPB", False),
        ("trainloss", False),
        ("mmlu_acc", True), ("val_accuracy", True), ("F1", True), ("rougeLsum", True), ("exact_match", True),
        ("rouge1", True), ("acc5", True), ("pass@1", True), ("r2", True),
        ("neg_mean_squared_error", True), ("neg_log_loss", True), ("neg_log_likelihood", False), ("-loss", True),
        ("dice_loss", False), ("mAP@0.5", True), ("mc2", True), ("exact_match,strict-match", True), ("mIoU", True),
        ("acc_stderr,none", None), ("accuracy_gap", None), ("toxicity_score", None), ("depth_map_l1", None),
        ("glossary_hit_list", None), ("accent_share", None), ("mapped_rows", None), ("scoreboard", None),
        ("error_recall", None), ("terror", None), ("f_2", None),
    ],
)  # fmt: skip
def test_only_whole_words_say_which_way_a_metric_is_better(name: str, better: bool | None) -> None:
    assert is_higher_better(name) is better


@pytest.mark.parametrize(("name", "decimals"), [("dropout", 2), ("noise", 3), ("noise", 12)])
def test_a_small_setting_beside_the_weights_is_no_domain(name: str, decimals: int) -> None:
    own = swarms.table()
    weights = {n.removeprefix("weight:"): np.round(v, decimals) for n, v in own.items() if n.startswith("weight:")}
    rate = np.full(len(own["metric-:" + swarms.METRICS[0]]), 0.005)
    found = {n: v for n, v in own.items() if n.startswith("metric")}
    assert read_runs(pd.DataFrame(weights | {name: rate} | found)).domains == swarms.DOMAINS


def test_columns_beside_metrics_and_what_trainers_log_are_neither_weights_nor_metrics() -> None:
    own = swarms.table()
    logged = {"train/learning_rate": 5e-5, "train/grad_norm": 1.5, "train_runtime": 60.0, "eval/acc_stderr,none": 0.01}
    rows = len(own["metric-:" + swarms.METRICS[0]])
    renamed = {n.replace("metric-:", "eval/").replace("weight:", "weights/"): v for n, v in own.items()}
    renamed = {n + "_loss" if n.startswith("eval/") else n: v for n, v in renamed.items()}
    read = read_runs(pd.DataFrame(renamed | {n: np.full(rows, v) for n, v in logged.items()}))
    assert read.domains == swarms.DOMAINS
    assert len(read.metrics) == len(swarms.METRICS)
    assert not any("stderr" in m for m in read.metrics)
    assert any("stand" in note and "acc_stderr,none" in note for note in read.notes)
    as_train = {n.replace("weights/", "train/"): v for n, v in renamed.items()}
    read = read_runs(pd.DataFrame(as_train | {n: np.full(rows, v) for n, v in logged.items()}))
    assert read.domains == swarms.DOMAINS
