"""The forward passes of public implementations on the same weights, as numbers.

They were run beside ours on copied weights and agreed to 1e-12: LibMTL, commit 4336804 (May 2025), and the AdaTT
authors' repository facebookresearch/AdaTT, commit 0efdd82, each as its comment says. Weights come from a formula.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scalarize.workloads.models import mlp
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import ARCHITECTURES

CASES = {
    # LibMTL's MMoE
    "mmoe": (
        [6, 4],
        {"experts": 3},
        [
            [0.81688488, 0.76400337, 0.73830459],
            [0.21367654, 0.21124409, 0.20127279],
            [-0.73905094, -0.71144435, -0.70162276],
        ],
    ),
    # LibMTL's CGC, whose gates have the shared experts first
    "cgc": (
        [6, 4],
        {"experts": 2, "own_experts": 2},
        [
            [0.5599214, 0.57474296, 0.60622667],
            [0.10252056, 0.10498973, 0.09887893],
            [-1.00451128, -0.97204745, -0.96269695],
        ],
    ),
    # LibMTL's DSelect_k in evaluation, with its binary codes made right: under NumPy 2.4 all of them are True
    "dselect-k": (
        [6, 4],
        {"experts": 4, "selected": 2},
        [
            [0.73866352, 0.56970916, 0.5010815],
            [0.26720664, 0.37413312, 0.37342709],
            [-1.17449104, -1.10905704, -1.06871288],
        ],
    ),
    # LibMTL's LTB, with the likeliest branch in place of a drawn one
    "ltb": (
        [6, 4, 5, 6, 4],
        {},
        [
            [0.91335191, 0.91297407, 0.91278185],
            [0.52063243, 0.5217162, 0.52203559],
            [-0.47946214, -0.47946214, -0.47946214],
        ],
    ),
    # AdaTT's AdaTTSp, one expert a task and two
    "adatt 1": (
        [6, 4],
        {"own_experts": 1},
        [
            [1.53325161, 1.45941301, 1.45143204],
            [0.41634199, 0.36958201, 0.30361294],
            [-1.06528644, -0.97862319, -0.96368817],
        ],
    ),
    "adatt 2": (
        [6, 4],
        {"own_experts": 2},
        [
            [0.96428255, 0.95209395, 0.94214931],
            [0.03801436, 0.0394723, 0.04280257],
            [-0.72565949, -0.72281621, -0.72031248],
        ],
    ),
    # AdaTT's PLE. (LibMTL's has no shared gate: its shared experts see each task's own representation.)
    "ple 1 2": (
        [6, 4],
        {"own_experts": 1, "experts": 2},
        [
            [0.5695505, 0.58378992, 0.59589367],
            [0.04930843, 0.04957273, 0.04969492],
            [-0.8790213, -0.88127153, -0.88142701],
        ],
    ),
    "ple 2 1": (
        [6, 4],
        {"own_experts": 2, "experts": 1},
        [
            [0.67165035, 0.65996865, 0.67963558],
            [0.19527779, 0.19789186, 0.20159641],
            [-0.81647954, -0.7986707, -0.78500335],
        ],
    ),
    # AdaTT's CrossStitch, which stitches after the last layer too
    "cross-stitch": (
        [6, 4],
        {},
        [
            [0.62185616, 0.62106668, 0.61996156],
            [0.03356884, 0.03668506, 0.0429894],
            [-0.15038393, -0.16477623, -0.17229333],
        ],
    ),
}


def filled(shape: torch.Size, k: int) -> torch.Tensor:
    return (torch.arange(shape.numel(), dtype=torch.float64) * 0.7 + k).sin().reshape(shape)


@pytest.mark.parametrize("case", CASES)
def test_the_same_weights_predict_the_same(case: str) -> None:
    widths, options, wanted = CASES[case]
    body = Body(nn.Identity(), mlp.stages(5, widths), (5,))
    model = ARCHITECTURES[case.split()[0]](body, {t: nn.Linear(4, 1) for t in "abc"}, **options).double().eval()
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            p.copy_(0.5 * filled(p.shape, k))
        found = model((torch.arange(15, dtype=torch.float64) * 1.3).cos().reshape(3, 5))
    for t, values in zip("abc", wanted, strict=True):
        assert found[t].flatten().tolist() == pytest.approx(values, abs=1e-6)


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.Tanh())


def test_mtan_masks_as_libmtl_does() -> None:
    # LibMTL's MTAN on such an encoder, with f of the paper in place of its residual block between stages
    first = lambda: nn.Sequential(*convolution(1, 64), convolution(64, 64), convolution(64, 64))  # noqa: E731
    later = [lambda a=a: nn.Sequential(convolution(a, 2 * a, 2), convolution(2 * a, 2 * a)) for a in (64, 128, 256)]
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    body = Body(nn.Identity(), [first, *later], (1, 8, 8), pooled)
    model = ARCHITECTURES["mtan"](body, {t: nn.Linear(512, 1) for t in "abc"}).double().eval()
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            p.copy_(filled(p.shape, k) * 2 / p[0].numel() ** 0.5 if p.ndim > 1 else filled(p.shape, k) + 1)
        found = model((torch.arange(128, dtype=torch.float64) * 1.3).cos().reshape(2, 1, 8, 8))
    wanted = [[-1.24032144, -1.37237677], [-1.53320889, -1.41770892], [5.48721858, 5.50034701]]
    for t, values in zip("abc", wanted, strict=True):
        assert found[t].flatten().tolist() == pytest.approx(values, abs=1e-6)
