"""The same training by scalarize, LibMTL and TorchJD, beside a bare loop: results/peers.md.

    git clone https://github.com/median-research-group/LibMTL && git -C LibMTL checkout 4336804
    pip install torch_geometric==2.6.1    # LibMTL's trainer imports it; the rest is in the extra `test`
    python results/peers.py --libmtl LibMTL > results/peers.md
    python results/peers.py --libmtl LibMTL --checks >> results/peers.md

Two tasks on the pictures of `multi-fashion` (`scalarize data get multi-fashion`), LeNet, SGD. All packages get the same
initial weights, the same batches in the same order and the same recipe; one process, one thread, packages in turn.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peers_loops import METHODS, Batches, Case, trained
from torch import Tensor, nn

from scalarize import workloads
from scalarize.workloads.models.lenet import lenet, lenet_head

BATCH, TASKS = 128, ("left", "right")
PEERS = ("scalarize", "LibMTL", "TorchJD")


def tables(root: Path, share: float) -> dict[str, tuple[Tensor, dict[str, Tensor]]]:
    """Pictures in standard units and labels of the three splits."""
    workload = workloads.get("multi-fashion")
    data = workload.load({"share": share, "split_seed": 0}, root)
    mean, deviation = data.info["mean"][0], data.info["deviation"][0]
    found = {}
    for split, table in next(iter(data.domains.values())).splits.items():
        batch = table.batch(torch.arange(len(table)))
        found[split] = ((batch.inputs.float() - mean) / deviation, {t: batch.targets[t] for t in TASKS})
    return found


def begin(splits: dict[str, Any], seed: int, epochs: int, lr: float) -> Case:
    """The training of one seed before its first step."""
    torch.manual_seed(seed)
    encoder, heads = lenet(), nn.ModuleDict({task: lenet_head(10) for task in TASKS})
    batches = {s: Batches(*parts, BATCH, seed if s == "train" else None) for s, parts in splits.items()}
    return Case(encoder, heads, batches, epochs, lr)


def one_step(splits: dict[str, Any], seed: int, lr: float) -> Case:
    """The same training, cut to its first step."""
    case = begin(splits, seed, 1, lr)
    case.splits["train"].inputs = case.splits["train"].inputs[:BATCH]
    return case


def vector(case: Case) -> Tensor:
    return torch.cat([p.detach().flatten() for p in case.parameters()]).double()


def distance(start: Case, a: Case, b: Case) -> float:
    """How far two trainings ended from each other, as a share of how far the first came."""
    return float((vector(a) - vector(b)).norm() / (vector(a) - vector(start)).norm())


def accuracy(case: Case) -> float:
    """Test accuracy after the last epoch in percent, the mean of the tasks."""
    return 100 * statistics.mean(case.accuracy[-1]["test"].values())


def measure(splits: dict[str, Any], seeds: int, epochs: int, lr: float, peers: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row a method: accuracies, distances and CPU times by package, over seeds."""
    rows = []
    trained(begin(splits, 0, 1, lr), "bare", "")  # what is slow only once
    for row in METHODS:
        found: dict[str, Any] = {"row": row, "ratio": {}, "accuracy": {}, "first": {}, "last": {}, "reported": []}
        for seed in range(seeds):
            start, step = begin(splits, seed, epochs, lr), one_step(splits, seed, lr)
            plain = trained(start, "bare", row).seconds
            whole = {peer: trained(start, peer, row) for peer in peers}
            single = {peer: trained(step, peer, row) for peer in peers}
            for peer in peers:
                found["ratio"].setdefault(peer, []).append(whole[peer].seconds / plain)
                found["accuracy"].setdefault(peer, []).append(accuracy(whole[peer]))
                found["first"].setdefault(peer, []).append(distance(step, single["scalarize"], single[peer]))
                found["last"].setdefault(peer, []).append(distance(start, whole["scalarize"], whole[peer]))
            if "LibMTL" in peers:
                means = [statistics.mean(a["validation"].values()) for a in whole["scalarize"].accuracy]
                found["reported"].append((whole["LibMTL"].reported, means.index(max(means))))
            print(f"{row}, seed {seed}", file=sys.stderr)
        rows.append(found)
    return rows


def spread(values: list[float], digits: int = 2) -> str:
    """The mean, and the least and the greatest value."""
    mean, least, greatest = statistics.mean(values), min(values), max(values)
    return f"{mean:.{digits}f} ({least:.{digits}f} to {greatest:.{digits}f})"


def table(peers: Sequence[str], rows: list[dict[str, Any]], cell: Callable[[dict[str, Any], str], str]) -> str:
    lines = ["| method | " + " | ".join(peers) + " |", "| --- |" + " --- |" * len(peers)]
    lines += [f"| {r['row']} | " + " | ".join(cell(r, peer) for peer in peers) + " |" for r in rows]
    return "\n".join(lines) + "\n"


