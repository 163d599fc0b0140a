"""Networks for all preferences: the authors' numbers, and what every one of them promises."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scalarize.learners.recipe import Recipe
from scalarize.utils.errors import RequestError
from scalarize.workloads.models import decoding, tabular
from scalarize.workloads.models.fronts import phn, settings
from scalarize.workloads.models.fronts.build import condition
from scalarize.workloads.models.fronts.conditioned import Conditioned
from scalarize.workloads.models.fronts.palora import PaLoRA
from scalarize.workloads.models.lenet import lenet, lenet_head
from scalarize.workloads.models.mlp import multi_head_mlp
from scalarize.workloads.models.multihead import MultiHead, SharedHead
from scalarize.workloads.models.transformer import Translator

TABLE = {"numbers": 3, "categories": [4, 2]}
SIZES = {"members": 4, "width": 8, "depth": 1, "dropout": 0.0, "category_width": 3}
MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "perceptron": (
        lambda: multi_head_mlp(5, {"a": 1, "b": 2, "c": 1}, {"widths": [8, 6], "dropout": 0.0}),
        lambda: torch.randn(7, 5),
    ),
    "convolutions": (
        lambda: MultiHead(lenet(16), {t: lenet_head(3) for t in "abc"}),
        lambda: torch.randn(3, 1, 16, 16),
    ),
    "table": (
        lambda: tabular.skeleton(SIZES, TABLE, {"a": 1, "b": 2, "c": 1}),
        lambda: torch.cat([torch.randn(6, 3), torch.randint(0, 2, (6, 2)).float()], dim=1),
    ),
    "one head": (
        lambda: SharedHead(nn.Sequential(nn.Linear(5, 4), nn.ReLU()), {"a": nn.Linear(4, 1)}),
        lambda: torch.randn(7, 5),
    ),
}
every_model = pytest.mark.parametrize("kind", MODELS)
every_front = pytest.mark.parametrize("name", ["palora", "phn", "phn in chunks"])


def made(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Conditioned, nn.Module, Tensor]:
    """A network for the front of three tasks, moved away from where it begins, a plain model, and a batch."""
    if name == "phn in chunks":
        monkeypatch.setattr(phn, "WHOLE", 10)
        monkeypatch.setattr(phn, "CHUNK", 97)
    torch.manual_seed(0)
    build, inputs = MODELS[kind]
    plain = build()
    own = settings.OPTIONS[name.split()[0]] | {"front": name.split()[0]}
    network = condition(copy.deepcopy(plain), own, 3)
    assert isinstance(network, Conditioned)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return network.eval(), plain.eval(), inputs()


def predict(model: Any, inputs: Tensor) -> Tensor:
    return torch.cat(
        list(model.decode(model.encode(inputs), model.names if hasattr(model, "names") else []).values()), 1
    )


def wave(shape: tuple[int, ...], shift: float) -> Tensor:
    count = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(count * 0.7 + shift).reshape(shape)


# Of PaLinear and PaConv2d (nik-dim/palora at commit f9e8210, src/callbacks/methods/ll/palora_modules.py), rank 2.
LINEAR = [2.7224266210160066, -0.5184354786412808, 1.0090158837929972, 0.5664010348771906, 1.1318279595723237]
CONV = [0.3105748599625495, -0.19397032474205322, 1.8617612238414383, 1.5439625803073171, 0.45014358353590206]


@pytest.mark.parametrize("conv", [False, True])
def test_palora_computes_what_its_authors_code_does(conv: bool) -> None:
    layer = nn.Conv2d(2, 3, 3) if conv else nn.Linear(4, 3)
    network = PaLoRA(MultiHead(layer.double(), {"a": nn.Identity()}), 3, 1.0, rank=2).double()
    with torch.no_grad():
        network.model.encoder.weight.copy_(wave(tuple(layer.weight.shape), 0))
        network.model.encoder.bias.copy_(wave((3,), 1))
        for t in range(3):
            network.downs[0][t] = wave(tuple(network.downs[0][t].shape), 2 + t)
            network.ups[0][t] = wave(tuple(network.ups[0][t].shape), 5 + t)
    network.choose([0.2, 0.3, 0.5])
    inputs = torch.sin(torch.arange(32.0 if conv else 8.0).double()).reshape((1, 2, 4, 4) if conv else (2, 4))
    found = network.encode(inputs).flatten()[:5]
    torch.testing.assert_close(found, torch.tensor(CONV if conv else LINEAR, dtype=torch.float64), rtol=0, atol=1e-12)


@every_model
@every_front
def test_one_preference_is_an_ordinary_model(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, plain, inputs = made(name, kind, monkeypatch)
    seen = []
    for preference in ([0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [1 / 3] * 3):
        plain.load_state_dict(network.plain(preference))
        network.choose(preference)
        tasks = plain.names  # type: ignore[union-attr]
        own = torch.cat(list(network.decode(network.encode(inputs), tasks).values()), dim=1)
        torch.testing.assert_close(own, predict(plain, inputs), rtol=1e-5, atol=1e-5)
        seen.append(own)
    assert not torch.allclose(seen[0], seen[1], atol=1e-4)


@every_model
@every_front
def test_it_begins_near_an_ordinary_model(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "phn in chunks":
        monkeypatch.setattr(phn, "WHOLE", 10)
    torch.manual_seed(0)
    plain = MODELS[kind][0]()
    own = settings.OPTIONS[name.split()[0]] | {"front": name.split()[0]}
    network = condition(copy.deepcopy(plain), own, 3)
    assert isinstance(network, Conditioned)
    for key, value in network.plain([0.7, 0.2, 0.1]).items():
        given = plain.state_dict()[key]
        if name == "palora":
            assert torch.equal(value, given)
        elif given.is_floating_point() and given.numel() > 4 and float(given.std()) > 0:
            assert float((value - given).std()) < 0.5 * float(given.std()), key


@every_model
@every_front
def test_gradients_reach_all_that_is_trained(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, plain, inputs = made(name, kind, monkeypatch)
    network.train()
    network.choose([0.2, 0.3, 0.5])
    tasks = plain.names  # type: ignore[union-attr]
    torch.stack([p.square().mean() for p in network.decode(network.encode(inputs), tasks).values()]).sum().backward()
    trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
    assert all(p.grad is not None and bool(p.grad.any()) for p in trained.values()), [
        n for n, p in trained.items() if p.grad is None or not p.grad.any()
    ]
    ids = {id(p) for p in network.parameters()}
    assert {id(p) for p in network.shared_parameters()} <= ids


@every_front
def test_shared_parameters_are_those_of_several_tasks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, _, inputs = made(name, "perceptron", monkeypatch)
    shared = network.shared_parameters()
    found = network.decode(network.encode(inputs), ["a"])["a"].sum()
    reached = torch.autograd.grad(found, shared, allow_unused=True)
    assert all(g is not None for g in reached)
    own = [p for p in network.parameters() if p.requires_grad and id(p) not in {id(s) for s in shared}]
    assert own
    found = network.decode(network.encode(inputs), ["a"])["a"].sum()
    assert any(g is None for g in torch.autograd.grad(found, own, allow_unused=True))  # heads of b and c


@every_front
def test_state_and_copies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, _, inputs = made(name, "perceptron", monkeypatch)
    network.choose([0.5, 0.25, 0.25])
    before = network.decode(network.encode(inputs), ["a"])["a"]
    other = copy.deepcopy(network)  # though it holds tensors of a graph
    torch.testing.assert_close(other.decode(other.encode(inputs), ["a"])["a"], before)
    fresh, _, _ = made(name, "perceptron", monkeypatch)
    with torch.no_grad():
        for p in fresh.parameters():
            p.zero_()
    fresh.load_state_dict(network.state_dict())
    fresh.choose([0.5, 0.25, 0.25])
    torch.testing.assert_close(fresh.decode(fresh.encode(inputs), ["a"])["a"], before)


def test_models_that_do_not_suit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    normed = MultiHead(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), {"a": nn.Linear(3, 1), "b": nn.Linear(3, 1)})
    with pytest.raises(RequestError, match="batch norm"):
        condition(normed, {"front": "phn"} | settings.OPTIONS["phn"], 2)
    bare = MultiHead(nn.LayerNorm(3), {"a": nn.Identity()})
    with pytest.raises(RequestError, match="without linear"):
        condition(bare, {"front": "palora"} | settings.OPTIONS["palora"], 2)
    with pytest.raises(RequestError, match="two tasks"):
        condition(normed, {"front": "palora"} | settings.OPTIONS["palora"], 1)
    monkeypatch.setattr(phn, "MOST", 5)
    with pytest.raises(RequestError, match="more than 5"):
        condition(MODELS["perceptron"][0](), {"front": "phn"} | settings.OPTIONS["phn"], 2)
    assert condition(normed, {"width": 3}, 2) is normed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model.front": "phm"}, "did you mean 'phn'"),
        ({"model.front_rank": 2}, "without model.front"),
        ({"model.front": "phn", "model.front_rank": 2}, "no effect with model.front=phn"),
        ({"model.front": "palora", "model.front_rank": 0}, "from 1 to"),
        ({"model.front": "palora", "model.front_rank": True}, "from 1 to"),
        ({"model.front": "palora", "model.front_rank": 1.5}, "from 1 to"),
        ({"model.front": "palora", "model.front_concentration": 0}, "above 0"),
        ({"model.front": "palora", "model.front_concentration": float("nan")}, "above 0"),
        ({"model.front": "phn", "model.front_width": 10**9}, "from 1 to"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        settings.override(Recipe(), changes)


def test_settings_are_complete_and_others_are_left() -> None:
    recipe, others = settings.override(
        Recipe(model={"width": 3}), {"model.front": "phn", "epochs": 2, "model.width": 4}
    )
    assert recipe.model == {"width": 3, "front": "phn", "front_concentration": 1.0, "front_width": 100}
    assert others == {"epochs": 2, "model.width": 4}
    assert settings.plain(recipe.model) == {"width": 3}
    untouched = Recipe()
    assert settings.override(untouched, {"epochs": 2})[0] is untouched


@every_front
def test_a_translator_writes_as_its_plain_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "phn in chunks":
        monkeypatch.setattr(phn, "WHOLE", 10)
        monkeypatch.setattr(phn, "CHUNK", 997)
    torch.manual_seed(0)
    plain = Translator(20, 8, 16, 2, 1, 0.0).eval()
    own = settings.OPTIONS[name.split()[0]] | {"front": name.split()[0]}
    network = condition(copy.deepcopy(plain), own, 2)
    assert isinstance(network, Conditioned)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    network.eval()
    source = torch.randint(4, 20, (5, 6))
    for preference in ([1.0, 0.0], [0.3, 0.7]):
        plain.load_state_dict(network.plain(preference))
        network.choose(preference)
        assert decoding.beam(network, source, 9, 2) == decoding.beam(plain, source, 9, 2)
