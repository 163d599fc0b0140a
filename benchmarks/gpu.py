"""Checks on a GPU what the tests check on the CPU, and prints what a step costs there beside TorchJD.

    python benchmarks/gpu.py --out results/gpu.md

Four minutes at most; nothing is fetched. Without a GPU the checks run on the CPU, and the page is not written. Each
check compares with float64 on the CPU, or with the same run uninterrupted; times are CUDA events, interleaved.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpu_cost
import torch
from torch import Tensor, nn
from torch.nn import functional

import scalarize
from scalarize import methods
from scalarize.utils import files

TASKS = ("a", "b", "c")
SKIPPED = ("policy", "fixed", "rotograd")  # they need an argument, or a view of the model
Row = gpu_cost.Row


class Net(nn.Module):
    """An encoder with convolutions and a linear layer, and a head a task."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        convolutions = (nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 8, 3, padding=1), nn.Tanh())
        self.encoder = nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 16))
        self.heads = nn.ModuleDict({t: nn.Linear(16, 1) for t in TASKS})

    def losses(self, x: Tensor, y: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        z = self.encoder(x)
        scale = {"a": 1.0, "b": 10.0, "c": 0.1}
        return {t: scale[t] * functional.mse_loss(self.heads[t](z)[:, 0], y[:, k]) for k, t in enumerate(TASKS)}, z


def batch(device: str, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """One batch, the same on every device."""
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(32, 3, 8, 8, generator=g), torch.randn(32, 3, generator=g)
    return x.to(device, dtype), y.to(device, dtype)


def gradient(name: str, level: str, device: str, dtype: torch.dtype, **how: Any) -> Tensor:
    """The flat gradient (P,) of all parameters after one ``backward``. how: ``autocast``, ``inside``, ``scaler``."""
    net = Net().to(device, dtype)
    balancer = scalarize.Balancer(name, net.encoder.parameters(), level=level, tasks=TASKS, seed=3)
    x, y = batch(device, dtype)
    cast = how.get("autocast")
    scaler = torch.amp.GradScaler(device, init_scale=1024.0) if how.get("scaler") else None
    with torch.autocast(device, dtype=cast or torch.bfloat16, enabled=cast is not None):
        losses, z = net.losses(x, y)
        if how.get("inside"):
            balancer.backward(losses, representation=z, scaler=scaler)
    if not how.get("inside"):
        balancer.backward(losses, representation=z, scaler=scaler)
    flat = torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten().cpu() for p in net.parameters()])
    return flat.double() / (1024.0 if scaler else 1.0)


def off(got: Tensor, want: Tensor) -> float:
    """The relative error."""
    return float((got - want).norm() / want.norm().clamp_min(1e-30))


def gradients(device: str) -> Iterator[Row]:
    """Every method at every level, in float32, beside float64 on the CPU."""
    for name in methods.names():
        if name in SKIPPED:
            continue
        for level in methods.get(name).levels[: 1 if methods.get(name).extra_batches else None]:
            error = off(gradient(name, level, device, torch.float32), gradient(name, level, "cpu", torch.float64))
            yield {"check": f"gradient, {name}, {level}", "error": error, "allowed": 1e-2}


def autocast(device: str) -> Iterator[Row]:
    """Autocast around the forward pass alone or around ``backward`` too, with and without a GradScaler."""
    kinds: dict[str, dict[str, Any]] = {
        "bfloat16": {"autocast": torch.bfloat16},
        "bfloat16, around backward too": {"autocast": torch.bfloat16, "inside": True},
        "float16, GradScaler": {"autocast": torch.float16, "scaler": True},
        "float16, GradScaler, around backward too": {"autocast": torch.float16, "scaler": True, "inside": True},
    }
    for name in ("uniform", "pcgrad", "mgda", "imtl-g", "nash-mtl", "aligned-mtl"):
        for kind, how in kinds.items():
            for level in ("parameters", "representation"):
                if level in methods.get(name).levels:
                    got = gradient(name, level, device, torch.float32, **how)
                    error = off(got, gradient(name, level, "cpu", torch.float64))
                    yield {"check": f"autocast {kind}, {name}, {level}", "error": error, "allowed": 0.1}


def layouts(device: str) -> Iterator[Row]:
    """A fused optimiser's step on channels_last convolutions beside one that is not fused."""
    for name in ("uniform", "pcgrad", "mgda"):
        ends = []
        for fused in (True, False):
            net = Net().to(device).to(memory_format=torch.channels_last)
            balancer = scalarize.Balancer(name, net.encoder.parameters(), tasks=TASKS)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1, fused=fused)
            losses, z = net.losses(*batch(device))
            balancer.backward(losses, representation=z)
            optimizer.step()
            ends.append(torch.cat([p.detach().flatten().cpu() for p in net.parameters()]).double())
        yield {"check": f"fused SGD, channels_last, {name}", "error": off(ends[0], ends[1]), "allowed": 1e-5}


def resumption(device: str) -> Iterator[Row]:
    """Six steps in one go, and three with a fresh Balancer and model that go on from the states."""
    for name in ("famo", "gradnorm", "uncertainty", "moco", "rlw"):
        net = Net().to(device)
        balancer = scalarize.Balancer(name, net.encoder.parameters(), tasks=TASKS)
        kept: tuple[Any, Any] = ({}, {})
        for step in range(6):
            if step == 3:
                kept = ({k: v.clone() for k, v in net.state_dict().items()}, balancer.state_dict())
            _step(net, balancer, device)
        again = Net().to(device)
        again.load_state_dict(kept[0])
        other = scalarize.Balancer(name, again.encoder.parameters(), tasks=TASKS)
        other.load_state_dict(kept[1])
        for _ in range(3):
            _step(again, other, device)
        ends = [torch.cat([p.detach().flatten().cpu() for p in n.parameters()]).double() for n in (again, net)]
        yield {"check": f"goes on from its state, {name}", "error": off(*ends), "allowed": 1e-6}


