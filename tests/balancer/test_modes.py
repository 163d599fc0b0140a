"""The Balancer's ways of gathering, each against the plain way on the same numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import scalarize
from scalarize import methods
from scalarize.utils.errors import RequestError, RunError

GOLDEN = Path(__file__).resolve().parents[2] / "../shared/golden"
TASKS = ("a", "b", "c")


class Net(nn.Module):
    def __init__(self, dtype=torch.float64, tasks=TASKS, samples=8):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3), nn.Tanh()).to(dtype)
        self.heads = nn.ModuleDict({t: nn.Linear(3, 2) for t in tasks}).to(dtype)
        self.x = torch.randn(samples, 4, dtype=torch.float64).to(dtype)
        self.y = torch.randn(len(self.heads), samples, 2, dtype=torch.float64).to(dtype)

    def shared(self):
        return list(self.encoder.parameters())

    def losses(self, at=slice(None), share=1.0):
        z = self.encoder(self.x[at])
        losses = {t: ((h(z) - self.y[k][at]) ** 2).mean() for k, (t, h) in enumerate(self.heads.items())}
        return {
            t: (k + 1) * share * losses[t].float() if z.dtype.itemsize < 4 else (k + 1) * share * losses[t]
            for k, t in enumerate(losses)
        }, z

    def grads(self):
        return {n: None if p.grad is None else p.grad.clone() for n, p in self.named_parameters()}


def step(method="mgda", net=None, **options):
    """Gradients and weights of one step."""
    net = net or Net()
    net.zero_grad()
    b = scalarize.Balancer(method, net.shared(), **options)
    losses, z = net.losses()
    used = b.backward(losses, representation=z)
    return net.grads(), used


def assert_same(got, wanted, rtol=1e-9, atol=1e-12):
    for name, g in wanted.items():
        torch.testing.assert_close(got[name], g, rtol=rtol, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


ORACLES = {
    "mgda_none": ("mgda", {"normalization": "none"}, "parameters"),
    "mgda_ub": ("mgda", {"normalization": "none"}, "representation"),
    "imtl_g": ("imtl-g", {}, "parameters"),
    "imtl_g_ub": ("imtl-g", {}, "representation"),
    "nash_mtl": ("nash-mtl", {}, "parameters"),
    "upgrad_exact": ("upgrad", {"regularization": 0.0}, "parameters"),
    "aligned_mtl_min": ("aligned-mtl", {"scale": "min"}, "parameters"),
    "cagrad_c0p5": ("cagrad", {"c": 0.5}, "parameters"),
    "mean": ("uniform", {}, "parameters"),
}


@pytest.mark.skipif(not GOLDEN.exists(), reason="the oracle values lie beside the checkout")
@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("key", ORACLES)
def test_the_oracle_network(key, heads):
    index = json.loads((GOLDEN / "index.json").read_text())["model_case"]
    values = np.load(GOLDEN / "values.npz")["values"]

    def get(ref):
        if len(ref) == 2 and isinstance(ref[1], list) and isinstance(ref[0], int):
            return torch.tensor(values[ref[0] : ref[0] + int(np.prod(ref[1]))].reshape(ref[1]))
        return torch.tensor(ref, dtype=torch.float64)

    p = {k: get(v) for k, v in index["params"].items()}
    w, bias = p["W"].requires_grad_(), p["b"].requires_grad_()
    tops = [p[f"H{i}"].requires_grad_() for i in range(3)]
    rep = torch.tanh(p["X"] @ w.T + bias)
    losses = {str(i): ((rep @ h.T).squeeze(1) - p["Y"][:, i]).square().mean() for i, h in enumerate(tops)}
    name, hyper, level = ORACLES[key]
    b = scalarize.Balancer(name, [w, bias], level=level, heads=heads, **hyper)
    used = b.backward(losses, representation=rep)
    expected = index["expected"][key]
    torch.testing.assert_close(used.weights, get(expected["w"]), rtol=1e-7, atol=1e-9)
    shared = torch.cat([w.grad.flatten(), bias.grad])
    torch.testing.assert_close(shared, get(expected["shared_grad"]), rtol=1e-7, atol=1e-9)
    wanted = expected["heads_if_scaled"] if heads == "weighted" else index["head_grads_plain"]
    for h, g in zip(tops, wanted, strict=True):
        torch.testing.assert_close(h.grad, get(g).reshape(h.shape), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("blocks", [2, 3, 4, 99])
def test_blocks_change_nothing(blocks, heads):
    plain, used = step(heads=heads)
    got, again = step(heads=heads, blocks=blocks)
    torch.testing.assert_close(again.gramian, used.gramian)
    assert_same(got, plain)


@pytest.mark.parametrize("heads", ["own", "weighted"])
def test_evidence_from_a_part_then_one_weighted_backward(heads):
    net = Net()
    last = list(net.encoder[2].parameters())
    got, used = step(net=net, heads=heads, evidence_from=last)
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(net.losses()[0][t], last)]) for t in TASKS]
    gramian = torch.stack(rows) @ torch.stack(rows).T
    torch.testing.assert_close(used.gramian, gramian)
    fixed, _ = step("fixed", heads=heads, weights=used.weights.tolist())  # MGDA's weights sum to 1
    assert_same(got, fixed)
    _, on_all = step(heads=heads)
    assert not torch.allclose(used.weights, on_all.weights)


@pytest.mark.parametrize("method", ["mgda", "uniform", "imtl-l", "pcgrad", "graddrop", "dwa"])
def test_full_accumulation_is_the_whole_batch(method):
    whole, _ = step(method, tasks=TASKS)
    net = Net()
    b = scalarize.Balancer(method, net.shared(), accumulate="full", tasks=TASKS)
    for part in range(4):
        losses, _ = net.losses(slice(2 * part, 2 * part + 2), share=0.25)
        used = b.backward(losses, final=part == 3)
        if method == "mgda":
            assert (used.weights is None) == (part < 3)
    assert b.step == 1
    assert_same(net.grads(), whole)


def test_micro_accumulation_combines_each_part():
    net = Net()
    b = scalarize.Balancer("mgda", net.shared(), accumulate="micro")
    total = {}
    for part in range(2):
        at = slice(4 * part, 4 * part + 4)
        b.backward(net.losses(at, 0.5)[0])
        alone = Net()
        scalarize.Balancer("mgda", alone.shared()).backward(alone.losses(at, 0.5)[0])
        total = {n: g + total.get(n, 0) for n, g in alone.grads().items()}
    assert_same(net.grads(), total)
    whole, _ = step()
    assert not torch.allclose(total["encoder.0.weight"], whole["encoder.0.weight"])


@pytest.mark.parametrize("n_tasks", [1, 100])
@pytest.mark.parametrize("method", ["uniform", "imtl-l", "mgda", "pcgrad", "graddrop"])
def test_one_task_and_a_hundred(method, n_tasks):
    names = [f"t{k}" for k in range(n_tasks)]
    net = Net(tasks=names, samples=4)
    got, used = step(method, net=net, tasks=names)
    assert all(torch.isfinite(g).all() for g in got.values())
    if n_tasks == 1 and method != "imtl-l":
        net.zero_grad()
        net.losses()[0]["t0"].backward()
        assert_same(got, net.grads())
    assert used.weights is None or used.weights.shape == (n_tasks,)


def test_frozen_and_untouched_parameters_get_no_gradient():
    net = Net()
    net.encoder[0].weight.requires_grad_(False)
    spare = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    b = scalarize.Balancer("mgda", [*net.shared(), spare])
    b.backward(net.losses()[0])
    assert net.encoder[0].weight.grad is None
    assert spare.grad is None
    assert net.encoder[0].bias.grad is not None
    for p in [*net.shared(), spare]:
        p.requires_grad_(False)
    with pytest.raises(RequestError, match="requires a gradient"):
        b.backward(net.losses()[0])


def test_domains_with_batches_of_their_own():
    """Graphs that share nothing but parameters: every domain's loss averages its own samples."""
    net = Net(tasks=("x",))
    domains = {"p": slice(0, 5), "q": slice(5, 6), "r": slice(6, 8)}
    losses = {d: net.losses(at)[0]["x"] for d, at in domains.items()}
    params = [p for n, p in net.named_parameters() if "encoder" in n or "heads" in n]
    scalarize.Balancer("mgda", params, tasks=list(domains)).backward({d: losses[d] for d in ("r", "p")})
    got = net.grads()
    rows = {
        d: torch.cat([g.flatten() for g in torch.autograd.grad(net.losses(domains[d])[0]["x"], params)])
        for d in ("p", "r")
    }
    wanted = methods.create("mgda").combine_gradients(torch.stack(list(rows.values()))).gradient
    torch.testing.assert_close(torch.cat([got[n].flatten() for n, _ in net.named_parameters()]), wanted)


