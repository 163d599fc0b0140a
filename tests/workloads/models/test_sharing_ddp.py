"""Architectures under DistributedDataParallel: two gloo processes step as one process on the whole batch (float64)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import scalarize
from scalarize.workloads.models import mlp
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import ARCHITECTURES

TASKS = ("a", "b", "c")
ROWS = 12
SETTLED = [name for name in ARCHITECTURES if name not in ("mtan", "ltb")]  # no pictures; nothing drawn by process


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    heads = {task: nn.Linear(7, 1) for task in TASKS}
    return ARCHITECTURES[name](Body(nn.Identity(), mlp.stages(5, [8, 6, 7]), (5,)), heads, False).double()


def trained(model, net: nn.Module, method: str, at: slice, **more) -> torch.Tensor:
    """Steps with the shared parameters as the model declares them; all parameters at the end."""
    x = torch.randn(ROWS, 5, generator=torch.Generator().manual_seed(1)).double()[at]
    balancer = scalarize.Balancer(method, model.shared_parameters(), level="parameters", tasks=TASKS, **more)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        balancer.backward({t: (k + 1) * (y - k).square().mean() for k, (t, y) in enumerate(net(x).items())})
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def work() -> None:
    """What each process does."""
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    at = slice(ROWS * rank // world, ROWS * (rank + 1) // world)
    for name in SETTLED:
        for method in ("pcgrad", "mgda", "imtl-g", "famo", "uniform"):
            one, many = made(name), made(name)
            wanted = trained(one, one, method, slice(0, ROWS), group=False)
            error = float((trained(many, DistributedDataParallel(many), method, at) - wanted).abs().max())
            assert error < 1e-10, f"{name} {method}: {error}"
    dist.destroy_process_group()
    print("fine", flush=True)


@pytest.mark.slow
def test_two_processes_equal_one() -> None:
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(Path(__file__))]
    done = subprocess.run([sys.executable, *words], env=os.environ, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("fine") == 2


if __name__ == "__main__":
    work()