def _step(net: Net, balancer: scalarize.Balancer, device: str) -> None:
    net.zero_grad()
    losses, z = net.losses(*batch(device))
    balancer.backward(losses, representation=z)
    with torch.no_grad():
        for p in net.parameters():
            if p.grad is not None:
                p -= 0.01 * p.grad


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """List the lines that wait for the device."""
    torch.cuda.set_sync_debug_mode("warn")
    found: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            yield found
        found += [f"{Path(w.filename).name}:{w.lineno}" for w in seen if "synchroniz" in str(w.message)]
    finally:
        torch.cuda.set_sync_debug_mode("default")


def synchronisations() -> Iterator[Row]:
    """How often a step waits for the device, after two steps of warming up."""
    for name in methods.names():
        if name in SKIPPED:
            continue
        net = Net().to("cuda")
        balancer = scalarize.Balancer(name, net.encoder.parameters(), level=methods.get(name).levels[0], tasks=TASKS)
        for _ in range(2):
            _step(net, balancer, "cuda")
        losses, z = net.losses(*batch("cuda"))
        with counted() as lines:
            balancer.backward(losses, representation=z)
        row = {"check": f"synchronisations a step, {name}", "error": float(len(lines)), "allowed": 1.0}
        yield row | ({"said": ", ".join(lines)} if len(lines) > 1 else {})


def training(device: str) -> Iterator[Row]:
    """The package's own learner: two epochs, and two epochs cut after the first, by the command line."""
    from scalarize import cli

    def run(*words: str) -> None:
        try:
            cli.main(["train", "rand-hie", "--method", "mgda", "--device", device, *words])
        except SystemExit as stop:
            if stop.code:
                raise RuntimeError(f"scalarize train ended with status {stop.code}") from stop

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        run("--epochs", "2", "--out", str(whole))
        run("--epochs", "2", "--out", str(cut), "--resume")
        values = [json.loads((d / "result.json").read_text())["validation"]["average"] for d in (whole, cut)]
    yield {
        "check": "scalarize train rand-hie twice: the same average",
        "error": abs(values[0] - values[1]),
        "allowed": 1e-3,
    }


def search(device: str) -> Iterator[Row]:
    """A small search whose members share one device; needs ray."""
    if importlib.util.find_spec("ray") is None:
        print("search, two members a GPU: not checked, as ray is not installed")
        return
    from scalarize import cli

    words = f"search rand-hie --population 4 --ready 1 --epochs 2 --workers 2 --gpus-per-member 0.5 --device {device}"
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        status = 0
        try:
            cli.main([*words.split(), "--out", f"{folder}/s"])
        except SystemExit as stop:
            status = int(stop.code or 0)
        found = (Path(folder) / "s/policy.json").exists()
    yield {"check": "scalarize search, two members a GPU", "error": float(status or not found), "allowed": 0.0}


def checks(device: str) -> list[Row]:
    """All rows; a check that raises is a row too."""
    made: list[Callable[[str], Iterator[Row]]] = [gradients, autocast, layouts, resumption, training]
    if device == "cuda":
        made += [lambda _: synchronisations(), search]
    rows: list[Row] = []
    for make in made:
        start = time.monotonic()
        try:
            rows += make(device)
        except Exception as error:  # the page is to hold every check, whatever one of them does
            rows.append({"check": make.__name__, "error": float("nan"), "allowed": 0.0, "said": f"{error}"[:300]})
        print(f"{make.__name__}: {time.monotonic() - start:.1f} s", flush=True)
    return rows


def table(rows: list[Row]) -> str:
    """Markdown."""
    names = list(dict.fromkeys(k for r in rows for k in r))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for r in rows:
        cells = [f"{r[k]:.3g}" if isinstance(r.get(k), float) else str(r.get(k, "")) for k in names]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0, help="of GPU time for each model and number of tasks")
    parser.add_argument("--scale", type=int, default=16, help="how many times the batch of benchmarks/step_cost.py")
    asked = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = checks(device)
    bad = [r for r in rows if not r["error"] <= r["allowed"]]
    print(table(bad) if bad else "", f"{len(rows)} checks, {len(bad)} failed, on {device}", sep="")
    if device == "cpu":
        print("no GPU is there: nothing was timed, and no page is written")
        return
    costs = list(gpu_cost.costs(asked.seconds, asked.scale))
    card, version = torch.cuda.get_device_name(), torch.__version__
    text = (
        f"# On a GPU\n\nMade by `python benchmarks/gpu.py --out results/gpu.md` on one {card}, torch {version}.\n\n"
        f"## Checks\n\n{len(rows)} checks, {len(bad)} failed. `error` is the relative error beside float64 on "
        f"the CPU, or what the check counts.\n\n{table(rows)}\n## Milliseconds of a step\n\nForward and backward "
        f"by CUDA events, medians, candidates in turn; batches {asked.scale} times those of "
        f"`benchmarks/step_cost.py`.\n\n{table(costs)}"
    )
    print(table(costs))
    if asked.out:
        files.write_text(asked.out, text)


if __name__ == "__main__":
    main()
