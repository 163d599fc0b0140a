"""Samples that have labels of some tasks only: each task is learned from, and measured on, its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scalarize import methods
from scalarize.learners.forward import forward
from scalarize.learners.probes import Conflicts, SummedGradient
from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.learners.supervised import SupervisedLearner
from scalarize.tasks.kinds import binary, multiclass, regression
from scalarize.tasks.samples import Batch, Source, TensorTable
from scalarize.tasks.task import Data, Domain, Objective
from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import derive
from scalarize.workloads.models.mlp import multi_head_mlp

TASKS = [binary("sign"), regression("size"), multiclass("kind", 3)]
HEADS = {"sign": 1, "size": 1, "kind": 3}
RECIPE = Recipe(optimizer=OptimizerRecipe(name="sgd", lr=1e-2, momentum=0.0), epochs=2, batch_size=12)


def table(
    n: int, seed: int, share: float = 0.3, poison: float = 0.0, tasks: tuple[str, ...] = tuple(HEADS)
) -> TensorTable:
    """``share`` of the targets of each of ``tasks`` are there; those that are not are ``poison``."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=g)
    y = x @ torch.tensor([1.0, -1.0, 0.5, 0.0, 2.0])
    targets = {"sign": (y > 0).float(), "size": y, "kind": torch.randint(0, 3, (n,), generator=g)}
    masks = {task: torch.rand(n, generator=g) < share for task in tasks}
    wrong = {
        "sign": torch.full((n,), poison),
        "size": torch.full((n,), poison),
        "kind": torch.zeros(n, dtype=torch.long),
    }
    return TensorTable(
        x, {k: torch.where(masks[k], v, wrong[k]) if k in masks else v for k, v in targets.items()}, None, masks
    )


def data(train: Source, validation: Source | None = None) -> Data:
    return Data.multi_task(TASKS, Domain("all", {"train": train, "validation": validation or table(60, 9)}))


def learner(held: Data, recipe: Recipe = RECIPE, dropout: float = 0.0, **more: Any) -> SupervisedLearner:
    heads = {t.name: t.outputs for t in held.tasks}
    settings, paths = {"widths": [32], "dropout": dropout}, held.names if len(heads) == 1 else None
    return SupervisedLearner(held, lambda: multi_head_mlp(5, heads, settings, paths), recipe, 0, **more)


def flat(trained: SupervisedLearner) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in trained.model.parameters()])


def by_rows(model: Any, held: Data, parts: dict[str, Batch]) -> dict[str, Tensor]:
    """The slow twin: one sample at a time."""
    found = {}
    for o in held.objectives:
        batch = parts[o.domain]
        mask = (batch.labelled or {}).get(o.task.name, torch.ones(len(batch), dtype=torch.bool))
        own = []
        for k in range(len(batch)):
            if mask[k]:
                prediction = model(batch.inputs[k : k + 1])[o.task.name]
                own.append(o.task.loss(prediction, batch.targets[o.task.name][k : k + 1]))
        if own:
            found[o.name] = torch.stack(own).mean()
    return found


