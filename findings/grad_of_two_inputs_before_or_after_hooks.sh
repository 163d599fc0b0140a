#!/usr/bin/env bash
# torch 2.14.1: torch.autograd.grad gives the gradient of a tensor that has a hook as it is after the hook, but before
# the hook if another of the inputs lies behind that tensor. So one and the same tensor has two gradients, by what else
# was asked for.
# Seen: 'z alone: 20.0', 'z beside x: 2.0' for a hook that multiplies by 10; x gets 60.0 in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy
cat >"$folder/check.py" <<'PY'
import torch

x = torch.ones((), requires_grad=True)
z = 3 * x
z.register_hook(lambda g: 10 * g)
loss = 2 * z
(alone,) = torch.autograd.grad(loss, [z], retain_graph=True)
beside, below = torch.autograd.grad(loss, [z, x], retain_graph=True)
print(f"z alone: {alone}\nz beside x: {beside}\nx: {below}")
assert (alone, beside, below) == (20, 2, 60), "no longer so"
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/check.py"
