"""Rows that weigh domains by their numbers of samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scalarize.runs import sampling_rows
from scalarize.runs.compare import CompareRequest
from scalarize.tasks.kinds import regression
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils import documents
from scalarize.utils.errors import RequestError


def domain(name: str, rows: int, labelled: int) -> Domain:
    present = torch.arange(rows) < labelled
    table = TensorTable(torch.zeros(rows, 2), {"y": torch.zeros(rows)}, labelled={"y": present})
    return Domain(name, {"train": table})


def test_samples_are_counted_with_their_labels() -> None:
    data = Data.multi_domain(regression("y"), [domain("a", 90, 81), domain("b", 20, 9)], reference="a")
    assert sampling_rows.samples(data) == {"a": 81, "b": 9}
    weights = sampling_rows.tempered_policy(sampling_rows.samples(data), 2.0).weights_at(0)
    assert weights.tolist() == pytest.approx([0.75, 0.25])


def test_a_high_temperature_is_nearly_uniform_and_one_is_proportional() -> None:
    counts = {"a": 1e12, "b": 1.0}
    assert sampling_rows.tempered_policy(counts, 1.0).weights_at(0)[1] == pytest.approx(1e-12)
    assert np.allclose(sampling_rows.tempered_policy(counts, 1e6).weights_at(0), 0.5, atol=1e-4)


@pytest.mark.parametrize("row", ["proportional", "temperature-2", "temperature-5", "temperature-2.5"])
def test_tasks_on_the_same_samples_have_no_temperature(row: str) -> None:
    table = TensorTable(torch.zeros(4, 2), {"y": torch.zeros(4), "z": torch.zeros(4)})
    data = Data.multi_task([regression("y"), regression("z")], Domain("all", {"train": table}))
    with pytest.raises(RequestError, match="tasks on the same samples"):
        sampling_rows.check([row], data)


def test_compare_trains_with_them(command: Any, tmp_path: Path) -> None:
    words = ["rand-hie-sites", "--methods", "proportional,temperature-5", "--seeds", "1", "--epochs", "1"]
    assert command("compare", *words, "--tasks", "site-1,site-2", "--out", "c", "--json").status == 0
    used = {}
    for row in ("proportional", "temperature-5"):
        config = documents.from_yaml((tmp_path / f"c/runs/{row}-seed0/config.yaml").read_text(), "config")
        used[row] = config["request"]["policy"]["segments"][0]["weights"]
    (a, b), (c, d) = used.values()
    assert a / b == pytest.approx((c / d) ** 5)
    assert a > 1.1 * b


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("proportional", "tasks on the same samples"),
        ("temperature-0", "must be above 0"),
        ("temperature-x", "unknown method"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(command: Any, tmp_path: Path, row: str, message: str) -> None:
    answer = command("compare", "rand-hie", "--methods", row, "--epochs", "1", "--out", "c", "--json")
    assert answer.status == 2
    assert message in answer.json["error"]
    assert not (tmp_path / "c").exists()


def test_a_field_that_came_later_leaves_a_request_as_it_was() -> None:
    content = CompareRequest(workload="rand-hie", rows=("uniform",)).model_dump(mode="json")
    assert not set(CompareRequest.LATER) & set(content)
