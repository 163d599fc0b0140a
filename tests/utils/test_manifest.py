"""A manifest vouches for what a run wrote, at any moment of a crash, and for nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scalarize.utils import files, vouched
from scalarize.utils.errors import RequestError, RunError
from scalarize.utils.manifest import FILE, Manifest


def begun(place: Path) -> Manifest:
    kept = Manifest(place)
    kept.begin("abcd")
    kept.write("a.json", b"one")
    return kept


def test_what_was_written_is_believed_and_nothing_else(tmp_path: Path) -> None:
    begun(tmp_path).write("b/c.json", b"two", {"member": 1})
    kept = Manifest(tmp_path)
    assert (kept.there, kept.request) == (True, "abcd")
    assert kept.read("a.json") == b"one"
    assert kept.read("b/c.json", {"member": 1}) == b"two"
    with pytest.raises(RequestError, match=r"c\.json: was written by member 1, not by member 2"):
        kept.read("b/c.json", {"member": 2})
    (tmp_path / "a.json").write_bytes(b"two")
    with pytest.raises(RequestError, match=r"a\.json: is not what this run wrote: it is that of b/c\.json; restore it"):
        kept.read("a.json")
    (tmp_path / "a.json").write_bytes(b"")
    with pytest.raises(RequestError, match="it is empty"):
        kept.read("a.json")
    (tmp_path / "mine.json").write_bytes(b"mine")
    with pytest.raises(RequestError, match=r"mine\.json: was not written by this run"):
        kept.read("mine.json")


def test_a_crash_between_the_two_writes_leaves_a_believed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = begun(tmp_path)
    write = files.write_bytes

    def full(path: Path, content: bytes, sync: bool = True) -> Path:
        if Path(path).name == "a.json":
            raise RunError("the disk is full")
        return write(path, content, sync)

    monkeypatch.setattr(files, "write_bytes", full)
    for content in (b"other", b"yet another"):  # the manifest is written, the file is not, twice
        with pytest.raises(RunError):
            Manifest(tmp_path).write("a.json", content)
        assert Manifest(tmp_path).read("a.json") == b"one"
    monkeypatch.undo()
    kept = Manifest(tmp_path)
    kept.write("a.json", b"other")
    assert Manifest(tmp_path).read("a.json") == b"other"


def test_what_is_not_ours_is_neither_replaced_nor_deleted(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    mine, target = tmp_path / "mine.json", tmp_path / "elsewhere.txt"
    mine.write_bytes(b"mine")
    target.write_bytes(b"mine")
    os.symlink(target, tmp_path / "link.json")
    for name in ("mine.json", "link.json"):
        with pytest.raises(RequestError, match=r"json: was not written by this run, which would replace it"):
            kept.write(name, b"ours")
        assert not kept.delete(name)
    assert mine.read_bytes() == target.read_bytes() == b"mine"
    (tmp_path / "a.json").write_bytes(b"changed")
    assert not Manifest(tmp_path).delete("a.json")
    (tmp_path / "a.json").write_bytes(b"one")
    assert Manifest(tmp_path).delete("a.json")


def test_a_growing_file_is_vouched_for_as_far_as_it_was_listed(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"1\n2\n")
    from scalarize.utils import digests

    kept.grown("rows.jsonl", digests.of(b"1\n2\n"), 4)
    kept.save()
    path.write_bytes(b"1\n2\n3\n")
    Manifest(tmp_path).read("rows.jsonl")
    for wrong in (b"1\n", b"1\n3\n3\n"):
        path.write_bytes(wrong)
        with pytest.raises(RequestError, match=r"rows\.jsonl: is not what this run wrote"):
            Manifest(tmp_path).read("rows.jsonl")


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    begun(tmp_path)
    content = (tmp_path / FILE).read_bytes()
    other = content.replace(b'"size": 3', b'"size": 4')
    for wrong in (b"", content[: len(content) // 2], b"[]", b"{}", b"\xff", other, b"[" * 100_000):
        (tmp_path / FILE).write_bytes(wrong)
        with pytest.raises(RequestError, match=r"manifest\.json: is damaged"):
            Manifest(tmp_path)


def test_every_bit_of_a_manifest_counts(tmp_path: Path) -> None:
    begun(tmp_path)
    content = (tmp_path / FILE).read_bytes()
    was = json.loads(content)
    for bit in range(0, 8 * len(content), 3):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        (tmp_path / FILE).write_bytes(bytes(changed))
        try:
            kept = Manifest(tmp_path)
        except RequestError:
            continue
        assert (kept.request, kept.files) == (was["request"], was["files"])


def test_an_earlier_versions_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"one")
    kept = Manifest(tmp_path)
    assert not kept.there
    assert kept.read("a.json") == b"one"
    kept.adopt("abcd", ["a.json", "gone.json"])
    assert list(Manifest(tmp_path).files) == ["a.json"]
    Manifest(tmp_path).write("a.json", b"two")


def test_leftovers_of_a_crash_are_swept_and_only_ours(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    ours = [tmp_path / ".a.json.12.part", tmp_path / ".manifest.json.12.part"]
    others = [tmp_path / ".mine.12.part", tmp_path / ".a.json.part", tmp_path / "a.json.12.part"]
    for path in (*ours, *others):
        path.write_bytes(b"")
    kept.sweep()
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


def test_readers_compare_what_is_listed(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / "mine.json").write_bytes(b"")
    vouched.check(tmp_path, ["a.json", "mine.json", "gone.json"])
    (tmp_path / "a.json").write_bytes(b"two")
    with pytest.raises(RequestError, match="is not what this run wrote"):
        vouched.check(tmp_path, ["a.json"])
    (tmp_path / FILE).unlink()
    vouched.check(tmp_path, ["a.json"])
