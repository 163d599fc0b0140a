"""RotoGrad: its rotations are rotations, they align what they should, and a training with them resumes exactly."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import scalarize
from scalarize import methods
from scalarize.methods import Method, create
from scalarize.runs.build import prepare
from scalarize.runs.request import TrainRequest
from scalarize.runs.train import train as run_training
from scalarize.utils.errors import RequestError

T, B, D = 3, 5, 4


def gradients(seed: int) -> torch.Tensor:
    """The gradients (T, B d) of three tasks by a representation of five samples."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(T, B * D, generator=g, dtype=torch.float64) * torch.tensor([[1.0], [5.0], [0.2]])


def step(method: Method, j: torch.Tensor) -> torch.Tensor:
    evidence = methods.Evidence(jacobian=j, gramian=j @ j.T, width=D)
    weights, after = method.weigh(evidence, method.ensure(len(j)))
    method.state.update(after)
    return weights


def rotation(method: Method, task: int, width: int = D) -> torch.Tensor:
    """R_k (d, d), read off the views of the unit vectors."""
    return method.view(torch.eye(width, dtype=torch.float64), task, method.state).T


@pytest.mark.parametrize("size", [None, 2])
def test_views_are_rotations(size):
    method = create("rotograd", lr=0.1, size=size)
    for task in range(T):
        method.ensure(T)
        assert torch.equal(rotation(method, task), torch.eye(D).double())
    for k in range(20):
        step(method, gradients(k))
    for task in range(T):
        r = rotation(method, task)
        torch.testing.assert_close(r @ r.T, torch.eye(D).double(), rtol=0, atol=1e-12)
        assert torch.linalg.det(r).item() == pytest.approx(1.0)
        assert (r - torch.eye(D)).abs().max() > 0.05
        if size == 2:
            assert torch.equal(r[2:], torch.eye(D).double()[2:])
            assert torch.equal(r[:, 2:], torch.eye(D).double()[:, 2:])


def test_weights_equalise_norms_at_the_length_of_the_slowest():
    method = create("rotograd")
    first, second = gradients(0), gradients(0) * torch.tensor([[0.5], [0.5], [1.0]])
    step(method, first)
    weights = step(method, second)
    norms = second.norm(dim=1)
    shares = torch.tensor([0.5, 0.5, 1.0]) / 2
    torch.testing.assert_close(weights * norms, (shares * norms).sum().expand(T))


def test_a_rotation_descends_on_its_own_loss():
    """The direction of the first step is that of finite differences of -sum_n <R^T h_n, v_n> in the generator."""
    method = create("rotograd", lr=1e-3)
    step(method, gradients(1))  # so that A is not 0
    before = method.state["generators"].clone()
    mean = method.state["mean"].clone()
    j = gradients(2)
    step(method, j)
    gradient = (method.state["mean"] - 0.9 * mean) / 0.1
    g = j.reshape(T, B, D)
    v = (g / j.norm(dim=1)[:, None, None]).mean(dim=0)
    for task in range(T):
        h = g[task] @ torch.linalg.matrix_exp(before[task] - before[task].T).T

        def loss(a: torch.Tensor, h: torch.Tensor = h) -> float:
            return -float(((h @ torch.linalg.matrix_exp(a - a.T)) * v).sum())

        for row, column in [(0, 1), (3, 2), (1, 3)]:
            e = torch.zeros(D, D).double()
            e[row, column] = 1e-5
            slope = (loss(before[task] + e) - loss(before[task] - e)) / 2e-5
            assert gradient[task, row, column].item() == pytest.approx(slope, rel=1e-5)


def test_rotations_bring_opposite_gradients_together():
    """Two heads that want opposite features agree on z once each sees its own rotation of it."""
    method = create("rotograd", lr=0.05, decay=1.0)
    h = torch.tensor([[1.0, 0.2], [-1.0, 0.2]]).double()  # what the heads want of R_k z, whatever R_k
    cosines = []
    for _ in range(60):
        method.ensure(2)
        j = torch.stack([h[k] @ rotation(method, k, 2) for k in range(2)])
        cosines.append(torch.cosine_similarity(j[0], j[1], dim=0).item())
        evidence = methods.Evidence(jacobian=j, gramian=j @ j.T, width=2)
        method.state.update(method.weigh(evidence, method.state)[1])
    assert cosines[0] < -0.9
    assert cosines[-1] > 0.99


def test_another_width_is_refused():
    method = create("rotograd")
    step(method, gradients(0))
    with pytest.raises(RequestError, match="of 4 features, not 2"):
        method.view(torch.zeros(1, 2), 0, method.state)
    with pytest.raises(RequestError, match="of 4 features, not 5"):
        method.weigh(methods.Evidence(jacobian=gradients(0), width=5), method.state)


# --- in anybody's loop ---------------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(3, D), nn.Tanh()).double()
        self.heads = nn.ModuleDict({t: nn.Linear(D, 1).double() for t in ("a", "b")})


