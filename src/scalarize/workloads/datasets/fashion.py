"""Fashion-MNIST and MNIST: the places of their files, and how to get them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RunError
from scalarize.workloads.datasets import idx, manifest

DEBIAN = Path("usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
NAMES = tuple(name for pair in idx.FILES.values() for name in pair)
MNIST_FILES = ", ".join(f"{name}.gz" for name in NAMES)


def fashion_folders(root: Path) -> list[Path]:
    """Return the possible folders: torchvision's, a plain one, then that of Debian's package."""
    return [root / "FashionMNIST" / "raw", root / "fashion-mnist", "/" / DEBIAN]


def mnist_folders(root: Path) -> list[Path]:
    """Return the possible folders: torchvision's, then a plain one."""
    return [root / "MNIST" / "raw", root / "mnist"]


def get_fashion(root: Path, options: Mapping[str, Any]) -> Path:
    """Copy the four files into torchvision's folder, from Debian's package (installed, or downloaded by apt-get).

    Raises RunError if neither is available.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source = "/" / DEBIAN
        if idx.find([source], NAMES[0]) is None:
            source = _unpacked(Path(scratch))
        return _copy(source, fashion_folders(root)[0], f"Debian package {PACKAGE}", "MIT, Zalando SE")


def _unpacked(scratch: Path) -> Path:
    for command in (["apt-get", "download", PACKAGE], ["sh", "-c", f"dpkg-deb -x {PACKAGE}_*.deb ."]):
        try:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise RunError(f"no {command[0]} here: put Fashion-MNIST's four files in place by hand") from None
        if done.returncode:
            reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise RunError(f"{' '.join(command[:2])} {PACKAGE} failed: {reason}")
    return scratch / DEBIAN


def _copy(source: Path, folder: Path, origin: str, licence: str) -> Path:
    hashes = {}
    with manifest.replacing(folder) as place:
        for name in NAMES:
            found = idx.find([source], name)
            if found is None:
                raise RunError(f"{source / name}.gz: not in {origin}")
            idx.read(found)
            shutil.copyfile(found, place / found.name)
            hashes[found.name] = manifest.sha256(place / found.name)
        files.write_json(place / manifest.MANIFEST, {"source": origin, "licence": licence, "sha256": hashes})
    return folder


def get_mnist(root: Path, options: Mapping[str, Any]) -> Path:
    """Let torchvision download MNIST into its folder, and verify it. Debian has no package of it.

    Raises RunError that names the files to put in place by hand if torchvision's servers cannot be reached.
    """
    from torchvision.datasets import MNIST

    folder = mnist_folders(root)[0]
    try:
        MNIST(str(root), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"torchvision cannot download MNIST ({reason}): put {MNIST_FILES} into {folder}") from error
    return folder
