"""FSDP2 (``fully_shard``) under two gloo processes: as one process on the whole batch, or refused before a step."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

import scalarize
from scalarize.utils.errors import RequestError, RunError

TASKS = ("a", "b", "c")
BY_LOSSES = (("uniform", {}), ("fixed", {"weights": [1, 2, 3], "heads": "own"}), ("uncertainty", {}), ("famo", {}))
BY_GRADIENTS = (("pcgrad", {}), ("mgda", {"heads": "weighted"}), ("nash-mtl", {}), ("mgda", {}))
SHARDED = {"all": ("encoder", "heads.a", ""), "layers": ("encoder.0", "encoder.2", ""), "encoder": ("encoder",)}
SHARDED["root"] = ("",)
SHARDED["heads"] = ("heads.a", "heads.b", "heads.c")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 3), nn.Tanh()).double()
        self.heads = nn.ModuleDict({t: nn.Linear(3, 2) for t in TASKS}).double()

    def forward(self, x):
        z = self.encoder(x)
        return {t: h(z) for t, h in self.heads.items()}, z


def losses(net, at):
    torch.manual_seed(1)
    x, y = torch.randn(12, 4).double(), torch.randn(3, 12, 2).double()
    out, z = net(x[at])
    return {t: (k + 1) * ((out[t] - y[k][at]) ** 2).mean() for k, t in enumerate(TASKS)}, z


def whole(p):
    return p.full_tensor() if hasattr(p, "full_tensor") else p


def shard(net, parts, mesh):
    from torch.distributed.fsdp import fully_shard

    for name in SHARDED[parts]:
        fully_shard(net.get_submodule(name), mesh=mesh)
    return net


def train(b, net, at, counts=None):
    """Two steps; all parameters at the end, flat."""
    learned = b.parameters() if b.method.learned else []
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    other = torch.optim.SGD(learned, lr=0.1) if learned else None
    for _ in range(2):
        optimizer.zero_grad()
        by_task, z = losses(net, at)
        b.backward(by_task, representation=z, counts=counts)
        optimizer.step()
        if other:
            other.step()
            other.zero_grad()
    return torch.cat([whole(p).detach().flatten() for p in [*net.parameters(), *learned]])


def make(method, options, net, level, shared, **more):
    return scalarize.Balancer(
        method,
        net.encoder.parameters() if shared else None,
        level=level,
        tasks=TASKS,
        learned="yours",
        **options,
        **more,
    )


def supported() -> list[tuple]:
    """Each method with each way of sharding, with ``shared=`` and without it in turn."""
    cases = [(m, "parameters", p) for m in BY_LOSSES for p in SHARDED]
    cases += [(m, "representation", p) for m in BY_GRADIENTS for p in SHARDED]
    turns = [(*c, k % 2 == 0 or c[0][0] == "fixed") for k, c in enumerate(cases)]  # own heads need to know it
    return turns + [(m, "parameters", "heads", True) for m in BY_GRADIENTS]


def work() -> None:
    """What each process does."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    mesh = init_device_mesh("cpu", (2,))
    rows = slice(0, 4) if rank == 0 else slice(4, 12)
    counts = dict.fromkeys(TASKS, rows.stop - rows.start)
    for (method, options), level, parts, shared in supported():
        one = Net()
        wanted = train(make(method, options, one, level, shared, group=False), one, slice(0, 12))
        net = shard(Net(), parts, mesh)
        got = train(make(method, options, net, level, shared), net, rows, counts)
        error = float((got - wanted).abs().max())
        assert error < 1e-10, f"{method} {options} {level} {parts} {shared}: {error}"
    refusals(rank, rows, mesh)
    dist.destroy_process_group()
    print("fine", flush=True)


def refused(match, b, net, rows) -> None:
    by_task, z = losses(net, rows)

    def go() -> None:
        b().backward(by_task, representation=z)

    with pytest.raises(RequestError, match=match) as caught:
        go()
    assert "\n" not in str(caught.value)
    assert all(p.grad is None for p in net.parameters())


def refusals(rank, rows, mesh) -> None:
    net = shard(Net(), "all", mesh)
    for method, options in BY_GRADIENTS:
        by_rows = partial(make, method, options, net, "parameters", True)
        refused("fully_shard use level='representation'", by_rows, net, rows)
    late = shard(Net(), "root", mesh)
    losses(late, rows)  # the parameters of the outermost module stay whole until a backward
    copies = list(late.encoder.parameters())
    assert type(copies[0]) is nn.Parameter
    refused("fully_shard use level='representation'", partial(scalarize.Balancer, "mgda", copies), late, rows)
    part = shard(Net(), "heads", mesh)
    refused("use 'micro'", lambda: make("uniform", {"accumulate": "full"}, part, "parameters", True), part, rows)
    refused("group=", lambda: make("mgda", {}, net, "representation", False, group=False), net, rows)
    for method, level in (("uniform", "parameters"), ("mgda", "parameters"), ("mgda", "representation")):
        late = Net()
        early = make(method, {}, late, level, True)
        shard(late, "all", mesh)
        refused("before it was wrapped", lambda b=early: b, late, rows)
    net = shard(Net(), "all", mesh)
    by_task, z = losses(net, rows)
    here = by_task if rank == 0 else by_task | {"b": None}
    with pytest.raises(RunError, match="every process"):
        make("mgda", {}, net, "representation", False).backward(here, representation=z)
    first_fsdp(rows)
    tensor_parallel(mesh)


def first_fsdp(rows) -> None:
    from torch.distributed.fsdp import FullyShardedDataParallel

    for original in (False, True):
        net = FullyShardedDataParallel(Net(), use_orig_params=original, device_id=torch.device("cpu"))
        for method, level in (("uniform", "parameters"), ("mgda", "representation")):
            b = scalarize.Balancer(method, level=level)
            by_task, z = losses(net, rows)
            with pytest.raises(RequestError, match="FSDP1"):
                b.backward(by_task, representation=z)


def tensor_parallel(mesh) -> None:
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    net = Net()
    net.encoder = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3), nn.Tanh()).double()
    parallelize_module(net.encoder, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    for method, level in (("uniform", "parameters"), ("mgda", "representation")):
        refused("tensor parallel", lambda m=method, x=level: scalarize.Balancer(m, level=x), net, slice(0, 12))


def test_sharded_modules_equal_one_process() -> None:
    here = Path(__file__).resolve()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(here.parents[2] / "src")}
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(here)], env=environment, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("fine") == 2


if __name__ == "__main__":
    work()
