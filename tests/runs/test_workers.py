"""A plan gives the same bytes in this process and in several, in any order, and after any death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deadly import Deadly
from scalarize.runs import plan, search
from scalarize.runs.plan import PlannedRun, Workers
from scalarize.runs.request import TrainRequest, WorkloadRequest, train_request
from scalarize.runs.search import SearchRequest
from scalarize.runs.workers import request as workers_request
from scalarize.runs.workers.request import short_of_memory
from scalarize.utils.errors import DivergedError, RequestError, RunError, ScalarizeWarning
from scalarize.utils.workers import crew, machine

ROOT = Path(__file__).resolve().parents[2]
PROBLEM = WorkloadRequest(workload="rand-hie-sites", epochs=2, settings={"model.widths": [8], "batch_size": 512})
SEARCH = SearchRequest(**PROBLEM.fields(), algorithm="pbt", population=3, ready=1)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every set goes to workers, however small."""
    monkeypatch.setattr(crew, "WORTH_IT", 0.0)


def runs() -> list[PlannedRun]:
    trainings = [PlannedRun(f"even {k}", train_request(PROBLEM, method="uniform", seed=k)) for k in range(2)]
    retrains = [PlannedRun(f"retrain {k}", train_request(PROBLEM, seed=k), policy_of="found") for k in range(2)]
    return [*retrains, *trainings, PlannedRun("found", SEARCH)]


def products(root: Path) -> dict[str, bytes]:
    kept = ("records.jsonl", "lineage.jsonl", "policy.json", "selected.pt")
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.name in kept}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], dict[str, bytes]]:
    """Results and bytes of one process."""
    root = tmp_path_factory.mktemp("alone")
    found = plan.execute(runs(), root, "cmd")
    return [run.result.get("test") for run in found.values()], products(root)


