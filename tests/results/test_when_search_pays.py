"""results/when-search-pays.md: doses, the choice of the best free rule and verdicts from invented cells; one tiny
training and search."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from scalarize import workloads
from scalarize.analysis import statistics
from scalarize.runs.build import PreparedRun
from scalarize.runs.request import WorkloadRequest
from scalarize.tasks.kinds import binary, regression
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils import files

RESULTS = Path(__file__).resolve().parents[2] / "results"
if str(RESULTS) not in sys.path:
    sys.path.append(str(RESULTS))  # last: no script there may hide a package

import search_pays_cases as cases  # noqa: E402
import search_pays_changes as changes  # noqa: E402
import search_pays_numbers as numbers  # noqa: E402
import search_pays_page as page  # noqa: E402
import search_pays_trainings as trainings  # noqa: E402
import search_pays_words as words  # noqa: E402

DOSES = {d.name: d for d in cases.DOSES}


def tables(rows: int) -> TensorTable:
    generator = torch.Generator().manual_seed(rows)
    inputs = torch.randn(rows, 3, generator=generator)
    return TensorTable(inputs, {"price": inputs[:, 0] * 2, "sold": (inputs[:, 1] > 0).float()})


@pytest.fixture
def data() -> Data:
    domain = Domain("all", {"train": tables(120), "validation": tables(60), "test": tables(40)})
    return Data.multi_task([regression("price"), binary("sold")], domain, inputs=3, sites=False)


@pytest.fixture
def prepared(data: Data) -> PreparedRun:
    workload = workloads.get("rand-hie")
    recipe = workload.recipe.override({"epochs": 3, "batch_size": 40, "model.widths": [4]})
    return PreparedRun(WorkloadRequest(workload="rand-hie"), workload, recipe, data)


def labelled(data: Data, split: str) -> set[int]:
    mask = data.domains["all"].splits[split].labelled["price"]  # type: ignore[attr-defined]
    return set(mask.nonzero().flatten().tolist())


def test_labels_are_taken_from_train_and_validation_and_smaller_doses_nest(data: Data) -> None:
    few, more = (changes.keep_labels(data, "price", level, 3) for level in (0.25, 60))
    assert [len(labelled(few, s)) for s in changes.SEEN] == [30, 15]
    assert [len(labelled(more, s)) for s in changes.SEEN] == [60, 30]  # a number of rows, and their share
    assert labelled(few, "train") < labelled(more, "train")
    assert few.domains["all"].splits["test"] is data.domains["all"].splits["test"]
    assert changes.counts(few) == {"price": 30, "sold": 120}
    assert labelled(changes.keep_labels(data, "price", 0.25, 4), "train") != labelled(few, "train")


def test_noise_exchanges_labels_of_a_share_and_a_scaled_loss_scales_its_constant(data: Data) -> None:
    noisy = changes.mix_labels(data, "price", 0.5, 1).domains["all"].splits["train"]
    before, after = data.domains["all"].splits["train"].targets["price"], noisy.targets["price"]  # type: ignore[attr-defined]
    assert 40 < int((before != after).sum()) <= 60
    assert torch.equal(before.sort().values, after.sort().values)
    scaled = changes.scale_loss(data, "price", 100.0, 0)
    assert scaled.constant_losses()["price"] == pytest.approx(100 * data.constant_losses()["price"])
    assert changes.train_longer(data, "price", 48, 0).epoch_size == 4 * data.epoch_size


def test_rules_follow_counts_and_losses(data: Data) -> None:
    few = changes.keep_labels(data, "price", 30, 0)
    assert trainings.weights_of("proportional", few).weights_at(0).tolist() == pytest.approx([0.2, 0.8])
    assert trainings.weights_of("temperature-2", few).weights_at(0).tolist() == pytest.approx([1 / 3, 2 / 3])
    assert trainings.weights_of("even", few).weights_at(0).tolist() == [0.5, 0.5]
    losses = few.constant_losses()
    found = trainings.weights_of("inverse-constant", few).weights_at(0)
    assert found[0] * losses["price"] == pytest.approx(found[1] * losses["sold"])


def test_a_training_is_tested_at_its_best_and_at_its_last_epoch(prepared: PreparedRun) -> None:
    policy = trainings.weights_of("even", prepared.data)
    falling = iter([0.9, 0.5, 0.4, 0.1, 0.8])  # validation three times, then the tests: the last epoch first
    found = trainings.trained(prepared, policy, 0, lambda seen: next(falling))
    assert found["best"] == {"validation": 0.9, "test": 0.8, "epoch": 1}
    assert found["last"] == {"validation": 0.4, "test": 0.1, "epoch": 3}


def test_a_search_under_the_score_of_its_main_target(prepared: PreparedRun) -> None:
    dose = dataclasses.replace(DOSES["main-any-mental"], place="sold")
    policy, cost = trainings.searched(cases.Cell(dose, 300, 1), prepared, "pbt")
    assert set(policy.tasks) == {"price", "sold"}
    assert cost["trainings"] == pytest.approx(12 * 0.7)


def test_cells_come_repetition_by_repetition_and_shared_ones_once() -> None:
    found = list(cases.cells())
    assert len({c.name for c in found}) == len(found)
    assert sum(c.name == "rand-hie-0" for c in found) == 1
    first = [c for c in found if c.dose.first == 0]
    assert [c.repetition for c in first] == sorted(c.repetition for c in first)
    assert {c.settings["data.split_seed"] for c in first} == set(range(10))
    assert all(len(d.levels) >= 5 for d in cases.DOSES if not d.main)
    assert cases.ALLOCATED <= 16  # 8 hours of two cores


def cell(repetition: int, tests: dict[str, float], validations: dict[str, float] | None = None) -> dict[str, Any]:
    rows = {}
    for name, test in tests.items():
        epoch = {"validation": (validations or tests)[name], "test": test, "epoch": 1}
        rows[name] = {"best": epoch, "last": epoch, "trainings": 1.0, "seconds": 2.0}
    return {"repetition": repetition, "split": repetition % 10, "ratio": 1 / 3, "level": 1, "rows": rows}


def test_the_best_rule_of_a_unit_is_that_of_the_others() -> None:
    lucky = cell(0, {"even": 0.9, "inverse-constant": 0.1, "random": 0.5, "pbt": 1.0})
    others = [cell(k, {"even": 0.5, "inverse-constant": 0.6, "random": 0.5, "pbt": 1.0}) for k in (1, 2)]
    assert numbers.best_rule(lucky, [lucky, *others]) == "inverse-constant"
    assert numbers.best_rule(others[0], [lucky, *others]) == "even"  # 0.7 against 0.35 in the other two
    del others[1]["rows"]["inverse-constant"]["best"]  # diverged
    assert numbers.best_rule(lucky, [lucky, *others]) == "even"


def test_splits_are_averaged_and_their_overlap_counts() -> None:
    apart = numbers.Pairs([0.2, 0.4, 0.1], [0.1, 0.1, 0.1], [0, 0, 1], 1 / 3, splits=True)
    d, once = apart.difference(), dataclasses.replace(apart, splits=False).difference()
    assert d.mean == pytest.approx(0.1)  # of 0.2 and 0
    assert d.n[0] == 2
    assert once.mean == pytest.approx(0.4 / 3)
    assert d.high - d.low > once.high - once.low


def put(out: Path, names: dict[str, tuple[float, float]], first: int = 0) -> None:
    """Three repetitions of cells: the best rule's and the searches' scores by row."""
    for one in cases.cells():
        row = cases.row_name(one.dose, one.level)
        if row in names and first <= one.repetition < first + 3:
            rule, search = names[row]
            tests = dict.fromkeys(one.dose.rules, rule) | {"random": rule, "pbt": search + 1e-5 * one.repetition}
            found = cell(one.repetition, tests) | {"split": one.repetition % one.dose.splits, "seconds": 36.0}
            files.write_json(out / "cells" / f"{one.name}.json", found)


def test_the_page(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {cases.row_name(DOSES["noise"], x): (0.6, 0.6) for x in DOSES["noise"].levels}
    names |= {f"main-{t.name}-{x}": (0.6, 0.65) for t in cases.TASKS for x in (300, 1000, 3000)}
    put(tmp_path, names)
    monkeypatch.setattr(benchmark, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(benchmark.images, "files", lambda chart: {"png": chart.title.encode()})  # drawn in seconds
    benchmark.table(tmp_path)
    text = capsys.readouterr().out
    assert (
        "| Label noise in one task | 0.52 | 0.12 | 3 of 30 |" in text
    )  # 12 cells of 36 s; the shared one is the scale's
    assert "| 0.25 | even | 60.00 | +0.00 [+0.00, +0.00] | +0.00 [+0.00, +0.00] | +0.00" in text
    assert "### Scale of one loss\n" in text  # its one level that is there, shared
    assert "### Samples of one domain" not in text
    assert "| rand-hie, doses | 5 | +0.00 [+0.00, +0.00] | +0.00" in text  # the means of all rows
    assert "| rand-hie, main targets | 21 | +0.00 [+0.00, +0.00] | +5.00" in text
    assert "Of these 6 mean gains of searches the intervals of 2 (PBT on rand-hie, main targets; PBT, last" in text
    main = text.partition("## One main target")[2]
    assert "| PBT over single-task | +5.00 [" in main
    assert "- PBT over the best free rule: supported." in main
    assert "- Random search over single-task: undecided." in main
    assert "a search beats every free rule here:" in text
    assert "- Main target any-mental, labelled training rows of the main target 300, PBT: +5.00 [" in text
    assert {p.name for p in (tmp_path / "figures").iterdir()} >= {
        "label-noise-in-one-task.png",
        "main-target-rand-hie.png",
    }
    assert all(f"(when-search-pays/{p.name})" in text for p in (tmp_path / "figures").iterdir())


def test_later_units_are_compared_with_what_the_page_had_shown(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = {x: cases.row_name(DOSES["noise"], x) for x in DOSES["noise"].levels}
    main = f"main-{cases.TASKS[0].name}-300"
    put(tmp_path, {levels[0.25]: (0.6, 0.65), levels[0.5]: (0.6, 0.55), levels[0.75]: (0.6, 0.6), main: (0.6, 0.7)})
    put(tmp_path, {f"main-{cases.TASKS[0].name}-{x}": (0.6, 0.6) for x in (1000, 3000)})
    earlier, _ = page.page(benchmark.read(tmp_path), benchmark.used(tmp_path))
    monkeypatch.setattr(benchmark, "PAGE", tmp_path / "page.md")
    (tmp_path / "page.md").write_text(earlier)
    put(tmp_path, {levels[0.25]: (0.6, 0.62), levels[0.5]: (0.6, 0.65), levels[0.75]: (0.6, 0.7), main: (0.6, 0.6)}, 17)
    benchmark.table(tmp_path, first=17)
    text = capsys.readouterr().out
    assert "The units 17 to 19 of" in text
    exchanged = "Label noise in one task, share of rows whose labels of log-outpatient are exchanged"
    assert f"| {exchanged} 0.25 | PBT | +5.00 [+5.00, +5.00] | +2.02 [" in text
    assert f"| {exchanged} 0.5 | PBT | -5.00 [-5.00, -5.00] | +5.02 [" in text
    assert f"{exchanged} 0.75" not in text.partition("had shown")[2]  # nothing was seen there before
    assert f"| Main target {cases.TASKS[0].name}, labelled training rows of the main target 300 | PBT, last" in text
    assert "Of these 6, 4 have the same sign again; corrected for all 6 (Holm), 4 can be told from 0 again." in text


def test_a_mean_gain_that_a_correction_takes_away_is_said_to_be_none() -> None:
    one = statistics.Difference(0.01, 0.001, 0.019, 0.02, "paired", (5, 5))
    nothing = statistics.Difference(0.0, -0.1, 0.1, 0.9, "paired", (5, 5))
    said = words.means({"a": one, "b": nothing, "c": nothing})
    assert "of 1 (a) lie above 0 and of none below; corrected for all of them (Holm), none can be told" in said
    sure = dataclasses.replace(one, mean=-0.01, low=-0.019, high=-0.001, p=0.001)
    assert "none lie above 0 and of 1 (a) below; " in words.means({"a": sure, "b": nothing})
    assert "(Holm), 1 (a) can be told from 0." in words.means({"a": sure, "b": nothing})


def test_two_units_are_no_row(benchmark: ModuleType, tmp_path: Path) -> None:
    put(tmp_path, {cases.row_name(DOSES["noise"], x): (0.6, 0.7) for x in DOSES["noise"].levels})
    (tmp_path / "cells" / "noise-0.5-2.json").unlink()
    text, _ = page.page(benchmark.read(tmp_path), benchmark.used(tmp_path))
    assert "| 0.25 | even | 60.00" in text
    assert "| 0.5 | even |" not in text
    assert "| Label noise in one task | 0.52 | 0.11 | 2 to 3 of 30 |" in text


def test_nothing_found_is_said(benchmark: ModuleType, tmp_path: Path) -> None:
    put(tmp_path, {cases.row_name(DOSES["noise"], x): (0.6, 0.55) for x in DOSES["noise"].levels})
    text, _ = page.page(benchmark.read(tmp_path), benchmark.used(tmp_path))
    assert "none was found in which a search beats every free rule, among 15 tried." in text
    assert "- PBT over the best free rule: not supported." in text


def test_a_run_goes_on_where_it_ended_and_keeps_to_what_is_allocated(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def measured(one: Any, loader: Any) -> dict[str, Any]:
        made.append(one.name)
        return cell(one.repetition, {"even": 0.5})

    monkeypatch.setattr(benchmark, "measured", measured)
    put(tmp_path, {"noise-0.25": (0.6, 0.6)})
    path = tmp_path / "cells" / "noise-0.5-0.json"
    files.write_json(path, cell(0, {"even": 0.5}) | {"seconds": 3600 * 0.7})  # with the others: more than it may use
    args = argparse.Namespace(out=tmp_path, hours=1.0, workers=1, only="samples,noise", first=0)
    benchmark.run(args)
    assert len(made) == 5 * 30
    assert all(name.startswith("samples-") for name in made)
    benchmark.run(args)
    assert len(made) == 5 * 30
