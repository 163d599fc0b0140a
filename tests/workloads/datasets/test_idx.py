"""IDX files as published; what is wrong with a file is said with its name."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import re
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from scalarize.utils.errors import RequestError, RunError
from scalarize.workloads.datasets import fashion, idx


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


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_label_above_9_is_named(tmp_path: Path, split: str) -> None:
    write_mnist(tmp_path, 12)
    path = tmp_path / f"{idx.FILES[split][1]}.gz"
    write_idx(path, torch.tensor([*range(10), 10, 200], dtype=torch.uint8))
    with pytest.raises(RequestError, match=f"^{re.escape(str(path))}: holds label 10; labels are 0 to 9$"):
        idx.images_and_labels([tmp_path], split, "")


@pytest.mark.parametrize("shape", [(12, 32, 32), (12, 28, 27), (12,), (12, 1, 28, 28)])
def test_images_of_another_size_are_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_mnist(tmp_path, 12)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    write_idx(path, torch.zeros(shape, dtype=torch.uint8))
    message = f"{path}: holds {list(shape)}, expected images of 28 x 28"
    with pytest.raises(RequestError, match=f"^{re.escape(message)}$"):
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


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a server on this machine that torchvision takes for its own, with tiny files in it."""
    from torchvision.datasets import MNIST

    served = tmp_path / "served"
    write_mnist(served, 12)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *words: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        known = [(f.name, hashlib.md5(f.read_bytes()).hexdigest()) for f in sorted(served.iterdir())]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{running.server_port}/"])
        monkeypatch.setattr(MNIST, "resources", known)
        yield served
        running.shutdown()


def test_get_mnist_downloads_what_is_then_read(server: Path, tmp_path: Path) -> None:
    folder = fashion.get_mnist(tmp_path / "root", {})
    assert folder == tmp_path / "root" / "MNIST" / "raw"
    images, labels = idx.images_and_labels(fashion.mnist_folders(tmp_path / "root"), "train", "")
    assert images.shape == (12, 28, 28)
    assert labels.tolist() == [*range(10), 0, 1]


def test_get_mnist_names_folder_and_files_where_it_fails(server: Path, tmp_path: Path) -> None:
    for path in server.iterdir():
        path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(
        RunError, match=r"cannot download MNIST .*put train-.*t10k-labels-idx1-ubyte\.gz into .*MNIST/raw"
    ):
        fashion.get_mnist(tmp_path / "root", {})
