"""Sets that stay on disk: what is read ahead never changes what is trained on, whatever the number of workers."""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from scalarize import methods
from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.learners.supervised import SupervisedLearner
from scalarize.tasks.kinds import regression
from scalarize.tasks.sampler import Reader, Streams
from scalarize.tasks.samples import Batch, Source, TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets.streamed import Streamed
from scalarize.workloads.models.mlp import multi_head_mlp

RECIPE = Recipe(optimizer=OptimizerRecipe(lr=1e-2), epochs=3, batch_size=20)
SIZES = {"big": 90, "small": 13}


@dataclasses.dataclass(frozen=True)
class Decode:
    """Sample ``position`` of a set that could be anywhere; ``log`` is told of every one that is read."""

    seed: int
    log: Path | None = None
    broken: int = -1

    def __call__(self, position: int) -> tuple[Tensor, dict[str, Tensor]]:
        if position == self.broken:
            raise RequestError(f"sample-{position}.png: no such file")
        if self.log is not None:
            with open(self.log, "a") as handle:
                handle.write(f"{position}\n")
        g = torch.Generator().manual_seed(1000 * self.seed + position)
        x = torch.randn(5, generator=g)
        return x, {"size": x.sum() + 0.1 * torch.randn((), generator=g)}


def noisy(batch: Batch, generator: torch.Generator) -> Batch:
    return dataclasses.replace(batch, inputs=batch.inputs + 0.1 * torch.randn(batch.inputs.shape, generator=generator))


def data(workers: int | None, **decode: Any) -> Data:
    """Two domains on disk, read by ``workers``; in memory for None."""
    domains = []
    for k, (name, n) in enumerate(SIZES.items()):
        source: Source = Streamed(Decode(k, **decode), torch.arange(n), workers or 0)
        if workers is None:
            whole = source.batch(torch.arange(n))
            source = TensorTable(whole.inputs, whole.targets)
        domains.append(Domain(name, {"train": source, "validation": source}, noisy))
    return Data.multi_domain(regression("size"), domains, reference="big")


def learner(held: Data, recipe: Recipe = RECIPE) -> SupervisedLearner:
    settings = {"widths": [8], "dropout": 0.1}
    return SupervisedLearner(held, lambda: multi_head_mlp(5, {"size": 1}, settings, held.names), recipe, seed=3)


def flat(trained: SupervisedLearner) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in trained.model.parameters()])


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three workers start even where there is one core."""
    monkeypatch.setattr("scalarize.workloads.datasets.streamed._cores", lambda: 3)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(3)), raising=False)


@pytest.mark.parametrize(
    ("method", "workers"),
    [("uniform", 0), ("pcgrad", 0), ("rlw", 0), ("rlw", 1), pytest.param("rlw", 3, marks=pytest.mark.slow)],
)
def test_any_number_of_workers_trains_as_data_in_memory_does(method: str, workers: int) -> None:
    """With fixed rates, equal shares, and rates that are drawn at each step."""
    streamed, expected = learner(data(workers)), learner(data(None))
    for one in (streamed, expected):
        one.train(methods.create(method), 2)
    assert torch.equal(flat(streamed), flat(expected))
    assert streamed.streams.position == expected.streams.position
    assert streamed.evaluate("validation") == pytest.approx(expected.evaluate("validation"), abs=1e-12)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_streamed_training_resumes_exactly_with_other_workers(accumulate: int) -> None:
    recipe = RECIPE.override({"accumulate": accumulate})
    straight = learner(data(0), recipe)
    straight.train(methods.create("rlw"), 3)
    first = learner(data(1), recipe)
    first.train(methods.create("rlw"), 1)
    second = learner(data(0), recipe)
    second.load_state_dict(first.state_dict())
    second.train(methods.create("rlw"), 3)
    assert torch.equal(flat(second), flat(straight))


def test_a_state_loaded_in_the_middle_of_a_chunk_goes_on_from_its_own_position() -> None:
    held = data(0)
    sources = {name: d.splits["train"] for name, d in held.domains.items()}
    streams = Streams(SIZES, seed=1)
    reader = Reader(sources, streams, chunk=4)
    taken = [reader.take("small", n).inputs for n in (3, 6, 1)]
    reader.close()
    taken.append(reader.take("small", 7).inputs)
    assert streams.position == {"big": 0, "small": 17}
    order = Streams(SIZES, seed=1).take("small", 17)
    assert torch.equal(torch.cat(taken), sources["small"].batch(order).inputs)


def test_samples_are_read_ahead_and_only_of_domains_that_are_drawn(tmp_path: Path) -> None:
    held = data(2, log=tmp_path / "read")
    trained = learner(held)
    for _ in range(2):
        trained.reader.take("big", 10)
    trained.reader.close()
    read = len((tmp_path / "read").read_text().splitlines())
    assert read >= 30  # chunks of 10, two of them wanted
    assert trained.streams.position == {"big": 20, "small": 0}
    assert "small" not in trained.reader._ahead


def test_a_broken_sample_is_named_in_training_and_its_workers_end() -> None:
    trained = learner(data(2, broken=7))
    with pytest.raises(RequestError, match=r"^sample-7\.png: no such file$"):
        trained.train(methods.create("uniform"), 3)
    assert not multiprocessing.active_children()
