"""Kurin et al. 2022, propositions 1 to 4, and Xin et al. 2022, theorems 1 and 2, as numbers on small convex problems.

The tasks are quadratics ``L_t(x) = |x - c_t|_A^2 / 2`` in the plane or in space, so that every minimum is known.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from scalarize.methods import create

CENTRES = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0]], dtype=torch.float64)
CURVES = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)


def gradients(x: torch.Tensor) -> torch.Tensor:
    return CURVES[:, None] * (x - CENTRES)


def losses(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * CURVES * ((x - CENTRES) ** 2).sum(dim=1)


def descend(name: str, x: torch.Tensor, steps: int = 250, lr: float = 0.25, **hyper: object) -> torch.Tensor:
    method = create(name, **hyper)
    for _ in range(steps):
        x = x - lr * method.combine_gradients(gradients(x), losses(x)).gradient
    return x


def in_hull(x: torch.Tensor) -> bool:
    """Whether 0 is in the hull of the gradients at x: whether x is in the triangle of the centres."""
    a, b = float(x[0]) / 2, float(x[1]) / 3
    return abs(float(x[2])) < 1e-3 and min(a, b, 1 - a - b) > -1e-3


# --- Kurin et al. 2022 ---------------------------------------------------------------------------------------------


def test_proposition_1_unitary_stationary_points_stop_mgda() -> None:
    stationary = (CURVES[:, None] * CENTRES).sum(dim=0) / CURVES.sum()
    assert gradients(stationary).sum(dim=0).norm() < 1e-12
    assert create("mgda").combine_gradients(gradients(stationary)).gradient.norm() < 1e-7


def test_proposition_1_mgda_stops_at_more_points_and_only_at_pareto_stationary_ones() -> None:
    ends = [descend("mgda", torch.tensor(start).double()) for start in ([3.0, 3.0, 1.0], [-2.0, 1.0, 2.0])]
    for x in ends:
        assert in_hull(x)
        assert create("mgda").combine_gradients(gradients(x)).gradient.norm() < 1e-3
    # Both are no stationary points of the sum, and not the same point.
    assert min(gradients(x).sum(dim=0).norm() for x in ends) > 0.1
    assert (ends[0] - ends[1]).norm() > 0.1


def test_proposition_2_imtl_is_steepest_descent_at_equal_cosines() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        j = torch.randn(3, 6, generator=generator, dtype=torch.float64)
        units = j / j.norm(dim=1, keepdim=True)
        d = create("imtl-g").combine_gradients(j).gradient
        d = d * torch.sign(units[0] @ d) / d.norm()
        projections = units @ d
        torch.testing.assert_close(projections, projections[0].expand(3))
        # No other unit direction with equal cosines has a larger one: they differ in the null space of differences.
        _, _, v = torch.linalg.svd(units[1:] - units[0])
        others = (v[2:].T @ torch.randn(4, 50, generator=generator, dtype=torch.float64)).T
        others = others / others.norm(dim=1, keepdim=True)
        assert ((units @ others.T).abs().amax(dim=0) <= projections[0] + 1e-9).all()


def test_corollary_1_imtl_stops_where_0_is_in_the_affine_hull_of_the_unit_gradients() -> None:
    # Three unit vectors u with u_0 + u_1 - u_2 = 0: an affine combination, not a convex one. They leave their plane by
    # a little, so that they are independent: the step is as short as their affine hull is near.
    u = torch.tensor([[1.0, 0.0, 0.0], [-0.5, 3**0.5 / 2, 0.0], [0.5, 3**0.5 / 2, 0.0]], dtype=torch.float64)
    for leaves in (1e-2, 1e-4):
        lifted = u * (1 - leaves**2) ** 0.5 + torch.tensor([0.0, 0.0, leaves])
        assert create("imtl-g").combine_gradients(lifted).gradient.norm() < 1.01 * leaves
    assert create("mgda").combine_gradients(u).gradient.norm() > 0.1


def test_proposition_3_pcgrad_is_a_bounded_random_reweighting() -> None:
    generator = torch.Generator().manual_seed(1)
    for seed in range(30):
        j = torch.randn(4, 6, generator=generator, dtype=torch.float64)
        norms = j.norm(dim=1)
        result = create("pcgrad").combine_gradients(j, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(result.gradient, result.weights @ j)
        most = 1 + (norms.sum() - norms) / norms
        assert (result.weights >= 1 - 1e-12).all()
        assert (result.weights <= most + 1e-12).all()
    drawn = [
        create("pcgrad").combine_gradients(-j + 2 * j.mean(dim=0), generator=torch.Generator().manual_seed(s)).weights
        for s in range(10)
    ]
    assert torch.stack(drawn).std(dim=0).max() > 1e-3


def test_corollary_2_two_tasks_that_oppose_stop_pcgrad() -> None:
    g = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert create("pcgrad").combine_gradients(torch.stack([g, -3 * g])).gradient.norm() < 1e-12


@pytest.mark.parametrize("start", range(4))
def test_corollary_2_two_tasks_short_steps_of_pcgrad_end_at_a_superset_of_plain_trainings_ends(start: int) -> None:
    """With steps below 1 / L it reaches a stationary point of the sum, or stops where the two gradients oppose."""
    centres = CENTRES[:2]
    curves = torch.tensor([[1.0, 0.2, 0.5], [0.3, 2.0, 0.7]], dtype=torch.float64)  # axis by axis, unlike each other
    lipschitz = float(curves.sum(dim=0).max())  # of the gradient of the sum
    x = 6 * torch.randn(3, generator=torch.Generator().manual_seed(start), dtype=torch.float64)
    sums = []
    for _ in range(600):
        sums.append(float((0.5 * curves * (x - centres) ** 2).sum()))
        x = x - 0.9 / lipschitz * create("pcgrad").combine_gradients(curves * (x - centres)).gradient
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(sums))  # the sum never rises
    ends = curves * (x - centres)
    assert create("pcgrad").combine_gradients(ends).gradient.norm() < 1e-6
    cosine = float(torch.nn.functional.cosine_similarity(ends[0], ends[1], dim=0))
    assert ends.sum(dim=0).norm() < 1e-6 or cosine == pytest.approx(-1.0, abs=1e-6)
    # A superset: the end of plain training is one of them, and most of the others are none of plain training's.
    minimum = (curves * centres).sum(dim=0) / curves.sum(dim=0)
    assert create("pcgrad").combine_gradients(curves * (minimum - centres)).gradient.norm() < 1e-9
    assert ends.sum(dim=0).norm() > 1e-3


def test_proposition_4_random_drop_always_vanishes_only_at_joint_minima() -> None:
    method, generator = create("rgd", p=0.5), torch.Generator().manual_seed(0)
    stationary = (CURVES[:, None] * CENTRES).sum(dim=0) / CURVES.sum()
    at_sum = [method.combine_gradients(gradients(stationary), generator=generator).gradient.norm() for _ in range(50)]
    assert max(at_sum) > 0.1
    joint = torch.zeros(3, 3, dtype=torch.float64)
    at_joint = [method.combine_gradients(joint, generator=generator).gradient.norm() for _ in range(50)]
    assert max(at_joint) == 0.0


# --- Xin et al. 2022 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_theorem_1_scalarization_ends_pareto_optimal(seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(3)).tolist()
    x = descend("fixed", torch.tensor([4.0, -3.0, 2.0]).double(), weights=weights)
    reached = losses(x)
    # No other point is at least as good for all tasks and better for one.
    generator = torch.Generator().manual_seed(seed)
    radii = 10.0 ** -(4 * torch.rand(4000, 1, generator=generator, dtype=torch.float64))
    others = x + radii * torch.randn(4000, 3, generator=generator, dtype=torch.float64)
    values = 0.5 * CURVES * ((others[:, None] - CENTRES) ** 2).sum(dim=2)
    better = (values <= reached).all(dim=1) & (values < reached - 1e-7).any(dim=1)
    assert not better.any()


@pytest.mark.parametrize("seed", range(3))
def test_theorem_2_every_pareto_point_is_a_scalarization(seed: int) -> None:
    # Points of the front: the minima over the triangle; MGDA from a random start ends at one.
    start = 4 * torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    point = descend("mgda", start)
    weights = create("mgda").combine_gradients(gradients(point)).weights
    again = descend("fixed", torch.zeros(3, dtype=torch.float64), weights=weights.clamp(min=0).tolist())
    torch.testing.assert_close(losses(again), losses(point), rtol=1e-2, atol=1e-2)


@pytest.mark.filterwarnings("error")
def test_a_scale_that_imtl_learned_down_to_nothing_leaves_the_others_their_weights() -> None:
    """e^s of -800 is 0 in float64: the scaled gradient is a zero gradient, and the step stays finite."""
    j = torch.tensor([[1.0, 0.0, 2.0], [0.5, 1.0, 0.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
    method = create("imtl")
    method.combine_gradients(j)
    with torch.no_grad():
        method.state["s"][2] = -800.0
    wanted = create("imtl-g").combine_gradients(torch.cat([j[:2], torch.zeros(1, 3, dtype=torch.float64)]))
    torch.testing.assert_close(method.combine_gradients(j).gradient, wanted.gradient)