@pytest.mark.parametrize("seed", range(12))
def test_losses_and_gradients_are_those_of_a_loop_over_labelled_samples(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    share = float(torch.rand((), generator=g)) * 0.6
    tasks = tuple(name for name in HEADS if torch.rand((), generator=g) < 0.8)
    domains = {f"d{k}": table(40, 10 * seed + k, share, 1e4, tasks if k else tuple(HEADS)) for k in range(1 + seed % 3)}
    objectives = tuple(Objective(f"{t.name}-{d}", t, d) for d in domains for t in TASKS)
    held = Data(objectives, {name: Domain(name, {"train": t}) for name, t in domains.items()}, 40)
    model = multi_head_mlp(5, HEADS, {"widths": [8], "dropout": 0.0}).double()
    parts = {
        name: t.batch(torch.randint(0, 40, (1 + seed % 5,), generator=g)).to_float64() for name, t in domains.items()
    }
    ours, twin = forward(model, held.objectives, parts).losses, by_rows(model, held, parts)
    assert list(ours) == list(twin)
    for name, loss in twin.items():
        torch.testing.assert_close(ours[name], loss, rtol=1e-12, atol=1e-12)
        pairs = [
            torch.autograd.grad(
                x, list(model.parameters()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for x in (ours[name], loss)
        ]
        for a, b in zip(*pairs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("options", [{}, {"accumulate": 3}, {"accumulate": 3, "accumulation": "micro"}])
@pytest.mark.parametrize("name", [n for n in methods.names() if n not in ("policy", "fixed")])
def test_what_stands_in_the_place_of_a_missing_label_has_no_effect(name: str, options: dict[str, Any]) -> None:
    recipe = RECIPE.override(options)
    if options and methods.get(name).has_view:
        recipe = recipe.override({"accumulation": "micro"})
    ends = []
    for poison in (0.0, 1e6):
        trained = learner(data(table(60, 1, 0.15, poison)), recipe, dropout=0.1)
        trained.train(methods.create(name), 2)
        ends.append(flat(trained))
    assert ends[0].isfinite().all()
    assert torch.equal(*ends)


@pytest.mark.parametrize("name", ["modo", "rlw", "dwa", "mgda", "uncertainty"])
def test_resumes_exactly(name: str) -> None:
    whole, first, second = (learner(data(table(60, 1, 0.15))) for _ in range(3))
    whole.train(methods.create(name), 2)
    first.train(methods.create(name), 1)
    second.load_state_dict(first.state_dict())
    second.train(methods.create(name), 2)
    assert torch.equal(flat(whole), flat(second))


@pytest.mark.parametrize("name", ["uniform", "uncertainty", "pcgrad", "mgda"])
@pytest.mark.parametrize("accumulate", [2, 4, 12])
def test_micro_batches_make_the_step_of_the_whole_batch(name: str, accumulate: int) -> None:
    once, parts = (
        learner(data(table(60, 3, 0.2)), RECIPE.override({"accumulate": n}), precision="float64")
        for n in (1, accumulate)
    )
    for trained in (once, parts):
        trained.train(methods.create(name), 1)
    torch.testing.assert_close(flat(once), flat(parts), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["pcgrad", "uniform"])
def test_a_training_is_that_of_a_loop_by_hand(name: str) -> None:
    """The learner's losses, step by step, from the loop over rows; the Balancer is the same."""
    held = data(table(60, 3, 0.1))
    trained, twin = learner(held, precision="float64"), learner(held, precision="float64")
    trained.train(methods.create(name), 1)
    twin.use(methods.create(name))
    assert twin.balancer is not None
    assert twin.optimizer is not None
    rows = held.rows("all", "train")
    assert rows is not None
    assert trained.steps_per_epoch == len(rows) // 12
    twin.balancer.epoch = 0
    twin.balancer.reseed(derive(0, "method", 0))
    for _ in range(trained.steps_per_epoch):
        batch = held.domains["all"].splits["train"].batch(rows[twin.streams.take("all", 12)]).to_float64()
        twin.optimizer.zero_grad()
        twin.balancer.backward(by_rows(twin.model, held, {"all": batch}))
        twin.optimizer.step()
    torch.testing.assert_close(flat(trained), flat(twin), rtol=1e-11, atol=1e-11)


def test_samples_without_any_label_are_never_drawn_and_no_part_of_an_epoch() -> None:
    whole = table(200, 0, 0.2)
    held = data(whole)
    some = torch.stack(list((whole.labelled or {}).values())).any(0)
    assert 60 < int(some.sum()) < 140
    assert held.epoch_size == int(some.sum())
    trained = learner(held)
    seen = trained.reader.take("all", held.epoch_size)
    assert sorted(seen.inputs[:, 0].tolist()) == sorted(whole.inputs[some, 0].tolist())


def test_fewer_tasks_keep_the_samples_that_have_labels_of_them_and_the_length_of_an_epoch() -> None:
    whole = table(200, 0, 0.3, tasks=("sign", "size"))
    held = data(whole)
    assert held.epoch_size == 200
    masks = whole.labelled or {}
    for names, kept in ((["size"], masks["size"]), (["sign", "size"], masks["sign"] | masks["size"])):
        less = held.restrict(names)
        assert less.epoch_size == 200
        assert torch.equal(
            less.domains["all"].splits["train"].batch(torch.arange(int(kept.sum()))).inputs, whole.inputs[kept]
        )
        assert learner(less).steps_per_epoch == learner(held).steps_per_epoch
    assert held.restrict(["kind"]).domains["all"].splits["train"] is whole


def test_a_holdout_keeps_what_is_labelled() -> None:
    held = data(table(200, 0, 0.3)).with_holdout(0.7, seed=1)
    for split in ("train", "holdout"):
        source: Any = held.domains["all"].splits[split]
        assert {len(mask) for mask in source.labelled.values()} == {len(source)}
    trained = learner(held)
    trained.train(methods.create("pcgrad"), 1)
    assert set(trained.measure("holdout")) == set(HEADS)


def test_a_task_is_measured_on_its_labelled_samples() -> None:
    validation = table(300, 5, 0.1, 1e5)
    held = data(table(60, 1), validation)
    trained = learner(held, RECIPE.override({"batch_size": 2}))  # many batches lack a task
    seen = trained.measure("validation")
    for o in held.objectives:
        rows = (validation.labelled or {})[o.name]
        target = validation.targets[o.name][rows]
        with torch.no_grad():
            prediction = trained.model(validation.inputs[rows])[o.name]
        meter = o.task.metric()
        meter.update(prediction, target)
        assert seen[o.name]["metric"] == pytest.approx(meter.compute(), abs=1e-6)
        assert seen[o.name]["loss"] == pytest.approx(float(o.task.loss(prediction, target)), rel=1e-5)


def test_a_split_without_a_label_is_refused_by_name_where_it_is_measured() -> None:
    validation = table(30, 5)
    none = replace(validation, labelled={**(validation.labelled or {}), "size": torch.zeros(30, dtype=torch.bool)})
    held = data(table(60, 1), none)
    with pytest.raises(RequestError, match="no sample of the validation split of 'all' has a label of 'size'"):
        learner(held).measure("validation")
    with pytest.raises(RequestError, match="no sample of the validation split of 'all' has a label of 'size'"):
        held.constant_losses("validation")


def test_constant_predictors_see_labelled_samples_only() -> None:
    poisoned, rows = table(200, 2, 0.3, 1e5), (table(200, 2, 0.3).labelled or {})
    found = data(poisoned).constant_losses()
    for task in TASKS:
        assert task.constant_loss is not None
        assert found[task.name] == task.constant_loss(poisoned.targets[task.name][rows[task.name]])


def test_records_tell_a_weight_once_though_batches_lack_tasks() -> None:
    rows: list[dict[str, Any]] = []
    trained = learner(data(table(200, 1, 0.1)), RECIPE.override({"batch_size": 4}), on_rows=rows.extend)
    trained.train(methods.create("uniform"), 2)
    weights = [r for r in rows if r["metric"] == "weight"]
    assert {r["task"] for r in weights} == set(HEADS)
    assert len(weights) < 2 * 3 * 3  # not one a step
    losses = [r for r in rows if r["metric"] == "loss"]
    assert len(losses) == 2 * 3


def test_probes_see_the_tasks_of_a_batch() -> None:
    rows: list[dict[str, Any]] = []
    trained = learner(data(table(200, 1, 0.1)), RECIPE.override({"batch_size": 4}), on_rows=rows.extend)
    trained.probes += [Conflicts(list(HEADS)), SummedGradient(every=1)]
    trained.train(methods.create("uniform"), 1)
    assert sum(r["metric"] == "conflict" for r in rows) == 3
    assert [r["value"] > 0 for r in rows if r["metric"] == "gradient-norm"] == [True]


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float64"])
@pytest.mark.parametrize("level", ["parameters", "representation"])
def test_precisions_and_levels_train(precision: Any, level: str) -> None:
    trained = learner(data(table(60, 1, 0.15)), RECIPE.override({"level": level}), precision=precision)
    trained.train(methods.create("pcgrad"), 2)
    assert flat(trained).isfinite().all()


@pytest.mark.parametrize("name", ["uniform", "rlw", "pcgrad"])
def test_domains_are_drawn_from_their_labelled_samples(name: str) -> None:
    """Weights as sampling rates (uniform, rlw) or on gradients: poison in samples without a label is never seen."""
    ends = []
    for poison in (0.0, float("nan")):
        domains = []
        for k in range(3):
            t = table(60, k, 0.3, tasks=("size",))
            blank = ~(t.labelled or {})["size"]
            inputs = torch.where(blank[:, None], torch.full_like(t.inputs, poison), t.inputs)
            domains.append(Domain(f"d{k}", {"train": replace(t, inputs=inputs)}))
        trained = learner(Data.multi_domain(regression("size"), domains, reference="d0"))
        trained.train(methods.create(name), 2)
        ends.append(flat(trained))
    assert ends[0].isfinite().all()
    assert torch.equal(*ends)


class Foreign:
    """A source of someone else's that says only in its batches what is labelled."""

    groups = None

    def __init__(self, held: TensorTable) -> None:
        self.held = held

    def __len__(self) -> int:
        return len(self.held)

    def batch(self, indices: Tensor) -> Batch:
        return self.held.batch(indices)

    def select(self, indices: Tensor) -> Foreign:
        return Foreign(self.held.select(indices))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_batches_without_any_label_make_no_step(accumulate: int) -> None:
    held = data(Foreign(table(60, 1, 0.05)))
    assert held.epoch_size == 60
    seen: list[dict[str, Any]] = []
    recipe = RECIPE.override({"batch_size": 2, "accumulate": accumulate})
    trained = learner(held, recipe, on_rows=seen.extend)
    trained.train(methods.create("pcgrad"), 2)
    assert trained.balancer is not None
    assert 0 < trained.balancer.step < 60
    assert flat(trained).isfinite().all()


def test_streams_in_chunks_keep_what_is_labelled() -> None:
    class Ahead(Foreign):
        def stream(self, index_batches: Any) -> Any:
            return (self.held.batch(indices) for indices in index_batches)

    ends = []
    for source in (Foreign(table(60, 1, 0.3)), Ahead(table(60, 1, 0.3))):
        trained = learner(data(source), RECIPE.override({"batch_size": 10, "accumulate": 4}))
        trained.train(methods.create("pcgrad"), 2)
        ends.append(flat(trained))
    assert torch.equal(*ends)


def test_concatenation_and_selection_keep_what_is_labelled() -> None:
    one, two = table(4, 0, 0.5, tasks=("sign",)), table(3, 1, 0.5, tasks=("size",))
    both = TensorTable.concat([one, two])
    assert both.labelled is not None
    assert both.labelled["sign"].tolist() == [*(one.labelled or {})["sign"].tolist(), True, True, True]
    assert both.labelled["size"].tolist() == [True] * 4 + (two.labelled or {})["size"].tolist()
    order = torch.tensor([6, 0, 2])
    assert (both.select(order).labelled or {})["sign"].tolist() == both.labelled["sign"][order].tolist()
    parts = Batch.concat([both.batch(torch.arange(5)), both.batch(torch.arange(5, 7))])
    assert torch.equal((parts.labelled or {})["size"], both.labelled["size"])
    assert (parts.to_float64().labelled or {}).keys() == both.labelled.keys()
    plain = TensorTable(one.inputs, one.targets)
    assert plain.batch(order[1:]).labelled is TensorTable.concat([plain, plain]).labelled is None


def test_masks_of_the_wrong_kind_are_refused() -> None:
    x, y = torch.zeros(3, 1), {"a": torch.zeros(3)}
    with pytest.raises(RequestError, match="bool of shape"):
        TensorTable(x, y, labelled={"a": torch.tensor([0, 1, 1])})
    with pytest.raises(RequestError, match="bool of shape"):
        TensorTable(x, y, labelled={"a": torch.ones(2, dtype=torch.bool)})
    with pytest.raises(RequestError, match="'b'"):
        TensorTable(x, y, labelled={"b": torch.ones(3, dtype=torch.bool)})


def test_an_augmentation_that_loses_what_is_labelled_is_refused() -> None:
    held = data(table(60, 1))
    domain = replace(held.domains["all"], augment=lambda batch, generator: Batch(batch.inputs, batch.targets))
    with pytest.raises(RequestError, match=r"augment of 'all' loses what is labelled"):
        learner(replace(held, domains={"all": domain})).train(methods.create("uniform"), 1)


def test_masks_stay_on_the_cpu() -> None:
    batch = table(4, 0).batch(torch.arange(4)).to(torch.device("meta"))
    assert batch.inputs.device.type == "meta"
    assert {mask.device.type for mask in (batch.labelled or {}).values()} == {"cpu"}


def test_batch_norm_is_given_every_sample() -> None:
    """Samples without a label of one task still have one of another: the encoder sees them all."""
    seen: list[int] = []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return x

    trained = learner(data(table(60, 1, 0.4)))
    trained.model.encoder = nn.Sequential(Watched(), trained.model.encoder)
    trained.train(methods.create("uniform"), 1)
    assert set(seen) == {12}
