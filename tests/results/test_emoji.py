"""The probe beside the emoji workload: least squares as it should be, and a table whose numbers are its rows'."""

from __future__ import annotations

from types import ModuleType

import torch

from scalarize.tasks.kinds import multiclass
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain


def test_ridge_is_where_the_penalised_squares_are_least(benchmark: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 5, generator=generator, dtype=torch.float64) + 3
    labels = torch.arange(40) % 3
    weights, offsets = (t.requires_grad_() for t in benchmark.ridge(inputs, labels, 2.0, 3))
    wanted = torch.nn.functional.one_hot(labels, 3).double()
    loss = (inputs @ weights + offsets - wanted).square().sum() + 2.0 * weights.square().sum()
    for gradient in torch.autograd.grad(loss, [weights, offsets]):
        assert gradient.abs().max() < 1e-9


def test_a_probe_knows_its_own_vendor_and_not_the_other(benchmark: ModuleType) -> None:
    def table(rows: int, turned: bool) -> TensorTable:
        labels = torch.arange(rows) % 2
        level = labels if not turned else 1 - labels  # the other vendor paints the classes in exchanged colours
        return TensorTable((level * 200)[:, None, None, None].expand(-1, 3, 16, 16).byte(), {"c": labels})

    domains = [
        Domain(name, {s: table(8, turned) for s in ("train", "validation", "test")})
        for name, turned in (("a", False), ("b", True))
    ]
    found = benchmark.probe(Data.multi_domain(multiclass("c", 2), domains, "a"))
    assert found["ridge, a"] == {"a": 1.0, "b": 0.0}
    assert found["ridge, b"] == {"a": 0.0, "b": 1.0}
    assert set(found) == {"ridge, a", "ridge, b", "ridge, both"}


def test_the_table_pairs_network_and_probe(benchmark: ModuleType) -> None:
    seeds = [
        {"ridge, both": {"a": 0.5, "b": 0.6}, "network, both": {"a": 0.7 + k / 100, "b": 0.8 + k / 100}}
        for k in range(3)
    ]
    text = benchmark.report({"each emoji once": seeds}, "the command")
    assert "| ridge, both | 0.500 [0.500, 0.500] | 0.600 [0.600, 0.600] | 0.550 [0.550, 0.550] |" in text
    assert "**0.210 [0.185, 0.235]**" in text
    assert "`the command`" in text
