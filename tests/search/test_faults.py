"""What may happen to a search on disk: each fault ends in the same result or in a clear error."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import scalarize
from scalarize.search.journal import Journal
from scalarize.search.toy_problems import Noisy
from scalarize.utils.errors import RequestError, RunError

SETTINGS = {"epochs": 12, "population": 6}
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


class Stop(Exception):
    """The crash."""


def search(out, **settings):
    return scalarize.search(Noisy, **{**SETTINGS, **settings}, out=out)


def stopped(out, jobs, **settings):
    """A search that crashed after ``jobs`` trainings."""
    seen = []

    def progress(event):
        seen.append(event)
        if len(seen) == jobs:
            raise Stop

    with pytest.raises(Stop):
        search(out, progress=progress, **settings)


def stop_at_once(event):
    raise Stop


def products(out):
    return [(out / name).read_bytes() for name in ("lineage.jsonl", "policy.json")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    search(out)
    return products(out)


def kill(directory, algorithm, kills, seed):
    script = Path(__file__).with_name("kill_and_resume.py")
    command = [sys.executable, str(script), str(directory), algorithm, str(kills), str(seed)]
    ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


def test_killed_at_five_random_moments(tmp_path):
    assert kill(tmp_path, "pbt", 5, seed=0) >= 1  # kills that found it running; the bytes are compared by the script


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", scalarize.search.names())
def test_killed_at_fifty_random_moments(algorithm, tmp_path):
    assert kill(tmp_path, algorithm, 50, seed=1) >= 25


def crash_in(finish, out, monkeypatch):
    """A search that ends in ``finish``, which stands for the journal's."""
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "finish", finish)
        with pytest.raises(Stop):
            search(out)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.34, 0.9, 0.999, 1.0])
def test_a_crash_while_the_lineage_is_written(share, whole, tmp_path, monkeypatch):
    def cut(journal, told):
        if told.generation.index < 2:
            return finish(journal, told)
        before = journal.lineage.stat().st_size
        finish(journal, told)
        size = before + round(share * (journal.lineage.stat().st_size - before))
        os.truncate(journal.lineage, size)
        raise Stop

    finish = Journal.finish
    crash_in(cut, tmp_path, monkeypatch)
    search(tmp_path, resume=True)
    assert products(tmp_path) == whole


def test_rows_that_no_hash_vouches_for_are_made_again(whole, tmp_path, monkeypatch):
    def changed(journal, told):
        before = journal.lineage.stat().st_size if journal.lineage.exists() else 0
        finish(journal, told)
        if told.generation.index == 2:
            content = journal.lineage.read_bytes()
            journal.lineage.write_bytes(content[:before] + content[before:].replace(b'"score": 0.', b'"score": 9.'))
            raise Stop

    finish = Journal.finish
    crash_in(changed, tmp_path, monkeypatch)
    assert b'"score": 9.' in (tmp_path / "lineage.jsonl").read_bytes()
    search(tmp_path, resume=True)
    assert products(tmp_path) == whole


def test_a_torn_line_of_timings_stops_no_resumption(whole, tmp_path):
    stopped(tmp_path, 14)
    timings = tmp_path / "timings.jsonl"
    os.truncate(timings, timings.stat().st_size - 20)
    with pytest.raises(Stop):
        search(tmp_path, resume=True, progress=stop_at_once)
    search(tmp_path, resume=True)
    assert products(tmp_path) == whole
    assert search(tmp_path, resume=True).seconds > 0


def damaged_line(content):
    lines = content.split(b"\n")
    lines[3] = lines[3][:20]
    return b"\n".join(lines)


def missing_line(content):
    return content.split(b"\n", 1)[1]


def other_number(content):
    return content.replace(b'"score": 0.', b'"score": 0.9', 1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_line, "lineage.jsonl: line 4 is damaged"),
        (missing_line, "lineage.jsonl: is damaged"),
        (other_number, "lineage.jsonl: is damaged"),
        (lambda content: content[:-40], "lineage.jsonl: is damaged"),
        (lambda content: b"", "lineage.jsonl: is damaged"),
    ],
)
def test_a_damaged_lineage_is_refused(damage, message, tmp_path):
    stopped(tmp_path, 14)
    path = tmp_path / "lineage.jsonl"
    path.write_bytes(damage(path.read_bytes()))
    left = path.read_bytes()
    with pytest.raises(RequestError, match=message):
        search(tmp_path, resume=True)
    assert path.read_bytes() == left


@pytest.mark.parametrize("name", ["decisions.jsonl", "search.json"])
@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"", None])
def test_damaged_decisions_or_request_are_refused(name, damage, tmp_path):
    stopped(tmp_path, 14)
    path = tmp_path / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RequestError, match=name if damage or name == "decisions.jsonl" else "already holds"):
        search(tmp_path, resume=True)


@pytest.mark.parametrize("size", [0, 100, 0.5, -1])
def test_a_truncated_checkpoint_in_progress_is_trained_again(size, whole, tmp_path):
    stopped(tmp_path, 14)
    path = min((tmp_path / "checkpoints/generation-00002").iterdir())
    full = path.stat().st_size
    os.truncate(path, full + size if size < 0 else int(size * full) if isinstance(size, float) else size)
    search(tmp_path, resume=True)
    assert products(tmp_path) == whole


@pytest.mark.parametrize("damage", ["truncated", "missing", "foreign"])
def test_a_lost_parent_is_a_clear_error(damage, tmp_path):
    lose(tmp_path, damage)
    with pytest.raises(RequestError, match=r"generation-00001.member-\d+\.pt: (cannot be read|no such file)"):
        search(tmp_path, resume=True)


def lose(out, damage):
    stopped(out, 14)
    for path in (out / "checkpoints/generation-00001").iterdir():
        if damage == "truncated":
            os.truncate(path, path.stat().st_size // 2)
        elif damage == "missing":
            path.unlink()
        else:
            path.write_bytes(b"something else")


@contextlib.contextmanager
def files_of_at_most(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [500, 1400, 2500, 4000])
def test_a_file_that_the_disk_does_not_take(size, whole, tmp_path):
    """At these sizes a checkpoint, the decisions or the lineage can no longer be written."""
    with files_of_at_most(size), pytest.raises(RunError, match="cannot write"):
        search(tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    search(tmp_path, resume=True)
    assert products(tmp_path) == whole


@pytest.mark.parametrize("size", [16, 32, 48])
def test_a_full_disk(size, whole, tmp_path):
    """On a file system of a few kilobytes; needs the right to mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(RunError, match="cannot write"):
            search(tmp_path)
        subprocess.run(["mount", "-o", "remount,size=1m", str(tmp_path)], check=True)
        search(tmp_path, resume=True)
        assert products(tmp_path) == whole
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_the_lock_dies_with_its_process(tmp_path):
    script = (
        "import sys, time; from scalarize.utils import files\n"
        "with files.lock(sys.argv[1]): print(flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RequestError, match="another process"):
            search(tmp_path)
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    assert search(tmp_path).finished
