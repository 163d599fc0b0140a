"""What digests add to the writing of checkpoints: seconds with and without, interleaved.

    python benchmarks/digest_cost.py

Writing is ``torch.save`` to memory and an atomic, synced file, of the 12 members of a generation; with digests, their
seals and digests, and the manifest once. The quickest of so many repeats: other programs only ever add to it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch

from scalarize.utils import digests, files, seals
from scalarize.utils.manifest import Manifest

REPEATS, MEMBERS = 7, 12


def state(megabytes: float) -> dict[str, torch.Tensor]:
    """A model of 50 tensors, so large in all."""
    return {f"layer {k}": torch.randn(int(megabytes * 2**18 / 50)) for k in range(50)}


def plain(folder: Path, content: dict[str, torch.Tensor]) -> float:
    """Seconds of a generation without digests."""
    begun = time.perf_counter()
    for member in range(MEMBERS):
        files.write_bytes(folder / f"plain-{member}.pt", files.tensor_bytes(content))
    return time.perf_counter() - begun


def listed(folder: Path, content: dict[str, torch.Tensor], kept: Manifest) -> float:
    """Seconds of a generation with them, as a search writes it."""
    begun = time.perf_counter()
    for member in range(MEMBERS):
        by = {"request": "0", "seed": 0, "member": member, "generation": 0}
        packed = seals.tensor_bytes(content, by)
        path = files.write_bytes(folder / f"listed-{member}.pt", packed)
        kept.note(path.name, digests.of(packed), len(packed), by)
    kept.save()
    return time.perf_counter() - begun


def main() -> None:
    torch.set_num_threads(1)
    print("| checkpoint | without | with | more |\n| --- | --- | --- | --- |")
    for megabytes in (0.25, 5, 50):
        content = state(megabytes)
        with tempfile.TemporaryDirectory() as folder:
            kept = Manifest(folder)
            kept.begin("0")
            place = Path(folder)
            pairs = [(plain(place, content), listed(place, content, kept)) for _ in range(REPEATS)]
        before, after = (min(seconds) / MEMBERS for seconds in zip(*pairs, strict=True))
        print(f"| {megabytes:g} MB | {before * 1e3:.1f} ms | {after * 1e3:.1f} ms | {after / before - 1:+.1%} |")


if __name__ == "__main__":
    main()
