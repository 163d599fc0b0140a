#!/usr/bin/env bash
# LibMTL 1.1.5 (DSelect_k, and its repository at commit 4336804) with numpy 2.4.6, torch 2.14.1: the binary codes of the
# experts are an array of the characters '0' and '1', cast by .astype(bool). NumPy 1.26.4 read the number in each string,
# NumPy 2.2.6 and later call every string true that is not empty, '0' too. All codes are equal, so every selector gives
# every expert the same weight, whatever the gate has learned, and nothing is raised.
# Seen: 'codes: [[True, True], [True, True], [True, True], [True, True]]',
# 'weight of the first and of the last of 4 experts: 0.259491 0.259491'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
"$folder/venv/bin/pip" install --quiet --no-deps LibMTL==1.1.5  # its models want an older torchvision; they are left out
cat >"$folder/check.py" <<'PY'
import importlib
import importlib.util
import sys
import types

import torch
from torch import nn

where = importlib.util.find_spec("LibMTL").submodule_search_locations[0]
for name, path in (("LibMTL", where), ("LibMTL.architecture", where + "/architecture")):  # without their __init__
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
DSelect_k = importlib.import_module("LibMTL.architecture.DSelect_k").DSelect_k

torch.manual_seed(0)
heads = nn.ModuleDict({"a": nn.Identity()})
size = {"img_size": [3], "num_experts": [4], "num_nonzeros": 1, "kgamma": 1.0}
model = DSelect_k(["a"], lambda: nn.Linear(3, 2), heads, False, False, torch.device("cpu"), **size).eval()
codes = model._binary_codes[0].tolist()
print("codes:", codes)
with torch.no_grad():
    for place, expert in enumerate(model.experts_shared):  # expert k returns (k + 1 at place k): its weight is seen
        nn.init.zeros_(expert.weight)
        nn.init.constant_(expert.bias, 1.0 if place == 0 else 0.0)
    first = model(torch.ones(1, 3))["a"][0, 0].item()
    nn.init.constant_(model.experts_shared[0].bias, 0.0)
    nn.init.constant_(model.experts_shared[3].bias, 1.0)
    last = model(torch.ones(1, 3))["a"][0, 0].item()
print(f"weight of the first and of the last of 4 experts: {first:.6f} {last:.6f}")
assert all(all(code) for code in codes), "no longer so"
assert first == last, "no longer so"
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore "$folder/check.py"
