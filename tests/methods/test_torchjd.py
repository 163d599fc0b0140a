"""TorchJD 0.18 as an oracle: random Jacobians, hard ones, and its weightings and aggregators used as methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from scalarize.methods import create, from_function, from_torchjd

tjd = pytest.importorskip("torchjd.aggregation")
scalarizers = pytest.importorskip("torchjd.scalarization")
P = 30


def gaussian(n_tasks: int, seed: int) -> torch.Tensor:
    """Rows of different lengths around a common direction with mixed signs."""
    g = torch.Generator().manual_seed(100 * n_tasks + seed)
    rows = torch.randn(n_tasks, P, generator=g, dtype=torch.float64)
    signs = torch.sign(torch.randn(n_tasks, 1, generator=g, dtype=torch.float64))
    lengths = torch.exp(torch.randn(n_tasks, 1, generator=g, dtype=torch.float64))
    return lengths * (rows + 0.5 * signs * torch.randn(1, P, generator=g, dtype=torch.float64))


def hard(kind: str) -> torch.Tensor:
    j = gaussian(3, 7)
    if kind == "zero":
        j[1] = 0
    elif kind == "opposite":
        j[1] = -j[0]
    elif kind == "duplicate":
        j[2] = j[0]
    elif kind == "row_1e6":
        j[1] *= 1e6
    else:
        j *= {"all_1e-8": 1e-8, "all_1e8": 1e8}[kind]
    return j


WANTED = [0.5, 0.1, 0.15, 0.05, 0.05, 0.05, 0.05, 0.05]  # preference of up to 8 tasks; the first T are taken

HARD = ("zero", "opposite", "duplicate", "row_1e6", "all_1e-8", "all_1e8")

# ours -> (hyper-parameters, TorchJD's, relative tolerance, hard cases in which TorchJD's own solver is not exact or
# takes another convention; the oracle values of test_golden cover those).
PAIRS: dict[str, tuple[dict[str, Any], Callable[[], Any], float, set[str]]] = {
    "unitary": ({}, lambda: tjd.Sum(), 1e-12, set()),
    "uniform": ({}, lambda: tjd.Mean(), 1e-12, set()),
    "imtl-g": ({}, lambda: tjd.IMTLG(), 1e-6, {"row_1e6"}),
    "aligned-mtl": ({"scale": "min"}, lambda: tjd.AlignedMTL(scale_mode="min"), 1e-6, {"row_1e6"}),
    "aligned-mtl median": ({"scale": "median"}, lambda: tjd.AlignedMTL(scale_mode="median"), 1e-6, {"row_1e6"}),
    "aligned-mtl rmse": ({"scale": "rmse"}, lambda: tjd.AlignedMTL(scale_mode="rmse"), 1e-6, {"row_1e6"}),
    "config": ({}, lambda: tjd.ConFIG(), 1e-7, {"opposite"}),
    "fairgrad": ({"alpha": 2.0}, lambda: tjd.FairGrad(alpha=2.0), 1e-5, {"zero", "opposite", "row_1e6", "all_1e-8"}),
    # TorchJD returns 0 below its absolute norm_eps; a point without improvement has no single answer.
    "cagrad": ({"c": 0.5}, lambda: tjd.CAGrad(c=0.5), 1e-3, {"zero", "opposite", "row_1e6", "all_1e-8"}),
    "upgrad": ({"regularization": 1e-4}, lambda: tjd.UPGrad(), 1e-6, set()),
    "dualproj": ({"regularization": 1e-4}, lambda: tjd.DualProj(), 1e-6, set()),
}


# ours -> (hyper-parameters, TorchJD's with a preference vector): the rest as above.
PREFERENCES: dict[str, tuple[dict[str, Any], Callable[[torch.Tensor], Any], float]] = {
    "upgrad": ({"regularization": 1e-4}, lambda p: tjd.UPGrad(pref_vector=p), 1e-6),
    "dualproj": ({"regularization": 1e-4}, lambda p: tjd.DualProj(pref_vector=p), 1e-6),
    "aligned-mtl": ({}, lambda p: tjd.AlignedMTL(pref_vector=p), 1e-6),
    "config": ({}, lambda p: tjd.ConFIG(pref_vector=p), 1e-7),
}


@pytest.mark.parametrize("key", PREFERENCES)
@pytest.mark.parametrize("n_tasks", [1, 2, 3, 8])
def test_preference_vectors(key: str, n_tasks: int) -> None:
    hyper, make, rtol = PREFERENCES[key]
    wanted = torch.tensor(WANTED[:n_tasks], dtype=torch.float64)
    wanted /= wanted.sum()
    try:
        theirs = make(wanted)
    except ImportError as error:
        pytest.skip(f"TorchJD's {key} lacks its solver: {error}")
    for seed in range(3):
        j = gaussian(n_tasks, seed)
        got, want = create(key, preference=WANTED[:n_tasks], **hyper).combine_gradients(j).gradient, theirs(j)
        assert (got - want).norm() <= rtol * want.norm(), seed


def pair(key: str) -> tuple[Any, Any, float, set[str]]:
    hyper, make, rtol, left_out = PAIRS[key]
    try:
        return create(key.split()[0], **hyper), make(), rtol, left_out
    except ImportError as error:
        pytest.skip(f"TorchJD's {key} lacks its solver: {error}")


@pytest.mark.parametrize("key", PAIRS)
@pytest.mark.parametrize("n_tasks", [1, 2, 3, 8])
def test_random_jacobians(key: str, n_tasks: int) -> None:
    ours, theirs, rtol, _ = pair(key)
    for seed in range(3):
        j = gaussian(n_tasks, seed)
        got, want = ours.combine_gradients(j).gradient, theirs(j)
        assert (got - want).norm() <= rtol * want.norm(), seed


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("key", PAIRS)
def test_hard_jacobians(key: str, kind: str) -> None:
    ours, theirs, rtol, left_out = pair(key)
    j = hard(kind)
    got = ours.combine_gradients(j).gradient
    assert torch.isfinite(got).all()
    if kind not in left_out:
        want = theirs(j)
        assert (got - want).norm() <= rtol * want.norm() + 1e-8 * j.norm(dim=1).max()


@pytest.mark.parametrize("case", [*range(6), *HARD])
def test_mgda_is_no_longer_than_theirs(case: int | str) -> None:
    # Theirs is the Frank-Wolfe method, which comes near slowly: ours must be at most as long, and optimal.
    j = hard(case) if isinstance(case, str) else gaussian(2 + case, case)
    got, want = create("mgda").combine_gradients(j).gradient, tjd.MGDA(epsilon=1e-9, max_iters=500)(j)
    longest = j.norm(dim=1).max()
    assert got.norm() <= want.norm() * (1 + 1e-9) + 1e-9 * longest
    # Near stationary points what is left of the gradient is rounding, of some 1e-15 of the longest.
    slack = longest * (1e-9 * got.norm() + 1e-13 * longest)
    assert (j @ got >= got @ got - slack).all()


@pytest.mark.parametrize("seed", range(5))
def test_pcgrad_and_gradvac_of_two_tasks(seed: int) -> None:
    # With two tasks there is one order.
    theirs, ours = tjd.GradVac(beta=0.3), create("gradvac", beta=0.3)
    for step in range(4):
        j = gaussian(2, 10 * seed + step)
        torch.testing.assert_close(create("pcgrad").combine_gradients(j).gradient, tjd.PCGrad()(j))
        torch.testing.assert_close(ours.combine_gradients(j).gradient, theirs(j), rtol=1e-6, atol=1e-9)


def test_weightings_of_several_batches() -> None:
    sdm, ours_sdm = tjd.SDMGradWeighting(), create("sdmgrad")
    modo, ours_modo = tjd.MoDoWeighting(gamma=0.05, rho=0.1), create("modo", gamma=0.05, rho=0.1)
    preferred = tjd.SDMGradWeighting(pref_vector=torch.tensor(WANTED[:4]).double() / sum(WANTED[:4]))
    ours_preferred = create("sdmgrad", preference=WANTED[:4])
    for step in range(5):
        j, first = gaussian(4, step), gaussian(4, 20 + step)
        second = first + 0.3 * gaussian(4, 40 + step)
        got = ours_sdm.combine_gradients(j, extra=[first, second])
        torch.testing.assert_close(got.weights, sdm(first @ second.T), rtol=1e-9, atol=1e-12)
        biased = ours_preferred.combine_gradients(j, extra=[first, second])
        # Theirs adds 1e-8 to the scale, and 20 steps of length 10 magnify it.
        torch.testing.assert_close(biased.weights, preferred(first @ second.T), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(got.gradient, got.weights @ j)
        got = ours_modo.combine_gradients(j, extra=[first, second])
        torch.testing.assert_close(got.weights, modo(first @ second.T), rtol=1e-9, atol=1e-12)


def test_excess_mtl_after_a_warm_up() -> None:
    # Without one, TorchJD's first step does not divide by the first excess risk; the paper's equation does.
    theirs = tjd.ExcessMTLWeighting(robust_step_size=0.7, n_warmup_steps=2)
    ours = create("excess-mtl", lr=0.7, warmup=2)
    for step in range(6):
        j = gaussian(4, step)
        torch.testing.assert_close(ours.combine_gradients(j).weights, theirs(j), rtol=1e-5, atol=1e-7)


def test_losses() -> None:
    losses = 0.1 + torch.rand(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted, ideal = torch.tensor(WANTED[:5]).double(), [0.05, 0.0, 0.1, 0.0, 0.02]
    share = wanted / wanted.sum()
    lowest = torch.tensor(ideal).double()
    for ours, theirs in [
        (create("gls"), scalarizers.GeometricMean()),
        (create("stch", mu=0.3), scalarizers.STCH(0.3)),
        (create("stch", mu=0.3, preference=WANTED[:5], ideal=ideal), scalarizers.STCH(0.3, share, lowest)),
        (create("pbi", preference=WANTED[:5], ideal=ideal), scalarizers.PBI(5.0, wanted, lowest)),
        (create("pbi", theta=0.5), scalarizers.PBI(0.5, torch.ones(5).double())),
        (create("cosmos", lambda_=0.7, preference=WANTED[:5]), scalarizers.COSMOS(0.7, share)),
    ]:
        ours_at, theirs_at = losses.clone().requires_grad_(), losses.clone().requires_grad_()
        mine, other = ours.combine_losses(ours_at).loss, theirs(theirs_at)
        np.testing.assert_allclose(mine.detach(), other.detach(), rtol=1e-7)  # theirs adds 1e-12 under PBI's root
        (slope,), (want,) = torch.autograd.grad(mine, ours_at), torch.autograd.grad(other, theirs_at)
        torch.testing.assert_close(slope, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", [lambda: tjd.IMTLG(), lambda: tjd.ConFIG(), lambda: tjd.MeanWeighting()])
def test_used_as_a_method(make: Callable[[], Any]) -> None:
    theirs = make()
    matrix = isinstance(theirs, tjd.MeanWeighting)
    method = from_torchjd(theirs, takes="jacobian" if matrix else "gramian")
    j = gaussian(4, 0)
    result = method.combine_gradients(j)
    want = theirs(j) @ j if matrix else theirs(j)
    torch.testing.assert_close(result.gradient, want)
    assert (result.weights is None) == method.has_combine
    assert list(method.hyper.values()) == [type(theirs).__name__]


def test_what_it_remembers_is_its_own() -> None:
    theirs = tjd.GradVac(beta=0.9)
    method, j = from_torchjd(theirs), gaussian(2, 0)
    first = method.combine_gradients(j).gradient
    torch.testing.assert_close(theirs(j), first)  # the object given has seen nothing before
    second = method.combine_gradients(gaussian(2, 1)).gradient
    method.reset()
    method.combine_gradients(j)
    assert torch.equal(method.combine_gradients(gaussian(2, 1)).gradient, second)


def test_its_randomness_comes_from_the_generator() -> None:
    j = gaussian(6, 0)
    torch.manual_seed(1)
    a, b = (
        from_torchjd(tjd.PCGrad()).combine_gradients(j, generator=torch.Generator().manual_seed(s)).gradient
        for s in (3, 4)
    )
    state = torch.random.get_rng_state()
    again = from_torchjd(tjd.PCGrad()).combine_gradients(j, generator=torch.Generator().manual_seed(3)).gradient
    assert torch.equal(a, again)
    assert not torch.equal(a, b)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_function_of_the_gramian() -> None:
    j = gaussian(3, 0)
    result = from_function(lambda g: 1 / g.diagonal().sqrt()).combine_gradients(j)
    torch.testing.assert_close(result.gradient, (j / j.norm(dim=1, keepdim=True)).sum(dim=0))
    result = from_function(lambda m: m.norm(dim=1), takes="jacobian").combine_gradients(j)
    torch.testing.assert_close(result.weights, j.norm(dim=1))
    with pytest.raises(ValueError, match="3 weights"):
        from_function(lambda g: g).combine_gradients(j)
    with pytest.raises(ValueError, match="Weighting or Aggregator"):
        from_torchjd(len)
