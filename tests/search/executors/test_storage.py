"""Checkpoints behind a URL or in a folder of their own: the result is that of a search that keeps them in ``out``."""

from __future__ import annotations

import uuid
from pathlib import Path

import fsspec
import pytest

import crashing_search
from scalarize.search.executors import storage
from scalarize.utils.errors import RequestError, RunError

SMALL = {"epochs": 9, "population": 4}


def search(out, **settings):
    return crashing_search.search(out, **SMALL | settings)


def stopped(out, jobs, **settings):
    crashing_search.stopped(out, jobs, **SMALL | settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return search(tmp_path_factory.mktemp("whole"))


@pytest.fixture(params=["memory", "file", "folder"])
def place(request, tmp_path):
    """A URL in memory, one of files, and a plain folder."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/states"
    return f"file://{tmp_path}/states" if request.param == "file" else str(tmp_path / "states")


def held(place):
    """The files that lie under a place."""
    system, path = fsspec.core.url_to_fs(place)
    return sorted(system.find(path))


def test_a_search_leaves_the_same_bytes_and_cleans_up(place, whole, tmp_path):
    seen = []
    assert search(tmp_path / "out", checkpoints=place, progress=lambda event: seen.append(len(held(place)))) == whole
    assert 4 <= max(seen) <= 8
    assert held(place) == []
    assert not (tmp_path / "out/checkpoints").exists()


def test_a_crashed_search_goes_on_from_there(place, whole, tmp_path):
    stopped(tmp_path / "out", 6, checkpoints=place)
    left = held(place)
    assert left
    with pytest.raises(RequestError, match="its checkpoints lie at"):
        search(tmp_path / "out", checkpoints="memory://another", resume=True)
    assert search(tmp_path / "out", resume=True) == whole
    assert held(place) == []


def test_a_checkpoint_cut_short_is_trained_again_and_a_lost_parent_named(place, whole, tmp_path):
    stopped(tmp_path / "out", 6, checkpoints=place)
    system, root = fsspec.core.url_to_fs(place)
    recent = [path for path in system.find(root) if "generation-00001" in path]
    assert recent
    system.pipe_file(recent[0], system.cat_file(recent[0])[:100])
    assert search(tmp_path / "out", resume=True) == whole
    stopped(tmp_path / "again", 6, checkpoints=place)
    for path in system.find(root):
        system.rm(path)
    with pytest.raises(RequestError, match=r"generation-00000.member-\d+\.pt: (cannot be read|no such file)"):
        search(tmp_path / "again", resume=True)


def test_two_searches_share_a_place_and_not_their_checkpoints(place, whole, tmp_path):
    stopped(tmp_path / "first", 6, checkpoints=place)
    mine = held(place)
    assert search(tmp_path / "second", checkpoints=place) == whole
    assert held(place) == mine


def test_checkpoints_do_not_move_with_a_search_that_began_without(tmp_path):
    stopped(tmp_path, 6)
    with pytest.raises(RequestError, match="lie in it, not at"):
        search(tmp_path, checkpoints="memory://x", resume=True)


def test_a_place_that_cannot_be_opened_or_written_is_named(tmp_path):
    with pytest.raises(RequestError, match="nosuch://x: cannot be opened"):
        search(tmp_path / "a", checkpoints="nosuch://x")
    assert not (tmp_path / "a").exists()
    (tmp_path / "plain").write_text("a file, no folder")
    for place in (f"file://{tmp_path}/plain", str(tmp_path / "plain")):
        with pytest.raises(RunError, match=r"cannot write .*plain"):
            search(tmp_path / uuid.uuid4().hex, checkpoints=place)


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    place = f"file://{tmp_path}/state.pt"
    storage.write(place, b"before")

    class Full(Exception):
        pass

    def refuse(handle, content):
        raise Full("no space left")

    monkeypatch.setattr(fsspec.implementations.local.LocalFileOpener, "write", refuse)
    with pytest.raises(RunError, match="no space left"):
        storage.write(place, b"after")
    assert Path(tmp_path / "state.pt").read_bytes() == b"before"
