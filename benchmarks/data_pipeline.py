"""Images a second of two ways to feed a training with RandAugment at 32 pixels, on the same cores.

    python benchmarks/data_pipeline.py --out results/data-pipeline.md

torchvision: a DataLoader whose workers crop, flip and RandAugment one image after the other. Ours: uint8 images in
memory, the same operations on a batch at a time. Both give standardised float32 batches of 256. The rounds alternate,
so that other work on the machine strikes both; each way's figure is its best round.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import __version__ as torchvision_version
from torchvision import transforms

from scalarize.tasks.samples import TensorTable
from scalarize.utils import files
from scalarize.workloads.datasets.augment import Augment
from scalarize.workloads.datasets.randaugment import RandAugment
from scalarize.workloads.models.standardise import Standardise

SIDE, BATCH = 32, 256
MEAN, DEVIATION = [125.3, 123.0, 113.9], [63.0, 62.1, 66.7]


class Plain(Dataset[tuple[Tensor, int]]):
    """One image at a time through torchvision's transforms: from PIL images as its data sets give them, or tensors."""

    def __init__(self, images: Tensor, from_pil: bool) -> None:
        steps: list[Callable[[object], object]] = [transforms.ToPILImage()] if from_pil else []
        steps += [transforms.RandomCrop(SIDE, padding=4), transforms.RandomHorizontalFlip(), transforms.RandAugment()]
        steps += [transforms.ToTensor()] if from_pil else [transforms.ConvertImageDtype(torch.float32)]
        steps += [transforms.Normalize([m / 255 for m in MEAN], [d / 255 for d in DEVIATION])]
        self.images, self.transform = images, transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), 0


def smooth(count: int) -> Tensor:
    """Images (count, 3, 32, 32) uint8 with as many gray levels as photographs have."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 255
    return torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 255).byte()


def plain(images: Tensor, workers: int, from_pil: bool) -> float:
    """Images a second of a DataLoader, counted from its second batch on: starting the workers is free."""
    loader = DataLoader(Plain(images, from_pil), BATCH, shuffle=True, num_workers=workers, drop_last=True)
    batches = iter(loader)
    next(batches)
    started, count = time.perf_counter(), 0
    for batch, _ in batches:
        count += len(batch)
    return count / (time.perf_counter() - started)


def batched(images: Tensor, epochs: int, threads: int) -> float:
    """Images a second of ours, in this process with ``threads`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    table = TensorTable(images, {"label": torch.zeros(len(images))})
    augment, standardise = Augment(padding=4, flip=True, policy=RandAugment()), Standardise(MEAN, DEVIATION)
    generator = torch.Generator().manual_seed(0)
    standardise(augment(table.batch(torch.arange(BATCH)), generator).inputs)
    started, count = time.perf_counter(), 0
    for _ in range(epochs):
        for indices in torch.split(torch.randperm(len(images), generator=generator), BATCH):
            count += len(standardise(augment(table.batch(indices), generator).inputs))
    seconds = time.perf_counter() - started
    torch.set_num_threads(before)
    return count / seconds


def measure(count: int, rounds: int) -> dict[str, float]:
    """Way -> the best of ``rounds`` rounds, images a second."""
    images, cores = smooth(count), len(os.sched_getaffinity(0))
    ways: dict[str, Callable[[], float]] = {}
    for source, from_pil in (("PIL images", True), ("tensors", False)):
        for workers in (0, cores):
            name = f"torchvision DataLoader, {source}, {workers} workers"
            ways[name] = lambda w=workers, p=from_pil: plain(images, w, p)  # type: ignore[misc]
    for threads in sorted({1, cores}):
        ways[f"scalarize, {threads} threads"] = lambda t=threads: batched(images, 4, t)  # type: ignore[misc]
    best = dict.fromkeys(ways, 0.0)
    for _ in range(rounds):
        for name, way in ways.items():
            best[name] = max(best[name], way())
    return best


def report(best: dict[str, float], rounds: int) -> str:
    """The table, and the factor of our best over torchvision's best."""
    theirs = max(v for k, v in best.items() if k.startswith("torchvision"))
    ours = max(v for k, v in best.items() if k.startswith("scalarize"))
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[1]
    lines = [
        "# RandAugment at 32 pixels: images a second",
        "",
        f"`python benchmarks/data_pipeline.py --out results/data-pipeline.md` on {cores} cores ({platform.machine()}), "
        f"torch {torch.__version__}, torchvision {torchvision_version}; best of {rounds} alternating rounds. Crop, "
        "flip, RandAugment (2 operations, magnitude 9) and standardising, batches of 256. Load average over the last "
        f"five minutes: {load:.1f}.",
        "",
        "| way | images/s |",
        "| --- | --- |",
        *(f"| {name} | {rate:,.0f} |" for name, rate in best.items()),
        "",
        f"Best against best: **{ours / theirs:.1f} times** torchvision's rate. The pixels are torchvision's for the "
        "same draws (`tests/workloads/datasets/test_randaugment.py`).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description="images a second of two data pipelines")
    parser.add_argument("--images", type=int, default=4096, help="images in memory, at least 512")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    text = report(measure(max(given.images, 2 * BATCH), given.rounds), given.rounds)
    print(text, end="")
    if given.out is not None:
        files.write_text(given.out, text)


if __name__ == "__main__":
    main()
