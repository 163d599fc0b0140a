"""The emoji workload beside a linear probe: a ridge classifier on pixels, trained on one vendor or on both.

    scalarize data get emoji
    python results/emoji.py --store runs/emoji --out results/emoji.md

Resumable: trainings that are in the store are read. Seed k splits the base emoji by k and trains with seed k, for
probe and network alike, so their differences are paired. The probe's strength is chosen on the validation split of the
vendors that it is trained on; the network is the workload's default recipe with uniform weights. Both are tested on
the same drawings: all of them with their skin tones, or each emoji once (``data.tones=false``).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import yaml
from torch import Tensor

from scalarize.analysis import statistics
from scalarize.runs.build import Loader, prepare
from scalarize.runs.request import TrainRequest
from scalarize.runs.train import train
from scalarize.tasks.task import Data
from scalarize.utils import files
from scalarize.workloads.datasets import images

SIDE = 16  # of the probe's pixels
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
PROTOCOLS = {"each emoji once": ["data.tones=false"], "all drawings, skin tones included": []}
Scores = dict[str, dict[str, float]]


def ridge(inputs: Tensor, labels: Tensor, strength: float, classes: int) -> tuple[Tensor, Tensor]:
    """Weights (D, classes) and offsets (classes,) of least squares on one-hot labels, penalised by ``strength``."""
    wanted = torch.nn.functional.one_hot(labels, classes).to(inputs)
    middle, level = inputs.mean(0), wanted.mean(0)
    centred = inputs - middle
    gram = centred.T @ centred + strength * torch.eye(inputs.shape[1], dtype=inputs.dtype)
    weights = torch.linalg.solve(gram, centred.T @ (wanted - level))
    return weights, level - middle @ weights


def pixels(data: Data, vendor: str, split: str) -> tuple[Tensor, Tensor]:
    """Pixels (N, D) from 0 to 1 and labels (N,)."""
    source = data.domains[vendor].splits[split]
    batch = source.batch(torch.arange(len(source)))
    label = data.tasks[0].name
    return images.resize(batch.inputs, SIDE).flatten(1).double() / 255, batch.targets[label]


def accuracy(model: tuple[Tensor, Tensor], inputs: Tensor, labels: Tensor) -> float:
    """Share of ``labels`` (N,) that the linear model finds."""
    return float(((inputs @ model[0] + model[1]).argmax(1) == labels).double().mean())


def probe(data: Data) -> Scores:
    """What the probe is trained on -> vendor -> test accuracy."""
    classes, vendors = data.tasks[0].outputs, list(data.domains)
    ways = {v: [v] for v in vendors} | {"both": vendors}
    found: Scores = {}
    for way, chosen in ways.items():
        train, held = (
            tuple(map(torch.cat, zip(*(pixels(data, v, split) for v in chosen), strict=True)))
            for split in ("train", "validation")
        )
        models = [ridge(*train, strength, classes) for strength in STRENGTHS]
        best = max(models, key=lambda m: accuracy(m, *held))
        found[f"ridge, {way}"] = {v: accuracy(best, *pixels(data, v, "test")) for v in vendors}
    return found


def one_seed(seed: int, protocol: str, settings: Sequence[str], root: str | None, store: Path) -> Scores:
    """Row -> vendor -> test accuracy."""
    chosen = dict(s.split("=", 1) for s in (*PROTOCOLS[protocol], *settings)) | {"data.split_seed": str(seed)}
    parsed = {key: yaml.safe_load(value) for key, value in chosen.items()}
    request = TrainRequest(workload="emoji", data=root, settings=parsed, method="uniform", seed=seed)
    loader = Loader()
    data = prepare(request, loader).data
    out = store / f"{protocol.split(',')[0].replace(' ', '-')}-{seed}"
    result = train(request, out, "results/emoji.py", resume=True, say=lambda line: print(out.name, line), loader=loader)
    return probe(data) | {"network, both": {v: result["test"][v] for v in data.domains}}


def shown(values: Sequence[float]) -> str:
    """Mean and 95 % interval."""
    found = statistics.t_interval(values)
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


def table(seeds: Sequence[Scores]) -> list[str]:
    """A row a way of training, a column a vendor, and by how much the network beats the probe."""
    vendors = list(seeds[0]["network, both"])
    lines = [f"| trained | {' | '.join(vendors)} | average |", "| --- " * (len(vendors) + 2) + "|"]
    averages: dict[str, list[float]] = {}
    for row in seeds[0]:
        averages[row] = [sum(s[row].values()) / len(vendors) for s in seeds]
        cells = [shown([s[row][v] for s in seeds]) for v in vendors]
        lines.append(f"| {row} | {' | '.join(cells)} | {shown(averages[row])} |")
    gain = [a - b for a, b in zip(averages["network, both"], averages["ridge, both"], strict=True)]
    return [*lines, "", f"The network over the probe trained on both: **{shown(gain)}** (paired by seed)."]


def report(found: Mapping[str, Sequence[Scores]], command: str) -> str:
    """The whole file."""
    count = len(next(iter(found.values())))
    lines = ["# Emoji: category of unseen emoji, test accuracy", "", f"`{command}`", ""]
    lines += [f"Mean and 95 % interval (Student) over {count} seeds, each with a split of its own."]
    for protocol, seeds in found.items():
        lines += ["", f"## {protocol[0].upper()}{protocol[1:]}", "", *table(seeds)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, probe, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description="the emoji workload beside a linear probe")
    parser.add_argument("--data", help="data root")
    parser.add_argument("--store", type=Path, default=Path("runs/emoji"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--once", action="store_true", help="only the protocol with each emoji once")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="recipe settings")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    protocols = list(PROTOCOLS)[:1] if given.once else list(PROTOCOLS)
    found = {p: [one_seed(k, p, given.set, given.data, given.store) for k in range(given.seeds)] for p in protocols}
    words = ["python results/emoji.py", *(["--once"] if given.once else []), *(f"--set {s}" for s in given.set)]
    text = report(found, " ".join([*words, f"--seeds {given.seeds}", "--out results/emoji.md"]))
    print(text, end="")
    if given.out is not None:
        files.write_text(given.out, text)


if __name__ == "__main__":
    main()
