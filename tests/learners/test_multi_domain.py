"""Several domains in one batch: equal shares, one forward pass, one batch norm; epochs counted on the reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scalarize import methods
from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.learners.supervised import SupervisedLearner
from scalarize.methods import Method
from scalarize.tasks.kinds import regression
from scalarize.tasks.samples import Batch, TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.weights.policy import Policy
from scalarize.workloads.models.multihead import SharedHead

SIZES = {"reference": 90, "small": 7, "large": 400}
RECIPE = Recipe(optimizer=OptimizerRecipe(name="sgd", lr=1e-3, momentum=0.0), epochs=2, batch_size=24)


class Watched(nn.Module):
    """A batch norm without momentum, so that it holds the last batch's mean; remembers every batch it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1, momentum=1.0)
        self.seen: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(inputs)
        normed: Tensor = self.norm(inputs)
        return normed


def data() -> Data:
    """Domain number k holds the input 10 k and the target 100 k, and nothing else."""
    domains = []
    for k, (name, n) in enumerate(SIZES.items()):
        table = TensorTable(torch.full((n, 1), 10.0 * k), {"t": torch.full((n,), 100.0 * k)})
        domains.append(Domain(name, {"train": table, "validation": table}))
    return Data.multi_domain(regression("t"), domains, reference="reference")


def learner(held: Data, recipe: Recipe = RECIPE) -> tuple[SupervisedLearner, Watched]:
    body = Watched()
    trained = SupervisedLearner(held, lambda: SharedHead(body, {"t": nn.Linear(1, 1)}), recipe, seed=0)
    return trained, body


@pytest.mark.parametrize("name", ["pcgrad", "uncertainty"])  # needs gradients; needs losses
def test_a_method_that_needs_losses_sees_equal_shares_in_one_forward_pass(name: str) -> None:
    trained, body = learner(data())
    trained.train(methods.create(name), 1)
    assert len(body.seen) == trained.steps_per_epoch == 90 // 24
    for batch in body.seen:
        assert torch.bincount((batch[:, 0] / 10).round().long()).tolist() == [8, 8, 8]


def test_batch_norm_sees_the_mixed_batch() -> None:
    trained, body = learner(data())
    trained.train(methods.create("pcgrad"), 1)
    last = body.seen[-1][:, 0]
    assert body.norm.running_mean is not None
    assert body.norm.running_var is not None
    torch.testing.assert_close(body.norm.running_mean[0], last.mean())
    torch.testing.assert_close(body.norm.running_var[0], last.var())
    assert last.var() > 50


@pytest.mark.parametrize("counts", [{"reference": 8, "small": 8, "large": 8}, {"large": 20, "reference": 1}])
def test_a_domains_loss_is_the_mean_over_its_own_samples(counts: dict[str, int]) -> None:
    trained, body = learner(data())
    trained.use(methods.create("uniform"))
    assert trained.gradient is not None
    drawn = {name: trained.drawing.reader.take(name, count) for name, count in counts.items()}
    losses, _ = trained.gradient.losses(drawn, torch.Generator())
    assert set(losses) == set(counts)
    predictions = trained.model.heads[0](trained.model.encoder.norm(body.seen[0]))[:, 0]
    which = (body.seen[0][:, 0] / 10).round().long()
    for name, loss in losses.items():
        k = list(SIZES).index(name)
        expected = (predictions[which == k] - 100.0 * k).square()
        assert len(expected) == counts[name]
        torch.testing.assert_close(loss, expected.mean())


SOURCES: dict[str, Policy | Method] = {
    "uniform": methods.create("uniform"),
    "one domain only": Policy.constant({"reference": 0, "small": 1, "large": 0}, 2),
    "drawn": methods.create("rlw"),
    "gradients": methods.create("mgda"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_no_weights_change_the_number_of_steps_and_samples(source: str) -> None:
    trained, body = learner(data())
    trained.train(SOURCES[source], 2)
    assert [len(batch) for batch in body.seen] == [24] * (2 * (90 // 24))


@pytest.mark.parametrize("name", SIZES)
def test_a_single_domain_is_trained_for_as_many_steps(name: str) -> None:
    trained, body = learner(data().restrict([name]))
    trained.train(methods.create("uniform"), 2)
    assert [len(batch) for batch in body.seen] == [24] * (2 * (90 // 24))
    assert all((batch == 10.0 * list(SIZES).index(name)).all() for batch in body.seen)


def test_a_holdout_shortens_every_training_alike() -> None:
    held = data().with_holdout(0.7)
    assert held.epoch_size == 63
    for part in (held, held.restrict(["small"]), held.restrict(["large"])):
        trained, body = learner(part)
        trained.train(methods.create("uniform"), 1)
        assert len(body.seen) == 63 // 24


def test_single_runs_of_the_command_line_have_the_steps_of_joint_ones(command: Any, tmp_path: Path) -> None:
    steps = set()
    ways = {"joint": (), "single": ("--single", "site-6"), "restricted": ("--tasks", "site-2,site-5")}
    for out, words in ways.items():
        assert command("train", "rand-hie-sites", "--epochs", 1, *words, "--out", out).status == 0
        rows = [json.loads(line) for line in (tmp_path / out / "records.jsonl").read_text().splitlines()]
        steps.add(max(row["step"] for row in rows))
    assert len(steps) == 1


def test_a_batch_keeps_its_samples_together() -> None:
    """What shares of a batch rely on: concatenation keeps the order of domains and of targets."""
    one, two = (Batch(torch.full((n, 1), v), {"t": torch.full((n,), v)}) for n, v in ((2, 1.0), (3, 2.0)))
    both = Batch.concat([one, two])
    assert both.inputs[:, 0].tolist() == both.targets["t"].tolist() == [1, 1, 2, 2, 2]
