"""Objects for other processes of this machine: equal on the other side, and large arrays in memory once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scalarize.runs.build import Loader, prepare
from scalarize.runs.request import WorkloadRequest
from scalarize.runs.workers import sharing
from scalarize.utils.workers import packing
from scalarize.workloads import datasets as anywhere  # a module of the package, for a function's home

LARGE = packing.LARGE // 4 + 5


def test_arrays_are_mapped_and_equal_in_values_and_layout(tmp_path: Path) -> None:
    grid = torch.arange(2.0 * LARGE).reshape(2, -1)
    content = {
        "row": torch.arange(LARGE),
        "turned": grid.T,
        "flags": torch.arange(4 * LARGE) % 3 == 0,
        "gap": grid[:, ::2],
        "small": torch.arange(3),
        "array": np.arange(LARGE, dtype=np.float32).reshape(-1, 1),
        "words": np.array(["a", "b"], dtype=object),
    }
    packed = packing.pack(content, tmp_path / "arrays").content
    assert len(packed) < 4 * LARGE * 3  # `gap`, which is no dense piece of memory, travels by value
    found = packing.unpack(packed)
    for name in ("row", "turned", "flags", "gap", "small"):
        assert torch.equal(found[name], content[name]), name
        assert found[name].stride() == content[name].stride(), name
    assert np.array_equal(found["array"], content["array"])
    assert found["words"].tolist() == ["a", "b"]


def test_a_reader_that_writes_changes_its_own_copy(tmp_path: Path) -> None:
    packed = packing.pack(torch.zeros(LARGE), tmp_path / "arrays").content
    packing.unpack(packed).add_(1.0)
    assert packing.unpack(packed).sum() == 0


def test_moved_tensors_keep_their_values_and_leave_their_memory(tmp_path: Path) -> None:
    tensor = torch.arange(float(LARGE))
    view = {"x": tensor}
    before = tensor.data_ptr()
    packed = packing.pack(view, tmp_path / "arrays")
    assert tensor.data_ptr() == before
    packed.move()
    assert tensor.data_ptr() != before
    assert torch.equal(tensor, torch.arange(float(LARGE)))


def made_inside(number: int) -> Any:
    held = torch.full((LARGE,), float(number))

    def inner(x: float, *, times: int = 2) -> float:
        return times * x + float(held[0]) + float(np.float64(number))

    return inner


def test_functions_made_inside_functions_travel(tmp_path: Path) -> None:
    inner = made_inside(5)
    inner.__module__ = anywhere.__name__  # whose names it would use there
    inner.__globals__["anywhere"] = anywhere
    vars(anywhere).setdefault("np", np)
    found = packing.unpack(packing.pack([inner], tmp_path / "arrays").content)[0]
    assert found(3.0, times=4) == inner(3.0, times=4) == 22.0
    assert found(1.0) == 12.0


READ = """
import sys
from pathlib import Path
import torch
from scalarize.runs.build import prepare
from scalarize.runs.request import WorkloadRequest
from scalarize.runs.workers import sharing
from scalarize.utils.workers import packing
import scalarize.workloads
loader = packing.unpack(Path(sys.argv[1]).read_bytes())
request = WorkloadRequest.model_validate_json(sys.argv[2])
import pandas
pandas.read_csv = None  # the table is not read again
data = prepare(request, loader).data
print(data.constant_losses())
"""


def test_the_data_of_a_table_reach_another_process_without_being_read_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = "".join(f"{x:.4f},{y:.4f},{int(x > y)},{x + y:.4f}\n" for x, y in rng.standard_normal((20_000, 2)))
    (tmp_path / "t.csv").write_text("x,y,a,b\n" + rows)
    request = WorkloadRequest(csv=str(tmp_path / "t.csv"), targets=("a", "b"))
    loader = Loader()
    data = prepare(request, loader).data
    table = loader.workload(request).table
    before = table.columns["x"].values.to_numpy()
    packed = sharing.pack(loader, [request], [], tmp_path / "shared")
    assert (tmp_path / "shared" / "arrays").stat().st_size > 20_000 * 4
    (tmp_path / "packed").write_bytes(packed)
    words = [sys.executable, "-c", READ, str(tmp_path / "packed"), request.model_dump_json()]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == str(data.constant_losses())
    assert str(data.constant_losses()) == ran.stdout.strip()
    after = table.columns["x"].values.to_numpy()
    assert np.array_equal(after, before)
    assert not np.shares_memory(after, before)