def test_a_graph_is_freed_as_soon_as_no_later_loss_needs_it():
    from scalarize.balancer.autograd import reach

    net = Net()
    apart = [net.losses(slice(k, k + 1))[0]["a"] for k in range(3)]
    assert reach(apart, without=net.shared()).keep == [False] * 3
    assert reach(list(net.losses()[0].values()), without=net.shared()).keep == [True, True, False]
    losses, z = net.losses()
    found = reach(list(losses.values()), stop=[z], without=[z])
    assert found.keep == [False] * 3
    assert [{id(p) for p in ps} for ps in found.own] == [{id(p) for p in h.parameters()} for h in net.heads.values()]


@pytest.mark.parametrize("level", ["parameters", "representation"])
@pytest.mark.parametrize("method", ["uniform", "imtl-l", "mgda"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_with_and_without_scaler(method, level, dtype):
    exact, _ = step(method, level=level, tasks=TASKS)
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=1024.0)):
        net = Net(torch.float32)
        b = scalarize.Balancer(method, net.shared(), level=level, tasks=TASKS, learned="yours")
        optimizer = torch.optim.SGD([*net.parameters(), *b.parameters()], lr=1.0)
        with torch.autocast("cpu", dtype=dtype):
            losses, z = net.losses()
        b.backward(losses, representation=z, scaler=scaler)
        if scaler is not None:
            scaler.unscale_(optimizer)
        for name, g in net.grads().items():
            near = (g.double() - exact[name]).norm() / exact[name].norm()
            assert near < 0.1, (name, near)


