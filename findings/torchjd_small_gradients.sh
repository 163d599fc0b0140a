#!/usr/bin/env bash
# torchjd 0.18.0: UPGrad and CAGrad by default take gradients for zero below a fixed size (norm_eps=1e-4 of the sum of
# their squares, documented as "a small value to avoid division by zero when normalizing"), so that late in a training
# the rule changes, or the training stops, without a word: with the conflicting gradients s (1, 0) and s (-1, 1), UPGrad
# gives s (0.25, 0.75) for s = 0.01 but s (0, 0.5), the plain mean, for s = 0.001; CAGrad gives s (0.25, 0.5), and then
# exactly 0. MGDA, ConFIG, IMTLG and AlignedMTL give s times one vector. With norm_eps=0 both do, too.
# Seen: 'UPGrad 0.01: (0.250, 0.750), 0.001: (0.000, 0.500)', 'CAGrad 0.01: (0.250, 0.500), 0.001: (0.000, 0.000)'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 'torchjd[cagrad,quadprog-projector]==0.18.0'
cat >"$folder/check.py" <<'PY'
import torch
from torchjd.aggregation import MGDA, AlignedMTL, CAGrad, ConFIG, IMTLG, UPGrad
from torchjd.linalg import QuadprogProjector

CONFLICT = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])


def answer(aggregator, size):
    return aggregator(size * CONFLICT) / size


def printed(vector):
    return "({:.3f}, {:.3f})".format(*vector.tolist())


for aggregator in (UPGrad(), CAGrad(c=0.5)):
    large, small = answer(aggregator, 0.01), answer(aggregator, 0.001)
    print(f"{type(aggregator).__name__} 0.01: {printed(large)}, 0.001: {printed(small)}")
    assert (CONFLICT @ large).min() > 0
    if isinstance(aggregator, UPGrad):
        assert torch.allclose(small, CONFLICT.mean(dim=0), atol=1e-3)
    else:
        assert not small.any()
for aggregator in (MGDA(), ConFIG(), IMTLG(), AlignedMTL()):
    assert torch.allclose(answer(aggregator, 0.01), answer(aggregator, 0.001), atol=1e-3)
for aggregator in (UPGrad(projector=QuadprogProjector(norm_eps=0.0)), CAGrad(c=0.5, norm_eps=0.0)):
    assert torch.allclose(answer(aggregator, 0.01), answer(aggregator, 0.001), atol=1e-2)
PY
"$folder/venv/bin/python" "$folder/check.py"
