"""The hold-out of a search keeps groups whole, within and across domains."""

from __future__ import annotations

import torch

from scalarize.tasks.kinds import multiclass
from scalarize.tasks.samples import TensorTable, split_indices
from scalarize.tasks.task import Data, Domain


def domain(name: str, groups: list[int] | None, n: int) -> Domain:
    table = TensorTable(torch.arange(n).float()[:, None], {"t": torch.zeros(n, dtype=torch.long)})
    if groups is not None:
        table = TensorTable(table.inputs, table.targets, torch.tensor(groups))
    return Domain(name, {"train": table, "test": table})


def test_a_group_never_lies_on_both_sides_even_over_domains() -> None:
    data = Data.multi_domain(
        multiclass("t", 2),
        [domain("a", [k // 3 for k in range(300)], 300), domain("b", [k // 2 + 20 for k in range(250)], 250)],
        reference="a",
    )
    held = data.with_holdout(0.7, seed=5)
    sides = {s: set() for s in ("train", "holdout")}
    for d in held.domains.values():
        assert set(d.splits) == {"train", "holdout"}
        for side, source in d.splits.items():
            assert source.groups is not None
            sides[side] |= set(source.groups.tolist())
    assert not sides["train"] & sides["holdout"]
    assert abs(len(sides["train"]) / 145 - 0.7) < 0.01
    assert held.epoch_size == 210


def test_without_groups_domains_split_on_their_own() -> None:
    data = Data.multi_domain(multiclass("t", 2), [domain("a", None, 10), domain("b", None, 20)], reference="a")
    held = data.with_holdout(0.5)
    assert [len(d.splits["train"]) for d in held.domains.values()] == [5, 10]


def test_split_indices_partition_all_samples() -> None:
    table = domain("a", [k % 7 for k in range(50)], 50).splits["train"]
    parts = split_indices(table, (0.6, 0.2, 0.2), 3)
    assert sorted(torch.cat(parts).tolist()) == list(range(50))
