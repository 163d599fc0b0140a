#!/usr/bin/env bash
# torch 2.14.1: a second gradient through a compiled module is refused with the advice to set
# torch._functorch.config.donated_buffer=False. Who follows it finds the kernels of before in the cache on disk, which
# the setting is no part of the key of, and gets a wrong second gradient without a word. With a cache of its own
# (torch.compiler.config.cache_key_tag, or TORCHINDUCTOR_CACHE_DIR) the same program is right.
# Seen: 'default: refused', 'advice: second gradient off by 0.46', 'advice and another cache: ... off by 0.00'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1
cat >"$folder/check.py" <<'PY'
import sys

import torch
import torch._functorch.config
from torch import nn

torch.manual_seed(0)
if sys.argv[1].startswith("advice"):
    torch._functorch.config.donated_buffer = False
if sys.argv[1] == "advice and another cache":
    torch.compiler.config.cache_key_tag = "no donated buffers"
plain = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.GELU())
fast, x, params = torch.compile(plain), torch.randn(16, 6), list(plain.parameters())
if sys.argv[1] == "ordinary":  # any training of before
    fast(x).square().mean().backward()
    sys.exit()
if sys.argv[1] == "default":
    fast(x).square().mean().backward()
loss = fast(x).square().mean()
try:
    torch.autograd.grad(loss, params, retain_graph=True)
except RuntimeError as error:
    assert sys.argv[1] == "default" and "donated_buffer=False" in str(error), error
    print("default: refused")
    sys.exit()
second = torch.autograd.grad(loss, params)
right = torch.autograd.grad(plain(x).square().mean(), params)
error = max(float((a - b).norm() / b.norm()) for a, b in zip(second, right))
print(f"{sys.argv[1]}: second gradient off by {error:.2f}")
assert (error > 0.1) == (sys.argv[1] == "advice"), error
PY
export TORCHINDUCTOR_CACHE_DIR="$folder/cache" OMP_NUM_THREADS=1
for way in ordinary default advice "advice and another cache"; do
    "$folder/venv/bin/python" "$folder/check.py" "$way"
done