def train(balancer: scalarize.Balancer, net: Net, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for k in steps:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        optimizer.zero_grad()
        z = net.encoder(x)
        wanted = {"a": x.sum(dim=1), "b": x[:, 0] - x[:, 1]}
        present = ("a",) if k == 1 else ("a", "b")
        losses = {t: (net.heads[t](balancer.view(z, t))[:, 0] - wanted[t]).square().mean() for t in present}
        balancer.backward(losses, representation=z)
        optimizer.step()


def made(lr: float = 0.05) -> tuple[scalarize.Balancer, Net, torch.optim.Optimizer]:
    net = Net()
    shared = net.encoder.parameters()
    balancer = scalarize.Balancer("rotograd", shared, level="representation", tasks=["a", "b"], lr=lr)
    return balancer, net, torch.optim.Adam(net.parameters(), 1e-2)


def test_a_plain_loop_resumes_exactly_with_a_task_missing():
    b, net, optimizer = made()
    train(b, net, optimizer, range(6))
    first = made()
    train(*first, range(3))
    second = made()
    for a, z in zip(first, second, strict=True):
        z.load_state_dict(a.state_dict())
    train(*second, range(3, 6))
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), second[1].parameters(), strict=True))
    assert all(torch.equal(b.method.state[k], second[0].method.state[k]) for k in b.method.state)
    assert b.method.state["steps"].tolist() == [6, 5]


def test_shared_and_head_gradients_are_the_papers():
    """With the rotations held: the encoder gets C times the unit gradients by z, a head its own gradient."""
    b, net, optimizer = made()
    train(b, net, optimizer, range(3))
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    r = {t: b.view(torch.eye(D, dtype=torch.float64), t).T for t in ("a", "b")}
    norms = b.method.state["first_norms"].clone()
    optimizer.zero_grad()
    z = net.encoder(x)
    losses = {t: net.heads[t](z @ r[t].T).square().mean() for t in ("a", "b")}
    at_z = [torch.autograd.grad(x, z, retain_graph=True)[0] for x in losses.values()]
    own = torch.autograd.grad(losses["b"], net.heads["b"].weight, retain_graph=True)[0]
    sizes = torch.stack([g.norm() for g in at_z])
    c = ((sizes / norms) * sizes).sum() / (sizes / norms).sum()
    want = torch.autograd.grad(z, net.encoder[0].weight, c * sum(g / g.norm() for g in at_z))[0]
    z = net.encoder(x)
    b.backward({t: net.heads[t](b.view(z, t)).square().mean() for t in ("a", "b")}, representation=z)
    torch.testing.assert_close(net.encoder[0].weight.grad, want)
    torch.testing.assert_close(net.heads["b"].weight.grad, own)


def test_what_cannot_be_is_refused():
    with pytest.raises(RequestError, match="use level='representation'"):
        scalarize.Balancer("rotograd", [nn.Parameter(torch.ones(2))])
    balancer = scalarize.Balancer("rotograd", level="representation")
    with pytest.raises(RequestError, match="tasks="):
        balancer.view(torch.ones(1, 2), "a")
    balancer = scalarize.Balancer("rotograd", level="representation", tasks=["left", "right"])
    with pytest.raises(RequestError, match="did you mean 'left'"):
        balancer.view(torch.ones(1, 2), "lift")
    z = torch.ones(1, 2, requires_grad=True)
    other = torch.ones(1, 2, requires_grad=True)
    with pytest.raises(RequestError, match="one representation, got 2"):
        balancer.backward({"left": z.sum() + other.sum(), "right": z.sum()}, representation=[z, other])


def test_the_hook_serves_any_method_and_the_others_leave_the_representation_alone():
    """A method of a few lines that masks features for each task: nothing else has to know it."""

    class Masked(type(create("uniform"))):  # type: ignore[misc]
        has_view = True

        def view(self, representation, task, state):
            return representation * (torch.arange(representation.shape[-1]) % 2 == task)

    z = torch.randn(4, D, requires_grad=True)
    masked = scalarize.Balancer(Masked(), tasks=["a", "b"])
    masked.backward({"a": masked.view(z, "a").square().sum(), "b": 3 * masked.view(z, "b").square().sum()})
    torch.testing.assert_close(z.grad, z.detach() * torch.tensor([1.0, 3.0, 1.0, 3.0]))
    assert scalarize.Balancer("pcgrad", [z]).view(z, "a") is z


def test_a_run_tests_the_selected_epoch_through_its_rotations(tmp_path):
    settings = {"batch_size": 2048, "optimizer.lr": 0.02}
    request = TrainRequest(workload="rand-hie", method="rotograd", epochs=3, settings=settings)
    result = run_training(request, tmp_path / "run", "")
    kept = tmp_path / "run" / "checkpoints"
    learner = prepare(request).learner(request.seed)
    learner.model.load_state_dict(torch.load(kept / "selected.pt", weights_only=True))
    bare = learner.evaluate("test")
    learner.use(create("rotograd"))
    learner.balancer.load_state_dict(torch.load(kept / "selected-method.pt", weights_only=True))
    seen = learner.evaluate("test")
    assert {t: result["test"][t] for t in seen} == seen
    assert bare != seen
