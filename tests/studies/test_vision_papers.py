"""The supervised figures of Kurin et al. 2022 and the vision figures of Xin et al. 2022: plans as printed, runs to
their end, and what is said of known numbers.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import torch

from reading import numbers
from scalarize import workloads
from scalarize.analysis import fronts, outcomes, overfitting
from scalarize.runs.request import WorkloadRequest
from scalarize.studies import budget, registry
from scalarize.studies.context import Context
from scalarize.studies.fixed_batch import FixedBatch
from scalarize.studies.kurin2022 import protocol
from scalarize.studies.kurin2022.protocol import AGNOSTIC
from scalarize.studies.xin2022 import grids
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError, RunError

SMALL = ("--budget", "tiny", "--epochs", 1, "--set", "batch_size=2048")
FAST = ("kurin2022/figure-12", "xin2022/figure-9")  # 3 and 8 runs
ACTING = {f"kurin2022/{n}" for n in ("figure-4", "figure-13", "figure-16", "actor-l2", "replay", "popart")}  # tests/rl
NAMES = sorted({t.name for paper in ("kurin2022", "xin2022") for t in registry.papers()[paper]} - ACTING)


def context(name: str, size: str = "full") -> Context:
    """A workload's context without its data: what a plan looks at is its tasks and size."""
    workload = workloads.get(name)
    module = __import__(workload.load.__module__, fromlist=["x"])
    tasks = getattr(module, "TASKS", None) or [module.attributes_task(a, 1) for a in module.ATTRIBUTES]
    data = Data.multi_task(tasks, Domain("d", {"train": TensorTable(torch.zeros(60_000, 1), {})}))
    return Context(WorkloadRequest(workload=name), workload, data, budget.parse(size))


def test_the_papers_own_numbers_of_runs_and_settings() -> None:
    here = context("celeba-resnet")
    runs = protocol.plan(here, protocol.CELEBA, protocol.REGULARISED)
    assert len(runs) == 7 * 3
    found = {p.labels["row"]: p.request for p in runs}
    decay = {row: r.settings["optimizer.weight_decay"] for row, r in found.items()}
    assert decay == {**dict.fromkeys(found, 1e-4), "unitary": 1e-3, "imtl": 1e-3, "pcgrad": 1e-3}
    rates = {row: r.recipe(here.workload).optimizer.lr for row, r in found.items()}
    assert rates == {**dict.fromkeys(found, 1e-3), "imtl": 5e-4, "mgda": 5e-4}
    levels = {row: r.recipe(here.workload).level for row, r in found.items()}
    of_representation = {row for row, level in levels.items() if level == "representation"}
    assert of_representation == {"mgda", "imtl", "graddrop"}
    assert all(p.request.norm_every == 39 for p in runs)  # 468 steps an epoch of this stand-in: 12 looks
    plain = protocol.plan(here, protocol.CELEBA, protocol.PLAIN)
    assert {p.request.recipe(here.workload).model["dropout"] for p in plain} == {0.0}
    assert {p.request.settings["optimizer.weight_decay"] for p in plain} == {0.0}
    digits = protocol.plan(context("multi-mnist"), protocol.MULTI_MNIST, protocol.REGULARISED)
    assert len(digits) == 70
    assert {p.request.settings["optimizer.weight_decay"] for p in digits} == {0.0}
    assert found["mgda"].hyper == {"normalization": "loss+"}
    (twin,) = {str(p.request.hyper) for p in protocol.plan(here, protocol.CELEBA, protocol.REGULARISED, [AGNOSTIC])}
    assert twin == "{'p': 0.75, 'renormalize': True}"
    assert found["graddrop"].hyper == {"renormalize": True}
    assert {r.hyper["times_tasks"] for row, r in found.items() if row.startswith("rlw")} == {True}
    for kind, wanted in (("l2", 1e-4), ("l2+", 2e-3)):
        alone = protocol.plan(here, protocol.CELEBA, kind, [protocol.UNITARY])
        assert {p.request.settings["optimizer.weight_decay"] for p in alone} == {wanted}
    streets = protocol.plan(context("rendered-scenes"), protocol.CITYSCAPES, protocol.REGULARISED)
    decay = {p.labels["row"]: p.request.settings["optimizer.weight_decay"] for p in streets}
    assert decay == {**dict.fromkeys(decay, 0.0), "unitary": 1e-5, "imtl": 1e-5, "pcgrad": 1e-5}


