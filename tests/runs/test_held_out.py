"""A training on a share of the training set: scored on the very rest on which members of a search are, never tested."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scalarize.runs.build import Loader, prepare
from scalarize.runs.holdout import HoldoutFactory
from scalarize.runs.request import WorkloadRequest, train_request
from scalarize.runs.train import train
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data

PROBLEM = WorkloadRequest(workload="rand-hie-sites", settings={"batch_size": 2048}, epochs=1)


def inputs(data: Data, domain: str, split: str) -> torch.Tensor:
    source = data.domains[domain].splits[split]
    assert isinstance(source, TensorTable)
    return source.inputs


def test_the_rest_is_that_of_a_search_and_the_validation_split() -> None:
    loader = Loader()
    parted = prepare(train_request(PROBLEM, method="uniform", split=0.7), loader).data
    member = HoldoutFactory(PROBLEM, 0.7, loader=loader).prepared.data
    for name in parted.names:
        assert set(parted.domains[name].splits) == {"train", "validation"}
        assert torch.equal(inputs(parted, name, "validation"), inputs(member, name, "holdout"))
        assert torch.equal(inputs(parted, name, "train"), inputs(member, name, "train"))
    alone = prepare(train_request(PROBLEM, method="uniform", split=0.7, single="site-2"), loader).data
    assert alone.names == ["site-2"]  # the same rest, though a single domain would be divided otherwise
    assert torch.equal(inputs(alone, "site-2", "validation"), inputs(parted, "site-2", "validation"))


def test_it_is_never_tested(tmp_path: Path) -> None:
    result = train(train_request(PROBLEM, method="uniform", split=0.7), tmp_path / "r", "c")
    assert result["test"] == {}
    assert set(result["validation"]) == {*(f"site-{k}" for k in range(1, 7)), "average"}


def test_requests_of_before_keep_their_digest() -> None:
    assert "split" not in train_request(PROBLEM, method="uniform").model_dump(mode="json")
    with pytest.raises(ValueError, match="split"):
        train_request(PROBLEM, method="uniform", split=1.0)
