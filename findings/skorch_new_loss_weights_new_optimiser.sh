#!/usr/bin/env bash
# skorch 1.2.0: setting a parameter of the loss between two calls of partial_fit, such as the weights of tasks, makes a
# new optimiser: Adam's moments and number of steps begin again at zero, though the model goes on. It is printed at
# verbose=1 only. Setting the attribute of the loss itself (net.criterion_) keeps the optimiser.
# Seen: 'set_params: 3 steps before, 0 after', 'attribute: 3 steps before, 3 after'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 skorch==1.2.0
cat >"$folder/check.py" <<'PY'
import torch
from skorch import NeuralNetRegressor


class Weighted(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, found, wanted):
        return (torch.tensor(self.weights) * ((found - wanted) ** 2).mean(dim=0)).sum()


def steps(net):
    return max((int(s["step"]) for s in net.optimizer_.state.values()), default=0)


torch.manual_seed(0)
x, y = torch.randn(12, 3), torch.randn(12, 2)
for way in ("set_params", "attribute"):
    net = NeuralNetRegressor(torch.nn.Linear(3, 2), criterion=Weighted, criterion__weights=[0.5, 0.5], max_epochs=1,
                             batch_size=4, optimizer=torch.optim.Adam, train_split=None, verbose=0)
    net.initialize()
    net.partial_fit(x, y)
    before, model = steps(net), net.module_.weight.detach().clone()
    if way == "set_params":
        net.set_params(criterion__weights=[0.9, 0.1])
    else:
        net.criterion_.weights = [0.9, 0.1]
    print(f"{way}: {before} steps before, {steps(net)} after")
    assert torch.equal(model, net.module_.weight)
    assert (before, steps(net)) == (3, 0 if way == "set_params" else 3)
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/check.py"
