#!/usr/bin/env bash
# torch 2.14.1, DistributedDataParallel(static_graph=True): if the first iterations take gradients with autograd.grad
# alone (gradients of single tasks, a penalty), its hooks never run, and a later ordinary backward, which should average
# over processes, leaves gradients that differ between them, without a word. With static_graph=False it averages.
# Seen: 'static_graph False: processes agree True', 'static_graph True: processes agree False'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1
cat >"$folder/check.py" <<'PY'
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
for static in (False, True):
    torch.manual_seed(0)
    bare = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    net = DistributedDataParallel(bare, static_graph=static)
    torch.manual_seed(dist.get_rank())
    for k in range(3):
        bare.zero_grad()
        loss = net(torch.randn(8, 4)).square().mean()
        if k < 2:
            torch.autograd.grad(loss, list(bare.parameters()))
        else:
            loss.backward()
    here = torch.cat([p.grad.flatten() for p in bare.parameters()])
    both = [torch.zeros_like(here) for _ in range(2)]
    dist.all_gather(both, here)
    agree = torch.allclose(*both)
    if dist.get_rank() == 0:
        print(f"static_graph {static}: processes agree {agree}")
    assert agree is not static, static
dist.destroy_process_group()
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore -m torch.distributed.run --standalone --nproc_per_node 2 "$folder/check.py"
