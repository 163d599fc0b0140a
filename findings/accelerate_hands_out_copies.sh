#!/usr/bin/env bash
# accelerate 1.15.0, mixed_precision="bf16": a prepared model hands out float32 copies of its bfloat16 outputs. The
# loss that it hands out beside them was computed from the originals, so autograd.grad(loss, representation) finds
# nothing; outputs that are float32 already are not copied, and there it does.
# Seen: 'bfloat16 inside: gradient None; float32 inside: gradient found'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 accelerate==1.15.0
cat >"$folder/check.py" <<'PY'
import torch
from accelerate import Accelerator


class Float(torch.nn.Module):
    def forward(self, z):
        return z.float()


class Model(torch.nn.Module):
    def __init__(self, *last):
        super().__init__()
        self.encoder, self.head = torch.nn.Sequential(torch.nn.Linear(4, 3), *last), torch.nn.Linear(3, 1)

    def forward(self, x):
        z = self.encoder(x)
        return {"loss": self.head(z).float().pow(2).mean(), "representation": z, "inside": z.dtype}


accelerator = Accelerator(cpu=True, mixed_precision="bf16")
for last, inside, missing in (((), torch.bfloat16, True), ((Float(),), torch.float32, False)):
    out = accelerator.prepare(Model(*last))(torch.randn(8, 4))
    found = torch.autograd.grad(out["loss"], out["representation"], allow_unused=True)[0]
    print(f"representation {out['inside']} inside, {out['representation'].dtype} outside; gradient by it: "
          f"{'None' if found is None else 'found'}")
    assert (out["inside"], out["representation"].dtype, found is None) == (inside, torch.float32, missing)
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/check.py"