@pytest.mark.parametrize("count", [2, 3])
def test_bytes_do_not_depend_on_the_workers(eager: None, count: int, alone: Any, tmp_path: Path) -> None:
    lines: list[str] = []
    found = plan.execute(runs(), tmp_path, "cmd", lines.append, workers=Workers(count))
    assert [run.result.get("test") for run in found.values()] == alone[0]
    assert products(tmp_path) == alone[1]
    assert len([line for line in lines if " running" in line]) == 5
    assert {p.name for p in tmp_path.iterdir()} == {p.directory.name for p in found.values()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_bytes_on_ray_are_those_of_one_process(alone: Any, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    lines: list[str] = []
    found = plan.execute(runs(), tmp_path, "cmd", lines.append, workers=Workers(2, address="local"))
    assert [run.result.get("test") for run in found.values()] == alone[0]
    assert products(tmp_path) == alone[1]
    assert any("generation" in line for line in lines)  # what a search says comes, if late


@pytest.mark.parametrize(
    ("asked", "device", "seen"),
    [
        (Workers(), "cuda", ["0", "1", "2", "3"]),
        (Workers(2), "cuda", ["0", "1"]),
        (Workers(devices=(1, 3)), "cuda", ["1", "3"]),
        (Workers(devices=(3,)), "cuda", ["3"]),
        (Workers(devices=(1, 3), share=0.5), "cuda", ["1", "3", "1", "3"]),
        (Workers(share=2.0), "cuda", ["0,1", "2,3"]),
        (Workers(1), "cuda", [None]),
        (Workers(2), "cuda:1", [None, None]),
        (Workers(3), "cpu", [None, None, None]),
    ],
)
def test_trainings_on_devices_have_one_each(asked: Workers, device: str, seen: list[Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(workers_request, "_seen", lambda: range(4))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [place.get("CUDA_VISIBLE_DEVICES") for place in asked.places(device, 1)] == seen


def test_the_environment_says_how_many_if_nothing_else_does(monkeypatch: Any) -> None:
    monkeypatch.setenv("SCALARIZE_WORKERS", "5")
    assert len(Workers().places("cpu", 1)) == 5
    assert len(Workers(2).places("cpu", 1)) == 2
    monkeypatch.setenv("SCALARIZE_WORKERS", "many")
    with pytest.raises(RequestError, match="SCALARIZE_WORKERS=many"):
        Workers().places("cpu", 1)


def test_a_lack_of_memory_is_said_where_it_can_be_known() -> None:
    assert short_of_memory(2, True, (10**9, 10**9)) is None
    assert short_of_memory(2, False, None) is None
    said = short_of_memory(8, False, (6 * 10**9, 10**9))
    assert said is not None
    assert said.startswith("8 workers need about 8.0 GB, as their data cannot be shared, and 6.0 GB are free")
    assert short_of_memory(8, True, (10**9, 10**9)) is not None


def test_a_search_says_it_too(eager: None, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(machine, "memory", lambda: (10**6, 10**9))
    with pytest.warns(ScalarizeWarning, match=r"2 workers need about 0\.4 GB, and 0\.0 GB are free"):
        search.search(SEARCH, tmp_path / "s", "cmd", workers=Workers(2))


def test_what_is_there_is_read_and_no_process_begins(eager: None, tmp_path: Path, monkeypatch: Any) -> None:
    first = plan.execute(runs()[2:], tmp_path, "cmd")
    monkeypatch.setattr(crew.Crew, "submit", None)
    again = plan.execute(runs()[2:], tmp_path, "cmd", workers=Workers(2))
    assert [run.result for run in again.values()] == [json.loads(json.dumps(run.result)) for run in first.values()]


def test_a_search_of_its_own_gives_the_bytes_of_one_process(eager: None, alone: Any, tmp_path: Path) -> None:
    search.search(SEARCH, tmp_path / "s", "cmd", workers=Workers(2))
    held = {Path(name).name: content for name, content in alone[1].items() if name.startswith("found")}
    assert {name: (tmp_path / "s" / name).read_bytes() for name in held} == held
    assert not (tmp_path / "s" / ".workers").exists()


def test_rows_of_workers_reach_those_who_observe(eager: None, tmp_path: Path) -> None:
    from scalarize.runs.directory import observed

    seen: dict[str, int] = {}
    with observed(lambda place, rows: seen.update({place.name: seen.get(place.name, 0) + len(rows)})):
        found = plan.execute(runs()[2:4], tmp_path, "cmd", workers=Workers(2))
    for run in found.values():
        assert seen[run.directory.name] == len((run.directory / "records.jsonl").read_text().splitlines())


def test_a_training_that_diverges_is_a_row_or_the_end(eager: None, tmp_path: Path) -> None:
    settings = {**PROBLEM.settings, "optimizer.name": "sgd", "optimizer.lr": 1e30}
    wild = train_request(PROBLEM.model_copy(update={"settings": settings}), method="uniform")
    both = [PlannedRun("wild", wild), runs()[2]]
    found = plan.execute(both, tmp_path, "cmd", keep_diverged=True, workers=Workers(2))
    assert "not finite" in found["wild"].result["diverged"]
    assert "test" in found["even 0"].result
    with pytest.raises(DivergedError, match="not finite"):
        plan.execute(both, tmp_path, "cmd", workers=Workers(2))


def test_wrong_requests_are_said_as_in_one_process(eager: None, tmp_path: Path) -> None:
    wrong = TrainRequest(**PROBLEM.fields(), method="uniform", single="nowhere")
    for workers in (None, Workers(2)):
        with pytest.raises(RequestError, match="nowhere"):
            plan.execute([PlannedRun("wrong", wrong), runs()[2]], tmp_path, "cmd", workers=workers)
    for workers, said in ((Workers(0), "workers"), (Workers(2, devices=(0,)), "devices")):
        with pytest.raises(RequestError, match=said):
            plan.execute(runs(), tmp_path, "cmd", workers=workers)


def test_a_run_that_takes_its_process_with_it_is_named_and_the_others_are_finished(
    eager: None, tmp_path: Path, monkeypatch: Any
) -> None:
    deadly = PlannedRun("deadly", Deadly(**PROBLEM.fields(), method="uniform"))
    waits = PlannedRun("waits", train_request(PROBLEM, method="uniform", seed=9), baselines_of=("deadly",))
    with pytest.raises(RunError, match=r"deadly: the process .* not run, since they need it: waits"):
        plan.execute([deadly, waits, runs()[2]], tmp_path, "cmd", workers=Workers(2))
    assert len(list(tmp_path.glob("even-0*/result.json"))) == 1


def test_interrupted_it_ends_its_workers_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = ["compare", "rand-hie-sites", "--methods", "uniform,rlw", "--seeds", "6", "--epochs", "40"]
    words += ["--workers", "2", "--out", str(tmp_path / "c")]
    # A shell that starts the tests in the background has its children ignore the signal.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from scalarize.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as driver:
        assert driver.stderr is not None
        heard = driver.stderr.readline() + driver.stderr.readline()
        assert "running" in heard
        os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to every process of the group
        said = driver.stderr.read().strip().splitlines()[-1]
        assert driver.wait() == 1
        while True:  # a group that no process is left of can be sent nothing
            try:
                os.killpg(driver.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.01)
    assert said.startswith("scalarize: interrupted; what is finished is kept, go on with: scalarize compare")
    assert said.endswith("--resume")
    assert not list(tmp_path.rglob(".workers"))


COMPARE = "compare rand-hie-sites --methods uniform,random-search --searches 2 --population 3 --seeds 2"
REPRODUCE = "reproduce royer2023/pbt-against-grid --workload rand-hie --tasks any-mental,log-drugs,visits-other"
SMALL = "--epochs 2 --set model.widths=[8] --set batch_size=512"
KILLED = {"compare": f"{COMPARE} {SMALL}", "reproduce": f"{REPRODUCE} --budget tiny --seeds 1 {SMALL}"}


def kill(directory: Path, kills: int, seed: int, words: str) -> int:
    script = Path(__file__).with_name("kill_a_plan.py")
    command = [sys.executable, str(script), str(directory), str(kills), str(seed), *words.split()]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n == "reproduce" else []) for n in KILLED]
)
def test_killed_at_two_random_moments(name: str, tmp_path: Path) -> None:
    assert kill(tmp_path, 2, 0, KILLED[name]) >= 1  # the tables are compared by the script


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED)
def test_killed_at_twenty_random_moments(name: str, tmp_path: Path) -> None:
    assert kill(tmp_path, 20, 1, KILLED[name]) >= 10
