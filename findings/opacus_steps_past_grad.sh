#!/usr/bin/env bash
# Opacus 1.6.0: the optimiser that PrivacyEngine.make_private returns steps by the gradients of samples that the last
# backwards left (.grad_sample) and overwrites .grad, so what a multi-task method writes to .grad, even zeros, changes
# nothing: each parameter moves along the sum of all backwards. Nothing is raised, and nothing warns of it.
# Seen: '.grad set to zeros: moved as without, by 1.0000 of the plain step'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 opacus==1.6.0
cat >"$folder/check.py" <<'PY'
import warnings

import torch
from opacus import PrivacyEngine
from torch.utils.data import DataLoader, TensorDataset

x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def moved(by_hand):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    private, optimizer, _ = PrivacyEngine().make_private(
        module=net, optimizer=torch.optim.SGD(net.parameters(), lr=1.0),
        data_loader=DataLoader(TensorDataset(x), batch_size=8), noise_multiplier=0.0, max_grad_norm=1e6,
        poisson_sampling=False,
    )
    before = [p.detach().clone() for p in net.parameters()]
    optimizer.zero_grad()
    out = private(x)
    (out[:, 0].square().mean() + (out[:, 1] - 1).square().mean()).backward()
    if by_hand:  # as a method that combines the gradients of tasks does, which here answers: do not move
        for p in net.parameters():
            p.grad = torch.zeros_like(p)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        optimizer.step()
    assert not told
    return torch.cat([(p.detach() - b).reshape(-1) for p, b in zip(net.parameters(), before)])


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of other kinds, when it is made
    plain, zeroed = moved(False), moved(True)
share = float(zeroed.norm() / plain.norm())
print(f".grad set to zeros: moved as without, by {share:.4f} of the plain step")
assert torch.equal(plain, zeroed) and plain.norm() > 0.1
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/check.py"