def test_rows_beside_the_papers_are_regularised_as_plain_training_and_settings_asked_for_stand() -> None:
    here = dataclasses.replace(context("celeba-resnet"), methods=("imtl-l",))
    (row,) = {p.request.settings["optimizer.weight_decay"] for p in plan_of(here) if p.labels["row"] == "imtl-l"}
    assert row == 1e-3
    here.problem.settings.update({"optimizer.weight_decay": 0.05, "level": "parameters"})
    recipes = [p.request.recipe(here.workload) for p in plan_of(here)]
    assert {(r.optimizer.weight_decay, r.level) for r in recipes} == {(0.05, "parameters")}


def plan_of(here: Context) -> list[Any]:
    return protocol.plan(here, protocol.CELEBA, protocol.REGULARISED)


def test_the_grids_are_those_of_appendix_c() -> None:
    assert len(grids.plan(context("multi-mnist"), grids.MULTI_MNIST)) == 720
    assert len(grids.CITYSCAPES.rates) * len(grids.CITYSCAPES.values) * (19 + 9) == 1960
    assert len(grids.CELEBA.rates) * len(grids.CELEBA.values) == 63
    faces = context("celeba-resnet")
    points = {p.request.recipe(faces.workload).optimizer.lr for p in grids.plan(faces, grids.CELEBA)}
    assert points == set(grids.CELEBA.rates)
    small = grids.plan(context("multi-mnist", "small"), grids.MULTI_MNIST)
    assert len(small) == 3 * 3 * (3 + 9)
    fixed = context("multi-mnist", "small")
    fixed.problem.settings.update({"optimizer.lr": 0.02, "model.dropout": 0.25})
    plan = grids.plan(fixed, grids.MULTI_MNIST)
    assert {(p.labels["rate"], p.labels["value"]) for p in plan} == {(0.02, 0.25)}
    assert len(plan) == 3 + 9


def test_a_workload_without_dropout_is_refused() -> None:
    here = context("taskonomy-tiny")
    with pytest.raises(RequestError, match="dropout"):
        protocol.plan(here, protocol.CELEBA, protocol.PLAIN)


