"""Two steps worked out by hand for the methods that no oracle covers, numbers put into the papers' formulas.

The right-hand sides were computed on paper with six digits; the comments hold every intermediate number.
"""

from __future__ import annotations

import math

import pytest
import torch

from scalarize.methods import CombinedGradient, Method, create

Matrix = list[list[float]]


def step(method: Method, jacobian: Matrix, extra: tuple[Matrix, ...] = ()) -> CombinedGradient:
    further = [torch.tensor(e, dtype=torch.float64) for e in extra]
    return method.combine_gradients(torch.tensor(jacobian, dtype=torch.float64), extra=further)


def near(*numbers: float) -> object:
    return pytest.approx(list(numbers), abs=2e-6)


def test_pcgrad_with_itself_among_the_others() -> None:
    """Yu et al. 2020, algorithm 1, and public code that also projects a gradient on its own unprojected self.

    g_1 = (1, 0), g_2 = (-1, 1), g_3 = (-1, -1/2).
        Task 1, against 2: + 1/2 g_2 = (0.5, 0.5); against 3: product -0.75, + 0.6 g_3 = (-0.1, 0.2), which opposes g_1
        by now: against itself + 0.1 g_1 = (0, 0.2).
        Task 2, against 1: + g_1 = (0, 1); against 3: product -0.5, + 0.4 g_3 = (-0.4, 0.8); it does not oppose g_2.
        Task 3, against 1: + g_1 = (0, -0.5); against 2: product -0.5, + 1/4 g_2 = (-0.25, -0.25); not opposed to g_3.
        The sum is (-0.75, 0.75), and with task 1 against itself (-0.65, 0.75).
    """
    j = torch.tensor([[1, 0], [-1, 1], [-1, -0.5]], dtype=torch.float64)
    orders = torch.tensor([[1, 2, 0], [0, 2, 1], [0, 1, 2]])
    assert create("pcgrad").combine_gradients(j, draws=orders).gradient.tolist() == near(-0.75, 0.75)
    assert create("pcgrad", include_self=True).combine_gradients(j, draws=orders).gradient.tolist() == near(-0.65, 0.75)


def test_excess_mtl() -> None:
    """He et al. 2024: H_t = diag(sqrt(sum of squared gradients)), E = g^T H^-1 g, w <- w exp(lr E / E_0), normalised.

    lr = 1, two tasks, two parameters.

    Step 1, g_1 = (3, 4), g_2 = (0, 2).
        H_1 = (sqrt 9, sqrt 16) = (3, 4), E_1 = 9/3 + 16/4 = 7; H_2 = (0, 2), E_2 = 4/2 = 2 (no gradient, no risk).
        E / E_0 = (1, 1), so w = (1/2 e, 1/2 e) normalised = (1/2, 1/2) and g = 1/2 (3, 6) = (1.5, 3).
    Step 2, g_1 = (4, 3), g_2 = (0, 1.5).
        sums of squares (9 + 16, 16 + 9) = (25, 25) and (0, 4 + 2.25) = (0, 6.25); H_1 = (5, 5), H_2 = (0, 2.5).
        E_1 = 16/5 + 9/5 = 5, E_2 = 2.25/2.5 = 0.9; E / E_0 = (5/7, 0.45) = (0.714286, 0.45).
        w_1 = 1 / (1 + exp(0.45 - 0.714286)) = 1 / (1 + 0.767754) = 0.565690, w_2 = 0.434310.
        g = 0.565690 (4, 3) + 0.434310 (0, 1.5) = (2.262758, 1.697069 + 0.651466) = (2.262758, 2.348534).
    """
    method = create("excess-mtl", lr=1.0)
    first = step(method, [[3, 4], [0, 2]])
    assert first.gradient.tolist() == near(1.5, 3)
    second = step(method, [[4, 3], [0, 1.5]])
    assert second.weights.tolist() == near(0.565690, 0.434310)
    assert second.gradient.tolist() == near(2.262758, 2.348534)


