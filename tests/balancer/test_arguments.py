"""What ``shared=`` and the losses may be: understood, or refused in one line before anything is trained."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import weight_norm

import scalarize
from balancer_truth import assert_right
from scalarize.utils.errors import RequestError

METHODS = ["mgda", "pcgrad", "uniform", "famo"]

# Of tasks that are constants, and so have no say.
pytestmark = pytest.mark.filterwarnings("ignore::scalarize.utils.errors.ScalarizeWarning")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
        self.heads = nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 2)])
        self.x = torch.randn(5, 4)

    def losses(self):
        z = self.encoder(self.x)
        return {"a": self.heads[0](z).square().mean(), "b": self.heads[1](z).exp().mean()}

    def untouched(self):
        return all(p.grad is None for p in self.parameters())


def refused(message, method, shared, losses, **options):
    """One line, and the method's state as before."""
    balancer = scalarize.Balancer(method, shared, **options)
    with pytest.raises(RequestError, match=message) as error:
        balancer.backward(losses)
    assert balancer.step == 0
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


SHARED = {
    "module": lambda e: e,
    "generator": lambda e: e.parameters(),
    "named": lambda e: e.named_parameters(),
    "dict": lambda e: dict(e.named_parameters()),
    "modules": lambda e: [e[0], e[2]],
    "mixed": lambda e: [e[0], *e[2].named_parameters()],
    "twice": lambda e: [*e.parameters(), *e.parameters()],
    "groups": lambda e: ((p for p in layer.parameters()) for layer in e),
    "parameter list": lambda e: nn.ParameterList(e.parameters()),
}


@pytest.mark.parametrize("form", SHARED)
def test_forms_of_shared(form):
    plain, net = Net(), Net()
    want = scalarize.Balancer("mgda", plain.encoder.parameters()).backward(plain.losses())
    balancer = scalarize.Balancer("mgda", SHARED[form](net.encoder))
    used = balancer.backward(net.losses())
    assert [id(p) for p in balancer.shared] == [id(p) for p in net.encoder.parameters()]
    assert torch.equal(used.gramian, want.gramian)
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(net.parameters(), plain.parameters(), strict=True))


def test_one_parameter_alone():
    w = nn.Parameter(torch.tensor([1.0, -2.0]))
    used = scalarize.Balancer("mgda", w).backward({"a": w.sum(), "b": w.square().sum()})
    assert used.gramian.tolist() == [[2, -2], [-2, 20]]


@pytest.mark.parametrize("options", [{}, {"blocks": 2}, {"chunk": 2}, {"evidence_from": "table"}], ids=str)
def test_a_tied_table_that_is_listed_twice_counts_once(options):
    torch.manual_seed(1)
    encoder, decoder = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
    decoder.weight = encoder.weight
    ids = torch.tensor([1, 4, 8])
    options = {"evidence_from": [encoder.weight, decoder.weight]} if "evidence_from" in options else options

    def forward():
        z = encoder(ids)
        return {"a": nn.functional.cross_entropy(decoder(z), ids), "b": z.square().sum()}

    used = scalarize.Balancer("mgda", [*encoder.parameters(), *decoder.parameters()], **options).backward(forward())
    rows = [torch.autograd.grad(forward()[t], encoder.weight)[0].flatten() for t in "ab"]
    torch.testing.assert_close(used.gramian, torch.stack(rows) @ torch.stack(rows).T)
    assert_right(forward, [encoder.weight], [], used)


@pytest.mark.parametrize(
    "wrong",
    ["encoder", b"x", 3, [1.0], {"w": None, "v": 2}, [["a", "b"]], np.ones(3), object()],
    ids=lambda x: type(x).__name__,
)
@pytest.mark.parametrize("name", ["shared", "evidence_from"])
def test_what_is_no_parameter_is_refused_by_the_constructor(name, wrong):
    w = nn.Parameter(torch.ones(2))
    with pytest.raises(RequestError, match=rf"{name}= must hold tensors") as error:
        scalarize.Balancer("mgda", **{"shared": [w], name: wrong})
    assert "\n" not in str(error.value)


