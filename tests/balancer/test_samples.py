"""Single samples as tasks, held against one ``autograd.grad`` a sample."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import scalarize
from gramian_zoo import Of, Parameters, checkpointed, mlp, rows, written
from scalarize.balancer.gramian import samples
from scalarize.utils.errors import RequestError, RunError

B = 6


class Transformer(nn.Module):
    """Patches, a class token, places, one layer."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(2, 8, 2, 2)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 5, 8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=batch_first)
        self.first = batch_first

    def forward(self, x):
        z = self.patches(x).flatten(2).transpose(1, 2)
        z = torch.cat([self.token.expand(len(x), -1, -1), z], dim=1) + self.place
        return self.layer(z)[:, 0] if self.first else self.layer(z.transpose(0, 1))[0]


def images():
    return torch.randn(B, 2, 4, 4)


def convolutions():
    parts = [nn.Conv2d(2, 6, 3, padding=1), nn.GroupNorm(2, 6), nn.ReLU(), nn.Conv2d(6, 4, 2, bias=False)]
    return nn.Sequential(*parts, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 5), nn.LayerNorm(5))


def scaled(m, x):
    return m.inner(x) * m.p.w[0] + m.p.w[1]


def tied(m, x):
    return (m.table(x) @ m.table.weight.T).mean(1)


def frozen_norm():
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)).eval()


def centred(m, x):
    """Samples that look at each other."""
    z = m.inner(x)
    return (z - z.mean(dim=0)).tanh()


def words():
    return torch.randint(0, 7, (B, 4))


def twice(m, x):
    return m.a(m.a(x).tanh())


def vectors():
    return torch.randn(B, 6)


def long():
    return torch.randn(B, 40, 3)


def standardised(m, x):
    """A weight that a batch norm standardises, as networks without norms of activations do."""
    return x @ functional.batch_norm(m.p.w[0][None], None, None, training=True)[0]


# Name -> encoder, input, and whether one backward a sample was needed for a parameter.
ZOO = {
    "linear": (mlp, vectors, False),
    "linear, used twice": (
        lambda: Of(twice, a=nn.Linear(6, 6)),
        lambda: torch.randn(B, 6),
        False,
    ),
    "linear, sequence": (lambda: nn.Sequential(mlp(), nn.Flatten()), lambda: torch.randn(B, 3, 6), False),
    "linear, a long sequence": (
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Flatten()),
        lambda: torch.randn(B, 40, 3),
        False,
    ),
    "convolutions": (convolutions, images, False),
    "convolution, 1": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten()), lambda: torch.randn(B, 2, 7), False),
    "convolution, groups": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten()),
        images,
        True,
    ),
    "transformer": (lambda: Transformer(True), images, False),
    "transformer, samples second": (lambda: Transformer(False), images, False),
    "embedding": (lambda: nn.Sequential(nn.Embedding(7, 5, padding_idx=2), nn.Flatten()), words, False),
    "embedding, tied": (lambda: Of(tied, table=nn.Embedding(7, 5)), words, True),
    "scale and shift": (
        lambda: Of(scaled, inner=nn.Linear(6, 5), p=Parameters((5,), (1,))),
        lambda: torch.randn(B, 6),
        False,
    ),
    "batch norm in eval()": (frozen_norm, vectors, True),
    "standardised weight": (lambda: Of(standardised, p=Parameters((6, 5))), vectors, True),
    "checkpoint": (checkpointed, vectors, True),
    "samples that look at each other": (lambda: Of(centred, inner=nn.Linear(6, 5)), vectors, True),
}


@pytest.fixture
def by_rows(monkeypatch):
    """How many parameters needed one backward a sample, call by call."""
    found, real = [], samples._by_rows
    monkeypatch.setattr(samples, "_by_rows", lambda *args: found.append(len(args[1])) or real(*args))
    return found


def losses_of(z, n_tasks):
    torch.manual_seed(1)
    weights = torch.randn(z.flatten(1).shape[1], n_tasks or 1, dtype=z.dtype)
    losses = functional.softplus(z.flatten(1) @ weights)
    return losses if n_tasks else losses[:, 0]


@pytest.mark.parametrize("n_tasks", [0, 1, 3])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["64", "32"])
@pytest.mark.parametrize("name", ZOO)
def test_the_gramian_of_samples_is_that_of_their_rows(by_rows, name, dtype, rtol, n_tasks):
    torch.manual_seed(0)
    make, data, slow = ZOO[name]
    encoder = make().to(dtype)
    params = list(encoder.parameters())
    balancer = scalarize.Balancer("upgrad", encoder, per="sample")
    for _ in range(2):  # the layout of samples is looked up in the second step
        x = data()
        losses = losses_of(encoder(x.to(dtype) if x.is_floating_point() else x), n_tasks)
        jacobian = rows(list(losses.reshape(-1)), params)
        encoder.zero_grad()
        used = balancer.backward(losses)
        assert bool(by_rows) == slow
        gramian = jacobian @ jacobian.T
        torch.testing.assert_close(used.gramian.double(), gramian, rtol=0, atol=rtol * float(gramian.diagonal().max()))
        assert used.weights.shape == losses.shape
        combined = used.weights.reshape(-1).double() @ jacobian
        size = used.weights.reshape(-1).double().abs() @ jacobian.abs()  # a combination may cancel
        torch.testing.assert_close(written(params), combined, rtol=0, atol=rtol * float(size.max()))
    assert balancer.step == 2


