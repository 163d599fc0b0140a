"""IDX files as published; what is wrong with a file is said with its name."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
import torch

from scalarize.data import fashion, idx
from scalarize.errors import RequestError, RunError


def write_idx(path: Path, values: torch.Tensor) -> None:
    """``values`` uint8 as an IDX file, gzipped where the name says so."""
    content = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.numpy().tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(folder: Path, count: int = 40, suffix: str = ".gz") -> None:
    """The four files with ``count`` blurry images; a label is a bright column."""
    generator = torch.Generator().manual_seed(0)
    for images, labels in idx.FILES.values():
        label = torch.arange(count, dtype=torch.uint8) % 10
        picture = torch.randint(0, 60, (count, 28, 28), dtype=torch.uint8, generator=generator)
        picture[torch.arange(count), :, 2 * label.long() + 4] = 255
        write_idx(folder / f"{images}{suffix}", picture)
        write_idx(folder / f"{labels}{suffix}", label)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    write_mnist(tmp_path, 12, suffix)
    images, labels = idx.images_and_labels([tmp_path / "elsewhere", tmp_path], "train", "")
    assert images.shape == (12, 28, 28)
    assert labels.tolist() == [*range(10), 0, 1]
    assert (images[3, :, 10] == 255).all()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:-30], r"train-images-idx3-ubyte: \d+ bytes do not hold"),
        (lambda b: b"\1" + b[1:], "not an IDX file"),
        (lambda b: b[:3], "not an IDX file"),
        (lambda b: b[:10], "do not hold"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: object, message: str) -> None:
    write_mnist(tmp_path, 12, "")
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(RequestError, match=message):
        idx.images_and_labels([tmp_path], "train", "")


def test_a_cut_gzip_a_missing_file_and_other_labels_are_named(tmp_path: Path) -> None:
    write_mnist(tmp_path, 12)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RequestError, match=r"train-images-idx3-ubyte\.gz: cannot be read"):
        idx.images_and_labels([tmp_path], "train", "")
    path.unlink()
    with pytest.raises(RequestError, match=r"train-images-idx3-ubyte\.gz: not there: do this"):
        idx.images_and_labels([tmp_path], "train", "do this")
    path.write_bytes(whole)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", torch.zeros(11, dtype=torch.uint8))
    with pytest.raises(RequestError, match=r"11.*labels for images"):
        idx.images_and_labels([tmp_path], "train", "")


def test_get_copies_debians_files_with_their_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "deb")
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "deb")
    folder = fashion.get_fashion(tmp_path / "root", {})
    assert idx.images_and_labels([folder], "test", "")[0].shape == (40, 28, 28)
    written = (folder / "manifest.json").read_text()
    assert '"licence": "MIT, Zalando SE"' in written
    assert written.count("ubyte.gz") == 4


def test_get_says_why_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="no apt-get here"):
        fashion.get_fashion(tmp_path / "root", {})
