#!/usr/bin/env bash
# torch 2.14.1, FSDP2 (fully_shard): the parameters of a sharded module are not in the graph, whole copies of them are.
# torch.autograd.grad(loss, model.parameters(), allow_unused=True) answers None for all, and gradients written to the
# copies, which a walk of the graph finds, reach no parameter. A plain backward is right, also after gradients by
# activations were taken of the same graph.
# Seen: 'by parameters: 0 of 4 gradients, by the leaves of the graph: 4 of 4, after z.backward: 4 of 4'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1
cat >"$folder/check.py" <<'PY'
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
torch.manual_seed(0)
encoder, head = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), nn.Linear(3, 1)
fully_shard(encoder, mesh=init_device_mesh("cpu", (2,)))
params = list(encoder.parameters())  # as an optimiser takes them
z = encoder(torch.randn(8, 4))
loss = head(z).square().mean()


def leaves(node, met):
    if node is not None and node not in met:
        met[node] = getattr(node, "variable", None)
        for child, _ in node.next_functions:
            leaves(child, met)
    return [x for x in met.values() if x is not None]


found = leaves(z.grad_fn, {})
by_params = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
by_leaves = torch.autograd.grad(loss, found, retain_graph=True, allow_unused=True)
at_z = torch.autograd.grad(loss, z, retain_graph=True)[0]
z.backward(at_z)
count = [sum(g is not None for g in gs) for gs in (by_params, by_leaves, [p.grad for p in params])]
if dist.get_rank() == 0:
    print(f"by parameters: {count[0]} of 4 gradients, by the leaves of the graph: {count[1]} of 4, "
          f"after z.backward: {count[2]} of 4")
assert count == [0, 4, 4], count
total = sum(p.grad.full_tensor().abs().sum() for p in params)
assert total > 0
dist.destroy_process_group()
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore -m torch.distributed.run --standalone --nproc_per_node 2 "$folder/check.py"
