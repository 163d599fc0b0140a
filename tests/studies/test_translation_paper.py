"""The translation studies of Xin et al. 2022: plans as the paper states them, and tables of known runs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from scalarize import workloads
from scalarize.report.figures import studies as figures
from scalarize.runs.request import WorkloadRequest
from scalarize.studies import budget, registry
from scalarize.studies.context import Context
from scalarize.studies.gather import StudyResults
from scalarize.studies.xin2022 import pairs, translation
from scalarize.tasks import kinds
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain, Objective
from scalarize.utils.errors import RequestError

NAME = "nmt-en-fr-zh"


def context(size: str = "full", seeds: int | None = None, count: int = 2, **settings: Any) -> Context:
    """The published pair without its data."""
    known = [dataclasses.replace(kinds.multiclass(n, 4), higher_is_better=False) for n in ("fr", "zh")[:count]]
    domains = {
        t.name: Domain(t.name, {"train": TensorTable(torch.zeros(8, 1), {t.name: torch.arange(8) % 4})}) for t in known
    }
    data = Data(tuple(Objective(t.name, t, t.name) for t in known), domains, 8)
    return Context(
        WorkloadRequest(workload=NAME, settings=settings), workloads.get(NAME), data, budget.parse(size), seeds
    )


def test_the_grid_is_that_of_appendix_a() -> None:
    here = context()
    plan = translation.front(here)
    rows = Counter(p.labels["row"] for p in plan)
    assert rows["scalarization"] == 54  # "we train a total of 54 models"
    assert set(rows.values()) == {54, 6}
    assert {row.partition("-")[0] for row in rows} == {"scalarization", "mgda", "pcgrad", "imtl", "rlw", "gradnorm"}
    assert len([row for row in rows if row.startswith("gradnorm")]) == 6
    rates = {p.labels["rate"]: p.request.recipe(here.workload).optimizer.lr for p in plan}
    assert rates == pytest.approx({r: r / 200 for r in translation.RATES})  # eta / sqrt(40,000)
    weights = {p.labels["weight"]: p.request.weights for p in plan if p.request.weights}
    assert weights[0.3] == pytest.approx({"fr": 0.3, "zh": 0.7})
    assert {p.request.read_train for p in plan} == {"last"}
    mixing = {p.labels["row"]: p.request.recipe(here.workload).mixing for p in plan}
    assert mixing["scalarization"] == "sampling"
    assert mixing["rlw-normal"] == "loss"
    assert len({p.name for p in plan}) == len(plan)


def test_other_figures_share_or_add_runs() -> None:
    here = context()
    known = {p.name for p in translation.front(here)}
    assert {p.name for p in translation.ranked(here)} < known
    assert len(translation.deeper(here)) == 9 * 4
    assert len(translation.sparse(here)) == 27 + 9
    assert dict(translation.tunings(here))[5] == (0.005, 0.05, 0.5)
    assert {p.labels["row"] for p in translation.watched(here)} == set(translation.WATCHED)
    small = translation.front(context("small", seeds=2))
    assert len({p.labels["weight"] for p in small} - {None}) == 5
    assert len({p.labels["row"].partition("-")[0] for p in small}) >= 5
    with pytest.raises(RequestError, match="two tasks"):
        pairs.pair(context(count=1), "loss")


def test_a_learning_rate_that_is_set_is_not_swept() -> None:
    here = context("small", 2, **{"optimizer.lr": 0.005})
    front = translation.front(here)
    assert len(front) == 2 * (5 + 8)
    for plan in (front, translation.watched(here), translation.deeper(here)):
        assert {p.labels["rate"] for p in plan} == {1.0}  # the recipe's 0.0025 is the paper's 0.5
        assert {p.request.recipe(here.workload).optimizer.lr for p in plan} == {0.005}
    with pytest.raises(RequestError, match=r"fixes optimizer\.lr"):
        translation.sparse(here)


def found(rows: list[dict[str, Any]], courses: list[dict[str, Any]] = []) -> StudyResults:  # noqa: B006
    measures = pd.DataFrame(rows)
    return StudyResults(context(), measures, measures, pd.DataFrame(courses), pd.DataFrame(), {})


def models(*known: tuple[str, float | None, int, float, float]) -> list[dict[str, Any]]:
    """(row, weight, seed, loss of fr, loss of zh), the same on every split."""
    rows = []
    for row, weight, seed, fr, zh in known:
        run = f"{row} {weight} seed {seed}"
        for task, value in (("fr", fr), ("zh", zh)):
            place = {"run": run, "row": row, "weight": weight, "rate": 0.5, "value": 0.0, "seed": seed, "task": task}
            for metric in ("loss", "accuracy"):
                rows.append({**place, "metric": metric, "sign": -1, "test": value, "validation": value, "train": value})
    return rows


KNOWN = models(
    *((("scalarization", w, s, 1 - w / 2, 0.5 + w / 2)) for s in (0, 1) for w in (0.1, 0.5, 0.9)),
    *((row, None, s, v, v) for s in (0, 1) for row, v in (("mgda", 0.9), ("pcgrad", 0.7), ("gradnorm-1", 1.2))),
)


def test_an_optimiser_beyond_the_front_is_said_and_drawn() -> None:
    tables = pairs.losses(found(KNOWN))
    assert [t.kind for t in tables] == ["two-tasks", "contrast", "claims"] * 2
    said = " ".join(tables[0].findings)
    assert "Most is added by pcgrad" in said
    added = tables[1].frame.set_index("row")["mean"]
    assert added["mgda"] == 0
    # The corner is the constant predictor's, log 4 on both axes: pcgrad's square fills the front's step and more.
    assert "1.386" in tables[1].note
    assert added["pcgrad"] > 0.001
    shown = tables[0].frame
    assert set(shown["row"]) == {"scalarization", "mgda", "pcgrad", "gradnorm-1"}
    chart = figures.charts(tables[0])[0]
    assert [s.joined for s in chart.series] == [s.name == "scalarization" for s in chart.series]
    dominated = [*KNOWN, *models(("scalarization", 0.7, 0, 2.0, 2.0))]
    assert len(pairs.losses(found(dominated))[0].frame) == len(shown)
    everything = pairs.all_losses(found(dominated))[0]
    assert len(everything.frame) == len(shown) + 1
    (curve,) = [s for s in figures.charts(everything)[0].series if s.name == "scalarization, learning rate 0.5, seed 0"]
    assert curve.joined
    assert curve.y == [0.95, 0.75, 2.0, 0.55]  # in the order of the weights, the dominated one of 0.7 among them


def test_the_other_tables_of_known_runs() -> None:
    (ranking,) = pairs.utilities(found(KNOWN))
    assert "Best of the optimisers" in ranking.findings[1]
    at_even = ranking.frame[ranking.frame["u"] == 0.5].set_index("row")["test"]
    assert at_even["pcgrad"] == pytest.approx(0.7)
    assert at_even["scalarization"] == pytest.approx(0.75)
    assert figures.charts(ranking)
    courses = [
        {"row": "mgda", "seed": 0, "epoch": e, "step": e, "metric": "weight", "split": "train", "task": t, "value": v}
        for e in (0, 1)
        for t, v in (("fr", 1.0), ("zh", 3.0))
    ]
    (followed,) = pairs.weights(found(KNOWN, courses))
    assert followed.findings == ("Share of fr over training, mean of an epoch: mgda 0.25 to 0.25.",)
    assert figures.charts(followed)
    sparse = [
        {**row, "row": r}
        for r, row in zip(("k = 1", "k = 1", "k = 2", "k = 2", *["seeds"] * 16), KNOWN[:20], strict=False)
    ]
    assert [t.kind for t in pairs.sparse(found(sparse))] == ["contrast", "claims"]


def test_every_figure_is_listed_with_its_pair() -> None:
    known = {t.name: t.workloads for t in registry.papers()["xin2022"]}
    assert known["xin2022/figure-4"] == ("nmt-en-fr-de",)
    assert known["xin2022/figure-5"] == ("nmt-en-fr-ro",)
    assert len(known["xin2022/figure-14"]) == 3
    wanted = {f"xin2022/{n}" for n in ("figure-2", "figure-3", "figure-6-left", "figure-6-right", "figure-7")}
    assert wanted | {f"xin2022/{n}" for n in ("table-2", "figure-12", "figure-13")} <= set(known)


def test_weights_over_training_are_drawn_from_real_trainings(command: Any, tmp_path: Path) -> None:
    words = ("--workload", "rand-hie-sites", "--budget", "tiny", "--epochs", 1, "--set", "batch_size=1024")
    answer = command("reproduce", "xin2022/figure-3", *words, "--out", "o", "--json")
    assert answer.status == 0, answer.err
    frame = pd.read_csv(tmp_path / answer.json["out"] / answer.json["tables"][0]["file"])
    assert set(frame["row"]) <= {"pcgrad", "mgda", "gradnorm-1", "imtl"}
    assert {"mgda", "gradnorm-1"} <= set(frame["row"])
    assert frame["mean"].between(0, 1).all()


def test_size_and_speed_are_measured_on_any_workload(command: Any, tmp_path: Path) -> None:
    words = ("--workload", "rand-hie-sites", "--budget", "tiny", "--epochs", 1, "--set", "batch_size=256")
    answer = command("reproduce", "xin2022/table-2", *words, "--out", "o", "--json")
    assert answer.status == 0, answer.err
    frame = pd.read_csv(tmp_path / answer.json["out"] / answer.json["tables"][0]["file"])
    assert frame["row"].tolist() == ["depth 1", "depth 1, MGDA", "depth 3"]
    assert (frame["mean"] > 0).all()
    assert (frame["low"] <= frame["mean"]).all()
    assert (frame["mean"] <= frame["high"]).all()
    assert frame["million parameters"].iloc[2] > frame["million parameters"].iloc[0]
