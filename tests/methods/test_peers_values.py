"""Values that the peers' own code gave, written down: PCD and CR-MOGM by TorchJD 0.18.0, GO4Align by its authors.

TorchJD: ``PCD(...)(J)`` and ``CRMOGMWeighting(MGDAWeighting(epsilon=1e-14, max_iters=200000), alpha=0.7)(J @ J.T)`` in
float64. GO4Align: ``GO4ALIGN.get_weighted_loss`` of autumn9999/GO4Align, commit 5fcbc71, in float32, its ``kmeans``
being scikit-learn 1.9.1's with 50 starts, as the file does not import one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scalarize import Balancer
from scalarize.methods import create
from scalarize.methods.preference import position

STEPS = [
    [[3.0, 4.0, 0.0], [-1.0, 2.0, 1.0], [0.0, -2.0, 1.0]],
    [[1.0, 0.0, 2.0], [-2.0, 1.0, 0.0], [1.0, 1.0, -3.0]],
    [[0.0, 1.0, 1.0], [0.0, -2.0, 1.0], [-4.0, 1.0, 0.0]],
]
PCD = {
    "the defaults": (
        {},
        [
            [4.227432838665673, 1.0644851810177265, 2.4486083586324603],
            [0.8218654339877297, 1.9436240649518863, 0.739501658251061],
            [0.0, 0.5722116092571665, 1.2932802767502967],
        ],
    ),
    "an average that moves": (
        {"tau": 0.3, "beta": 0.9},
        [
            [1.7997082161950688, 0.5349722886391755, 4.634096998008149],
            [-0.20648249488713133, 2.051462833678581, -0.8653699910099926],
            [-0.8142924540542944, -0.10482993018157533, 1.1514940230015789],
        ],
    ),
    "a share for each task": (  # TorchJD held tau in float32
        {"tau": [0.5, 0.1], "beta": 0.0},
        [
            [1.4769262023347511, 1.6618374701565077, 4.4785025639873055],
            [-0.5666679600200075, 2.1534401519356132, 0.20391894251953424],
            [-0.139650544774511, -0.022838496640184197, 1.4071162455232327],
        ],
    ),
}
LOSSES = [[1.0, 0.5, 2.0, 4.0], [0.9, 0.5, 1.5, 1.0], [0.3, 0.4, 1.4, 0.2]]
GO4ALIGN = {
    1: [[2.364820718765259] * 4, [1.4367514848709106] * 4, [1.6169542074203491] * 4],
    2: [
        [1.0911887884140015, 6.18571662902832, 1.0911887884140015, 1.0911887884140015],
        [0.6532067060470581, 3.7873854637145996, 0.6532067060470581, 0.6532067060470581],
        [2.730933427810669, 2.730933427810669, 0.5029749870300293, 0.5029749870300293],
    ],
    3: [
        [2.4087204933166504, 6.18571662902832, 0.4324229955673218, 0.4324229955673218],
        [1.3416353464126587, 3.7873854637145996, 0.3089924156665802, 0.3089924156665802],
        [2.730933427810669, 2.730933427810669, 0.14319662749767303, 0.8627533316612244],
    ],
}


def double(rows: Any) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("case", PCD)
def test_pcd(case: str) -> None:
    hyper, expected = PCD[case]
    method = create("pcd", **hyper)
    for j, want in zip(STEPS, expected, strict=True):
        np.testing.assert_allclose(method.combine_gradients(double(j)).gradient, want, rtol=2e-8, atol=1e-8)
    assert method.solver_failures == 0


def test_pcd_of_another_primary_task_is_that_of_tasks_in_another_order() -> None:
    order = [1, 2, 0]
    method = create("pcd", tau=[0.5, 0.1], beta=0.9, primary=2)
    first = create("pcd", tau=[0.5, 0.1], beta=0.9)
    for j in map(double, STEPS):
        torch.testing.assert_close(method.combine_gradients(j[order]).gradient, first.combine_gradients(j).gradient)


def test_pcd_follows_the_primary_task_if_no_direction_keeps_all_guarantees() -> None:
    method = create("pcd", tau=0.1)
    j = double([[1.0, 2.0], [3.0, 0.0], [-3.0, 0.0]])
    assert method.combine_gradients(j).gradient.tolist() == pytest.approx([1.0, 2.0])
    assert method.solver_failures == 1


def test_pcd_turns_around_for_an_opposite_gradient_as_its_page_says() -> None:
    gradient = create("pcd").combine_gradients(double([[1.0, 2.0], [-1.0, -2.0]])).gradient
    assert gradient.tolist() == pytest.approx([-1.0, -2.0])


def test_pcd_knows_its_primary_task_in_a_batch_that_lacks_others() -> None:
    p = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    balancer = Balancer("pcd", [p], tasks=["a", "b", "c"], tau=0.0, primary=1)
    rows = double([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]])

    def step(names: str) -> list[float]:
        p.grad = None
        balancer.backward({t: rows["abc".index(t)] @ p + 1.0 for t in names})
        return [] if p.grad is None else p.grad.tolist()

    assert step("bc") == pytest.approx([-(2**0.5), 2**0.5])  # turned, but as long as b's
    assert step("ab") == pytest.approx([0.0, 2.0])
    assert not any(step("ac"))


def test_cr_mogm_over_mgda() -> None:
    method = create("cr-mogm", alpha=0.7)
    for j, want in zip(
        STEPS,
        [
            [0.15542521994135422, 0.27859237536656417, 0.5659824046920815],
            [0.2421309872922808, 0.28390355164548364, 0.4739654610622352],
            [0.3518446322810634, 0.2987324861518392, 0.3494228815670974],
        ],
        strict=True,
    ):
        np.testing.assert_allclose(method.combine_gradients(double(j)).weights, want, rtol=1e-9)


def test_cr_mogm_keeps_the_memory_of_its_base() -> None:
    method, alone = create("cr-mogm", base="gradvac", alpha=0.0), create("gradvac")
    for k, j in enumerate(map(double, STEPS)):
        got = method.combine_gradients(j, generator=torch.Generator().manual_seed(k))
        want = alone.combine_gradients(j, generator=torch.Generator().manual_seed(k))
        torch.testing.assert_close(got.gradient, want.gradient)
    torch.testing.assert_close(method.state["phi"], alone.state["phi"])


@pytest.mark.parametrize("groups", GO4ALIGN)
def test_go4align(groups: int) -> None:
    method = create("go4align", groups=groups, beta=0.5)
    for losses, want in zip(LOSSES, GO4ALIGN[groups], strict=True):
        np.testing.assert_allclose(method.combine_losses(double(losses)).weights, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "hyper", "says"),
    [
        ("pcd", {"tau": 1.5}, "tau"),
        ("pcd", {"tau": [0.1, -0.1]}, "tau"),
        ("pcd", {"beta": 1.0}, "beta"),
        ("pcd", {"primary": -1}, "primary"),
        ("cr-mogm", {"base": "uniform"}, "base"),
        ("cr-mogm", {"base": "cr-mogm"}, "base"),
        ("cr-mogm", {"base": "mgdaa"}, "mgda"),
        ("cr-mogm", {"alpha": 1.1}, "alpha"),
        ("go4align", {"groups": 0}, "groups"),
        ("go4align", {"beta": -1.0}, "beta"),
    ],
)
def test_what_they_refuse(name: str, hyper: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        create(name, **hyper)


@pytest.mark.parametrize(("hyper", "says"), [({"primary": 2}, "no task 2"), ({"tau": [0.1, 0.1]}, "2 values of tau")])
def test_what_pcd_refuses_at_the_first_step(hyper: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        create("pcd", **hyper).combine_gradients(double([[1.0, 0.0], [0.0, 1.0]]))


def test_the_primary_task_may_be_named_on_the_command_line() -> None:
    assert position("b", ["a", "b"]) == 1
    assert position(0, ["a", "b"]) == 0
    with pytest.raises(ValueError, match="'b'"):
        position("bb", ["a", "b"])
