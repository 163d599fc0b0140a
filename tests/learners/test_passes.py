"""Own forward passes of domains and of partly labelled tasks: the gradients of the common pass, for less work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import yaml
from torch import Tensor, nn
from torch.nn import functional

from scalarize import methods
from scalarize.learners import passes
from scalarize.learners.independence import independent
from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.learners.supervised import SupervisedLearner
from scalarize.tasks.kinds import regression
from scalarize.tasks.samples import Batch, TensorTable
from scalarize.tasks.task import Data, Domain, Objective
from scalarize.utils.errors import RequestError
from scalarize.workloads.models.multihead import MultiHead

RECIPE = Recipe(optimizer=OptimizerRecipe(name="sgd", lr=1e-2, momentum=0.0), epochs=2, batch_size=12)
DOMAINS = ("a", "b", "c")
METHODS = [n for n in methods.names() if n not in ("policy", "fixed")]


@pytest.fixture(autouse=True)
def passes_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """These models are so small that no pass of its own would pay."""
    monkeypatch.setitem(passes.START, "cpu", 0.0)


def table(n: int, seed: int, share: float | None = None) -> TensorTable:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=g)
    targets = {t: x @ torch.randn(5, generator=g) for t in ("t", "u", "v")}
    labelled = None if share is None else {t: torch.rand(n, generator=g) < share for t in targets}
    return TensorTable(x, targets, None, labelled)


def domains(share: float | None = None) -> Data:
    """One task on three domains; two tasks, partly labelled, on each for a ``share``."""
    held = {name: Domain(name, {"train": table(60, k, share)}) for k, name in enumerate(DOMAINS)}
    if share is None:
        return Data.multi_domain(regression("t"), list(held.values()), reference="a")
    return Data(tuple(Objective(f"{t}-{d}", regression(t), d) for d in held for t in ("t", "u")), held, 60)


def tasks(share: float = 0.3) -> Data:
    return Data.multi_task([regression(t) for t in ("t", "u", "v")], Domain("all", {"train": table(60, 1, share)}))


def smooth() -> nn.Module:
    """No kinks: a unit that is on in one order of sums and off in another would not be rounding."""
    return nn.Sequential(nn.Linear(5, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 6), nn.GroupNorm(2, 6))


def learner(held: Data, recipe: Recipe, encoder: Callable[[], nn.Module] = smooth, **more: Any) -> SupervisedLearner:
    build = lambda: MultiHead(encoder(), {t.name: nn.Linear(6, 1) for t in held.tasks})  # noqa: E731
    return SupervisedLearner(held, build, recipe, 0, **more)


def first_gradient(held: Data, name: str, kind: str, precision: Any = "float64", **changes: Any) -> dict[str, Tensor]:
    """``.grad`` after the first step's backwards."""
    trained = learner(held, RECIPE.override({"passes": kind, **changes}), precision=precision)
    if precision == "float16":
        trained.scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    trained.use(methods.create(name))
    assert trained.balancer is not None
    assert trained.gradient is not None
    trained.balancer.epoch = 0
    trained.balancer.reseed(1)
    trained.model.train()
    trained.gradient.fill(0, torch.Generator(), torch.Generator())
    return {n: p.grad for n, p in trained.model.named_parameters() if p.grad is not None}


OPTIONS: list[dict[str, Any]] = [{}, {"accumulate": 3}, {"accumulate": 3, "accumulation": "micro"}]
MAKE: dict[str, Callable[[], Data]] = {
    "domains": domains,
    "domains with two tasks": lambda: domains(0.5),
    "tasks": tasks,
    "few labels": lambda: tasks(0.1),
}


