"""``reproduce --plan``: what would be run and what it would take, without the data and without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_workloads
from scalarize import workloads
from scalarize.runs.request import TrainRequest, WorkloadRequest
from scalarize.runs.search import SearchRequest
from scalarize.studies import outlook, prices, registry
from scalarize.studies.study import StudyRequest
from scalarize.workloads.datasets.imagined import Imagined

SHAPES = [name for name in workloads.names() if workloads.get(name).shape is not None]


def test_a_plan_without_its_data_is_counted_priced_and_says_what_is_missing(command: Any, tmp_path: Path) -> None:
    root = tmp_path / "empty"
    answer = command("reproduce", "xin2022/figure-16", "--plan", "--data", root, "--json")
    assert answer.status == 0, answer.err
    (row,) = answer.json["targets"]
    assert (row["trainings"], row["searches"]) == (720, 0)  # as the paper counts them
    assert row["hours"] > 0
    assert row["bytes"] == 720 * 4 * answer.json["models"][0]["parameters"]
    assert answer.json["total"]["missing"] == [row["missing"]]
    assert "train-images-idx3-ubyte" in row["missing"]
    assert not root.exists()


def test_runs_that_targets_share_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices.Prices, "measure", lambda self, model: None)
    targets = [t for name in ("kurin2022/figure-1", "kurin2022/figure-7") for t in registry.get(name)]
    found = outlook.outlook(targets, StudyRequest(target="kurin2022"))
    assert [row["trainings"] for row in found["targets"]] == [70, 70]
    assert found["total"]["trainings"] == 70
    assert found["total"]["hours"] is None  # nothing was measured
    assert [line.split()[-3] for line in outlook.lines(found)[:4]] == ["searches", *["unknown"] * 3]


def test_a_plan_of_data_whose_shape_is_not_known_says_so(command: Any, tmp_path: Path) -> None:
    words = ("reproduce", "royer2023/figure-2", "--plan", "--workload", "emoji", "--data", tmp_path)
    answer = command(*words, "--json")
    assert answer.status == 0
    assert "shape is not known" in answer.json["targets"][0]["lost"]
    assert "missing: " in command(*words).out


def test_a_plan_starts_nothing(command: Any, tmp_path: Path) -> None:
    answer = command("reproduce", "royer2023", "--plan", "--out", tmp_path / "out")
    assert answer.status == 2
    assert "--plan starts nothing" in answer.err
    assert command("reproduce", "royer2023", "--plan", "--page", tmp_path / "p.md").status == 2
    assert not list(tmp_path.iterdir())


def test_amounts_by_hand() -> None:
    workload = workloads.get("celeba")
    assert workload.shape is not None
    data = workload.shape(workload.recipe.data)
    problem: dict[str, Any] = {"workload": "celeba", "epochs": 10}
    whole = prices.amount(data, workload, TrainRequest(**problem, method="uniform"))
    assert whole == (10 * (162_770 // 256), 10 * (162_770 // 256) * 256, 10 * 19_867)
    part = prices.amount(data, workload, TrainRequest(**problem, method="uniform", split=0.7))
    assert part.steps == 10 * (int(162_770 * 0.7) // 256)
    found = prices.amount(data, workload, SearchRequest(**problem, algorithm="pbt", population=12, ready=5, split=0.7))
    assert found.steps == 12 * part.steps
    assert found.measured == pytest.approx(12 * 10 / 5 * 0.3 * 162_770)


def test_prices_of_methods_by_hand() -> None:
    workload = workloads.get("celeba")
    assert workload.shape is not None
    data = workload.shape(workload.recipe.data)
    model = prices.Prices("cpu").look(workload, data, WorkloadRequest(workload="celeba"))

    def times(**more: Any) -> float:
        return prices.factor(TrainRequest(workload="celeba", **more), model)

    assert times(method="imtl-l") == 1.0
    assert times(method="pcgrad") == pytest.approx((1 + 2 * 40) / 3)
    assert times(method="pcgrad", tasks=("Male", "Young")) == pytest.approx(5 / 3)
    assert times(method="mgda", settings={"level": "representation"}) == 1.0


def test_domains_have_passes_of_their_own_unless_batch_norm_couples_samples() -> None:
    for name, wanted in (("cifar-stl", 1.0), ("domainnet", (1 + 2 * 6) / 3)):
        workload = workloads.get(name)
        assert workload.shape is not None
        request = TrainRequest(workload=name, method="pcgrad", settings={"model.width": 0.25})
        model = prices.Prices("cpu").look(workload, workload.shape(workload.recipe.data), request)
        assert prices.factor(request, model) == pytest.approx(wanted)


@pytest.mark.parametrize("name", [n for n in SHAPES if workloads.get(n).learner is None])
def test_imagined_samples_are_like_those_that_are_read(name: str, tmp_path: Path) -> None:
    fixture, workload = tiny_workloads.FIXTURES[name], workloads.get(name)
    root = tiny_workloads.root_of(name, tmp_path / "data")
    recipe = WorkloadRequest(workload=name, settings=fixture.settings).recipe(workload)
    assert workload.shape is not None
    read, imagined = workload.load(recipe.data, root), workload.shape(recipe.data)
    assert imagined.names == read.names == list(workload.objectives)
    assert [t.outputs for t in imagined.tasks] == [t.outputs for t in read.tasks] or "vocabulary" in read.info
    for domain in read.domains:
        assert set(imagined.domains[domain].splits) >= {s for s in read.domains[domain].splits if s != "holdout"}
        here, there = (d.domains[domain].splits["train"].batch(torch.arange(2)) for d in (imagined, read))
        assert (here.inputs.shape, here.inputs.dtype) == (there.inputs.shape, there.inputs.dtype)
        for task, targets in there.targets.items():
            assert (here.targets[task].shape, here.targets[task].dtype) == (targets.shape, targets.dtype)


def test_imagined_samples_have_a_number_and_nothing_else() -> None:
    source = Imagined(5, lambda n: torch.zeros(n, 3), {"a": lambda n: torch.zeros(n)})
    assert len(source) == 5
    assert len(source.select(torch.tensor([0, 1]))) == 2
    assert source.batch(torch.tensor([0, 4])).inputs.shape == (2, 3)


def test_updates_are_rehearsed_without_a_simulator() -> None:
    workload = workloads.get("mt10")
    request = TrainRequest(workload="mt10", method="uniform", settings=tiny_workloads.FIXTURES["mt10"].settings)
    assert workload.shape is not None
    known = prices.Prices("cpu")
    model = known.look(workload, workload.shape(request.recipe(workload).data), request)
    known.measure(model)
    (seconds, a_sample) = known.of(model) or (0.0, 0.0)
    assert seconds > 0
    assert a_sample == 0
