"""Conformance of every architecture on every kind of encoder; a new architecture is tested by standing in the list."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

import scalarize
from balancer_truth import gradients
from scalarize.learners.levels import of as level_of
from scalarize.learners.recipe import Recipe
from scalarize.methods import create
from scalarize.utils.errors import RequestError
from scalarize.workloads.models import lenet, mlp, resnet, small_resnet, tabular, vit
from scalarize.workloads.models.sharing import names
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import ARCHITECTURES, share

POOLED = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
VECTORS = {  # parts of an encoder, shape of a sample, number of features
    "perceptron": (lambda: Body(nn.Identity(), mlp.stages(5, [8, 6, 7]), (5,)), (5,), 7),
    "table": (lambda: Body(nn.Identity(), tabular.stages(5, 2, 6, 2, 0.1), (5,)), (5,), 6),
    "vit": (lambda: Body(nn.Identity(), vit.stages(3, 12, 8), (3, 8, 8)), (3, 8, 8), 12),
}
MAPS = {
    "lenet": (lambda: Body(nn.Identity(), lenet.stages(28, (2, 3), 6), (1, 28, 28)), (1, 28, 28), 6),
    "small resnet": (
        lambda: Body(nn.Identity(), small_resnet.stages(0.05), (3, 32, 32), small_resnet.tail()),
        (3, 32, 32),
        small_resnet.features(32, 0.05),
    ),
    "resnet": (lambda: Body(nn.Identity(), resnet.stages(18, 0.05), (3, 32, 32), POOLED), (3, 32, 32), 26),
}
CASES = [
    pytest.param(a, e, id=f"{a}-{e}", marks=[pytest.mark.slow] * (e in ("vit", "resnet")))
    for e in VECTORS | MAPS
    for a in ARCHITECTURES
    if a != "mtan" or e in MAPS
]
SMALL = [(a, "lenet" if a == "mtan" else "table") for a in ARCHITECTURES]
TASKS = ("a", "b", "c")


class Each(nn.Module):
    """A head that takes a representation of any shape."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.map = nn.Linear(features, 1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.map(z).flatten(1).mean(1)


def make(name: str, encoder: str, tasks=TASKS, seed: int = 0, by_domain: bool = False, **options):
    body, shape, features = (VECTORS | MAPS)[encoder]
    torch.manual_seed(seed)
    heads = dict.fromkeys(tasks, Each(features)) if by_domain else {t: Each(features) for t in tasks}
    model = ARCHITECTURES[name](body(), heads, by_domain, **options)
    return model, torch.randn(6, *shape, generator=torch.Generator().manual_seed(1))


def again(model) -> None:
    """Begin the random numbers of dropout and of drawn branches anew."""
    torch.manual_seed(7)
    for name, buffer in model.named_buffers():
        if name == "steps":
            buffer.zero_()


def losses(model, x: torch.Tensor, tasks=None) -> dict[str, torch.Tensor]:
    again(model)
    found = model.decode(model.encode(x), tasks or model.names)
    return {t: (y - k).square().mean() for k, (t, y) in enumerate(found.items())}


def test_the_lists_of_names_are_one() -> None:
    assert (names.HARD, *ARCHITECTURES) == names.NAMES
    assert {n: tuple(kind.options) for n, kind in ARCHITECTURES.items()} | {"hard": ()} == names.OPTIONS


@pytest.mark.parametrize(("name", "encoder"), CASES)
def test_gradients_reach_what_is_declared_and_nothing_else(name: str, encoder: str) -> None:
    model, x = make(name, encoder)
    reach, params = model.reach(), dict(model.named_parameters())
    for task, loss in losses(model, x).items():
        found = torch.autograd.grad(loss, list(params.values()), retain_graph=True, allow_unused=True)
        reached = {n for n, g in zip(params, found, strict=True) if g is not None}
        assert reached == {n for n, tasks in reach.items() if task in tasks}
    shared = {id(p) for p in model.shared_parameters()}
    assert shared == {id(params[n]) for n, tasks in reach.items() if len(tasks) > 1}


