"""``--log``: the same scalars as in the records, in each place's own files; without a network."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scalarize.runs import loggers
from scalarize.runs.directory import Records, observed
from scalarize.runs.loggers import scalars
from scalarize.utils.errors import RequestError

ROW = {"step": 40, "epoch": 1, "split": "validation", "domain": "all", "task": "a", "metric": "loss", "value": 0.5}


def rows_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]


def expected(run: Path) -> list[tuple[str, int, float]]:
    return sorted(scalars(rows_of(run)))


@pytest.fixture
def table(tmp_path: Path) -> str:
    rows = "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60))
    (tmp_path / "mine.csv").write_text("a,b,x\n" + rows)
    return str(tmp_path / "mine.csv")


def events(run: Path) -> list[tuple[str, int, float]]:
    """What TensorBoard reads from a run's event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return sorted((tag, e.step, e.value) for tag in read.Tags()["scalars"] for e in read.Scalars(tag))


def close_to(found: list[tuple[str, int, float]], wanted: list[tuple[str, int, float]]) -> bool:
    """Equal but for TensorBoard's single precision."""
    same = [f[:2] for f in found] == [w[:2] for w in wanted]
    return same and all(math.isclose(f[2], w[2], rel_tol=1e-6) for f, w in zip(found, wanted, strict=True))


def test_tensorboard_holds_what_the_records_hold(command: Any, table: str, tmp_path: Path) -> None:
    own = ("--csv", table, "--targets", "a,b", "--epochs", 2, "--log", "tensorboard")
    assert command("train", *own, "--out", "r").status == 0
    wanted = expected(tmp_path / "r")
    assert len(wanted) > 10
    assert close_to(events(tmp_path / "r"), wanted)
    methods = ("--methods", "uniform,mgda", "--seeds", 1)
    assert command("compare", *own, *methods, "--out", "c").status == 0
    for run in ("c/runs/uniform-seed0", "c/runs/mgda-seed0"):
        assert close_to(events(tmp_path / run), expected(tmp_path / run))
    assert command("search", *own, "--population", 2, "--ready", 1, "--out", "s").status == 0
    shown = events(tmp_path / "s")
    lineage = [json.loads(line) for line in (tmp_path / "s/lineage.jsonl").read_text().splitlines()]
    told = sorted(value for tag, _, value in shown if "member" in tag)
    assert told == pytest.approx(sorted(row["score"] for row in lineage), rel=1e-6)


def test_what_a_cut_attempt_wrote_is_not_shown_twice(tmp_path: Path) -> None:
    for value in (0.5, 0.25):  # the second begins again from step 40
        logger = loggers.create("tensorboard", lambda run: {}, print)
        logger(tmp_path, [ROW | {"value": value}])
        logger.close()
    assert events(tmp_path) == [("validation/loss/a", 40, 0.25)]


def test_an_unknown_or_missing_logger_is_said_before_anything_begins(
    command: Any, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ("train", "--csv", table, "--targets", "a,b", "--out", "r")
    answer = command(*own, "--log", "wanb")
    assert (answer.status, "did you mean 'wandb'?" in answer.err) == (2, True)
    monkeypatch.setitem(sys.modules, "wandb", None)
    answer = command(*own, "--log", "wandb")
    assert (answer.status, "pip install 'scalarize[loggers]'" in answer.err) == (2, True)
    assert not (tmp_path / "r").exists()


def test_a_place_that_fails_does_not_end_the_training(tmp_path: Path) -> None:
    said: list[str] = []
    opened: list[Path] = []

    def no_network(directory: Path, config: Any) -> Any:
        opened.append(directory)
        raise OSError("no route to host\nand more")

    logger = loggers.Logger("wandb", no_network, lambda run: {}, said.append)
    log = Records(tmp_path)
    with observed(logger):
        log.append([ROW])
        log.append([ROW])
    log.append([ROW])
    logger.close()
    assert len(log.read()) == 3
    assert len(opened) == 1
    assert len(said) == 1
    assert "wandb" in said[0]
    assert "no route to host" in said[0]


def test_numbers_that_are_none_are_left_out() -> None:
    assert scalars([ROW | {"value": math.nan}, ROW | {"value": None}, ROW]) == [("validation/loss/a", 40, 0.5)]


def in_a_process(words: list[str], place: Path, **environment: str) -> None:
    """A command as its user types it, with an environment of its own."""
    import os

    line = [sys.executable, "-W", "ignore", "-c", "from scalarize.cli import main; main()", *words]
    done = subprocess.run(line, cwd=place, env=os.environ | environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "stopped" not in done.stderr


def installed(package: str) -> None:
    import importlib.util

    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed (pip install {package})")


def test_wandb_offline(table: str, tmp_path: Path) -> None:
    installed("wandb")
    own = ["train", "--csv", table, "--targets", "a,b", "--epochs", "2", "--out", "r", "--log", "wandb"]
    in_a_process(own, tmp_path, WANDB_MODE="offline", WANDB_SILENT="true")
    files = list((tmp_path / "r" / "wandb").rglob("run-*.wandb"))
    assert len(files) == 1
    content = files[0].read_bytes()
    for name in {name for name, _, _ in expected(tmp_path / "r")}:
        assert name.encode() in content, name


def test_mlflow_on_this_machine(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    own = ["train", "--csv", table, "--targets", "a,b", "--epochs", "2", "--out", "r", "--log", "mlflow"]
    uri = f"sqlite:///{tmp_path}/mlflow.db" if installed_too("sqlalchemy") else (tmp_path / "mlruns").as_uri()
    in_a_process(own, tmp_path, MLFLOW_TRACKING_URI=uri)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("scalarize")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["targets"] == "['a', 'b']"
    assert run.info.status == "FINISHED"
    wanted = expected(tmp_path / "r")
    found = [
        (m.key, m.step, m.value) for key in run.data.metrics for m in client.get_metric_history(run.info.run_id, key)
    ]
    assert sorted(found) == wanted


def installed_too(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


def test_an_unknown_name_in_python() -> None:
    with pytest.raises(RequestError, match="did you mean 'mlflow'"):
        loggers.create("mlfow", lambda run: {}, print)
