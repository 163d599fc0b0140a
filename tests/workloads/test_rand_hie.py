"""The RAND table as it ships: its shape, its splits by person, its targets; refused when it is another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from scalarize import workloads
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError
from scalarize.workloads import rand_hie


def load(name: str, seed: int = 0) -> Data:
    w = workloads.get(name)
    return w.load({"split_seed": seed}, Path())


def split(data: Data, name: str) -> TensorTable:
    source = data.domains["all"].splits[name]
    assert isinstance(source, TensorTable)
    return source


def test_every_row_is_in_one_split_and_no_person_in_two() -> None:
    data = load("rand-hie")
    parts = [split(data, name) for name in rand_hie.SPLITS]
    assert sum(len(p) for p in parts) == 20190
    people = [set(p.groups.tolist()) for p in parts if p.groups is not None]
    assert sum(len(p) for p in people) == 5912 == len(set.union(*people))
    assert [round(len(p) / 5912, 2) for p in people] == [0.6, 0.2, 0.2]


def test_splits_follow_the_seed() -> None:
    first = split(load("rand-hie", 0), "train").groups
    assert first is not None
    assert torch.equal(first, split(load("rand-hie", 0), "train").groups)  # type: ignore[arg-type]
    other = split(load("rand-hie", 1), "train").groups
    assert other is not None
    assert set(first.tolist()) != set(other.tolist())


def test_inputs_are_the_31_columns_and_the_indicators_of_missing_values() -> None:
    train = split(load("rand-hie"), "train")
    assert train.inputs.shape[1] == 31 + 4  # educdec, ghindx, mdeoff, pioff
    assert train.inputs.isfinite().all()
    assert train.inputs.mean(0).abs().max() < 1e-4
    assert (train.inputs.std(0, unbiased=False) - 1).abs().max() < 1e-3


def test_targets_are_what_the_table_says() -> None:
    frame = rand_hie.read()
    targets = rand_hie.targets(frame)
    assert targets["any-mental"].mean() == pytest.approx((frame.mentdol > 0).mean(), abs=1e-6)
    assert targets["visits-physician"].sum() == frame.mdvis.sum()
    assert targets["log-drugs"].double().exp().sub(1).sum() == pytest.approx(frame.drugdol.sum(), rel=1e-4)


def test_raw_losses_lie_two_orders_of_magnitude_apart() -> None:
    losses = load("rand-hie").constant_losses()
    assert max(losses.values()) / min(losses.values()) > 100


def test_sites_are_domains_and_the_reference_is_the_largest() -> None:
    data = load("rand-hie-sites")
    sizes = {n: len(d.splits["train"]) for n, d in data.domains.items()}
    assert data.separate
    assert data.epoch_size == max(sizes.values()) == sizes["site-1"]
    assert sum(len(s) for d in data.domains.values() for s in d.splits.values()) == 20190


def test_the_hold_out_keeps_people_together_and_hides_validation_and_test() -> None:
    held = load("rand-hie").with_holdout(0.7)
    train, rest = split(held, "train"), split(held, "holdout")
    assert set(held.domains["all"].splits) == {"train", "holdout"}
    assert train.groups is not None
    assert rest.groups is not None
    assert not set(train.groups.tolist()) & set(rest.groups.tolist())
    assert len(train) + len(rest) == len(split(load("rand-hie"), "train"))


@pytest.mark.parametrize("damage", ["shape", "column", "nothing"])
def test_another_table_is_refused_by_name(damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rand_hie.read()
    read: Any = lambda path: frame.head(10) if damage == "shape" else frame.rename(columns={"mdvis": "visits"})  # noqa: E731
    if damage == "nothing":

        def read(path: Any) -> pd.DataFrame:
            raise FileNotFoundError(path)

    rand_hie.read.cache_clear()
    try:
        monkeypatch.setattr(pd, "read_csv", read)
        with pytest.raises(RequestError, match=r"randhie\.csv"):
            rand_hie.read()
    finally:
        monkeypatch.undo()
        rand_hie.read.cache_clear()