@pytest.mark.parametrize(("name", "encoder"), CASES)
def test_shapes_and_the_paths_of_some_tasks_alone(name: str, encoder: str) -> None:
    model, x = make(name, encoder)
    model.eval()
    everything = model(x)
    assert list(everything) == list(TASKS)
    assert all(y.shape == (6,) and torch.isfinite(y).all() for y in everything.values())
    some = model.decode(model.encode(x), ["c", "a"])
    assert list(some) == ["c", "a"]
    assert all(torch.equal(some[t], everything[t]) for t in some)
    alone = model(x[2:3])
    torch.testing.assert_close(alone["b"], everything["b"][2:3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "encoder"), CASES)
def test_the_same_seed_makes_the_same_model_and_its_state_goes_round(name: str, encoder: str) -> None:
    first, x = make(name, encoder)
    again, other = make(name, encoder)[0], make(name, encoder, seed=1)[0]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    first(x)  # statistics of batches, steps
    held = io.BytesIO()
    torch.save(first.state_dict(), held)
    held.seek(0)
    other.load_state_dict(torch.load(held, weights_only=True))
    first.eval()
    other.eval()
    assert all(torch.equal(first(x)[t], other(x)[t]) for t in TASKS)


@pytest.mark.parametrize(("name", "encoder"), CASES)
def test_it_is_made_on_the_meta_device(name: str, encoder: str) -> None:
    model, x = make(name, encoder)
    with torch.device("meta"):
        empty = make(name, encoder)[0]
    empty.load_state_dict(model.state_dict(), assign=True)
    model.eval()
    empty.eval()
    assert all(torch.equal(empty(x)[t], model(x)[t]) for t in TASKS)


@pytest.mark.parametrize("level", ["parameters", "representation"])
@pytest.mark.parametrize(("name", "encoder"), SMALL)
def test_the_balancer_takes_the_row_of_every_task(name: str, encoder: str, level: str) -> None:
    model, x = make(name, encoder)
    model.double()
    x = x.double()
    if level == "representation" and not model.common:
        with pytest.raises(RequestError, match="level=parameters"):
            level_of(model, create("mgda"), Recipe(level="representation", model={"sharing": name}))
        return
    balancer = scalarize.Balancer("mgda", model.shared_parameters(), level=level, heads="own")
    again(model)
    shared = model.encode(x)
    found = {t: (y - k).square().mean() for k, (t, y) in enumerate(model.decode(shared, TASKS).items())}
    of = model.shared_parameters() if level == "parameters" else [z for z in shared if z.requires_grad]
    used = balancer.backward(found, representation=shared)
    if level == "parameters":
        rows = [gradients(lambda t=t: {t: losses(model, x)[t]}, of, [1.0]) for t in TASKS]
        filled = [[torch.zeros_like(p) if g is None else g for p, g in zip(of, row, strict=True)] for row in rows]
        j = torch.stack([torch.cat([g.flatten() for g in row]) for row in filled])
        torch.testing.assert_close(used.gramian, (j @ j.T).to(used.gramian), rtol=1e-6, atol=1e-12)
    shared_ids = {id(p) for p in model.shared_parameters()}
    own = [p for p in model.parameters() if id(p) not in shared_ids]
    for params, weights in ((model.shared_parameters(), used.weights), (own, [1.0] * 3)):
        for p, wanted in zip(params, gradients(lambda: losses(model, x), params, weights), strict=True):
            torch.testing.assert_close(torch.zeros_like(p) if p.grad is None else p.grad, wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("tasks", [("alone",), tuple(f"t{k}" for k in range(40))], ids=["one task", "40 tasks"])
@pytest.mark.parametrize("name", [a for a in ARCHITECTURES if a != "mtan"])
def test_one_task_and_forty(name: str, tasks: tuple[str, ...]) -> None:
    model, x = make(name, "perceptron", tasks)
    balancer = scalarize.Balancer("mgda", model.shared_parameters())
    used = balancer.backward(losses(model, x))
    assert used.weights.shape == (len(tasks),)
    assert all(p.grad is not None for n, p in model.named_parameters())


@pytest.mark.parametrize(("name", "encoder"), SMALL)
def test_a_task_that_is_missing_leaves_its_own_parameters_alone(name: str, encoder: str) -> None:
    model, x = make(name, encoder)
    balancer = scalarize.Balancer("pcgrad", model.shared_parameters(), tasks=TASKS)
    balancer.backward(losses(model, x, ["a", "c"]))
    for n, tasks in model.reach().items():
        if tasks == ("b",):
            assert dict(model.named_parameters())[n].grad is None
    reached = [p for n, p in model.named_parameters() if len(model.reach()[n]) == 3]
    assert all(p.grad is not None for p in reached)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "encoder"), SMALL)
