"""The command line on every workload's fixture: trained to the end; a wrong file ends with status 2 and its name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from scalarize import workloads
from scalarize.workloads.datasets import cifar
from tiny_workloads import FIXTURES as EVERY
from tiny_workloads import words as options
from tiny_workloads import write_cifar_stl, write_nothing

ELSEWHERE = {"celeba-resnet", "cityscapes", "rendered-scenes", "mt10", "mt50"}  # what has its own tests of this
FIXTURES = {name: f for name, f in EVERY.items() if name not in ELSEWHERE and not name.startswith("nmt-")}


def words(name: str, root: Path, out: str, *more: str) -> tuple[Any, ...]:
    fixture = FIXTURES[name]
    settings = options(fixture.settings | fixture.smallest) + tuple(w for s in more for w in ("--set", s))
    return ("train", name, "--data", root, "--epochs", 1, *settings, "--out", out, "--json")


def test_every_workload_is_here() -> None:
    assert set(FIXTURES) == {
        n for n in workloads.names() if n not in ELSEWHERE and not n.startswith(("nmt-", "gettext"))
    }


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n == "celeba" else ()) for n in FIXTURES])
def test_it_trains_to_the_end(name: str, command: Any, tmp_path: Path) -> None:
    FIXTURES[name].write(tmp_path / "root")
    answer = command(*words(name, tmp_path / "root", "r"))
    assert answer.status == 0, answer.err
    result = answer.json
    assert result["epoch"] == 1
    assert set(result["test"]) == {*workloads.get(name).objectives, "average"}
    assert all(math.isfinite(value) for value in result["test"].values())
    assert result["skipped_steps"] == 0


@pytest.mark.parametrize("name", ["domainnet", "taskonomy-tiny"])
def test_workers_change_no_byte_of_a_runs_records(name: str, command: Any, tmp_path: Path) -> None:
    FIXTURES[name].write(tmp_path / "root")
    for workers in (0, 1):
        assert command(*words(name, tmp_path / "root", f"r{workers}", f"data.workers={workers}")).status == 0
    assert (tmp_path / "r0/records.jsonl").read_bytes() == (tmp_path / "r1/records.jsonl").read_bytes()


FORMATS = {  # a file of each format that is read; `wrong` is what a file of another kind might hold
    "CIFAR, python version": ("cifar-stl", "cifar-10-batches-py/data_batch_3"),
    "CIFAR, test batch": ("cifar-stl", "cifar-10-batches-py/test_batch"),
    "STL, images": ("cifar-stl", "stl10_binary/train_X.bin"),
    "STL, labels": ("cifar-stl", "stl10_binary/test_y.bin"),
    "CelebA, attributes": ("celeba-8", "celeba/list_attr_celeba.txt"),
    "CelebA, partition": ("celeba-8", "celeba/list_eval_partition.txt"),
    "CelebA, a face": ("celeba-8", "celeba/img_align_celeba/000003.jpg"),
    "DomainNet, a list": ("domainnet", "domainnet/infograph_train.txt"),
    "DomainNet, a JPEG": ("domainnet", "domainnet/real/the class 1/real_train_1.jpg"),
    "DomainNet, a PNG": ("domainnet", "domainnet/quickdraw/the class 2/quickdraw_test_2.png"),
    "emoji, the tensors": ("emoji", "emoji/emoji-16.0.0.pt"),
    "emoji, the manifest": ("emoji-tasks", "emoji/manifest.json"),
    "Fashion-MNIST, images": ("multi-fashion", "FashionMNIST/raw/train-images-idx3-ubyte.gz"),
    "MNIST, images": ("multi-mnist", "MNIST/raw/t10k-images-idx3-ubyte.gz"),
    "MNIST, labels": ("multi-mnist", "MNIST/raw/train-labels-idx1-ubyte.gz"),
    "Taskonomy, the list": ("taskonomy-tiny", "taskonomy/train_val_test_tiny.csv"),
    "Taskonomy, a view": ("taskonomy-tiny", "taskonomy/rgb/ackermanville/point_1_view_0_domain_rgb.png"),
    "Taskonomy, 16 bits": (
        "taskonomy-tiny",
        "taskonomy/depth_zbuffer/ackermanville/point_0_view_0_domain_depth_zbuffer.png",
    ),
    "Taskonomy, 8 bits": ("taskonomy-tiny", "taskonomy/normal/ackermanville/point_2_view_0_domain_normal.png"),
}


def damage(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "missing":
        path.unlink()
    else:
        path.write_bytes(
            content[: len(content) // 2 - 1] if kind == "truncated" else b"\x89\xff\x00 no such thing\n" * 4
        )


@pytest.mark.parametrize("kind", ["missing", "truncated", "wrong"])
@pytest.mark.parametrize("file", FORMATS)
def test_a_file_that_is_wrong_ends_with_status_2_and_its_name(
    file: str, kind: str, command: Any, tmp_path: Path
) -> None:
    name, relative = FORMATS[file]
    root = tmp_path / "root"
    FIXTURES[name].write(root)
    damage(root / relative, kind)
    answer = command(*words(name, root, "r"))
    assert answer.status == 2
    assert answer.json["status"] == 2
    assert str(root / relative) in answer.json["error"]
    assert "\n" not in answer.json["error"]
    assert "Traceback" not in answer.err
    plain = command(*(w for w in words(name, root, "other") if w != "--json"))
    assert plain.status == 2
    assert str(root / relative) in plain.err.strip().splitlines()[-1]


def test_a_truncated_file_of_cifars_binary_version_is_named(command: Any, tmp_path: Path) -> None:
    write_cifar_stl(tmp_path / "root", cifar.BINARY)
    path = tmp_path / "root" / "cifar-10-batches-bin" / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-7])
    answer = command(*words("cifar-stl", tmp_path / "root", "r"))
    assert answer.status == 2
    assert str(path) in answer.json["error"]


@pytest.mark.parametrize("name", [n for n, f in FIXTURES.items() if f.write is not write_nothing])
def test_an_empty_folder_is_answered_with_what_belongs_there(name: str, command: Any, tmp_path: Path) -> None:
    if name == "multi-fashion" and Path("/usr/share/datasets/fashion-mnist").is_dir():
        pytest.skip("Debian's package is installed: nothing is missing")
    (tmp_path / "root").mkdir()
    answer = command(*words(name, tmp_path / "root", "r"))
    assert answer.status == 2
    missing = workloads.get(name).missing(tmp_path / "root")
    assert missing is not None
    folder = str(tmp_path / "root")
    assert answer.json["error"].startswith(folder)
    assert answer.json["error"].split(": ")[0] == missing.split(": ")[0]
    assert not (tmp_path / "r").exists()
