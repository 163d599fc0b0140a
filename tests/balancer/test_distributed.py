"""Two gloo processes under torchrun give the gradients of one process on the whole batch (float64, 1e-10)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

import scalarize
from scalarize.utils.errors import RequestError, RunError

TASKS = ("a", "b", "c")
CASES = [
    ("uniform", {}),
    ("fixed", {"weights": [1, 2, 3], "heads": "own"}),
    ("rlw", {}),
    ("imtl-l", {}),
    ("imtl-l", {"learned": "own"}),
    ("dwa", {}),
    ("famo", {}),
    ("mgda", {}),
    ("mgda", {"level": "representation"}),
    ("mgda", {"blocks": 3}),
    ("mgda", {"heads": "weighted", "blocks": 2}),
    ("pcgrad", {"accumulate": "full"}),
    ("graddrop", {}),
    ("gradnorm", {"evidence_from": "last"}),
    ("imtl", {"level": "representation"}),
    ("cagrad", {"every": 2}),
]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3), nn.Tanh()).double()
        self.heads = nn.ModuleDict({t: nn.Linear(3, 2) for t in TASKS}).double()
        self.x = torch.randn(12, 4).double()
        self.y = torch.randn(3, 12, 2).double()

    def losses(self, at):
        z = self.encoder(self.x[at])
        return {t: (k + 1) * ((self.heads[t](z) - self.y[k][at]) ** 2).mean() for k, t in enumerate(TASKS)}, z


def run(name, options, at, micro, **more):
    """Three steps of training on the samples ``at``; all parameters at the end, flat."""
    options = {"learned": "yours"} | options
    net = Net()
    if options.get("evidence_from") == "last":
        options["evidence_from"] = list(net.encoder[2].parameters())
    b = scalarize.Balancer(name, net.encoder.parameters(), tasks=TASKS, **options, **more)
    yours = b.parameters() if options["learned"] == "yours" else []
    optimizer = torch.optim.SGD([*net.parameters(), *yours], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        parts = [at[k::2] for k in range(2)] if micro else [at]
        for k, part in enumerate(parts):
            losses, z = net.losses(part)
            losses = {t: x / len(parts) for t, x in losses.items()}
            b.backward(losses, representation=z, final=k + 1 == len(parts), counts=dict.fromkeys(TASKS, len(part)))
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in [*net.parameters(), *b.method.parameters()]])


def work() -> None:
    """What each process does."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    for shares in ([slice(0, 6), slice(6, 12)], [slice(0, 4), slice(4, 12)]):  # equal and unequal parts of the batch
        here = list(range(12))[shares[rank]]
        for name, options in CASES:
            micro = "accumulate" in options
            if micro and len(here) % 2:
                continue
            got = run(name, options, here, micro)
            alone = run(name, options, list(range(12)), False, group=False)
            error = float((got - alone).abs().max())
            assert error < 1e-10, f"{name} {options}: {error}"
    net = Net()
    # A domain that only one process has, of a model without parameters of its own.
    params = [*net.encoder.parameters(), *net.heads["a"].parameters()]
    b = scalarize.Balancer("mgda", params, tasks=("p", "q"))
    at = {"p": slice(0, 4)} if rank == 0 else {"p": slice(4, 6), "q": slice(6, 9)}
    b.backward({d: net.losses(s)[0]["a"] for d, s in at.items()}, counts={d: s.stop - s.start for d, s in at.items()})
    got = [p.grad.clone() for p in params]
    net.zero_grad()
    whole = {"p": slice(0, 6), "q": slice(6, 9)}
    one = scalarize.Balancer("mgda", params, tasks=("p", "q"), group=False)
    one.backward({d: net.losses(s)[0]["a"] for d, s in whole.items()})
    assert all(torch.allclose(g, p.grad, rtol=0, atol=1e-10) for g, p in zip(got, params, strict=True))
    refusals(rank)
    dist.destroy_process_group()
    print("fine", flush=True)


def refusals(rank: int) -> None:
    net = Net()
    losses, _ = net.losses(slice(0, 4))
    with pytest.raises(RunError, match="every process"):  # task b, with parameters of its own, in one process only
        scalarize.Balancer("mgda", net.encoder.parameters(), tasks=TASKS).backward(
            losses if rank == 0 else {"a": losses["a"], "c": losses["c"]}
        )
    with pytest.raises(RequestError, match="level='parameters'"):
        scalarize.Balancer("graddrop", level="representation")
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    sharded = fully_shard(nn.Linear(4, 4), mesh=init_device_mesh("cpu", (2,)))
    with pytest.raises(RequestError, match="FSDP"):
        scalarize.Balancer("mgda", sharded.parameters())


def test_two_processes_equal_one() -> None:
    here = Path(__file__).resolve()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(here.parents[2] / "src")}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(here)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("fine") == 2


if __name__ == "__main__":
    work()
