"""States that are gone or damaged: named, with a way to go on, which leads to the same bytes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import crashing_search
import scalarize
from crashing_search import Stop
from scalarize.search.toy_problems import Noisy
from scalarize.utils.errors import RequestError, ScalarizeWarning

SMALL = {"epochs": 12, "population": 6}


def search(out: Path, **settings: Any) -> list[bytes]:
    return crashing_search.search(out, **SMALL | settings)


def stopped(out: Path, jobs: int = 14, **settings: Any) -> None:
    crashing_search.stopped(out, jobs, **SMALL | settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return search(tmp_path_factory.mktemp("whole"))


def damage(out: Path, how: str) -> None:
    """Damage every state of the generation that the one in progress continues."""
    paths = sorted((out / "checkpoints" / "generation-00001").iterdir())
    contents = [path.read_bytes() for path in paths]
    for path, content, other in zip(paths, contents, contents[1:] + contents[:1], strict=True):
        if how == "gone":
            path.unlink()
        else:
            middle = len(content) // 2
            bit = content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
            path.write_bytes({"bit": bit, "empty": b"", "swapped": other}[how])


@pytest.mark.parametrize("how", ["gone", "empty", "swapped"])
def test_a_lost_state_is_named_with_a_way_to_go_on(how: str, whole: list[bytes], tmp_path: Path) -> None:
    stopped(tmp_path)
    damage(tmp_path, how)
    for _ in range(2):  # a refusal changes nothing
        with pytest.raises(
            RequestError, match=r"member-\d+\.pt: (cannot be read|no such file).*`resume` and `from_generation` 2"
        ):
            search(tmp_path, resume=True)
    assert search(tmp_path, resume=True, from_generation=2) == whole


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_it_goes_back_to_any_generation(generation: int, whole: list[bytes], tmp_path: Path) -> None:
    stopped(tmp_path)
    damage(tmp_path, "gone")
    with pytest.raises(Stop):
        search(tmp_path, resume=True, from_generation=generation, progress=lambda event: stop())
    assert search(tmp_path, resume=True) == whole
    assert not (tmp_path / "checkpoints").exists()


def stop() -> None:
    raise Stop


def test_a_wrong_way_back_is_refused(tmp_path: Path) -> None:
    stopped(tmp_path / "a")
    for generation in (-1, 3):
        with pytest.raises(RequestError, match="choose a generation from 0 to 2"):
            search(tmp_path / "a", resume=True, from_generation=generation)
    with pytest.raises(RequestError, match="give `resume`, too"):
        search(tmp_path / "a", from_generation=1)
    stopped(tmp_path / "b", asynchronous=True)
    with pytest.raises(RequestError, match="no generations to go back to"):
        search(tmp_path / "b", asynchronous=True, resume=True, from_generation=1)


def test_a_folder_of_the_users_is_not_emptied(tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("mine")
    stopped(out, checkpoints=str(tmp_path / "states"))
    held = (out / "checkpoints.json").read_text()
    for place, folder in ((tmp_path, "mine"), (out, "."), (out, "../mine"), (tmp_path.as_uri(), "mine")):
        (out / "checkpoints.json").write_text(json.dumps({"place": str(place), "folder": folder}))
        with pytest.raises(RequestError, match=r"checkpoints\.json: is not what this run wrote"):
            search(out, resume=True)
        earlier = tmp_path / "earlier"  # a directory without digests
        shutil.copytree(out, earlier)
        (earlier / "manifest.json").unlink()
        with pytest.raises(RequestError, match=r"checkpoints\.json: names no folder of a search"):
            search(earlier, resume=True)
        shutil.rmtree(earlier)
        assert (mine / "thesis.tex").read_text() == "mine"
    (out / "checkpoints.json").write_text(held)
    search(out, resume=True)


def test_files_beside_the_states_stay(whole: list[bytes], tmp_path: Path) -> None:
    """Also through a link that leads to a folder of the user's."""
    out, mine = tmp_path / "out", tmp_path / "mine"
    stopped(out, 10)
    shutil.move(out / "checkpoints" / "generation-00000", mine)
    (mine / "thesis.tex").write_text("mine")
    os.symlink(mine, out / "checkpoints" / "generation-00000")
    (out / "checkpoints" / "notes.txt").write_text("mine")
    assert search(out, resume=True) == whole
    assert (mine / "thesis.tex").read_text() == (out / "checkpoints" / "notes.txt").read_text() == "mine"
    assert sorted(p.name for p in mine.iterdir()) == ["thesis.tex"]


def test_a_state_that_is_in_the_way_is_refused_before_training(tmp_path: Path) -> None:
    stopped(tmp_path, 4)
    mine = tmp_path / "checkpoints" / "generation-00001" / "member-00002.pt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(RequestError, match=r"member-00002\.pt: was not written by this search"):
        search(tmp_path, resume=True)
    assert mine.read_text() == "mine"


def test_a_directory_of_an_earlier_version_goes_on_with_a_note(whole: list[bytes], tmp_path: Path) -> None:
    stopped(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.warns(ScalarizeWarning, match="made by an earlier version, which kept no digests"):
        assert search(tmp_path, resume=True) == whole
    assert not (tmp_path / "checkpoints").exists()


def test_a_stored_training_that_nobody_listed_is_believed_if_it_is_sealed(
    whole: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has stored it, and the search was killed before it heard of it."""
    trained = []

    class Counted(Noisy):
        def train(self, policy: Any, until_epoch: int) -> None:
            trained.append(until_epoch)
            super().train(policy, until_epoch)

    def crash(*_: Any) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr("scalarize.search.state_files.States.note", crash)
        with pytest.raises(Stop):
            scalarize.search(Counted, epochs=12, population=6, out=tmp_path)
    assert len(trained) == 1
    scalarize.search(Counted, epochs=12, population=6, out=tmp_path, resume=True)
    assert len(trained) == 24
    assert [(tmp_path / name).read_bytes() for name in ("lineage.jsonl", "policy.json")] == whole