@pytest.mark.filterwarnings("ignore:the gradient of task")  # at the grid's largest learning rates nothing is left
@pytest.mark.parametrize("target", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_a_target_runs_to_its_end(command: Any, tmp_path: Path, target: str) -> None:
    answer = command("reproduce", target, "--workload", "rand-hie", *SMALL, "--out", "o", "--json")
    assert answer.status == 0, answer.err
    result = answer.json
    assert result["illustration"] or not result["runs"]  # table 2 trains nothing
    frames = [pd.read_csv(tmp_path / result["out"] / t["file"]) for t in result["tables"]]
    assert frames
    assert all(len(f) for f, t in zip(frames, result["tables"], strict=True) if t["kind"] != "claims")
    drawn = [t for t in result["tables"] if t["kind"] not in ("table-3", "table-1", "claims")]
    assert len(list((tmp_path / result["out"] / "figures").glob("*.png"))) >= len(drawn)


@pytest.fixture
def scenes(fixtures: ModuleType, tmp_path: Path) -> tuple[object, ...]:
    fixtures.write_rendered(tmp_path / "data")
    small = ("--set", "model.width=0.05", "--set", "batch_size=8")
    return ("--workload", "rendered-scenes", "--budget", "tiny", "--epochs", 1, *small)


def reproduce(command: Any, target: str, *more: object) -> Any:
    return command("reproduce", target, *more, "--out", "o", "--json")


@pytest.mark.parametrize(
    "target", ["kurin2022/figure-1", "kurin2022/figure-10", "kurin2022/figure-12", "xin2022/figure-11"]
)
def test_tasks_that_have_no_average_are_refused_before_anything_is_trained(
    command: Any, scenes: tuple[object, ...], tmp_path: Path, target: str
) -> None:
    answer = reproduce(command, target, *scenes)
    assert answer.status == 2
    assert "no average" in answer.json["error"]
    assert not list(tmp_path.glob("o/runs/**/records.jsonl"))


def test_tasks_that_have_no_average_are_followed_one_by_one(
    command: Any, scenes: tuple[object, ...], tmp_path: Path
) -> None:
    answer = reproduce(command, "kurin2022/figure-17", *scenes)
    assert answer.status == 0, answer.err
    titles = [t["title"] for t in answer.json["tables"]]
    kinds = Counter(t["kind"] for t in answer.json["tables"])
    assert kinds["onset"] == 3  # a table for each of the tasks
    assert any("depth" in title and "absolute-error" in title for title in titles)
    assert len({t["file"] for t in answer.json["tables"]}) == len(titles)
    assert not [line for line in answer.json["findings"] if "average" in line]


@pytest.mark.parametrize("selection", ["per-metric", pytest.param("delta", marks=pytest.mark.slow)])
def test_heterogeneous_tasks_are_compared_by_metric_and_with_single_task_models(
    command: Any, scenes: tuple[object, ...], selection: str
) -> None:
    answer = reproduce(
        command, "kurin2022/figure-3", *scenes, "--tasks", "segmentation,depth", "--set", f"selection={selection}"
    )
    assert answer.status == 0, answer.err
    assert any("Delta_m" in t["title"] for t in answer.json["tables"])
    (note,) = {t["note"] for t in answer.json["tables"] if t["kind"] == "comparison" and "Delta_m" not in t["title"]}
    assert ("Delta_m" in note) == (selection == "delta")


def test_trainings_that_all_diverge_are_named_in_one_line(command: Any) -> None:
    answer = reproduce(command, "kurin2022/figure-12", "--workload", "rand-hie", *SMALL, "--set", "optimizer.lr=1e30")
    assert answer.status == 1
    assert "every training diverged" in answer.json["error"]


def test_batches_larger_than_the_training_split_are_timed() -> None:
    workload = workloads.get("rand-hie")
    data = workload.load(workload.recipe.data, Path())
    model = workload.build(workload.recipe.model, data)
    recipe = workload.recipe.model_copy(update={"batch_size": len(data.domains["all"].splits["train"]) + 1})
    losses, _ = FixedBatch(model, data, recipe).forward()
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_model_without_a_number_for_a_task_has_no_average_and_ends_the_choice_with_its_name() -> None:
    place = {"row": "r", "weight": None, "rate": 0.1, "value": 0.0, "seed": 0, "sign": 1}
    rows = [place | {"run": "good", "task": t, "validation": 0.8, "test": 0.8} for t in "ab"]
    rows += [place | {"run": "broken", "task": t, "validation": v, "test": v} for t, v in (("a", 0.9), ("b", math.nan))]
    models = fronts.averages(pd.DataFrame(rows))
    assert fronts.best(models[models["run"] == "good"], ["row"])["run"].tolist() == ["good"]
    with pytest.raises(RunError, match=r"^broken: "):
        fronts.best(models, ["row"])


def test_every_figure_of_the_two_papers_is_listed(command: Any) -> None:
    listed = [line.split()[0] for line in command("reproduce", "--list").out.splitlines()]
    wanted = [f"kurin2022/figure-{k}" for k in (1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 17)]
    wanted += [f"xin2022/figure-{k}" for k in (8, 9, 10, 11, 15, 16)] + ["xin2022/table-3"]
    assert set(wanted) <= set(listed)


def test_onset_peak_and_drop_of_a_known_course() -> None:
    rows = []
    for seed, course in enumerate(([0.5, 0.8, 0.6], [0.4, 0.5, 0.7])):
        for epoch, value in enumerate(course, start=1):
            place = {"run": f"r{seed}", "row": "unitary", "kind": "plain", "seed": seed, "epoch": epoch}
            rows += [{**place, "split": "validation", "task": "a", "metric": "accuracy", "value": value}]
            rows += [{**place, "split": "validation", "task": "b", "metric": "error", "value": 1 - value}]
            rows += [{**place, "split": "validation", "task": "b", "metric": "other", "value": 99.0}]
            rows += [{**place, "split": "train", "task": t, "metric": "loss", "value": epoch} for t in "ab"]
            rows += [{**place, "split": "train", "task": "all", "metric": "gradient-norm", "value": 7.0}]
    epochs = overfitting.per_epoch(pd.DataFrame(rows), {"a": ("accuracy", 1), "b": ("error", -1)})
    peaks = overfitting.peaks(epochs)
    assert peaks["onset"].tolist() == [2, 3]
    assert peaks["drop"].tolist() == pytest.approx([0.2, 0.0])
    assert peaks["peak"].tolist() == pytest.approx([(0.8 - 0.2) / 2, (0.7 - 0.3) / 2])
    losses = overfitting.bands(epochs, overfitting.LOSS)
    assert losses["mean"].tolist() == [2.0, 4.0, 6.0]  # summed over two tasks
    assert set(overfitting.bands(epochs, overfitting.NORM)["mean"]) == {7.0}


def test_delta_m_and_the_verdicts_against_plain_training() -> None:
    def row(name: str, seed: int, metric: str, sign: int, value: float) -> dict[str, Any]:
        return {
            "row": name,
            "seed": seed,
            "run": f"{name}{seed}",
            "task": "t",
            "metric": metric,
            "sign": sign,
            "test": value,
        }

    single = pd.DataFrame([row("single", s, *m) for s in (0, 1) for m in (("acc", 1, 0.5), ("err", -1, 2.0))])
    both = pd.DataFrame(
        [row("m", s, *m) for s in (0, 1) for m in (("acc", 1, 0.6), ("err", -1, 2.2), ("loss", -1, 9.0))]
    )
    gains = outcomes.gains(both, single)
    assert gains["test"].tolist() == pytest.approx([5.0, 5.0])  # 20 % up, 10 % down
    values = {"plain": [0.1, 0.2, 0.3, 0.4], "better": [0.2, 0.31, 0.4, 0.52], "same": [0.1, 0.21, 0.29, 0.4]}
    frame = pd.DataFrame([row(n, s, "acc", 1, v) for n, vs in values.items() for s, v in enumerate(vs)])
    summary = outcomes.verdicts(outcomes.records(frame), "plain")[0]
    assert numbers(summary) == [1, 2]  # not distinguishable, of all
    assert "better" in summary.partition(": ")[2].partition(";")[0]


def test_fronts_and_averages_of_known_models() -> None:
    rows = []
    for k, (name, seg, depth) in enumerate((("s", 0.9, 0.5), ("s", 0.5, 0.1), ("m", 0.4, 0.6))):
        place = {"run": f"r{k}", "row": name, "weight": 0.5, "rate": 0.1 * (k + 1), "value": 0.0, "seed": 0}
        rows.append({**place, "task": "seg", "metric": "acc", "sign": 1, "test": seg, "validation": seg})
        rows.append({**place, "task": "depth", "metric": "err", "sign": -1, "test": depth, "validation": depth})
    frame = fronts.plane(pd.DataFrame(rows), ("depth", "err"), ("seg", "acc"))
    assert frame["front"].tolist() == [True, True, False]
    assert numbers(fronts.front_in_words(frame, "s")) == [2, 2, 2, 3]  # of the front's 2 models both, of all 3 models 2
    models = fronts.averages(pd.DataFrame(rows))
    assert models["test"].tolist() == pytest.approx([30.0, 30.0, 60.0])
    assert fronts.best(models, ["row"])["run"].tolist() == ["r0", "r2"]


def test_no_paper_is_named_outside_studies() -> None:
    root = Path(registry.__file__).parents[1]
    for path in root.rglob("*.py"):
        for paper in ("kurin2022", "xin2022"):
            assert paper not in path.read_text() or f"studies/{paper}" in path.as_posix(), path