def test_half_precision_parameters():
    got, _ = step(net=Net(torch.bfloat16))
    exact, _ = step()
    assert got["encoder.0.weight"].dtype == torch.bfloat16
    for name, g in got.items():
        assert (g.double() - exact[name]).norm() < 0.15 * exact[name].norm() + 0.02


@pytest.mark.parametrize("level", ["parameters", "representation"])
def test_a_scaler_sees_an_overflow_and_skips_the_step(level):
    net = Net(torch.float32)
    scaler = torch.amp.GradScaler("cpu", init_scale=1e30)
    b = scalarize.Balancer("mgda", net.shared(), level=level)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    before = [p.clone() for p in net.parameters()]
    losses, z = net.losses()
    used = b.backward({t: x * 1e15 for t, x in losses.items()}, representation=z, scaler=scaler)
    scaler.step(optimizer)
    scaler.update()
    assert used.skipped
    assert b.skipped_steps == 1
    assert scaler.get_scale() < 1e30
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))


def test_further_batches():
    net = Net()
    halves = [slice(0, 4), slice(2, 6), slice(4, 8)]
    rows = []
    for at in halves:
        losses, _ = net.losses(at)
        rows.append(
            torch.stack(
                [
                    torch.cat([g.flatten() for g in torch.autograd.grad(losses[t], net.shared(), retain_graph=True)])
                    for t in TASKS
                ]
            )
        )
    wanted = methods.create("modo").combine_gradients(rows[0], extra=rows[1:])
    b = scalarize.Balancer("modo", net.shared())
    first, *more = (net.losses(at)[0] for at in halves)
    used = b.backward(first, extra=more)
    torch.testing.assert_close(used.weights, wanted.weights)
    torch.testing.assert_close(torch.cat([p.grad.flatten() for p in net.shared()]), wanted.gradient)
    with pytest.raises(RequestError, match="further batches"):
        scalarize.Balancer("mgda", net.shared()).backward(net.losses()[0], extra=[net.losses()[0]])


