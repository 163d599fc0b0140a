#!/usr/bin/env bash
# megatron-core 0.16.1: the auxiliary loss of a mixture of experts hangs on the activations by MoEAuxLossAutoScaler, whose
# backward adds that loss's whole gradient whatever gradient it is given. So each backward holds it once: with two tasks
# the gradients of single tasks add up to twice the auxiliary gradient, a backward of their sum has it once, and a task
# of weight 0 still trains the router.
# Seen: 'router: task a 4.0, task b 4.0, their sum 4.0, 0 times a 4.0'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 packaging==26.4
"$folder/venv/bin/pip" install --quiet --no-deps megatron-core==0.16.1
cat >"$folder/check.py" <<'PY'
import torch
from megatron.core.transformer.moe.moe_utils import MoEAuxLossAutoScaler

router = torch.nn.Parameter(torch.tensor(2.0))
x = torch.randn(3, requires_grad=True)
hidden = MoEAuxLossAutoScaler.apply(2 * x, router**2)  # an auxiliary loss of gradient 4
a, b = hidden.sum(), 3 * hidden.sum()
found = {
    name: float(torch.autograd.grad(loss, router, retain_graph=True)[0])
    for name, loss in (("task a", a), ("task b", b), ("their sum", a + b), ("0 times a", 0 * a))
}
print("router: " + ", ".join(f"{name} {value}" for name, value in found.items()))
assert set(found.values()) == {4.0}
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore "$folder/check.py"