@pytest.mark.parametrize("method", ["mgda", "pcgrad", "cagrad", "aligned-mtl", "imtl-g", "config"])
def test_methods_of_the_gramian(method):
    torch.manual_seed(0)
    encoder, head, x = mlp().double(), nn.Linear(5, 1).double(), torch.randn(B, 6, dtype=torch.float64)
    losses = head(encoder(x)).square()[:, 0]
    jacobian = rows(list(losses), list(encoder.parameters()))
    used = scalarize.Balancer(method, encoder, per="sample").backward(losses)
    want = scalarize.methods.create(method).combine_gradients(jacobian, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(written(list(encoder.parameters())), want.gradient, rtol=1e-6, atol=1e-9)
    own = torch.autograd.grad((used.weights * head(encoder(x)).square()[:, 0]).sum(), head.weight)[0]
    torch.testing.assert_close(head.weight.grad, own)  # what is not shared receives the same sum


def test_a_part_of_the_parameters_may_be_the_evidence():
    torch.manual_seed(0)
    encoder = mlp().double()
    losses = losses_of(encoder(torch.randn(B, 6, dtype=torch.float64)), 0)
    jacobian = rows(list(losses), list(encoder[2:].parameters()))
    used = scalarize.Balancer("mgda", encoder, per="sample", evidence_from=encoder[2:]).backward(losses)
    torch.testing.assert_close(used.gramian, jacobian @ jacobian.T)
    assert encoder[0].weight.grad is not None


def test_a_sample_without_a_gradient_has_no_say():
    torch.manual_seed(0)
    encoder, x = mlp(), torch.randn(B, 6)
    losses = losses_of(encoder(x), 0) * torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    used = scalarize.Balancer("nash-mtl", encoder, per="sample").backward(losses)
    assert used.weights.isnan().tolist() == [k == 1 for k in range(B)]


def test_batch_norm_is_refused_by_name():
    encoder = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten())
    with pytest.raises(RequestError, match=r"BatchNorm of 3 channels .* GroupNorm"):
        scalarize.Balancer("mgda", encoder, per="sample").backward(losses_of(encoder(images()), 0))
    assert all(p.grad is None for p in encoder.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "graddrop"}, "methods of the Gramian"),
        ({"method": "uniform"}, "methods of the Gramian"),
        ({"method": "gradvac"}, "remembers each task"),
        ({"method": "upgrad", "preference": [1.0, 2.0]}, "remembers each task"),
        ({"every": 2}, "needs level="),
        ({"level": "representation"}, "needs level="),
        ({"check_first": 1}, "check_first"),
        ({"per": "batch"}, "per"),
    ],
)
def test_what_has_no_meaning_is_refused(options, message):
    with pytest.raises(RequestError, match=message):
        scalarize.Balancer(**{"method": "mgda", "shared": mlp(), "per": "sample"} | options)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"a": torch.ones(())}, "must be a tensor .* not dict"),
        (torch.ones((), requires_grad=True), r"not a tensor of shape \(\)"),
        (torch.ones(3), "a graph"),
    ],
)
def test_other_losses_are_refused(losses, message):
    with pytest.raises(RequestError, match=message):
        scalarize.Balancer("mgda", mlp(), per="sample").backward(losses)


def test_a_loss_that_is_not_finite_is_named_or_skipped():
    encoder = mlp()
    bad = torch.tensor([1.0, float("nan"), 1.0, 1.0, 1.0, 1.0])
    with pytest.raises(RunError, match=r"loss of sample \[1\] is not finite"):
        scalarize.Balancer("mgda", encoder, per="sample").backward(losses_of(encoder(torch.randn(B, 6)), 0) * bad)
    balancer = scalarize.Balancer("mgda", encoder, per="sample", on_nonfinite="skip")
    assert balancer.backward(losses_of(encoder(torch.randn(B, 6)), 0) * bad).skipped
    assert (balancer.skipped_steps, balancer.step, encoder[0].weight.grad) == (1, 1, None)


def test_a_layer_whose_gradients_begin_at_zero_is_looked_at_again():
    """Samples second, behind a head that is zero at first: the place of samples cannot be told then."""
    torch.manual_seed(0)
    encoder, head = Transformer(False).double(), nn.Linear(8, 1).double()
    nn.init.zeros_(head.weight)
    params, x = list(encoder.parameters()), images().double()
    balancer = scalarize.Balancer("upgrad", [*params, *head.parameters()], per="sample")
    for _ in range(3):
        losses = (head(encoder(x))[:, 0] - torch.arange(float(B))).square()
        jacobian = rows(list(losses), [*params, *head.parameters()])
        used = balancer.backward(losses)
        torch.testing.assert_close(used.gramian, jacobian @ jacobian.T)
        nn.init.normal_(head.weight)
