"""Methods that remember single coordinates, while layers are frozen and unfrozen as fine-tuning does."""

import pytest
import torch

import scalarize
from scalarize import methods
from scalarize.methods import Needs
from scalarize.utils.errors import RequestError

OF_COORDINATES = ["moco", "db-mtl", "excess-mtl"]


def layers():
    torch.manual_seed(0)
    enc = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 8), torch.nn.Tanh())
    return enc, torch.nn.ModuleDict({t: torch.nn.Linear(8, 1) for t in "ab"})


def one_step(balancer, enc, heads, k):
    enc.zero_grad()
    heads.zero_grad()
    z = enc(torch.randn(5, 8, generator=torch.Generator().manual_seed(k)))
    return balancer.backward({t: (i + 1) * (heads[t](z) - i).square().mean() for i, t in enumerate("ab")})


def test_methods_that_remember_coordinates_say_so():
    numbers = 101
    for name in [n for n in methods.names() if not methods.get(n).requires]:
        method = methods.create(name)
        if method.needs > Needs.LOSSES and not method.extra_batches and "parameters" in method.levels:
            method.combine_gradients(torch.randn(3, numbers), losses=torch.rand(3) + 0.5)
            found = tuple(k for k, v in method.state.items() if v.ndim and v.shape[-1] == numbers)
            assert found == method.coordinates, name
        else:
            assert not method.coordinates


@pytest.mark.parametrize("name", OF_COORDINATES)
def test_a_layer_that_is_unfrozen_begins_with_zeros_and_the_others_keep_their_memory(name):
    enc, heads = layers()
    enc[0].requires_grad_(False)
    balancer = scalarize.Balancer(name, shared=enc.parameters())
    for k in range(3):
        one_step(balancer, enc, heads, k)
    (key,) = balancer.method.coordinates
    before = balancer.method.state[key].clone()
    enc[0].requires_grad_(True)
    seen = []
    decide = balancer._method_state.decide

    def spy(*given, **more):
        seen.append(balancer.method.state[key].clone())
        return decide(*given, **more)

    balancer._method_state.decide = spy
    one_step(balancer, enc, heads, 3)
    new = sum(p.numel() for p in enc[0].parameters())
    assert seen[0].shape == (2, new + before.shape[1])
    assert not seen[0][:, :new].any()
    assert torch.equal(seen[0][:, new:], before)
    enc[2].requires_grad_(False)
    one_step(balancer, enc, heads, 4)
    assert seen[1].shape == (2, new)
    assert enc[0].weight.grad.abs().sum() > 0
    assert enc[2].weight.grad is None


@pytest.mark.parametrize("name", OF_COORDINATES)
def test_a_layer_never_inherits_the_memory_of_another_of_its_size(name):
    enc, heads = layers()
    balancer = scalarize.Balancer(name, shared=enc.parameters())
    enc[2].requires_grad_(False)
    for k in range(3):
        one_step(balancer, enc, heads, k)
    (key,) = balancer.method.coordinates
    assert balancer.method.state[key].any()
    enc[0].requires_grad_(False)
    enc[2].requires_grad_(True)
    seen, decide = [], balancer._method_state.decide
    balancer._method_state.decide = lambda *a, **k: (seen.append(balancer.method.state[key].clone()), decide(*a, **k))[
        1
    ]
    one_step(balancer, enc, heads, 3)
    assert seen[0].shape == (2, 72)
    assert not seen[0].any()


@pytest.mark.parametrize("name", OF_COORDINATES)
def test_a_saved_memory_of_other_layers_is_refused(name):
    enc, heads = layers()
    balancer = scalarize.Balancer(name, shared=enc.parameters())
    one_step(balancer, enc, heads, 0)
    state = balancer.state_dict()
    again = scalarize.Balancer(name, shared=enc.parameters())
    again.load_state_dict(state)
    one_step(again, enc, heads, 1)
    enc[0].requires_grad_(False)
    again.load_state_dict(state)
    with pytest.raises(RequestError, match="load it with the same parameters frozen"):
        one_step(again, enc, heads, 2)
