"""Runs with an architecture: trained, resumed, searched, compared, predicted with and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import scalarize
from scalarize import workloads
from scalarize.learners.supervised import SupervisedLearner
from scalarize.methods import create
from scalarize.runs.build import prepare
from scalarize.runs.compare import all_methods
from scalarize.runs.request import WorkloadRequest, train_request
from scalarize.utils.errors import RequestError
from scalarize.workloads.models.sharing.names import VECTORS

SMALL = {"model.width": 8, "model.members": 2, "batch_size": 64}
WORDS = tuple(w for k, v in SMALL.items() for w in ("--set", f"{k}={v}"))


def table(path: Path) -> Path:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 3))
    frame = pd.DataFrame(x, columns=["p", "q", "r"])
    frame["kind"] = draw.choice(["u", "v"], 300)
    frame["size"] = x[:, 0] - 2 * x[:, 1] + (frame["kind"] == "u")
    frame["sign"] = np.where(x[:, 2] + x[:, 0] > 0, "plus", "minus")
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", [n for n in VECTORS if n != "hard"])
@pytest.mark.parametrize("method", ["uniform", "mgda"])
def test_a_run_of_a_table_resumes_predicts_and_exports(name: str, method: str, command: Any, tmp_path: Path) -> None:
    mine = table(tmp_path / "mine.csv")
    run = ("train", "--csv", mine, "--targets", "size,sign", "--method", method, *WORDS)
    run += ("--set", f"model.sharing={name}", "--epochs", 2, "--json")
    first, again = (command(*run, "--out", tmp_path / out) for out in "ab")
    assert first.status == 0, first.err
    assert first.json["test"] == again.json["test"]
    model = scalarize.load(tmp_path / "a")
    rows = pd.read_csv(mine)
    predicted = model.predict(rows)
    assert set(predicted["sign"]) <= {"plus", "minus"}
    for kind in ("torch", "safetensors"):
        assert command("export", tmp_path / "a", "--format", kind, "--out", tmp_path / kind).status == 0
        pd.testing.assert_frame_equal(scalarize.load(tmp_path / kind).predict(rows), predicted)


def test_a_search_and_its_retrain(command: Any, tmp_path: Path) -> None:
    mine = table(tmp_path / "mine.csv")
    problem = ("--csv", mine, "--targets", "size,sign", *WORDS, "--set", "model.sharing=ple", "--epochs", 2, "--json")
    members = ("--population", 3, "--ready", 1, "--score", "main=size")
    found = command("search", *problem, *members, "--out", tmp_path / "s")
    assert found.status == 0, found.err
    assert command("retrain", found.json["out"], "--seeds", 1, "--json").status == 0
    assert len(scalarize.load(found.json["out"]).predict(pd.read_csv(mine))) == 300


@pytest.mark.parametrize("name", ["mmoe", "cross-stitch"])
def test_a_row_is_predicted_by_the_path_of_its_domain(name: str, command: Any, tmp_path: Path) -> None:
    mine = table(tmp_path / "mine.csv")
    rows = pd.read_csv(mine)
    of_domains = ("train", "--csv", mine, "--targets", "size", "--domain", "kind", "--ignore", "kind,sign", *WORDS)
    run = command(*of_domains, "--epochs", 2, "--set", f"model.sharing={name}", "--out", tmp_path / "r")
    assert run.status == 0, run.err
    model = scalarize.load(tmp_path / "r")
    assert model.columns == ["p", "q", "r", "kind"]
    predicted = model.predict(rows)
    (network,), (target,) = model.network.members, model.table.targets
    inputs = model.table.inputs(rows)
    with torch.inference_mode():
        by_path = {d: target.undo(network(inputs)[d].double().numpy()[:, 0]) for d in "uv"}
    expected = [by_path[d][n] for n, d in enumerate(rows["kind"])]
    np.testing.assert_allclose(predicted["size"], expected, rtol=1e-5)
    assert not np.allclose(by_path["u"], by_path["v"])
    assert command("export", tmp_path / "r", "--format", "torch", "--out", tmp_path / "e").status == 0
    pd.testing.assert_frame_equal(scalarize.load(tmp_path / "e").predict(rows), predicted)
    refused = command("export", tmp_path / "r", "--format", "onnx", "--out", tmp_path / "o")
    assert refused.status == 2
    assert "a path for each domain" in refused.err
    for wrong, said in (({"kind": "w"}, "row 1 holds 'w'; the model was trained on u, v"), ({"kind": ""}, "is empty")):
        with pytest.raises(RequestError, match=said):
            model.predict(rows.assign(**wrong))
    with pytest.raises(RequestError, match="domain column 'kind': not in the table"):
        model.predict(rows[["p", "q", "r"]])


def test_a_model_of_one_domain_alone_has_no_paths(command: Any, tmp_path: Path) -> None:
    mine = table(tmp_path / "mine.csv")
    alone = ("train", "--csv", mine, "--targets", "size", "--domain", "kind", "--single", "u", *WORDS, "--epochs", 1)
    run = command(*alone, "--set", "model.sharing=mmoe", "--out", tmp_path / "r")
    assert run.status == 0, run.err
    assert len(scalarize.load(tmp_path / "r").predict(pd.read_csv(mine)[["p", "q", "r", "kind", "sign"]])) == 300


def test_a_comparison_of_methods_times_architectures(command: Any, tmp_path: Path) -> None:
    mine = table(tmp_path / "mine.csv")
    asked = ("compare", "--csv", mine, "--targets", "size,sign", *WORDS, "--epochs", 1, "--methods", "uniform,mgda")
    asked += ("--score", "main=size", "--seeds", 2, "--learning-rates", "0.001,0.01", "--no-baselines")
    answer = command(*asked, "--sharing", "hard,ple", "--out", tmp_path / "c", "--json")
    assert answer.status == 0, answer.err
    rows = {r["method"]: r for r in answer.json["rows"]}
    assert list(rows) == ["uniform@hard", "uniform@ple", "mgda@hard", "mgda@ple"]
    assert all(r["trainings"] == 4 for r in rows.values())  # two rates, two seeds, for every row
    for name in ("hard", "ple"):
        problem = WorkloadRequest(csv=str(mine), targets=("size", "sign"), settings=SMALL | {"model.sharing": name})
        wanted = sum(p.numel() for p in prepare(problem).model().parameters())
        assert rows[f"uniform@{name}"]["parameters"] == rows[f"mgda@{name}"]["parameters"] == wanted
    told = command(*asked, "--sharing", "hard,ple", "--out", tmp_path / "c", "--resume")
    assert "parameters" in told.out
    for wrong, words in (
        ("plee", "did you mean"),
        ("ple,ple", "--sharing names an architecture twice"),
        ("mtan", "suit"),
    ):
        refused = command(*asked, "--sharing", wrong, "--out", tmp_path / "w")
        assert refused.status == 2
        assert words in refused.err.strip().splitlines()[-1]
    assert command(*asked, "--sharing", "ple", "--set", "model.sharing=ple", "--out", tmp_path / "w").status == 2


def test_a_setting_is_that_of_the_architectures_that_read_it(command: Any, tmp_path: Path) -> None:
    mine = table(tmp_path / "mine.csv")
    asked = ("compare", "--csv", mine, "--targets", "size,sign", *WORDS, "--epochs", 1, "--methods", "uniform")
    asked += ("--score", "main=size", "--seeds", 1, "--no-baselines", "--set", "model.experts=3")
    answer = command(*asked, "--sharing", "mmoe,hard", "--out", tmp_path / "c", "--json")
    assert answer.status == 0, answer.err
    own = SMALL | {"model.sharing": "mmoe", "model.experts": 3}
    problem = WorkloadRequest(csv=str(mine), targets=("size", "sign"), settings=own)
    wanted = sum(p.numel() for p in prepare(problem).model().parameters())
    assert {r["method"]: r["parameters"] for r in answer.json["rows"]}["uniform@mmoe"] == wanted
    refused = command(*asked, "--sharing", "hard,ltb", "--out", tmp_path / "w")
    assert refused.status == 2
    assert "no effect with hard, ltb; it is read by mmoe" in refused.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--methods", "uniform,rotograd", "--sharing", "hard,mmoe"), "needs --set model.sharing=hard"),
        (("--methods", "uniform,rotograd", "--set", "model.sharing=mmoe"), "needs --set model.sharing=hard"),
        (("--methods", "uniform", "--sharing", "hard,ltb", "--set", "model.depth=1"), "2 stages"),
        (("--methods", "uniform", "--sharing", "hard,dselect-k", "--set", "model.experts=3"), "power of two"),
        (("--methods", "uniform", "--sharing", "hard,dselect-k", "--set", "model.selected=5"), "among 4 experts"),
    ],
)
def test_a_row_that_cannot_be_is_refused_before_others_are_trained(
    words: tuple[str, ...], says: str, command: Any, tmp_path: Path
) -> None:
    mine = table(tmp_path / "mine.csv")
    answer = command("compare", "--csv", mine, "--targets", "size,sign", "--epochs", 1, *words, "--out", tmp_path / "c")
    assert answer.status == 2
    assert says in answer.err
    assert not (tmp_path / "c").exists()


def test_all_methods_are_those_that_an_architecture_can_have(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(all_methods()) - set(all_methods(hard=False)) == {"rotograd"}
    monkeypatch.setattr("scalarize.methods.names", lambda: ["uniform", "rotograd"])
    small = ("rand-hie", "--set", "model.widths=[4]", "--set", "batch_size=4096", "--json")
    timed = command("cost", *small, "--set", "model.sharing=mmoe", "--repeats", 1)
    assert [r["method"] for r in timed.json["rows"]][2:] == ["uniform"]
    asked = ("compare", *small, "--epochs", 1, "--seeds", 1, "--methods", "all")
    for words in (("--set", "model.sharing=mmoe"), ("--sharing", "ple")):
        answer = command(*asked, *words, "--out", tmp_path / words[1])
        assert [r["method"].partition("@")[0] for r in answer.json["rows"]] == ["uniform"]


def test_a_state_goes_on_where_it_was() -> None:
    problem = WorkloadRequest(
        workload="rand-hie", settings={"model.widths": [8, 8], "model.sharing": "ple", "batch_size": 1024}
    )
    prepared = prepare(problem)
    first, again = prepared.learner(0), prepared.learner(0)
    first.train(create("pcgrad"), 2)
    again.train(create("pcgrad"), 1)
    other = prepared.learner(0)
    other.load_state_dict(again.state_dict())
    other.train(create("pcgrad"), 2)
    for a, b in zip(first.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["mmoe", "ple"])
@pytest.mark.parametrize("method", ["uniform", "mgda"])
@pytest.mark.parametrize("mixing", ["sampling", "loss"])
def test_domains_train_through_paths_of_their_own(name: str, method: str, mixing: str) -> None:
    settings = {"model.widths": [8], "model.sharing": name, "batch_size": 2048, "mixing": mixing}
    learner = prepare(WorkloadRequest(workload="rand-hie-sites", settings=settings)).learner(0)
    assert isinstance(learner, SupervisedLearner)
    assert learner.model.by_domain
    learner.train(create(method), 1)
    seen = learner.measure("validation")
    assert all(np.isfinite(v["loss"]) for v in seen.values())


def test_a_domain_reaches_its_own_path_alone() -> None:
    settings = {"model.widths": [8], "model.sharing": "cgc", "batch_size": 512}
    learner = prepare(WorkloadRequest(workload="rand-hie-sites", settings=settings)).learner(0)
    learner.use(create("uniform"))
    parts = {name: d.splits["train"].batch(torch.arange(8)) for name, d in learner.data.domains.items()}
    losses, _ = learner.gradient.losses(parts, torch.Generator())
    reach = learner.model.reach()
    named = dict(learner.model.named_parameters())
    for name, loss in losses.items():
        grads = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
        reached = {n for n, g in zip(named, grads, strict=True) if g is not None}
        assert reached == {n for n, domains in reach.items() if name in domains}


@pytest.mark.parametrize("name", workloads.names())
def test_a_workload_names_the_architectures_that_suit_it(name: str) -> None:
    suited = workloads.get(name).sharing
    for architecture in {"mtan", "ple"} - set(suited):
        with pytest.raises(RequestError, match=f"{architecture}: does not suit the encoder of {name}, which hard"):
            WorkloadRequest(workload=name, settings={"model.sharing": architecture}).recipe(workloads.get(name))


def test_methods_that_turn_one_representation_need_hard_sharing() -> None:
    settings = {"model.sharing": "mmoe", "model.widths": [8]}
    prepared = prepare(train_request(WorkloadRequest(workload="rand-hie", settings=settings), method="rotograd"))
    with pytest.raises(RequestError, match=r"needs `settings` model\.sharing=hard"):
        prepared.learner(0).use(prepared.method)


def test_both_levels_in_a_training() -> None:
    for level in ("parameters", "representation"):
        settings = {"model.widths": [8, 8], "model.sharing": "ple", "batch_size": 2048, "level": level}
        learner = prepare(WorkloadRequest(workload="rand-hie", settings=settings)).learner(0)
        learner.train(create("mgda"), 1)
        assert learner.balancer.level == level


def test_float64() -> None:
    settings = {"model.widths": [8, 8], "model.sharing": "adatt", "batch_size": 2048}
    learner = prepare(WorkloadRequest(workload="rand-hie", settings=settings, precision="float64")).learner(0)
    learner.train(create("pcgrad"), 1)
    assert all(p.dtype == torch.float64 and torch.isfinite(p).all() for p in learner.model.parameters())


def test_the_estimator_takes_an_architecture() -> None:
    draw = np.random.default_rng(0)
    x = pd.DataFrame(draw.normal(size=(120, 3)), columns=list("abc"))
    y = pd.DataFrame({"one": x["a"] + x["b"], "two": x["c"] - x["a"]})
    settings = {"model.sharing": "cgc", "model.width": 8, "model.members": 2}
    fitted = scalarize.MultiTaskModel(epochs=2, settings=settings).fit(x, y)
    assert np.isfinite(np.asarray(fitted.predict(x))).all()


def test_onnx_of_an_architecture_with_a_target_named_as_an_operator(command: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    mine = table(tmp_path / "mine.csv")
    run = ("train", "--csv", mine, "--targets", "size,sign", *WORDS, "--epochs", 1, "--set", "model.sharing=ple")
    assert command(*run, "--out", tmp_path / "r").status == 0
    assert command("export", tmp_path / "r", "--format", "onnx", "--out", tmp_path / "e").status == 0
    model = scalarize.load(tmp_path / "r")
    inputs = model.table.inputs(pd.read_csv(mine))
    found = runtime.InferenceSession(str(tmp_path / "e/model.onnx")).run(None, {"inputs": inputs.numpy()})
    with torch.no_grad():
        size = model.network(inputs)[0]
    assert np.allclose(found[0], size.numpy(), atol=1e-5)