def test_a_compiled_model_predicts_the_same(name: str, encoder: str) -> None:
    model, x = make(name, encoder)
    model.eval()
    fast = torch.compile(model, backend="aot_eager")
    for t, y in fast(x).items():
        torch.testing.assert_close(y, model(x)[t], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "encoder"), SMALL)
def test_domains_have_paths_and_share_their_head(name: str, encoder: str) -> None:
    model, x = make(name, encoder, by_domain=True)
    reach = model.reach()
    assert all(reach[n] == TASKS for n in reach if n.startswith("heads."))
    assert len(model.heads) == 1
    own = [n for n, tasks in reach.items() if tasks == ("b",)]
    assert own
    losses(model, x, ["b"])["b"].backward()
    assert all(p.grad is not None for n, p in model.named_parameters() if n in own)
    assert all(p.grad is None for n, p in model.named_parameters() if reach[n] in (("a",), ("c",)))


@pytest.mark.parametrize("name", ["mtan", "ltb"])
def test_an_encoder_that_does_not_suit_is_one_line(name: str) -> None:
    body = Body(nn.Identity(), mlp.stages(5, [8]), (5,))
    with pytest.raises(RequestError, match=f"model.sharing={name}: needs an encoder of"):
        share({"sharing": name}, lambda: nn.Identity(), lambda: body, lambda: {"a": nn.Linear(8, 1)})


@pytest.mark.parametrize("experts", [1, 3, 6])
def test_dselect_k_takes_a_power_of_two(experts: int) -> None:
    with pytest.raises(RequestError, match="power of two"):
        make("dselect-k", "perceptron", experts=experts)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.sharing": "plee"}, "did you mean 'ple'.*hard, cross-stitch, mmoe"),
        ({"model.sharing": "mtan"}, "does not suit the encoder of here, which hard, cross-stitch, .* suit"),
        ({"model.experts": 3}, "no effect with model.sharing=hard; it is read by mmoe, cgc, ple, dselect-k"),
        ({"model.sharing": "mmoe", "model.experts": 0}, "whole number from 1"),
        ({"model.sharing": "mmoe", "model.own_experts": 2}, "no effect with model.sharing=mmoe"),
        ({"model.shring": "mmoe"}, "did you mean 'model.sharing'"),
        ({"model.sharing": 3}, "expected a value like 'hard'"),
    ],
)
def test_settings_that_cannot_be(changes: dict, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        names.override(Recipe(), changes, names.VECTORS, "here")
    assert "\n" not in str(caught.value)


def test_hard_sharing_leaves_the_recipe_as_it_was() -> None:
    recipe = Recipe(model={"width": 3})
    assert names.override(recipe, {"model.sharing": "hard"}, names.ONE, "here") == recipe
    changed = names.override(recipe, {"model.sharing": "mmoe", "model.experts": 2}, names.ALL, "here")
    assert changed.model == {"width": 3, "sharing": "mmoe", "experts": 2}