def test_moco() -> None:
    """Fernando et al. 2023: y <- y - b_k (y - J), w <- Pi(w - c_k y y^T w), gradient w @ y; b_k = 0.5 / sqrt k and
    c_k = 0.1 / sqrt k, y from 0, w from (1/2, 1/2). Pi on two weights with sum s > 0 apart by less than 1 adds
    (1 - s) / 2 to both.

    Step 1, J = ((4, 0), (0, 2)), b = 0.5, c = 0.1.
        y = J / 2 = ((2, 0), (0, 1)); y y^T = diag(4, 1); y y^T w = (2, 0.5).
        w - c (2, 0.5) = (0.3, 0.45), sum 0.75, so w = (0.425, 0.575).
        g = 0.425 (2, 0) + 0.575 (0, 1) = (0.85, 0.575).
    Step 2, J = ((0, 2), (2, 0)), b = 0.353553, c = 0.0707107.
        y_1 = (2, 0) - b (2, -2) = (1.292893, 0.707107); y_2 = (0, 1) - b (-2, 1) = (0.707107, 0.646447).
        y_1.y_1 = 1.671573 + 0.5 = 2.171573; y_1.y_2 = 0.914214 + 0.457107 = 1.371320; y_2.y_2 = 0.5 + 0.417893.
        y y^T w = (0.922918 + 0.788509, 0.582811 + 0.527789) = (1.711428, 1.110600).
        w - c (...) = (0.425 - 0.121016, 0.575 - 0.078531) = (0.303984, 0.496469), sum 0.800453: add 0.099774 to both.
        w = (0.403758, 0.596242); g = w @ y = (0.522015 + 0.421607, 0.285500 + 0.385439) = (0.943622, 0.670939).
    """
    method = create("moco", beta=0.5, gamma=0.1)
    assert step(method, [[4, 0], [0, 2]]).gradient.tolist() == near(0.85, 0.575)
    assert step(method, [[0, 2], [2, 0]]).gradient.tolist() == near(0.943622, 0.670939)
    assert method.state["weights"].tolist() == near(0.403758, 0.596242)


def test_modo() -> None:
    """Chen et al. 2023, algorithm 1: w <- Pi(w - gamma J_1 J_2^T w) with two further batches, then w @ J on the first.
    gamma = 0.1, w from (1/2, 1/2).

    Step 1, J = 1, J_1 = ((2, 0), (0, 1)), J_2 = ((1, 1), (0, 2)).
        J_1 J_2^T = ((2.1 + 0.1, 2.0 + 0.2), (0.1 + 1.1, 0.0 + 1.2)) = ((2, 0), (1, 2)); times w: (1, 1.5).
        w = (0.4, 0.35), sum 0.75: add 0.125 to both, (0.525, 0.475) = g, since J = 1.
    Step 2, J = ((1, 2), (3, 0)), J_1 = ((1, 0), (1, 1)), J_2 = ((0, 1), (2, 0)).
        J_1 J_2^T = ((0, 2), (1, 2)); times w: (0.95, 0.525 + 0.95) = (0.95, 1.475).
        w = (0.525 - 0.095, 0.475 - 0.1475) = (0.43, 0.3275), sum 0.7575: add 0.12125, (0.55125, 0.44875).
        g = 0.55125 (1, 2) + 0.44875 (3, 0) = (1.8975, 1.1025).
    """
    method = create("modo", gamma=0.1)
    first = step(method, [[1, 0], [0, 1]], ([[2, 0], [0, 1]], [[1, 1], [0, 2]]))
    assert first.gradient.tolist() == near(0.525, 0.475)
    second = step(method, [[1, 2], [3, 0]], ([[1, 0], [1, 1]], [[0, 1], [2, 0]]))
    assert second.weights.tolist() == near(0.55125, 0.44875)
    assert second.gradient.tolist() == near(1.8975, 1.1025)


def test_uw_so() -> None:
    """Kirchdorfer et al. 2024: w = softmax(1 / (L temperature)), L held constant in w.

    Temperature 1. Step 1, L = (1, 0.5): 1/L = (1, 2); w_1 = e / (e + e^2) = 1 / (1 + 2.718282) = 0.268941,
    w_2 = 0.731059; the loss is 0.268941 + 0.365529 = 0.634471, its derivative by L is w.
    Step 2, L = (0.4, 2): 1/L = (2.5, 0.5); w_1 = 1 / (1 + e^-2) = 1 / 1.135335 = 0.880797, w_2 = 0.119203; the loss is
    0.352319 + 0.238406 = 0.590725. Temperature 4 there: (0.625, 0.125); w_1 = 1 / (1 + e^-0.5) = 0.622459.
    """
    method = create("uw-so")
    losses = torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    total, weights = method.combine_losses(losses)
    assert weights.tolist() == near(0.268941, 0.731059)
    assert total.item() == pytest.approx(0.634471, abs=1e-6)
    (slope,) = torch.autograd.grad(total, losses)
    assert slope.tolist() == near(0.268941, 0.731059)
    total, weights = method.combine_losses(torch.tensor([0.4, 2.0], dtype=torch.float64))
    assert weights.tolist() == near(0.880797, 0.119203)
    assert total.item() == pytest.approx(0.590725, abs=1e-6)
    _, weights = create("uw-so", temperature=4.0).combine_losses(torch.tensor([0.4, 2.0], dtype=torch.float64))
    assert weights[0].item() == pytest.approx(0.622459, abs=1e-6)