@pytest.mark.parametrize("options", OPTIONS, ids=["", "full", "micro"])
@pytest.mark.parametrize("make", MAKE)
@pytest.mark.parametrize("name", METHODS)
def test_own_passes_give_the_gradients_of_the_common_one(name: str, make: str, options: dict[str, Any]) -> None:
    held, method = MAKE[make](), methods.get(name)
    if method.same_samples and len(held.domains) > 1:
        return
    if method.has_view or method.levels == ("representation",):
        with pytest.raises(RequestError, match="needs level=parameters"):
            first_gradient(held, name, "separate")
        return
    mixed, separate = (first_gradient(held, name, kind, **options) for kind in ("mixed", "separate"))
    assert mixed.keys() == separate.keys()
    for key, grad in mixed.items():
        torch.testing.assert_close(separate[key], grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("make", MAKE)
@pytest.mark.parametrize("name", ["pcgrad", "mgda", "modo", "uncertainty"])
def test_whole_trainings_end_alike(name: str, make: str) -> None:
    ends = []
    for kind in ("mixed", "separate"):
        trained = learner(MAKE[make](), RECIPE.override({"passes": kind, "accumulate": 2}), precision="float64")
        trained.train(methods.create(name), 2)
        ends.append(torch.cat([p.detach().flatten() for p in trained.model.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precisions_and_their_scaler(precision: Any) -> None:
    """To the rounding of the precision: 8 and 11 bits."""
    mixed, separate = (first_gradient(domains(), "pcgrad", kind, precision) for kind in ("mixed", "separate"))
    for key, grad in mixed.items():
        torch.testing.assert_close(separate[key], grad, rtol=0.0, atol=0.03 * float(grad.abs().max()))
    trained = learner(domains(), RECIPE, precision=precision)
    trained.train(methods.create("mgda"), 2)
    assert all(p.isfinite().all() for p in trained.model.parameters())


class Rows(torch.autograd.Function):
    """Counts the samples that go forwards and backwards."""

    seen: list[int] = []

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        Rows.seen.append(len(x))
        return x * 1

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        Rows.seen.append(-len(grad))
        return grad


class Counted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.first = smooth(), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(Rows.apply(self.first(x)))
        return out


def work(held: Data, name: str, kind: str) -> tuple[int, int]:
    """The samples that a step moves forwards and backwards."""
    trained = learner(held, RECIPE.override({"passes": kind}), Counted)
    trained.train(methods.create(name), 1)
    assert trained.gradient is not None
    Rows.seen.clear()
    trained.gradient.fill(0, torch.Generator(), torch.Generator())
    return sum(n for n in Rows.seen if n > 0), -sum(n for n in Rows.seen if n < 0)


@pytest.mark.parametrize("kind", ["auto", "separate"])
def test_a_step_on_domains_moves_each_sample_once(kind: str) -> None:
    assert work(domains(), "pcgrad", "mixed") == (12, 3 * 12)
    assert work(domains(), "pcgrad", kind) == (12, 12)


def test_a_task_moves_its_own_samples() -> None:
    assert work(tasks(0.1), "mgda", "mixed")[0] == 12
    forwards, backwards = work(tasks(0.1), "mgda", "auto")
    assert forwards == backwards < 24
    assert work(tasks(0.9), "mgda", "auto")[0] == 12  # most labels are there: one common pass costs less


@pytest.mark.parametrize("name", ["uniform", "rlw", "uncertainty", "famo"])
def test_methods_without_gradients_keep_one_pass(name: str) -> None:
    assert work(domains(), name, "auto") == (12, 12)
    trained = learner(domains(), RECIPE, Counted)
    trained.train(methods.create(name), 1)
    Rows.seen.clear()
    assert trained.gradient is not None
    trained.gradient.fill(0, torch.Generator(), torch.Generator())
    assert Rows.seen == [12, -12]


def test_the_look_sees_samples_as_the_model_is_given_them() -> None:
    """Whole numbers on disk become floats by the domain's augmentation: the bare samples would not pass."""

    def scaled(batch: Batch, generator: torch.Generator) -> Batch:
        return replace(batch, inputs=batch.inputs.float() / 64)

    held = domains()
    whole = {}
    for name, domain in held.domains.items():
        source: Any = domain.splits["train"]
        stored = replace(source, inputs=(64 * source.inputs).to(torch.int16))
        whole[name] = Domain(name, {"train": stored}, scaled)
    assert work(replace(held, domains=whole), "pcgrad", "auto") == (12, 12)


def test_small_models_keep_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(passes.START, "cpu", 6e6)
    assert work(domains(), "pcgrad", "auto") == (12, 36)


class Change(nn.Module):
    """An encoder with something in the middle."""

    def __init__(self, middle: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(5, 6), middle, nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.middle(self.first(x).tanh()))
        return out


class Gated(nn.Module):
    """A part that does nothing yet, as those that begin at zero, but has a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gate * x.mean(dim=0)


class Averaged(nn.Module):
    """What passes by is remembered, and used by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        self.mean.lerp_(x.detach().mean(dim=0), 0.1)
        return x


def frozen() -> nn.Module:
    norm = nn.BatchNorm1d(6).eval()
    norm.train = lambda mode=True: norm  # type: ignore[method-assign]
    return norm


class OnlyBackwards(torch.autograd.Function):
    """The gradient is scaled by its norm over the batch, as some adversarial heads do."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad / ctx.saved_tensors[0].norm()


COUPLED: dict[str, Callable[[], Any]] = {
    "batch norm": lambda: nn.BatchNorm1d(6),
    "batch norm without running statistics": lambda: nn.BatchNorm1d(6, track_running_stats=False).eval(),
    "a norm by hand": lambda: lambda x: x - x.mean(dim=0),
    "attention over the batch": lambda: lambda x: torch.softmax(x @ x.T, dim=1) @ x,
    "a weak coupling": lambda: lambda x: x + 1e-4 * x.sum(dim=0),
    "a gate at zero": Gated,
    "a running mean": Averaged,
    "the gradient alone": lambda: OnlyBackwards.apply,
    "instance norm with running statistics": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.InstanceNorm1d(2, track_running_stats=True), nn.Flatten()
    ),
    "a batch of one size": lambda: lambda x: x.view(12, 6),
    "its first sample": lambda: lambda x: x + x[-1:].detach(),
}
INDEPENDENT: dict[str, Callable[[], Any]] = {
    "nothing": lambda: nn.Identity(),
    "layer norm": lambda: nn.LayerNorm(6),
    "group norm": lambda: nn.GroupNorm(2, 6),
    "frozen batch norm": frozen,
    "attention within a sample": lambda: nn.Sequential(
        nn.Unflatten(1, (3, 2)), nn.TransformerEncoderLayer(2, 1, 4, 0.0, batch_first=True), nn.Flatten()
    ),
    "dropout": lambda: nn.Dropout(0.5),
    "a function": lambda: lambda x: functional.gelu(x) * x.sigmoid(),
    "instance norm": lambda: nn.Sequential(nn.Unflatten(1, (2, 3)), nn.InstanceNorm1d(2), nn.Flatten()),
}


def look(middle: Any, inputs: Tensor | None = None) -> bool:
    torch.manual_seed(0)
    model = MultiHead(Change(middle), {"t": nn.Linear(6, 1)}).train()
    return independent(model, torch.randn(8, 5) if inputs is None else inputs, ["t"])


@pytest.mark.parametrize("kind", COUPLED)
def test_a_model_that_couples_samples_is_seen(kind: str) -> None:
    assert not look(COUPLED[kind]())


@pytest.mark.parametrize("kind", INDEPENDENT)
def test_a_model_that_does_not_is_seen(kind: str) -> None:
    assert look(INDEPENDENT[kind]())


def test_samples_that_tell_nothing_decide_nothing() -> None:
    assert not look(nn.Identity(), torch.ones(8, 5))
    assert not look(nn.Identity(), torch.randn(3, 5))


def test_a_look_leaves_no_trace() -> None:
    model = MultiHead(Change(nn.Sequential(Averaged(), nn.Dropout(0.5))), {"t": nn.Linear(6, 1)}).train()
    before, stream = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    independent(model, torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), ["t"])
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(p.grad is None for p in model.parameters())
    assert model.training


@pytest.mark.parametrize("kind", ["mixed", "auto", "separate"])
def test_equal_seeds_make_equal_runs_with_random_layers(kind: str) -> None:
    encoder = lambda: nn.Sequential(smooth(), nn.Dropout(0.3))  # noqa: E731
    whole, again, first = (learner(domains(), RECIPE.override({"passes": kind}), encoder) for _ in range(3))
    whole.train(methods.create("pcgrad"), 2)
    first.train(methods.create("pcgrad"), 1)
    again.load_state_dict(first.state_dict())
    again.train(methods.create("pcgrad"), 2)
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_separate_passes_of_one_representation_are_refused() -> None:
    with pytest.raises(RequestError, match="needs level=parameters"):
        learner(domains(), RECIPE.override({"passes": "separate", "level": "representation"})).train(
            methods.create("mgda"), 1
        )


def test_batch_norm_keeps_the_mixed_pass_unless_it_is_said() -> None:
    def encoder() -> nn.Module:
        return nn.Sequential(Counted(), nn.BatchNorm1d(6))

    for kind, expected in (("auto", [12]), ("separate", [4, 4, 4])):
        trained = learner(domains(), RECIPE.override({"passes": kind}), encoder)
        trained.use(methods.create("pcgrad"))
        assert trained.gradient is not None
        Rows.seen.clear()
        trained.gradient.fill(0, torch.Generator(), torch.Generator())
        assert [n for n in Rows.seen if n > 0] == expected


def _process(rank: int, address: str, found: Any) -> None:
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    for kind in ("mixed", "separate"):
        torch.manual_seed(rank)
        held = {n: Domain(n, {"train": table(60, 10 * rank + k)}) for k, n in enumerate(DOMAINS)}
        data = Data.multi_domain(regression("t"), list(held.values()), reference="a")
        found[kind, rank] = {k: g.tolist() for k, g in first_gradient(data, "pcgrad", kind).items()}
    dist.destroy_process_group()


def test_several_processes(tmp_path: Any) -> None:
    with mp.Manager() as manager:
        found = manager.dict()
        mp.spawn(_process, (f"file://{tmp_path}/meet", found), nprocs=2)
        seen = dict(found)
    for rank in (0, 1):
        for key, grad in seen["mixed", rank].items():
            torch.testing.assert_close(
                torch.tensor(seen["separate", rank][key]), torch.tensor(grad), rtol=1e-6, atol=1e-6
            )
    assert seen["separate", 0] == seen["separate", 1]


def test_a_run_that_was_begun_when_there_was_no_choice_goes_on_as_it_was(command: Any, tmp_path: Any) -> None:
    words = ("train", "rand-hie-sites", "--method", "pcgrad", "--epochs", 1, "--set", "batch_size=512")
    words += ("--set", "model.widths=[16,16]")
    assert command(*words, "--set", "passes=mixed", "--out", "mixed").status == 0
    assert command(*words, "--out", "auto").status == 0
    mixed, own = ((tmp_path / out / "records.jsonl").read_bytes() for out in ("mixed", "auto"))
    assert mixed != own
    content = yaml.safe_load((tmp_path / "auto" / "config.yaml").read_text())
    assert content["recipe"].pop("passes") == "auto"
    (tmp_path / "auto" / "config.yaml").write_text(yaml.safe_dump(content))
    for newer in ("result.json", "manifest.json"):  # there was none then either
        (tmp_path / "auto" / newer).unlink()
    assert command(*words, "--out", "auto", "--resume").status == 0
    assert (tmp_path / "auto" / "records.jsonl").read_bytes() == mixed


def test_a_compiled_encoder_is_looked_at() -> None:
    trained = learner(domains(), RECIPE)
    trained.model.encoder = torch.compile(trained.model.encoder, backend="eager")
    trained.use(methods.create("pcgrad"))
    assert trained.gradient is not None
    trained.gradient.fill(0, torch.Generator(), torch.Generator())
    assert trained.gradient.passes._price is not None
    assert trained.gradient.passes._price.sample > 0
