"""Closed and full streams, a locale without UTF-8, little address space: a line where there is one to say it, a status,
and nothing half done."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import fake_runs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
CALL = [sys.executable, "-c", "from scalarize.cli import main; main()"]
TRAIN = ["train", "--csv", "mine.csv", "--targets", "a", "--epochs", "1", "--out", "r"]


def start(place: Path, words: list[str], closed: str = "", limit: int | None = None, **more: Any) -> Any:
    """The command in a process of its own, with the streams in ``closed`` closed."""

    def prepare() -> None:
        for number in closed:
            os.close(int(number))
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.Popen([*CALL, *words], cwd=place, preexec_fn=prepare, text=True, **options)


def run(place: Path, words: list[str], closed: str = "", limit: int | None = None, **more: Any) -> tuple[int, str, str]:
    process = start(place, words, closed, limit, **more)
    out, err = process.communicate(timeout=120)
    return process.returncode, out or "", err or ""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rows = "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60))
    (tmp_path / "mine.csv").write_text("a,b,x\n" + rows)
    return tmp_path


@pytest.mark.parametrize("closed", ["012", *(pytest.param(n, marks=pytest.mark.slow) for n in ("0", "1", "2", "12"))])
def test_a_training_whose_streams_are_closed_is_whole(place: Path, closed: str) -> None:
    assert run(place, TRAIN, closed)[0] == 0
    assert (place / "r" / "result.json").read_text().endswith("}\n")
    for path in place.rglob("*"):
        assert not path.is_file() or b"epoch 1/1" not in path.read_bytes()


@pytest.mark.parametrize("closed", ["", "2", "012"])
def test_a_wrong_request_has_its_status(place: Path, closed: str) -> None:
    status, out, err = run(place, ["nonsense"], closed)
    assert (status, out) == (2, "")
    assert "2" in closed or err.startswith("scalarize: unknown command 'nonsense': known: ")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
@pytest.mark.parametrize("words", [["watch", "."], ["watch", ".", "--json"], ["x", "--json"]])
def test_a_full_stdout_is_said_on_stderr(place: Path, words: list[str]) -> None:
    fake_runs.training(place / "run", "mgda", 0, 0.7, tasks=("a", "b"))
    with open("/dev/full", "w") as full:
        status, _, err = run(place, words, stdout=full)
    assert status == (2 if "x" in words else 1)
    assert err.startswith("scalarize: ")
    assert err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_full_stderr_stops_no_training(place: Path) -> None:
    with open("/dev/full", "w") as full:
        assert run(place, TRAIN, stderr=full)[0] == 0


def plain_locale() -> dict[str, str]:
    """Surroundings in which letters beyond ASCII cannot be written."""
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    return {k: v for k, v in os.environ.items() if not k.startswith("LC_") and k != "LANG"} | plain


def test_a_locale_without_utf_8(place: Path) -> None:
    fake_runs.training(place / "ü\udcff", "mgda", 0, 0.7, tasks=("ä", "b"))
    status, _, err = run(place, ["watch", ".", "--once"], env=plain_locale())
    assert (status, err) == (0, "")


@pytest.mark.slow
def test_commands_in_a_locale_without_utf_8(place: Path) -> None:
    fake_runs.training(place / "ü\udcff", "mgda", 0, 0.7, tasks=("ä", "b"))
    for words in (["report", "."], ["policy", "ü\udcff"]):
        status, _, err = run(place, words, env=plain_locale())
        assert (status, err) == (0, "")
    (place / "mine.csv").write_text((place / "mine.csv").read_text().replace("a,b,x", "ä,b,x"), encoding="utf-8")
    status, _, err = run(place, [*TRAIN[:3], "--targets", "ä", *TRAIN[5:]], env=plain_locale())
    assert status == 0, err


@pytest.mark.parametrize("limit", [pytest.param(4 * 10**8, marks=pytest.mark.slow), 14 * 10**8])
def test_little_address_space(place: Path, limit: int) -> None:
    status, out, err = run(place, TRAIN, limit=limit)
    assert (status, out) == (1, "")
    assert err.startswith("scalarize: a library cannot be loaded into the memory that may be used (ulimit -v): ")
    assert err.count("\n") == 1
    assert not (place / "r").exists()


def test_a_process_that_is_asked_to_end_says_how_to_go_on(place: Path) -> None:
    process = start(place, [*TRAIN[:-3], "100000", "--out", "r"])
    while not (place / "r" / "records.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("scalarize: interrupted; what is finished is kept, go on with: scalarize")
