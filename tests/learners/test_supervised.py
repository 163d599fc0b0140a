"""The supervised learner: exact resumption, a hand-written twin, domains mixed by rate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scalarize import methods
from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.learners.supervised import Learner, SupervisedLearner
from scalarize.tasks.kinds import binary, regression
from scalarize.tasks.samples import Batch, TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import derive
from scalarize.weights.policy import Policy
from scalarize.workloads.models.mlp import multi_head_mlp


def table(n: int, seed: int, shift: float = 0.0) -> TensorTable:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=g) + shift
    y = x @ torch.tensor([1.0, -1.0, 0.5, 0.0, 2.0])
    return TensorTable(x, {"sign": (y > shift).float(), "size": 3 * y + torch.randn(n, generator=g)})


def tasks_data() -> Data:
    splits = {"train": table(200, 0), "validation": table(80, 1), "test": table(80, 2)}
    return Data.multi_task([binary("sign"), regression("size")], Domain("all", splits))


def domains_data() -> Data:
    domains = [
        Domain(name, {"train": table(n, k, k), "validation": table(40, 10 + k, k)})
        for k, (name, n) in enumerate({"big": 120, "small": 30, "other": 60}.items())
    ]
    return Data.multi_domain(regression("size"), domains, reference="big")


RECIPE = Recipe(
    optimizer=OptimizerRecipe(lr=1e-2, weight_decay=0.1),
    schedule=ScheduleRecipe(name="cosine"),
    epochs=4,
    batch_size=32,
)


def learner(data: Data, recipe: Recipe = RECIPE, seed: int = 0, dropout: float = 0.2, **more: Any) -> SupervisedLearner:
    one_task = len(data.tasks) == 1
    settings, paths = {"widths": [16], "dropout": dropout}, data.names if one_task else None
    build = lambda: multi_head_mlp(5, {t.name: 1 for t in data.tasks}, settings, paths)  # noqa: E731
    return SupervisedLearner(data, build, recipe, seed, **more)


def flat(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


@pytest.mark.parametrize("name", [n for n in methods.names() if n not in ("policy", "fixed")])
@pytest.mark.parametrize("make", [tasks_data, domains_data])
def test_resumes_exactly(name: str, make: Any) -> None:
    if methods.get(name).same_samples and make is domains_data:
        with pytest.raises(RequestError, match="cannot weigh domains"):
            learner(make()).train(methods.create(name), 1)
        return
    straight = learner(make())
    straight.train(methods.create(name), 4)
    first = learner(make())
    first.train(methods.create(name), 2)
    state = first.state_dict()
    first.train(methods.create(name), 4)  # going on must not change the state that was handed out
    second = learner(make())
    second.load_state_dict(state)
    assert second.epoch == 2
    second.train(methods.create(name), 4)
    assert torch.equal(flat(second.model), flat(straight.model))
    assert second.evaluate("validation") == straight.evaluate("validation")


@pytest.mark.parametrize("name", [n for n in methods.names() if methods.get(n).has_view])
def test_a_state_with_views_is_measured_through_them(name: str) -> None:
    trained = learner(tasks_data())
    trained.train(methods.create(name), 2)
    state, seen = trained.state_dict(), trained.measure("validation")
    trained.train(trained._chosen, 3)  # type: ignore[arg-type]
    trained.load_state_dict(state)
    assert trained.measure("validation") == seen
    fresh = learner(tasks_data())
    fresh.load_state_dict(state)
    with pytest.raises(RequestError, match="call use"):
        fresh.measure("validation")
    fresh.use(methods.create(name))
    assert fresh.measure("validation") == seen
    fresh.balancer = None  # what the bare model would say
    assert fresh.measure("validation") != seen


def test_the_state_holds_tensors_and_plain_types_only(tmp_path: Any) -> None:
    a = learner(tasks_data())
    a.train(methods.create("uncertainty"), 1)
    torch.save(a.state_dict(), tmp_path / "s.pt")
    loaded = torch.load(tmp_path / "s.pt", weights_only=True)
    assert loaded["epoch"] == 1
    assert set(loaded) == {"epoch", "model", "position", "optimizer", "method", "scaler"}


def test_uniform_equals_a_hand_written_loop() -> None:
    data = tasks_data()
    ours = learner(data, dropout=0.2)
    ours.train(methods.create("uniform"), 2)

    torch.manual_seed(derive(0, "init"))
    model = multi_head_mlp(5, {"sign": 1, "size": 1}, {"widths": [16], "dropout": 0.2})
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=0.1, fused=True)
    train = data.domains["all"].splits["train"]
    order = torch.cat(
        [
            torch.randperm(
                200, generator=torch.Generator().manual_seed(derive(derive(0, "streams"), "order", "all", turn))
            )
            for turn in range(3)
        ]
    )
    step = 0
    for epoch in range(2):
        torch.manual_seed(derive(0, "epoch", epoch))
        for k in range(200 // 32):
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 * RECIPE.schedule.factor(epoch + k / 6, 4)
            batch = train.batch(order[32 * step : 32 * (step + 1)])
            out = model(batch.inputs)
            first = nn.functional.binary_cross_entropy_with_logits(out["sign"].flatten(), batch.targets["sign"])
            second = nn.functional.mse_loss(out["size"].flatten(), batch.targets["size"])
            optimizer.zero_grad()
            (0.5 * first + 0.5 * second).backward()
            optimizer.step()
            step += 1
    assert torch.allclose(flat(ours.model), flat(model), rtol=0, atol=1e-6)


def test_training_learns_both_kinds_of_task() -> None:
    trained = learner(tasks_data(), RECIPE.override({"epochs": 30}), dropout=0.0)
    before = trained.evaluate("validation")
    trained.train(methods.create("uniform"), 30)
    after = trained.evaluate("validation")
    assert after["sign"] > 0.95
    assert after["sign"] > before["sign"]
    assert after["size"] > 0.95


def test_a_policy_is_the_constant_method_while_its_weights_hold() -> None:
    by_method, by_policy = learner(tasks_data()), learner(tasks_data())
    by_method.train(methods.constant([0.3, 0.7]), 3)
    by_policy.train(Policy.constant({"size": 0.7, "sign": 0.3}, epochs=4), 3)
    assert torch.allclose(flat(by_method.model), flat(by_policy.model), rtol=0, atol=1e-6)


def test_a_change_of_policy_keeps_the_optimisers_memory() -> None:
    policy = Policy.from_schedule(["sign", "size"], [(0, [1, 1]), (2, [1, 9])], 4)
    whole, pieces = learner(tasks_data()), learner(tasks_data())
    whole.train(policy, 4)
    pieces.train(Policy.constant({"sign": 1, "size": 1}, 4), 2)
    pieces.train(Policy.constant({"sign": 1, "size": 9}, 4), 4)
    assert torch.equal(flat(whole.model), flat(pieces.model))


def test_a_clone_takes_the_state_but_neither_the_recipe_nor_the_random_stream() -> None:
    donor = learner(tasks_data(), seed=1)
    donor.train(methods.create("uniform"), 2)
    clone = learner(tasks_data(), RECIPE.override({"optimizer.weight_decay": 0.3}), seed=2)
    clone.load_state_dict(donor.state_dict())
    assert torch.equal(flat(clone.model), flat(donor.model))
    clone.train(methods.create("uniform"), 3)
    donor.train(methods.create("uniform"), 3)
    assert not torch.equal(flat(clone.model), flat(donor.model))
    assert clone.optimizer is not None
    assert clone.optimizer.param_groups[0]["weight_decay"] == 0.3


def test_weights_are_sampling_rates_over_domains() -> None:
    drawn: dict[str, int] = {}
    data = domains_data()

    def count(name: str) -> Any:
        def augment(batch: Batch, generator: torch.Generator) -> Batch:
            drawn[name] = drawn.get(name, 0) + len(batch)
            return batch

        return augment

    counted = [Domain(d.name, d.splits, count(d.name)) for d in data.domains.values()]
    data = Data.multi_domain(data.tasks[0], counted, reference="big")
    trained = learner(data, RECIPE.override({"epochs": 60}))
    trained.train(methods.constant([0.6, 0.3, 0.1]), 60)
    total = sum(drawn.values())
    assert total == 60 * (120 // 32) * 32  # as many samples as the reference domain holds, whatever the weights
    # shares of 5,760 draws: four standard errors are below 0.026
    assert abs(drawn["big"] / total - 0.6) < 0.026
    assert abs(drawn["other"] / total - 0.1) < 0.02


@pytest.mark.parametrize("mixing", ["sampling", "loss"])
def test_a_domain_of_weight_zero_teaches_nothing(mixing: str) -> None:
    data = domains_data()
    poisoned = TensorTable(torch.full((30, 5), 1e3), {"size": torch.full((30,), -1e6), "sign": torch.zeros(30)})
    domains = [Domain(d.name, d.splits) for d in data.domains.values()]
    domains[1] = Domain("small", {"train": poisoned, "validation": domains[1].splits["validation"]})
    data = Data.multi_domain(data.tasks[0], domains, reference="big")
    trained = learner(data, RECIPE.override({"mixing": mixing, "epochs": 60}), dropout=0.0)
    trained.train(methods.constant([0.7, 0.0, 0.3]), 60)
    assert trained.evaluate("validation")["big"] > 0.9


def test_rows_tell_losses_and_the_weights_where_they_change() -> None:
    rows: list[dict[str, Any]] = []
    trained = learner(tasks_data(), on_rows=rows.extend)
    trained.train(Policy.from_schedule(["sign", "size"], [(0, [1, 1]), (2, [1, 3])], 4), 4)
    weights = [(r["step"], r["task"], r["value"]) for r in rows if r["metric"] == "weight"]
    assert [w for w in weights if w[0] == 12] == [(12, "sign", 0.25), (12, "size", 0.75)]
    losses = [r for r in rows if r["metric"] == "loss"]
    assert len(losses) == 4 * 2
    assert all(r["split"] == "train" for r in rows)


def test_it_is_a_learner() -> None:
    assert isinstance(learner(tasks_data()), Learner)


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float64"])
def test_precisions_train(precision: Any) -> None:
    trained = learner(tasks_data(), precision=precision)
    trained.train(methods.create("pcgrad"), 2)
    assert flat(trained.model).isfinite().all()
    assert flat(trained.model).dtype == (torch.float64 if precision == "float64" else torch.float32)
    assert all(0 <= value <= 1 for value in trained.evaluate("validation").values())


def test_accumulation_takes_the_same_samples() -> None:
    once, twice = (
        learner(tasks_data(), dropout=0.0),
        learner(tasks_data(), RECIPE.override({"accumulate": 2}), dropout=0.0),
    )
    once.train(methods.create("uniform"), 1)
    twice.train(methods.create("uniform"), 1)
    assert torch.allclose(flat(once.model), flat(twice.model), atol=1e-4)
