"""The cost table: every candidate is there, bare and floor are what they say; no assertion about time itself."""

from __future__ import annotations

import itertools
import time

import torch
from torch import nn

from scalarize import methods
from scalarize.runs.build import prepare
from scalarize.runs.request import WorkloadRequest
from scalarize.studies import step_cost
from scalarize.studies.fixed_batch import FixedBatch
from scalarize.utils.clocks import clock_of


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.heads = nn.Linear(3, 4), nn.ModuleList(nn.Linear(4, 1) for _ in range(3))

    def forward(self):
        z = self.encoder(torch.ones(2, 3))
        return {str(k): h(z).square().mean() for k, h in enumerate(self.heads)}, z


def test_rows_and_ratios_within_rounds():
    net = Net()
    ticks = itertools.count()
    shared = list(net.encoder.parameters())
    candidates = step_cost.balancers(["uniform", "pcgrad", "imtl-l"], shared, ["0", "1", "2"])
    candidates |= {"at z": step_cost.balancers(["mgda"], shared, ["0", "1", "2"], level="representation")["mgda"]}
    rows = step_cost.measure(
        net, net.parameters(), candidates, repeats=3, clock=lambda: float(next(ticks)), memory=False
    )
    assert [r["method"] for r in rows] == ["bare", "floor", "uniform", "pcgrad", "imtl-l", "at z"]
    assert all(r["seconds"] == 1.0 and r["to_bare"] == r["to_floor_high"] == 1.0 for r in rows)


def test_a_cpu_is_measured_in_its_own_seconds_so_that_its_other_users_do_not_count(monkeypatch):
    assert clock_of(torch.device("cpu")) is time.process_time
    asked, ticks, net = [], itertools.count(), Net()
    monkeypatch.setattr(step_cost, "clock_of", lambda d: asked.append(d.type) or (lambda: float(next(ticks))))
    rows = step_cost.measure(net, net.parameters(), {}, repeats=1, memory=False)
    assert asked == ["cpu"]
    assert all(r["seconds"] == 1.0 for r in rows)


def test_a_gpu_is_read_when_it_has_done_what_it_was_given(monkeypatch):
    done, gpu = [], torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "synchronize", done.append)
    monkeypatch.setattr(time, "perf_counter", lambda: 10.0 + len(done))  # a second for each wait
    read = clock_of(gpu)
    assert not done  # asking for the clock waits for nothing
    assert [read(), read()] == [11.0, 12.0]
    assert done == [gpu, gpu]


def test_bare_and_floor_make_the_same_gradient():
    net = Net()
    found = []
    for backward in (step_cost._bare, step_cost._floor):
        net.zero_grad()
        backward(*net())
        found.append([p.grad for p in net.parameters()])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_memory_of_a_step_is_seen_where_the_system_tells():
    rise = step_cost._rise(lambda: torch.ones(16_000_000).sum())
    assert rise is None or 60 < rise < 120


def test_a_method_with_a_view_is_measured_with_it():
    net, seen = Net(), []

    def forward(view=None):
        seen.append(view is not None)
        z = net.encoder(torch.ones(2, 3))
        at = [z if view is None else view(z, str(k)) for k in range(3)]
        return {str(k): h(x).square().mean() for k, (h, x) in enumerate(zip(net.heads, at, strict=True))}, z

    shared = list(net.encoder.parameters())
    viewing = [name for name in methods.names() if methods.get(name).has_view]
    candidates = step_cost.balancers(["uniform", *viewing], shared, ["0", "1", "2"])
    rows = step_cost.measure(forward, net.parameters(), candidates, repeats=1, memory=False)
    assert [r["method"] for r in rows] == ["bare", "floor", "uniform", *viewing]
    assert sum(seen) == 2 * len(viewing)  # once to make ready, once in the round; not in the bare steps beside it


def test_a_step_on_domains_is_that_of_a_training():
    problem = WorkloadRequest(workload="rand-hie-sites")
    prepared = prepare(problem)
    model, seen = prepared.model(), []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    for passes, method, wanted in (("separate", "pcgrad", 6), ("mixed", "pcgrad", 1), ("auto", "uniform", 1)):
        recipe = prepared.recipe.model_copy(update={"passes": passes})
        batch, bare = FixedBatch(model, prepared.data, recipe), step_cost._bare
        step = batch.candidate(methods.create(method))
        seen.clear()
        losses, z = step.forward()
        assert len(seen) == wanted
        assert sum(seen) == 6 * (recipe.batch_size // 6)
        common, _ = batch.forward()
        assert list(losses) == list(common) == list(prepared.data.names)
        for name, loss in losses.items():
            torch.testing.assert_close(loss, common[name])
        if method == "uniform":  # its direction is the bare loop's, divided by the number of domains
            gradients = []
            for backward, found in ((step, (losses, z)), (bare, batch.forward())):
                model.zero_grad()
                backward(*found)
                gradients.append(torch.cat([p.grad.flatten() for p in model.shared_parameters()]))
            torch.testing.assert_close(6 * gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
