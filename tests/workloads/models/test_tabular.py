"""The default model of a table: shapes, members, whitening, and gradients as a balancer needs them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

import scalarize
from scalarize.tasks.kinds import binary, multiclass, regression
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.workloads.models.tabular import LINKS, SETTINGS, MemberHeads, build, draw_in, skeleton
from scalarize.workloads.models.tabular_whitening import COLUMNS, Whitening, shrink

SMALL = {"members": 3, "width": 16, "depth": 1, "dropout": 0.0, "category_width": 4}
LINKED = {"price": "identity", "sold": "sigmoid", "kind": "softmax"}


def prepared(rows: int = 60, numbers: int = 3, categories: tuple[int, ...] = (4, 2)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(rows, numbers, generator=generator)
    codes = [torch.randint(0, k, (rows, 1), generator=generator).float() for k in categories]
    return torch.cat([values, *codes], dim=1)


def data(inputs: torch.Tensor, numbers: int, categories: tuple[int, ...]) -> Data:
    rows = len(inputs)
    targets = {"price": inputs.sum(1), "sold": torch.arange(rows) % 2 * 1.0, "kind": torch.arange(rows) % 3}
    tasks = [regression("price"), binary("sold"), multiclass("kind", 3)]
    info = {"numbers": numbers, "categories": list(categories), "links": LINKED}
    return Data.multi_task(tasks, Domain("table", {"train": TensorTable(inputs, targets)}), **info)


@pytest.mark.parametrize(("numbers", "categories"), [(3, (4, 2)), (3, ()), (0, (4, 2)), (1, ()), (0, (2,))])
def test_predictions_are_by_member_in_training_and_averaged_otherwise(
    numbers: int, categories: tuple[int, ...]
) -> None:
    inputs = prepared(20, numbers, categories)
    model = build(SMALL, data(inputs, numbers, categories))
    representation = model.encode(inputs)
    assert representation.shape == (20, 3, 16)
    assert {t: p.shape for t, p in model(inputs).items()} == {
        "price": (20, 3, 1),
        "sold": (20, 3, 1),
        "kind": (20, 3, 3),
    }
    model.eval()
    assert [p.shape for p in model(inputs).values()] == [(20, 1), (20, 1), (20, 3)]
    assert model(inputs[:1])["kind"].shape == (1, 3)


def test_members_differ_and_are_averaged_on_their_own_scale() -> None:
    inputs = prepared()
    model = build(SMALL, data(inputs, 3, (4, 2)))
    each = {t: p.detach() for t, p in model(inputs).items()}
    assert float(each["price"].std(1).mean()) > 0.01
    model.eval()
    mean = {t: p.detach() for t, p in model(inputs).items()}
    torch.testing.assert_close(mean["price"], each["price"].mean(1))
    torch.testing.assert_close(mean["sold"].sigmoid(), each["sold"].sigmoid().mean(1))
    torch.testing.assert_close(mean["kind"].softmax(1), each["kind"].softmax(2).mean(1))


def test_extreme_logits_are_averaged_without_overflow() -> None:
    logits = torch.tensor([[[200.0], [180.0]], [[-200.0], [-180.0]]])
    averaged = LINKS["sigmoid"](logits)
    assert averaged.isfinite().all()
    assert float(averaged[0]) > 100
    assert float(averaged[1]) < -100
    torch.testing.assert_close(LINKS["exp"](torch.tensor([[[0.0], [math.log(3.0)]]])), torch.tensor([[math.log(2.0)]]))


def test_a_saved_state_in_a_model_without_data_predicts_the_same() -> None:
    inputs = prepared()
    table = data(inputs, 3, (4, 2))
    model = build(SMALL, table).eval()
    empty = skeleton(SMALL, table.info, {t.name: t.outputs for t in table.tasks}).eval()
    assert not torch.equal(empty(inputs)["price"], model(inputs)["price"])
    empty.load_state_dict(model.state_dict())
    for task, prediction in model(inputs).items():
        assert torch.equal(empty(inputs)[task], prediction)


def test_every_shared_parameter_gets_a_gradient_from_every_task_and_heads_are_not_shared() -> None:
    inputs = prepared()
    model = build(SMALL, data(inputs, 3, (4, 2)))
    shared = model.shared_parameters()
    assert not {id(p) for p in shared} & {id(p) for p in model.heads.parameters()}
    for task in LINKED:
        model.zero_grad()
        model(inputs)[task].square().mean().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in shared)


def test_forty_tasks_and_one_member() -> None:
    outputs = {f"task {k}": 1 + k % 3 for k in range(40)}
    model = skeleton(SMALL | {"members": 1}, {"numbers": 2, "categories": []}, outputs)
    assert torch.equal(model.encoder.members, torch.ones(1, 16))
    predictions = model(torch.zeros(5, 2))
    assert {t: p.shape[2] for t, p in predictions.items()} == outputs
    assert list(model.decode(model.encode(torch.zeros(5, 2)), ["task 3"])) == ["task 3"]


def test_double_precision_is_kept() -> None:
    inputs = prepared()
    model = build(SMALL, data(inputs, 3, (4, 2)))
    single = model.eval()(inputs)["price"]
    double = model.double()(inputs.double())["price"]
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-5)


def test_one_task_on_several_domains_shares_its_head() -> None:
    inputs = prepared(30)
    domains = [
        Domain(name, {"train": TensorTable(inputs[rows], {"price": inputs[rows].sum(1)})})
        for name, rows in (("north", slice(0, 20)), ("south", slice(20, 30)))
    ]
    posed = Data.multi_domain(regression("price"), domains, "north", numbers=3, categories=[4, 2])
    model = build(SMALL, posed)
    assert {id(p) for p in model.shared_parameters()} == {id(p) for p in model.parameters()}
    torch.testing.assert_close(model.encoder.inputs.whitening.mean, draw_in(inputs[:, :3]).mean(0))


def test_a_table_without_rows_gives_an_unfitted_model() -> None:
    model = build(SMALL, data(prepared(0), 3, (4, 2)))
    assert torch.equal(model.encoder.inputs.whitening.matrix, torch.eye(3))


def test_numbers_far_out_are_drawn_in_and_keep_their_order() -> None:
    numbers = torch.linspace(-1000, 1000, 4001, dtype=torch.float64)
    drawn = draw_in(numbers)
    assert (drawn.diff() > 0).all()
    assert torch.equal(drawn[numbers.abs() <= 4], numbers[numbers.abs() <= 4])
    assert float(drawn.max()) == pytest.approx(4 + math.log(997))
    model = build(SMALL, data(prepared(), 3, (4, 2))).eval()
    row = prepared(1)
    row[:, :3] = 1e30
    assert float(model(row)["price"].detach().abs().max()) < 1e3


def test_an_unseen_word_is_neutral_until_it_is_learned() -> None:
    features = build(SMALL, data(prepared(), 3, (4, 2))).encoder.inputs
    rows = torch.zeros(1, 5)
    assert torch.equal(features(rows)[0, 6:], torch.zeros(8))
    rows[:, 3:] = 1
    assert (features(rows)[0, 6:] != 0).all()


def test_an_unknown_link_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown link 'probit': one of identity"):
        MemberHeads(2, 4, 1, "probit")


@pytest.mark.parametrize("level", ["parameters", "representation"])
@pytest.mark.parametrize("method", ["uniform", "mgda", "imtl-g", "pcgrad"])
def test_a_balancer_reads_and_steps_it_at_both_levels(level: str, method: str) -> None:
    inputs = prepared()
    table = data(inputs, 3, (4, 2))
    targets = table.domains["table"].splits["train"].batch(torch.arange(len(inputs))).targets
    model = build(SMALL, table)
    balancer = scalarize.Balancer(method, model.shared_parameters(), level=level)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    history = []
    for _ in range(30):
        optimizer.zero_grad()
        representation = model.encode(inputs)
        predictions = model.decode(representation, list(LINKED))
        losses = {
            "price": functional.mse_loss(predictions["price"].flatten(), targets["price"].repeat_interleave(3)),
            "sold": functional.binary_cross_entropy_with_logits(
                predictions["sold"].flatten(), targets["sold"].repeat_interleave(3)
            ),
            "kind": functional.cross_entropy(predictions["kind"].flatten(0, 1), targets["kind"].repeat_interleave(3)),
        }
        balancer.backward(losses, representation=representation)
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
        history.append(sum(float(loss.detach()) for loss in losses.values()))
    assert history[-1] < 0.8 * history[0]


def test_whitened_columns_are_uncorrelated_and_near_themselves() -> None:
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(2000, 1, generator=generator)
    inputs = common + 0.05 * torch.randn(2000, 4, generator=generator) + 3.0
    whitening = Whitening(4).fit(inputs)
    outputs = whitening(inputs)
    correlation = torch.corrcoef(outputs.T)
    assert float((correlation - torch.eye(4)).abs().max()) < 0.2  # 0.998 before
    torch.testing.assert_close(outputs.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    alone = torch.randn(2000, 4, generator=generator)
    torch.testing.assert_close(Whitening(4).fit(alone)(alone), alone, atol=0.3, rtol=0.1)


def test_directions_that_few_rows_say_nothing_about_are_not_magnified() -> None:
    generator = torch.Generator().manual_seed(0)
    train, new = torch.randn(30, 200, generator=generator), torch.randn(500, 200, generator=generator)
    whitening = Whitening(200).fit(train)
    assert float(whitening(new).std()) < 3 * float(whitening(train).std())


@pytest.mark.parametrize("rows", [torch.zeros(10, 2), torch.ones(10, 1), torch.randn(1, 2), torch.zeros(10, 0)])
def test_constant_single_and_no_columns_stay_finite(rows: torch.Tensor) -> None:
    assert Whitening(rows.shape[1]).fit(rows)(rows).isfinite().all()


def test_very_many_columns_are_left_as_they_are() -> None:
    rows = torch.randn(3, COLUMNS + 1)
    assert torch.equal(Whitening(COLUMNS + 1).fit(rows)(rows), rows)


def test_shrinkage_agrees_with_scikit_learn_for_many_rows_and_keeps_the_trace() -> None:
    # scikit-learn leaves terms in 2 / C out of the paper's formula, so the two agree to the size of their shrinkage.
    from sklearn.covariance import oas

    generator = torch.Generator().manual_seed(0)
    rows = (torch.randn(500, 5, generator=generator, dtype=torch.float64) * torch.arange(1.0, 6.0)).numpy()
    covariance, _ = oas(rows)
    centred = torch.tensor(rows - rows.mean(0))
    own = shrink(torch.linalg.eigvalsh(centred.T @ centred / len(rows)), len(rows))
    torch.testing.assert_close(own, torch.linalg.eigvalsh(torch.tensor(covariance)), rtol=3e-2, atol=0)
    assert float(own.sum()) == pytest.approx(float(centred.square().sum()) / len(rows))


def test_defaults_are_plain_values() -> None:
    assert skeleton(SETTINGS, {"numbers": 1, "categories": []}, {"a": 1}).encoder.members.shape == (8, 128)
