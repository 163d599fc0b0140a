"""Plans: runs are made after those that they need, and get from their directories what these leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scalarize.runs import plan
from scalarize.runs import search as runs_search
from scalarize.runs import train as runs_train
from scalarize.runs.plan import FinishedRun, PlannedRun
from scalarize.runs.request import TrainRequest, WorkloadRequest, train_request
from scalarize.runs.search import SearchRequest
from scalarize.utils import files
from scalarize.utils.errors import DivergedError, RunError
from scalarize.weights.policy import Policy

PROBLEM = WorkloadRequest(workload="w")
SEARCH = SearchRequest(workload="w", algorithm="pbt")
POLICY = Policy.from_schedule(("a", "b"), [(0, [0.5, 0.5]), (1, [0.25, 0.75])], 2)


def training(name: str, **more: Any) -> PlannedRun:
    return PlannedRun(name, train_request(PROBLEM, method="uniform"), **more)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """(directory, request) of what is run, in place of training and searching."""
    seen: list[tuple[str, Any]] = []

    def search(request: Any, out: Path, *others: Any, **more: Any) -> dict[str, Any]:
        seen.append((out.name, request))
        POLICY.save(out / "policy.json")
        return {"trainings": 4}

    def train(request: Any, out: Path, *others: Any, **more: Any) -> dict[str, Any]:
        seen.append((out.name, request))
        if request.seed == 99:
            raise DivergedError("step 3")
        values = {request.single or "a": {"acc": 0.5, "loss": 9.0}}
        return {"test": {"a": 0.5}, "measures": {"validation": values}}

    monkeypatch.setattr(runs_search, "search", search)
    monkeypatch.setattr(runs_train, "train", train)
    return seen


def test_what_others_need_comes_first_and_results_in_the_plans_order(asked: list[Any], tmp_path: Path) -> None:
    runs = [
        training("gain", directory="gain", baselines_of=("of a", "of b")),
        training("retrain", directory="retrain", policy_of="found", history="last"),
        PlannedRun("found", SEARCH, directory="found"),
        *(PlannedRun(f"of {t}", train_request(PROBLEM, method="uniform", single=t), directory=f"of-{t}") for t in "ab"),
    ]
    lines: list[str] = []
    found = plan.execute(runs, tmp_path, "cmd", lines.append)
    assert list(found) == [r.name for r in runs]
    order = [name for name, _ in asked]
    assert order[0] == "found"
    assert order.index("gain") > max(order.index("of-a"), order.index("of-b"))
    requests = dict(asked)
    assert requests["retrain"].policy == POLICY.last()
    assert requests["retrain"].method is None
    assert requests["gain"].baselines == {"a/acc": 0.5, "b/acc": 0.5}
    assert requests["gain"].method == "uniform"
    assert found["retrain"].request is requests["retrain"]
    assert found["found"].policy == POLICY
    assert len(lines) == len(runs)


def test_a_directory_is_named_by_the_complete_request(asked: list[Any], tmp_path: Path) -> None:
    runs = [PlannedRun("found", SEARCH), training("spends it", policy_of="found"), training("plain one")]
    found = plan.execute(runs, tmp_path, "cmd")
    names = [r.directory.name for r in found.values()]
    assert [n.rpartition("-")[0] for n in names] == ["found", "spends-it", "plain-one"]
    complete = train_request(PROBLEM, policy=POLICY)
    assert names[1] == plan.directory_name("spends it", complete)


def test_runs_of_one_name_and_lacking_or_circular_needs_are_refused() -> None:
    for runs, said in (
        ([training("a"), training("a")], "called a"),
        ([training("a", policy_of="b")], "a needs b"),
        ([training("a", baselines_of=("b",)), training("b", baselines_of=("a",))], "circle"),
    ):
        with pytest.raises(ValueError, match=said):
            plan.in_order(runs)


def test_a_training_that_diverges_at_once_ends_the_plan_unless_it_is_kept(asked: list[Any], tmp_path: Path) -> None:
    lost = PlannedRun("lost", TrainRequest(workload="w", method="uniform", seed=99), directory="lost")
    with pytest.raises(DivergedError):
        plan.execute([lost, training("next")], tmp_path, "cmd")
    found = plan.execute([lost, training("next")], tmp_path, "cmd", keep_diverged=True)
    assert "step 3" in found["lost"].result["diverged"]
    assert found["next"].result["test"] == {"a": 0.5}
    with pytest.raises(RunError, match="lost"):
        plan.execute([lost, training("gain", baselines_of=("lost",))], tmp_path, "cmd", keep_diverged=True)


def test_a_policy_is_read_from_the_directory(tmp_path: Path) -> None:
    files.write_json(tmp_path / "policy.json", POLICY.to_dict())
    assert FinishedRun(PlannedRun("s", SEARCH), SEARCH, tmp_path, {}).policy == POLICY
