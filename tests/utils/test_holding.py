"""A held directory: locked from the first moment, freed with its holder, left as it was by a refused request."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from scalarize.utils import files
from scalarize.utils.errors import BusyError, RequestError, RunError
from scalarize.utils.holding import held


def content(place: Path) -> list[str]:
    return sorted(p.relative_to(place).as_posix() for p in place.rglob("*"))


def ends(out: Path, names: list[str], error: Exception) -> None:
    """Make files, and folders whose names end so, in a held directory; and end with an error."""

    def make() -> None:
        with held(out):
            for name in names:
                if name.endswith("/"):
                    (out / name).mkdir()
                else:
                    files.write_text(out / name, "x")
            raise error

    with pytest.raises(type(error)):
        make()


@pytest.mark.parametrize("there", [False, True])
def test_a_refused_request_leaves_nothing(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "deep" / "out"
    if there:
        out.mkdir(parents=True)
        (out / "notes.txt").write_text("mine")
        (out / "runs").mkdir()
    before = content(tmp_path)
    names = ["config.yaml", "manifest.json", ".workers/arrays", "checkpoints/"]
    ends(out, [*names, *([] if there else ["runs/uniform-seed0/config.yaml"])], RequestError("wrong"))
    assert content(tmp_path) == before


@pytest.mark.parametrize("name", ["records.jsonl", "checkpoints/generation-00000/member-00000.pt"])
def test_what_was_trained_stays(tmp_path: Path, name: str) -> None:
    ends(tmp_path, ["config.yaml", name], RequestError("wrong"))
    assert {"config.yaml", name} <= set(content(tmp_path))


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    files.write_text(tmp_path / "config.yaml", "x")
    ends(tmp_path, [], RequestError("wrong"))
    assert content(tmp_path) == ["config.yaml"]


def test_a_run_that_failed_stays(tmp_path: Path) -> None:
    ends(tmp_path, ["config.yaml"], RunError("the disk is full"))
    assert content(tmp_path) == [".lock", "config.yaml"]


def test_one_of_two_goes_on(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(BusyError, match="another process"), held(tmp_path):
        pass
    assert content(tmp_path) == [".lock"]


def test_a_lock_whose_file_was_replaced_locks_nobody_out(tmp_path: Path) -> None:
    with held(tmp_path / "a"):
        (tmp_path / "a" / ".lock").unlink()
        with held(tmp_path / "a"):
            assert (tmp_path / "a" / ".lock").exists()


def test_a_lock_is_freed_with_its_holder_though_its_children_live(tmp_path: Path) -> None:
    """A reader of data, forked by a training that is then killed, does not hold the training's directory."""
    reader, writer = os.pipe()
    holder = os.fork()
    if holder == 0:
        with contextlib.suppress(BaseException), held(tmp_path):
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            os.write(writer, str(child).encode())
            time.sleep(60)
        os._exit(1)
    child = int(os.read(reader, 20))
    try:
        with pytest.raises(BusyError), held(tmp_path):
            pass
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        with held(tmp_path):
            os.kill(child, 0)  # it lives
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reader)
        os.close(writer)


def test_a_forked_child_leaves_its_parents_lock_alone(tmp_path: Path) -> None:
    with held(tmp_path):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(BusyError), held(tmp_path):
            pass
