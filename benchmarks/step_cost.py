"""Seconds and memory of a step under the methods, beside a bare loop and TorchJD, interleaved in one process.

    export OMP_NUM_THREADS=1 MALLOC_TRIM_THRESHOLD_=10000000000 MALLOC_MMAP_THRESHOLD_=10000000000
    python benchmarks/step_cost.py --out results/step-cost.md [--models lenet --tasks 2,8]
    python benchmarks/step_cost_more.py --append results/step-cost.md

With glibc's default thresholds, buffers go back to the system and come anew within a step, for some candidates and
not for others: that is 20 % of a step here, so the thresholds are set for all.

Each model has T linear heads on one batch, cross-entropy. Times are CPU seconds of the single thread. `to bare` is
taken to a step of the bare loop right beside, `to floor` within a round; medians, with quartiles over the rounds.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarize.balancer.balancer import Balancer
from scalarize.studies import step_cost
from scalarize.utils import files

CHEAP = ("uniform", "rlw", "dwa", "uncertainty", "imtl-l")
DEEP = ("pcgrad", "mgda")
MORE = "python benchmarks/step_cost_more.py --append results/step-cost.md"  # the sections from domains on


class Block(nn.Module):
    """Two convolutions and a skip."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(inside, out, 3, stride, 1), nn.Conv2d(out, out, 3, 1, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(out), nn.BatchNorm2d(out)])
        self.skip = nn.Conv2d(inside, out, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(self.norms[1](self.second(y)) + self.skip(x))


class ViT(nn.Module):
    """Patches of 4 x 4, four layers of width 96."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 96, 4, 4)
        self.place = nn.Parameter(torch.randn(1, 64, 96) * 0.02)
        layer = nn.TransformerEncoderLayer(96, 4, 384, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(self.patches(x).flatten(2).transpose(1, 2) + self.place).mean(dim=1)


def lenet() -> tuple[nn.Module, Tensor, int]:
    convolutions = (nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(10, 20, 5), nn.MaxPool2d(2), nn.ReLU())
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(320, 50), nn.ReLU()), torch.randn(256, 1, 28, 28), 50


def vit() -> tuple[nn.Module, Tensor, int]:
    return ViT(), torch.randn(8, 3, 32, 32), 96


def resnet() -> tuple[nn.Module, Tensor, int]:
    blocks = (Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
    model = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return model, torch.randn(32, 3, 32, 32), 64


def perceptron(width: int, batch: int) -> tuple[nn.Module, Tensor, int]:
    """Three hidden layers, as wide as the input."""
    layers = [part for _ in range(3) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*layers), torch.randn(batch, width), width


MODELS = {
    "lenet": lenet,
    "vit": vit,
    "resnet": resnet,
    "perceptron-256": lambda: perceptron(256, 128),
    "perceptron-1024": lambda: perceptron(1024, 128),
    "perceptron-1024-256": lambda: perceptron(1024, 256),
}


class Setting:
    """A model with T heads and one batch."""

    def __init__(self, name: str, n_tasks: int) -> None:
        torch.manual_seed(0)
        self.encoder, self.x, width = MODELS[name]()
        self.names = [str(t) for t in range(n_tasks)]
        self.heads = nn.ModuleList(nn.Linear(width, 2) for _ in self.names)
        self.y = torch.randint(0, 2, (n_tasks, len(self.x)))
        self.shared = list(self.encoder.parameters())
        self.parameters = [*self.shared, *self.heads.parameters()]

    def forward(self) -> tuple[dict[str, Tensor], Tensor]:
        z = self.encoder(self.x)
        losses = {t: functional.cross_entropy(self.heads[k](z), self.y[k]) for k, t in enumerate(self.names)}
        return losses, z

    def deep(self, names: tuple[str, ...], **options: Any) -> dict[str, Callable[[], step_cost.Backward]]:
        return step_cost.balancers(names, self.shared, self.names, **options)

    def torchjd(self, chunk: int | None) -> step_cost.Backward:
        from torchjd.aggregation import PCGrad
        from torchjd.autojac import jac_to_grad, mtl_backward

        aggregator = PCGrad()

        def backward(losses: dict[str, Tensor], z: Tensor) -> None:
            mtl_backward(list(losses.values()), features=z, shared_params=self.shared, parallel_chunk_size=chunk)
            jac_to_grad(self.shared, aggregator, optimize_gramian_computation=True)

        return backward


def chosen(setting: Setting) -> int:
    """The number of rows that PCGrad with ``chunk="auto"`` makes at once after its trials, in nine steps."""
    backward = setting.deep(("pcgrad",), chunk="auto")["pcgrad"]()
    for _ in range(10):
        backward(*setting.forward())
    for p in setting.parameters:
        p.grad = None
    assert isinstance(backward, step_cost.Balanced)
    found = backward._balancer._step.accumulator.chunks.chosen
    assert found is not None
    return found


def one(name: str, n_tasks: int, seconds: float) -> list[dict[str, Any]]:
    """All rows of a model and a number of tasks."""
    setting = Setting(name, n_tasks)
    near = {f"{k}, representation": v for k, v in setting.deep(DEEP, level="representation").items()}
    cheap, clock = setting.deep(CHEAP) | near, time.process_time
    quick = step_cost.measure(setting.forward, setting.parameters, cheap, 3, clock, floor=False, seconds=seconds)
    far = {f"{k}, parameters": v for k, v in setting.deep(DEEP).items()}
    if n_tasks == 8:
        far["mgda, parameters, blocks=4"] = setting.deep(("mgda",), blocks=4)["mgda"]
        far["pcgrad, parameters, chunk=8"] = setting.deep(("pcgrad",), chunk=8)["pcgrad"]
    if n_tasks in (8, 40):
        number = chosen(setting)
        far[f"pcgrad, parameters, chunk=auto ({number})"] = setting.deep(("pcgrad",), chunk=number)["pcgrad"]
        far["torchjd pcgrad, all rows at once"] = lambda: setting.torchjd(None)
        far["torchjd pcgrad, 8 rows at once"] = lambda: setting.torchjd(8)
    far["torchjd pcgrad, row by row"] = lambda: setting.torchjd(1)
    slow = step_cost.measure(setting.forward, setting.parameters, far, 3, clock, seconds=seconds)
    about = {"model": name, "T": n_tasks, "P": sum(p.numel() for p in setting.shared)}
    return [about | row for row in [*quick, *slow[1:]]]


def approximations(name: str, n_tasks: int, seconds: float) -> list[dict[str, Any]]:
    """What cheaper evidence does to MGDA's direction (cosine on the shared parameters) and to its price."""
    setting = Setting(name, n_tasks)
    kinds = _kinds(setting)
    rows = step_cost.measure(
        setting.forward,
        setting.parameters,
        {k: setting.deep(("mgda",), **o)["mgda"] for k, o in kinds.items()},
        3,
        time.process_time,
        steps=4,  # a whole turn of every=4: three cheap steps and a dear one
        seconds=seconds,
    )
    cosines = {k: _cosine(name, n_tasks, k) for k in kinds}
    return [{"kind": r["method"], "cosine": cosines.get(r["method"]), **r} for r in rows]


def _kinds(setting: Setting) -> dict[str, dict[str, Any]]:
    last = setting.shared[-max(2, len(setting.shared) // 4) :]
    return {
        "exact": {},
        "evidence_from the last quarter of the tensors": {"evidence_from": last},
        "every=4": {"every": 4},
        "level=representation": {"level": "representation"},
        "blocks=4": {"blocks": 4},
    }


def _cosine(name: str, n_tasks: int, kind: str) -> float:
    """Cosine with the exact direction, mean over 4 steps of plain descent along the exact one."""
    setting = Setting(name, n_tasks)
    exact = Balancer("mgda", setting.shared, tasks=setting.names)
    other = Balancer("mgda", setting.shared, tasks=setting.names, **_kinds(setting)[kind])
    found = []
    for _ in range(4):
        directions = []
        for balancer in (other, exact):
            for p in setting.parameters:
                p.grad = None
            losses, z = setting.forward()
            balancer.backward(losses, representation=z)
            directions.append(torch.cat([p.grad.flatten() for p in setting.shared if p.grad is not None]))
        found.append(float(functional.cosine_similarity(directions[0], directions[1], dim=0)))
        with torch.no_grad():
            for p in setting.parameters:
                p -= 0.1 * p.grad if p.grad is not None else 0.0
    return statistics.mean(found)


def exponents(rows: list[dict[str, Any]]) -> list[str]:
    """How parameter level grows with T: the slope between the fewest and the most tasks on log axes."""
    lines = []
    for model in dict.fromkeys(r["model"] for r in rows):
        for method in ("floor", "pcgrad, parameters", "mgda, parameters"):
            at = {r["T"]: r["seconds"] for r in rows if (r["model"], r["method"]) == (model, method)}
            if len(at) > 1:
                few, many = min(at), max(at)
                slope = math.log(at[many] / at[few]) / math.log(many / few)
                lines.append(f"| {model} | {method} | {few} to {many} | {slope:.3f} |")
    return lines


def page(rows: list[dict[str, Any]], cheaper: list[dict[str, Any]], command: str) -> str:
    def ratio(row: dict[str, Any], base: str) -> str:
        if f"to_{base}" not in row:
            return ""
        return f"{row[f'to_{base}']:.3f} ({row[f'to_{base}_low']:.3f} to {row[f'to_{base}_high']:.3f})"

    about = (__doc__ or "").strip().split("\n\n")
    lines = [
        "# What a step costs",
        "",
        about[1].splitlines()[0],
        f"    {command}",
        f"    {MORE}",
        "",
        "\n\n".join(about[2:]),
        "",
    ]
    lines += [
        f"torch {torch.__version__}, one thread, float32; no optimiser step on any side. `bare` sums the losses and",
        "calls backward; `floor` makes one backward a task of the same graph. MB: the rise of tensor memory in a step.",
        "`chunk=auto` stands with the number of rows at once that it chose in nine trials, and is that number.",
        "",
    ]
    lines += ["| model | P | T | candidate | ms | to bare | to floor | MB |", "|---|---|---|---|---|---|---|---|"]
    for r in rows:
        memory = "" if r["megabytes"] is None else f"{r['megabytes']:.0f}"
        lines.append(
            f"| {r['model']} | {r['P']} | {r['T']} | {r['method']} | {1e3 * r['seconds']:.1f} | {ratio(r, 'bare')} "
            f"| {ratio(r, 'floor')} | {memory} |"
        )
    lines += ["", "## Growth with the number of tasks", "", "| model | candidate | T | exponent |", "|---|---|---|---|"]
    lines += exponents(rows)
    if cheaper:
        lines += ["", "## Cheaper evidence (MGDA, small ResNet, T = 8)", ""]
        lines += [
            "Cosine with the exact direction, mean of 4 steps; times are means of 4 steps in a row.",
            "",
        ]
        lines += ["| evidence | cosine | ms | to bare | to floor | MB |", "|---|---|---|---|---|---|"]
        for r in cheaper:
            close = "" if r["cosine"] is None else f"{r['cosine']:.4f}"
            memory = "" if r["megabytes"] is None else f"{r['megabytes']:.0f}"
            ratios = f"{ratio(r, 'bare')} | {ratio(r, 'floor')}"
            lines.append(f"| {r['kind']} | {close} | {1e3 * r['seconds']:.1f} | {ratios} | {memory} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="results/step-cost.md")
    parser.add_argument("--models", default="lenet,vit,resnet")
    parser.add_argument("--tasks", default="2,8,40,100")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each group of candidates")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python benchmarks/step_cost.py --models {asked.models} --tasks {asked.tasks}"
    command += f" --seconds {asked.seconds:g}"
    rows: list[dict[str, Any]] = []
    for n_tasks in (int(t) for t in asked.tasks.split(",")):
        for name in asked.models.split(","):
            rows += one(name, n_tasks, asked.seconds)
            files.write_text(asked.out, page(rows, [], command))
            print(name, n_tasks, flush=True)
    files.write_text(asked.out, page(rows, approximations("resnet", 8, asked.seconds), command))


if __name__ == "__main__":
    main()