FOREIGN = {
    "a new model": lambda net: Net().encoder,
    "state dict": lambda net: net.encoder.state_dict(),
    "data": lambda net: [p.data for p in net.encoder.parameters()],
    "frozen": lambda net: net.encoder.requires_grad_(False),
    "clones": lambda net: [nn.Parameter(p.clone()) for p in net.encoder.parameters()],
    "unused": lambda net: nn.Linear(2, 2),
}


@pytest.mark.parametrize("options", [{}, {"blocks": 2}, {"chunk": 2}, {"heads": "own"}], ids=str)
@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("method", METHODS)
def test_shared_that_no_loss_reaches_is_refused(method, foreign, options):
    if method != "mgda" and "blocks" in options:
        pytest.skip("blocks= is for methods of the Gramian")
    net = Net()
    shared = FOREIGN[foreign](net)
    balancer = scalarize.Balancer(method, shared, tasks=("a", "b"), **options)
    before = balancer.state_dict()
    for _ in range(2):  # not only once
        with pytest.raises(RequestError, match=r"shared=|requires a gradient") as error:
            balancer.backward(net.losses())
        assert "\n" not in str(error.value)
    assert net.untouched()
    after = balancer.state_dict()
    assert all(torch.equal(after[k], before[k]) for k in before)


@pytest.mark.parametrize("method", ["mgda", "uniform"])
def test_a_mixed_loss_must_reach_shared_too(method):
    net = Net()
    balancer = scalarize.Balancer("rlw", Net().encoder)
    balancer.weights_ahead(["a", "b"])
    with pytest.raises(RequestError, match="no loss depends on shared="):
        balancer.backward_mixed(sum(net.losses().values()))
    assert net.untouched()


def test_a_model_that_is_replaced_later_is_noticed():
    net = Net()
    balancer = scalarize.Balancer("mgda", net.encoder)
    balancer.backward(net.losses())
    fresh = Net()
    with pytest.raises(RequestError, match="no loss depends on shared="):
        balancer.backward(fresh.losses())
    assert fresh.untouched()


@pytest.mark.filterwarnings("ignore::scalarize.utils.errors.ScalarizeWarning")  # free of the encoder
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_whose_tasks_do_without_the_encoder_is_fine_later(method):
    net, own = Net(), nn.Parameter(torch.ones(2))
    balancer = scalarize.Balancer(method, net.encoder, tasks=("a", "b", "free"))
    balancer.backward({**net.losses(), "free": own.square().sum()})
    net.zero_grad()
    balancer.backward({"free": own.square().sum()})
    assert net.untouched()
    assert own.grad is not None
    balancer.backward({"a": net.losses()["a"], "free": own.square().sum()})
    assert net.encoder[0].weight.grad is not None


def test_a_model_that_changed_in_part_is_refused():
    net = Net()
    balancer = scalarize.Balancer("mgda", net.encoder)
    with pytest.warns(FutureWarning):
        weight_norm(net.encoder[2])
    with pytest.raises(RequestError, match="1 tensors of shared= are reached by no loss"):
        balancer.backward(net.losses())
    assert net.untouched()
    scalarize.Balancer("mgda", net.encoder).backward(net.losses())


def test_shared_tensors_without_use_are_fine_if_nothing_took_their_place():
    net, unused = Net(), nn.Parameter(torch.ones(2))
    scalarize.Balancer("mgda", [*net.encoder.parameters(), unused]).backward(net.losses())
    assert unused.grad is None
    assert net.encoder[0].weight.grad is not None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["detached", "no_grad", "inference", "numbers", "numpy"])
def test_losses_without_any_graph_are_refused(how, method):
    net = Net()
    if how in ("no_grad", "inference"):
        with torch.no_grad() if how == "no_grad" else torch.inference_mode():
            losses = net.losses()
    else:
        change = {"detached": torch.Tensor.detach, "numbers": lambda x: x.item(), "numpy": lambda x: x.detach().numpy()}
        losses = {t: change[how](x) for t, x in net.losses().items()}
    refused("no loss has a graph", method, net.encoder, losses)
    assert net.untouched()


CONSTANTS = [0, 0.0, 1.5, True, np.float32(0.25), np.int64(2), np.array(0.5), np.array([3]), torch.tensor(2)]


