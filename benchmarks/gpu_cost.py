"""Milliseconds of a step on a GPU, beside the bare loop and TorchJD; ``gpu.py`` prints them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from step_cost import MODELS, Setting
from torch import Tensor

TIMED = ("uniform", "pcgrad", "mgda")
Row = dict[str, Any]


def costs(seconds: float, scale: int) -> Iterator[Row]:
    """Milliseconds of a step by CUDA events, and how often it is that of the bare loop right beside."""
    for model in MODELS:
        for n_tasks in (2, 8, 40):
            setting = on_gpu(Setting(model, n_tasks), scale)
            near = setting.deep(("mgda",), level="representation")["mgda"]
            candidates = {"bare": lambda: _bare, **setting.deep(TIMED), "mgda, representation": near}
            candidates["pcgrad, chunk=8"] = setting.deep(("pcgrad",), chunk=8)["pcgrad"]
            candidates |= torchjd(setting)
            for name, row in timed(setting, candidates, seconds).items():
                yield {"model": model, "T": n_tasks, "method": name, **row}


def torchjd(setting: Setting) -> dict[str, Callable[[], Any]]:
    """TorchJD's PCGrad, if it is installed."""
    try:
        import torchjd as _  # noqa: F401
    except ImportError:
        return {}
    return {f"torchjd pcgrad, chunk {c or 'all'}": lambda c=c: setting.torchjd(c) for c in (1, 8)}


def on_gpu(setting: Setting, scale: int) -> Setting:
    """The same model with a batch ``scale`` times as large, on the GPU."""
    for module in (setting.encoder, setting.heads):
        module.cuda()
    setting.x, setting.y = setting.x.repeat(scale, 1, 1, 1).cuda(), setting.y.repeat(1, scale).cuda()
    setting.shared = list(setting.encoder.parameters())
    setting.parameters = [*setting.shared, *setting.heads.parameters()]
    return setting


def _bare(losses: dict[str, Tensor], z: Tensor) -> None:
    torch.stack(list(losses.values())).sum().backward()


def timed(setting: Setting, candidates: dict[str, Callable[[], Any]], seconds: float) -> dict[str, Row]:
    """Medians over rounds, in which each candidate makes one step."""
    ready = {name: make() for name, make in candidates.items()}
    taken: dict[str, list[float]] = {name: [] for name in ready}
    spent = 0.0
    while spent < seconds or len(taken["bare"]) < 5:
        for name, backward in ready.items():
            for p in setting.parameters:
                p.grad = None
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            losses, z = setting.forward()
            backward(losses, z)
            end.record()
            torch.cuda.synchronize()
            taken[name].append(start.elapsed_time(end))
            spent += taken[name][-1] / 1000
    bare = taken["bare"]
    return {
        name: {
            "ms": statistics.median(t[2:]),
            "to bare": statistics.median(x / b for x, b in zip(t[2:], bare[2:], strict=True)),
        }
        for name, t in taken.items()
    }