def page(rows: list[dict[str, Any]], arguments: argparse.Namespace, peers: tuple[str, ...]) -> str:
    others = [peer for peer in peers if peer != "scalarize"]
    command = (__doc__ or "").split("\n\n")[1]
    pairs = [pair for r in rows for pair in r["reported"]]
    parts = [
        "# The peers' own loops beside ours\n",
        f"{command}\n",
        f"{arguments.seeds} seeds, {arguments.epochs} epochs of {arguments.share:.0%} of Multi-Fashion's pairs, "
        f"batches of {BATCH}, SGD at {arguments.lr:g} with momentum 0.9; equal initial weights, batches and recipe; "
        f"one process, one thread of {os.cpu_count()} cores, torch {version('torch')}. LibMTL at commit 4336804: its "
        "`Trainer`, called as in `examples/office/main.py`, but on the CPU (it takes the first GPU without asking). "
        f"TorchJD {version('torchjd')}: the loop of its page on multi-task learning, or a scalarizer. Ours: the three "
        "lines of `examples/plain_loop.py`. A cell is the mean of the seeds, with the least and the greatest.\n",
        "## Test accuracy after the last epoch, in percent\n",
        table(peers, rows, lambda r, p: spread(r["accuracy"][p])),
        "## CPU time of the training, to a bare loop's over the sum of the losses beside it\n",
        "With a look at the validation and test pictures after every epoch, as LibMTL's trainer does.\n",
        table(peers, rows, lambda r, p: spread(r["ratio"][p])),
        "## Distance of the parameters from ours\n",
        "As a share of how far training moved them: after one step, and at the end; the greatest of the seeds. In "
        "float32 an equal rule gives about 1e-7 to 1e-5.\n",
        table(others, rows, lambda r, p: f"{max(r['first'][p]):.0e}, {max(r['last'][p]):.0e}"),
    ]
    if pairs:
        differ = sum(theirs != best for theirs, best in pairs)
        parts += [
            "## The epoch that is reported\n",
            "LibMTL's trainer takes the epoch with the greatest mean improvement over its own first epoch, in percent "
            f"of each metric; ours takes the best mean on validation. In {differ} of {len(pairs)} trainings that is "
            "another epoch.\n",
        ]
    return "\n".join(parts)


def inside(splits: dict[str, Any], epochs: int, lr: float) -> str:
    """Our methods in LibMTL's trainer: the distance from our loop, by method."""
    lines = []
    for row in METHODS:
        start = begin(splits, 0, epochs, lr)
        apart = distance(start, trained(start, "scalarize", row), trained(start, "inside LibMTL", row))
        lines.append(f"- {row}: {apart:.0e}\n")
    return (
        "\n## The Balancer as a weighting of LibMTL's trainer\n\n"
        "A weighting of ten lines (`inside_libmtl` in `results/peers_loops.py`) hands LibMTL's losses to the Balancer. "
        "Distance of the parameters from those of our own loop after the training of the first seed:\n\n"
    ) + "".join(lines)


def carried(splits: dict[str, Any], seeds: int, epochs: int, lr: float) -> str:
    """How far apart two trainings of ours end that begin a rounding apart, by method."""
    lines = []
    for row in METHODS:
        ends = []
        for seed in range(seeds):
            start, other = begin(splits, seed, epochs, lr), begin(splits, seed, epochs, lr)
            with torch.no_grad():
                for p in other.parameters():
                    p.mul_(1 + 1e-7 * torch.randn_like(p))
            ends.append(distance(start, trained(start, "scalarize", row), trained(other, "scalarize", row)))
        lines.append(f"- {row}: {max(ends):.0e}\n")
    return (
        "\n## How far a rounding is carried\n\n"
        "The distance at the end says little about rules if a training carries roundings far. Two trainings of ours, "
        "of which one begins with weights times 1 + 1e-7 z, z standard normal, end so far apart (the greatest of the "
        "seeds):\n\n"
    ) + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--libmtl", type=Path, help="checkout of LibMTL; without it, its columns are left out")
    parser.add_argument("--data", type=Path, default=Path.home() / ".cache" / "scalarize")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--checks", action="store_true", help="the two sections that check the others, alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    peers = PEERS
    if arguments.libmtl is None:
        peers = tuple(peer for peer in PEERS if peer != "LibMTL")
    else:
        sys.path.insert(0, str(arguments.libmtl))
        importlib.import_module("LibMTL")  # not in the time of its first training
    splits = tables(arguments.data, arguments.share)
    if arguments.checks:
        print(carried(splits, arguments.seeds, arguments.epochs, arguments.lr), end="", flush=True)
        print(inside(splits, arguments.epochs, arguments.lr), end="")
        return
    print(page(measure(splits, arguments.seeds, arguments.epochs, arguments.lr, peers), arguments, peers), end="")


if __name__ == "__main__":
    main()