@pytest.mark.filterwarnings("ignore::scalarize.utils.errors.ScalarizeWarning")  # a constant has no gradient
@pytest.mark.parametrize("constant", CONSTANTS, ids=repr)
@pytest.mark.parametrize("method", ["mgda", "pcgrad", "uniform", "dwa"])
def test_a_plain_number_is_a_constant(method, constant):
    net, plain = Net(), Net()
    used = scalarize.Balancer(method, net.encoder).backward({**net.losses(), "c": constant})
    as_tensor = torch.tensor(float(np.asarray(constant).item()))
    want = scalarize.Balancer(method, plain.encoder).backward({**plain.losses(), "c": as_tensor})
    torch.testing.assert_close(used.weights, want.weights, rtol=0, atol=0, equal_nan=True)
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(net.parameters(), plain.parameters(), strict=True))


@pytest.mark.filterwarnings("ignore::scalarize.utils.errors.ScalarizeWarning")  # a constant has no gradient
def test_numbers_before_tensors_and_with_none():
    net = Net()
    losses = net.losses()
    used = scalarize.Balancer("mgda", net.encoder).backward({"n": 0, "none": None, **losses})
    assert used.tasks == ("n", "none", "a", "b")
    assert math.isnan(used.weights[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: list(x.values()), "must be a mapping of task to loss.*not list"),
        (lambda x: tuple(x.values()), "not tuple"),
        (lambda x: torch.stack(list(x.values())), r"not Tensor of shape \(2,\)"),
        (lambda x: sum(x.values()), "not Tensor"),
        (lambda x: x.items(), "must be a mapping"),
        (lambda x: None, "must be a mapping"),
        (lambda x: {"a": x}, "task 'a': its loss must be one number"),
        (lambda x: {**x, "b": [x["b"]]}, "task 'b'.*not list"),
        (lambda x: {**x, "b": "0.3"}, "task 'b'.*not str"),
        (lambda x: {**x, "b": 1j}, "task 'b'.*not complex"),
        (lambda x: {**x, "b": np.ones(2)}, r"task 'b'.*ndarray of shape \(2,\)"),
        (lambda x: {**x, "b": x["b"].expand(3)}, r"task 'b': its loss must be one number, got shape \(3,\)"),
        (lambda x: {**x, "b": x["b"] * 1j}, "task 'b': its loss must be a real number"),
        (lambda x: {**x, "b": torch.ones((), device="meta")}, "task 'b': its loss is on the meta device"),
        (lambda x: {**x, "b": torch.ones(0)}, r"got shape \(0,\)"),
        (lambda x: {}, "no task has a loss"),
        (lambda x: dict.fromkeys(x), "no task has a loss"),
    ],
)
@pytest.mark.parametrize("method", ["mgda", "uniform"])
def test_what_is_no_loss_is_refused(method, change, message):
    net = Net()
    refused(message, method, net.encoder, change(net.losses()))
    assert net.untouched()


@pytest.mark.parametrize("method", METHODS)
def test_shapes_and_types_of_losses(method):
    net = Net()
    losses = net.losses()
    used = scalarize.Balancer(method, net.encoder).backward(
        {"a": losses["a"].reshape(1, 1), "b": losses["b"].double().reshape(1)}
    )
    if method == "famo":
        return
    own = used.weights if method == "uniform" else None
    assert_right(net.losses, net.encoder.parameters(), net.heads.parameters(), used, head_weights=own)


class Elsewhere(torch.autograd.Function):
    """Refuses to be passed by ``torch.vmap``."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return torch.from_numpy(g.numpy() * np.cos(x.detach().numpy()))


def test_chunks_of_a_model_that_vmap_cannot_pass():
    net = Net()
    net.encoder.append(nn.Identity())
    net.encoder[-1].forward = Elsewhere.apply
    refused(r"chunk= .* use chunk=1", "mgda", net.encoder, net.losses(), chunk=2)
    assert net.untouched()
    used = scalarize.Balancer("mgda", net.encoder).backward(net.losses())
    assert_right(net.losses, net.encoder.parameters(), net.heads.parameters(), used)