def test_a_gradient_that_is_not_finite_names_its_task():
    net = Net()
    b = scalarize.Balancer("mgda", net.shared())
    losses, _ = net.losses()
    losses["c"] = losses["c"] + (0 * losses["c"]).sqrt()
    with pytest.raises(RunError, match="step 0: the gradient of task 'c'"):
        b.backward(losses)
    losses, _ = net.losses()
    b = scalarize.Balancer("mgda", net.shared(), level="representation", on_nonfinite="skip")
    losses, z = net.losses()
    losses["c"] = losses["c"] * math.inf
    assert b.backward(losses, representation=z).skipped


def test_a_compiled_model_works():
    net = Net()
    exact, _ = step()
    compiled = torch.compile(net.encoder, backend="aot_eager")
    for level in ("parameters", "representation"):
        net.zero_grad()
        z = compiled(net.x)
        losses = {t: (k + 1) * ((net.heads[t](z) - net.y[k]) ** 2).mean() for k, t in enumerate(TASKS)}
        scalarize.Balancer("mgda", net.shared(), level=level).backward(losses, representation=z)
        assert_same(net.grads(), exact if level == "parameters" else step(level=level)[0])


def test_a_compiled_model_that_gave_its_buffers_away_is_refused_clearly():
    class Donated(torch.autograd.Function):  # what inductor's graphs do by default when they are run twice
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("This backward function was compiled with non-empty donated buffers")

    p = nn.Parameter(torch.ones(2))
    with pytest.raises(RequestError, match="donated_buffer = False"):
        scalarize.Balancer("mgda", [p]).backward({"a": Donated.apply(p), "b": p.sum()})


@pytest.mark.parametrize("name", ["db-mtl", "moco", "excess-mtl", "modo", "sdmgrad"])
def test_a_level_that_a_method_cannot_use_is_refused_by_the_constructor(name):
    with pytest.raises(RequestError, match="cannot be used at level='representation'"):
        scalarize.Balancer(name, level="representation")


def test_other_refusals():
    net = Net()
    for options, message in [
        ({"method": "mgda", "level": "representation", "accumulate": "full"}, "accumulate='full'"),
        ({"method": "mgda", "evidence_from": [net.x]}, "parameters of shared="),
        ({"method": "uniform", "evidence_from": net.shared()}, "methods of the Gramian"),
        ({"method": "graddrop", "blocks": 2}, "methods of the Gramian"),
        ({"method": "graddrop", "every": 2}, "no weights"),
        ({"method": "imtl-l", "every": 2}, "no weights"),
        ({"method": "mgda", "accumulate": "whole"}, "unknown accumulate"),
    ]:
        with pytest.raises(RequestError, match=message):
            scalarize.Balancer(shared=net.shared(), **options)
    b = scalarize.Balancer("mgda", net.shared(), level="representation")
    with pytest.raises(RequestError, match="needs representation="):
        b.backward(net.losses()[0])
    losses, z = net.losses()
    with pytest.raises(RequestError, match="past representation="):
        b.backward({t: x + net.encoder[0].weight.sum() for t, x in losses.items()}, representation=z)
    with pytest.raises(RequestError, match="one number"):
        b.backward({"a": z}, representation=z)
    with pytest.raises(RequestError, match="no task has a loss"):
        scalarize.Balancer("uniform").backward({"a": None})
    with pytest.raises(RequestError, match="tasks="):
        scalarize.Balancer("imtl-l", learned="yours").parameters()


def test_solver_failures_and_random_choices_survive_a_state_dict():
    net = Net()
    b = scalarize.Balancer("rlw", net.shared(), tasks=TASKS, seed=3)
    b.backward(net.losses()[0])
    held = b.state_dict()
    ahead = b.weights_ahead(TASKS)
    other = scalarize.Balancer("rlw", net.shared(), tasks=TASKS)
    other.load_state_dict(held)
    assert torch.equal(other.weights_ahead(TASKS), ahead)
    other.reseed(5)
    assert not torch.equal(other.weights_ahead(TASKS), ahead)
    nash = scalarize.Balancer("nash-mtl", net.shared())
    losses, _ = net.losses()
    nash.backward({"a": losses["a"], "b": -losses["a"]})  # opposite gradients: there is no bargain
    assert nash.solver_failures == 1
    net.zero_grad()
    again = scalarize.Balancer("nash-mtl", net.shared())
    again.load_state_dict(nash.state_dict())
    assert again.solver_failures == 1