def test_rotograd() -> None:
    """Javaloy and Valera 2022, algorithm 1: one sample, two features, two tasks; lr = pi/12, decay 1/2 a step.

    In two dimensions ``R = exp(A - A^T)`` is ((cos f, sin f), (-sin f, cos f)) with f = A_12 - A_21, and for a constant
    h = R g the rotation's loss -<R^T h, v> has df-slope -<(-g_y, g_x), v> =: s. So A_12 has slope s and A_21 has -s,
    Adam moves both alike, and f moves by twice A_12's move.

    Step 1, G_1 = (2, 0), G_2 = (0, 1): norms (2, 1), which are also G(0)'s.
        alpha = (1/2, 1/2), C = (2 + 1)/2 = 1.5; U = (1, 0), (0, 1); weights C/|G| = (0.75, 1.5); g = 1.5 (1, 1).
        v = (1/2, 1/2). s_1 = -<(0, 2), v> = -1; s_2 = -<(-1, 0), v> = 0.5.
        Adam's first step is lr times the sign: A_12 = (+pi/12, -pi/12), f = (pi/6, -pi/6).
        R_1 = ((0.866025, 0.5), (-0.5, 0.866025)); R_2 is its transpose.
    Step 2, G_1 = (0, 4), G_2 = (3, 0): norms (4, 3).
        |G|/|G(0)| = (2, 3), alpha = (0.4, 0.6), C = 1.6 + 1.8 = 3.4; weights (0.85, 3.4/3 = 1.133333);
        g = 3.4 ((0, 1) + (1, 0)) = (3.4, 3.4).
        v = (1/2, 1/2). s_1 = -<(-4, 0), v> = 2; s_2 = -<(0, 3), v> = -1.5. The rate is pi/24.
        Task 1: mean 0.9 (0.1 (-1)) + 0.1 (2) = 0.11, by 1 - 0.81 = 0.19: 0.578947; square 0.999 (0.001) + 0.004 =
        0.004999, by 1 - 0.998001 = 0.001999: 2.500750, root 1.581376; ratio 0.366104.
        f_1 = pi/6 - 2 (pi/24) 0.366104 = 0.523599 - 0.095846 = 0.427753; cos 0.909900, sin 0.414827.
        Task 2: mean 0.9 (0.05) + 0.1 (-1.5) = -0.105, by 0.19: -0.552632; square 0.999 (0.00025) + 0.00225 =
        0.00249975, by 0.001999: 1.250500, root 1.118258; ratio -0.494190.
        f_2 = -pi/6 + 2 (pi/24) 0.494190 = -0.523599 + 0.129379 = -0.394220; cos 0.923296, sin -0.384088.
    """
    method = create("rotograd", lr=math.pi / 12, decay=0.5)
    first = step(method, [[2, 0], [0, 1]])
    assert first.weights.tolist() == near(0.75, 1.5)
    assert first.gradient.tolist() == near(1.5, 1.5)
    # z = (1, 0) is seen as the first column of R.
    z = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert method.view(z, 0, method.state)[0].tolist() == near(0.866025, -0.5)
    assert method.view(z, 1, method.state)[0].tolist() == near(0.866025, 0.5)
    second = step(method, [[0, 4], [3, 0]])
    assert second.weights.tolist() == near(0.85, 1.133333)
    assert second.gradient.tolist() == near(3.4, 3.4)
    assert method.view(z, 0, method.state)[0].tolist() == near(0.909900, -0.414827)
    assert method.view(z, 1, method.state)[0].tolist() == near(0.923296, 0.384088)
