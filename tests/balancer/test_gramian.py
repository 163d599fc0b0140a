"""The Gramian from what enters and leaves each layer, held against rows and their products (``gramian_zoo.rows``)."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import scalarize
from gramian_zoo import N_TASKS, ZOO, mlp, rows, written
from scalarize.balancer.gramian import choice
from scalarize.balancer.gramian.choices import Choices
from scalarize.balancer.gramian.compact import Compact


@pytest.fixture
def always(monkeypatch):
    """Layers are held however small they are; the list tells how many, call by call."""
    monkeypatch.setattr(choice, "SMALLEST", 1)
    monkeypatch.setattr(choice, "GAIN", float("inf"))
    return watched(monkeypatch)


@pytest.fixture
def as_shipped(monkeypatch):
    return watched(monkeypatch)


def watched(monkeypatch):
    found, call = [], Choices.__call__

    def look(self, losses, params):
        compact = call(self, losses, params)
        found.append(0 if compact is None else len(compact._layers))
        return compact

    monkeypatch.setattr(Choices, "__call__", look)
    return found


def losses_of(z, n_tasks=N_TASKS):
    torch.manual_seed(1)
    weights = torch.randn(n_tasks, z.flatten(1).shape[1], dtype=z.dtype)
    return {str(t): functional.softplus(z.flatten(1) @ w).mean() for t, w in enumerate(weights)}


def step(encoder, x, method="upgrad", **options):
    """One step of the Balancer, and the rows of the same graph."""
    params = list(encoder.parameters())
    losses = losses_of(encoder(x))
    jacobian = rows(list(losses.values()), params)
    for p in params:
        p.grad = None
    used = scalarize.Balancer(method, params, **options).backward(losses)
    return used, jacobian, written(params)


def assert_same(used, jacobian, grads, rtol):
    gramian = jacobian @ jacobian.T
    size = gramian.diagonal().max()
    torch.testing.assert_close(used.gramian.double(), gramian, rtol=0, atol=rtol * float(size))
    combined = used.weights.double() @ jacobian
    torch.testing.assert_close(grads, combined, rtol=0, atol=rtol * float(combined.abs().max()))


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["64", "32"])
@pytest.mark.parametrize("name", ZOO)
def test_every_use_of_a_weight_gives_the_gramian_of_the_rows(always, name, dtype, rtol):
    torch.manual_seed(0)
    make, data, layers = ZOO[name]
    encoder, x = make().to(dtype), data()
    used, jacobian, grads = step(encoder, x.to(dtype) if x.is_floating_point() else x)
    assert always == [layers]
    assert_same(used, jacobian, grads, rtol)


@pytest.mark.parametrize(
    "method", ["mgda", "pcgrad", "cagrad", "nash-mtl", "upgrad", "aligned-mtl", "fairgrad", "imtl-g"]
)
def test_methods_of_the_gramian_take_it(always, method):
    torch.manual_seed(0)
    used, jacobian, grads = step(mlp().double(), torch.randn(5, 6, dtype=torch.float64), method)
    assert always == [3]
    assert_same(used, jacobian, grads, 1e-9)
    want = scalarize.methods.create(method).combine_gradients(jacobian)
    torch.testing.assert_close(grads, want.gradient, rtol=1e-4, atol=1e-6)


def test_methods_of_rows_keep_them(always):
    step(mlp(), torch.randn(5, 6), "graddrop")
    assert always == []


def test_a_gradient_in_which_samples_cancel_is_as_precise_as_its_row(always):
    """Two samples alike with opposite slopes: products of samples would leave rounding where nothing is."""
    torch.manual_seed(0)
    layer = nn.Linear(40, 30, bias=False)
    x = torch.randn(1, 40).expand(2, -1) + 1e-4 * torch.randn(2, 40)
    z = layer(x)
    losses = {"a": (z[0] - z[1]).sum(), "b": ((z[0] - z[1]) * torch.randn(30)).sum()}
    jacobian = rows(list(losses.values()), [layer.weight])
    used = scalarize.Balancer("upgrad", layer.weight).backward(losses)
    assert always == [1]
    torch.testing.assert_close(used.gramian.double(), jacobian @ jacobian.T, rtol=1e-2, atol=0)


def test_only_shapes_decide(as_shipped):
    torch.manual_seed(0)
    for width, batch, tasks, layers in ((512, 16, 8, 2), (512, 512, 8, 0), (64, 8, 8, 0), (512, 16, 1, 0)):
        encoder = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        for x in (torch.randn(batch, width), torch.zeros(batch, width)):
            losses = losses_of(encoder(x), tasks)
            scalarize.Balancer("mgda", encoder).backward(losses)
            assert as_shipped.pop() == layers, (width, batch, tasks)


def test_large_layers_as_shipped_are_right(as_shipped):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Embedding(5000, 64), nn.Flatten(), nn.Linear(512, 600), nn.ReLU(), nn.Linear(600, 40))
    used, jacobian, grads = step(encoder, torch.randint(0, 5000, (6, 8)))
    assert as_shipped == [2]  # the last is small
    assert_same(used, jacobian, grads, 1e-5)


def test_a_hook_that_changes_a_gradient_is_seen_and_rows_are_taken(always):
    """One on a node behind which no gradient is wanted: autograd does not call it."""
    torch.manual_seed(0)
    encoder, x = nn.Linear(6, 5, bias=False), torch.randn(7, 6)
    balancer = scalarize.Balancer("mgda", encoder)
    for _ in range(2):
        z = encoder(x)
        z.grad_fn.register_prehook(lambda grads: (grads[0] * 3.0,))
        losses = losses_of(z)
        jacobian = rows(list(losses.values()), list(encoder.parameters()))
        encoder.zero_grad()
        used = balancer.backward(losses)
        assert always.pop() == 0
        assert_same(used, jacobian, written(list(encoder.parameters())), 1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_hooks_on_the_output_of_a_layer(always, bias):
    torch.manual_seed(0)
    encoder, x = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 5, bias=bias)), torch.randn(7, 6)
    z = encoder(x)
    z.register_hook(lambda g: g.clamp(-1e-2, 1e-2))
    if bias:
        z.grad_fn.register_prehook(lambda grads: (grads[0] * 3.0,))
    losses = losses_of(z)
    jacobian = rows(list(losses.values()), list(encoder.parameters()))
    used = scalarize.Balancer("mgda", encoder).backward(losses)
    assert always == [2]
    assert_same(used, jacobian, written(list(encoder.parameters())), 1e-5)


def test_hooks_on_activations_and_parameters_do_what_they_did(always):
    torch.manual_seed(0)
    encoder, x, seen = mlp(), torch.randn(7, 6), []
    encoder[2].register_full_backward_hook(lambda m, inside, out: seen.append(out[0]) and None)
    encoder[0].weight.register_hook(lambda g: g.clamp(-1e-3, 1e-3))
    z = encoder(x)
    z.register_hook(lambda g: 2 * g)
    losses = losses_of(z)
    used = scalarize.Balancer("upgrad", encoder).backward(losses)
    assert always == [3]
    assert len(seen) == N_TASKS + 2  # each task's, and the two of the look before the first step
    grads = [p.grad for p in encoder.parameters()]
    assert grads[0].abs().max() == 1e-3  # it sees the combination alone
    again = encoder(x)
    again.register_hook(lambda g: 2 * g)
    total = sum(w * loss for w, loss in zip(used.weights, losses_of(again).values(), strict=True))
    wanted = torch.autograd.grad(total, list(encoder.parameters())[1:])
    for g, w in zip(grads[1:], wanted, strict=True):
        torch.testing.assert_close(g, w)


def test_a_task_that_reaches_a_part_and_one_that_reaches_nothing(always):
    torch.manual_seed(0)
    first, second = nn.Linear(6, 6).double(), nn.Linear(6, 5).double()
    params = [*first.parameters(), *second.parameters()]
    x = torch.randn(4, 6, dtype=torch.float64)
    z = first(x)
    losses = {"a": z.square().mean(), "b": second(z).mean(), "c": x.mean(), "d": None}
    jacobian = rows([losses["a"], losses["b"]], params)
    with pytest.warns(scalarize.utils.errors.ScalarizeWarning, match="exactly 0"):
        used = scalarize.Balancer("mgda", params, tasks=list("abcd")).backward(losses)
    assert always == [2]
    torch.testing.assert_close(used.gramian[:2, :2], jacobian @ jacobian.T)
    assert used.gramian[2, :3].tolist() == [0.0, 0.0, 0.0]
    assert used.weights[2:].isnan().all()
    torch.testing.assert_close(written(params), used.weights[:2] @ jacobian)


def test_shared_parameters_that_no_loss_reaches_have_no_gradient(always):
    encoder, idle = mlp(), nn.Linear(3, 3)
    losses = losses_of(encoder(torch.randn(4, 6)))
    scalarize.Balancer("mgda", [*encoder.parameters(), *idle.parameters()]).backward(losses)
    assert always == [3]
    assert idle.weight.grad is None
    assert encoder[0].weight.grad is not None


@pytest.mark.parametrize("options", [{"blocks": 2}, {"evidence": True}, {"every": 2}, {"heads": "weighted"}])
def test_partial_evidence_is_what_it_was(always, monkeypatch, options):
    torch.manual_seed(0)
    encoder, heads = mlp().double(), nn.ModuleList(nn.Linear(5, 1) for _ in range(3)).double()
    params = [*encoder.parameters(), *heads.parameters()]
    x = torch.randn(7, 6, dtype=torch.float64)
    evidence = {"evidence_from": list(encoder[2:].parameters())} if options.pop("evidence", False) else {}
    answers = []
    for gain in (float("inf"), 0.0):
        monkeypatch.setattr(choice, "GAIN", gain)
        balancer, grads = scalarize.Balancer("cagrad", encoder, **options, **evidence), []
        for _ in range(2):
            z = encoder(x)
            for p in params:
                p.grad = None
            used = balancer.backward({str(k): head(z).square().mean() for k, head in enumerate(heads)})
            grads += [used.weights, written(params)]
        answers.append(grads)
    assert max(always) > 0
    for ours, rows_ in zip(*answers, strict=True):
        torch.testing.assert_close(ours, rows_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("accumulate", ["micro", "full"])
def test_micro_batches(always, monkeypatch, accumulate):
    torch.manual_seed(0)
    encoder, x = mlp().double(), torch.randn(8, 6, dtype=torch.float64)
    answers = []
    for gain in (float("inf"), 0.0):
        monkeypatch.setattr(choice, "GAIN", gain)
        balancer = scalarize.Balancer("mgda", encoder, accumulate=accumulate)
        encoder.zero_grad()
        for k in range(2):
            losses = {t: loss / 2 for t, loss in losses_of(encoder(x[4 * k : 4 * k + 4])).items()}
            used = balancer.backward(losses, final=k == 1)
        answers.append((used.weights, written(list(encoder.parameters()))))
    assert (max(always, default=0) > 0) == (accumulate == "micro")
    for ours, rows_ in zip(*answers, strict=True):
        torch.testing.assert_close(ours, rows_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scaled", [False, True])
def test_autocast_multiplies_in_float32(always, scaled):
    torch.manual_seed(0)
    encoder, x = nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 32)), torch.randn(8, 48)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0) if scaled else None
    with torch.autocast("cpu", torch.bfloat16):
        losses = {t: loss.float() for t, loss in losses_of(encoder(x).float()).items()}
    jacobian = rows(list(losses.values()), list(encoder.parameters()))
    used = scalarize.Balancer("upgrad", encoder).backward(losses, scaler=scaler)
    assert always == [2]
    assert used.gramian.dtype == torch.float32
    grads = written(list(encoder.parameters())) / (1024.0 if scaled else 1.0)
    assert_same(used, jacobian, grads, 1e-2)  # a row is rounded to bfloat16, the products here are not


def test_the_probe_is_content_with_it(always):
    torch.manual_seed(0)
    encoder, heads, x = mlp(), nn.ModuleDict({t: nn.Linear(5, 1) for t in "ab"}), torch.randn(7, 6)
    balancer = scalarize.Balancer("mgda", encoder, check_first=1)

    def one():
        z = encoder(x)
        balancer.backward({t: head(z).square().mean() for t, head in heads.items()})

    assert balancer.check(one, torch.optim.Adam([*encoder.parameters(), *heads.parameters()])).ok
    one()
    assert max(always) == 3


def test_what_is_not_finite_is_told(always):
    encoder = mlp()
    z = encoder(torch.randn(4, 6))
    losses = {"a": z.square().mean(), "b": z[:, 0].abs().pow(0.5).sum() * 0 + (z * 0).pow(0.5).sum()}
    with pytest.raises(scalarize.utils.errors.RunError, match="gradient of task 'b'"):
        scalarize.Balancer("mgda", encoder).backward(losses)


def test_no_row_is_held():
    """Of one large weight, T gradients would be T x P numbers."""
    weight = nn.Parameter(torch.randn(400, 300))
    z = torch.randn(10, 300) @ weight.T
    losses = [z[:, k].square().mean() for k in range(8)]
    pieces = choice.choose(losses, [weight])
    compact = Compact([weight], pieces, len(losses))
    for t, loss in enumerate(losses):
        with compact.outputs.watch():
            compact.write(t, torch.autograd.grad(loss, compact.inputs, retain_graph=True))
    held = sum(d.numel() for parts in compact._layers[0]._held for d in parts)
    assert held == 8 * 10 * 400
    assert compact._rows.matrix.numel() == 0


def test_a_graph_that_was_used_up_is_refused_in_one_line(always):
    encoder = mlp()
    losses = losses_of(encoder(torch.randn(4, 6)))
    sum(losses.values()).backward()
    with pytest.raises(scalarize.utils.errors.RequestError, match="used up by an earlier backward"):
        scalarize.Balancer("mgda", encoder).backward(losses)
