"""DistributedDataParallel under two gloo processes, or one: as one process on the whole batch (float64, 1e-10)."""

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
from scalarize.utils.errors import RequestError

TASKS = ("a", "b", "c")
METHODS = ("uniform", "fixed", "rlw", "uncertainty", "famo", "pcgrad", "mgda", "graddrop", "nash-mtl")
WRAPPERS = (
    {},
    {"find_unused_parameters": True},
    {"gradient_as_bucket_view": True},
    {"broadcast_buffers": False},
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3), nn.Tanh()).double()
        self.heads = nn.ModuleDict({t: nn.Linear(3, 2) for t in TASKS}).double()
        self.register_buffer("seen", torch.zeros(()).double())

    def forward(self, x):
        self.seen += 1
        z = self.encoder(x)
        return {t: h(z) for t, h in self.heads.items()}, z


def losses(net, at):
    torch.manual_seed(1)
    x, y = torch.randn(12, 4).double(), torch.randn(3, 12, 2).double()
    out, z = net(x[at])
    return {t: (k + 1) * ((out[t] - y[k][at]) ** 2).mean() for k, t in enumerate(TASKS)}, z


def train(net, bare, method, level, at, forward=losses, **more):
    """Steps of the Balancer with one of plain backward between; all parameters at the end, flat."""
    hyper = {"weights": [1, 2, 3], "heads": "own"} if method == "fixed" else {}
    b = scalarize.Balancer(
        method, bare.encoder.parameters(), level=level, tasks=TASKS, learned="yours", **hyper, **more
    )
    learned = b.parameters() if b.method.learned else []
    optimizer = torch.optim.SGD([*bare.parameters(), *learned], lr=0.1)
    for k in range(4):
        optimizer.zero_grad()
        by_task, z = forward(net, at)
        if k == 2:  # what DDP's own hooks are there for
            sum(by_task.values()).backward()
        else:
            b.backward(by_task, representation=z)
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in [*bare.parameters(), *learned]])


def levels(method, world):
    return ("parameters",) if method == "graddrop" and world > 1 else ("parameters", "representation")


def work() -> None:
    """What each process does."""
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    at = slice(12 * rank // world, 12 * (rank + 1) // world)
    for wrapper in WRAPPERS:
        for method in METHODS if len(wrapper) == 0 or "find_unused_parameters" in wrapper else METHODS[::3]:
            for level in levels(method, world):
                name = f"{wrapper} {method} {level}"
                bare, one = Net(), Net()
                net = DistributedDataParallel(bare, **wrapper)
                by_rows = scalarize.methods.create(
                    method, **({"weights": [1, 2, 3]} if method == "fixed" else {})
                ).needs
                if wrapper.get("find_unused_parameters") and level == "representation" and by_rows >= 2:
                    before = [p.clone() for p in bare.parameters()]
                    with pytest.raises(RequestError, match="find_unused_parameters=False"):
                        train(net, bare, method, level, at)
                    assert all(torch.equal(p, q) for p, q in zip(before, bare.parameters(), strict=True))
                    continue
                wanted = train(one, one, method, level, slice(0, 12), group=False)
                error = float((train(net, bare, method, level, at) - wanted).abs().max())
                assert error < 1e-10, f"{name}: {error}"
    encoder_only(at)
    no_sync(at)
    refusals(at, world)
    dist.destroy_process_group()
    print("fine", flush=True)


def encoder_only(at) -> None:
    """A wrapped encoder beside bare heads: here the representation is what the losses pass."""

    def forward(net, at):
        torch.manual_seed(1)
        x, y = torch.randn(12, 4).double(), torch.randn(3, 12, 2).double()
        z = (wrapped if net is bare else net.encoder)(x[at])
        return {t: (k + 1) * ((net.heads[t](z) - y[k][at]) ** 2).mean() for k, t in enumerate(TASKS)}, z

    for unused in (False, True):
        one, bare = Net(), Net()
        wrapped = DistributedDataParallel(bare.encoder, find_unused_parameters=unused)
        steps = []
        for net, rows, more in ((one, slice(0, 12), {"group": False}), (bare, at, {})):
            b = scalarize.Balancer("mgda", net.encoder.parameters(), level="representation", **more)
            by_task, z = forward(net, rows)
            b.backward(by_task, representation=z)
            steps.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
        assert torch.allclose(*steps, rtol=0, atol=1e-10)


def no_sync(at) -> None:
    """Two micro-batches, the first of them under no_sync as accelerate's accumulate() does it."""
    grads = []
    for wrap, rows, more in ((False, slice(0, 12), {"group": False}), (True, at, {})):
        bare = Net()
        net = DistributedDataParallel(bare) if wrap else bare
        b = scalarize.Balancer("pcgrad", bare.encoder.parameters(), **more)
        halves = [rows, rows]
        for k, half in enumerate(halves):
            if wrap and k == 0:
                with net.no_sync():
                    b.backward(losses(net, half)[0])
            else:
                b.backward(losses(net, half)[0])
        grads.append(torch.cat([p.grad.flatten() for p in bare.parameters()]))
    assert torch.allclose(*grads, rtol=0, atol=1e-10)


def refusals(at, world) -> None:
    bare = Net()
    net = DistributedDataParallel(bare, static_graph=True)
    with pytest.raises(RequestError, match="static_graph=False"):
        scalarize.Balancer("mgda", bare.encoder.parameters()).backward(losses(net, at)[0])
    assert all(p.grad is None for p in bare.parameters())
    if world > 1:
        bare = Net()
        net = DistributedDataParallel(bare)
        with pytest.raises(RequestError, match="group="):
            scalarize.Balancer("mgda", bare.encoder.parameters(), group=False).backward(losses(net, at)[0])


@pytest.mark.parametrize("world", [1, 2])
def test_wrapped_modules_equal_one_process(world: int) -> None:
    here = Path(__file__).resolve()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(here.parents[2] / "src")}
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={world}", str(here)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("fine") == world


if __name__ == "__main__":
    work()
