"""Stacks of one process: precision, optimisers, hooks and compilers around the step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from stacks_case import WIDTH, Case, case, encoder, heads, losses, stack, targets
from stacks_modules import convolutions, inputs
from torch import Tensor, nn


# --- precision -------------------------------------------------------------------------------------------------------
@stack("autocast bfloat16 around forward and backward", tolerance=3e-2)
def autocast_around() -> Case:
    return case(encoder(), inputs(), around=lambda: torch.autocast("cpu", torch.bfloat16))


@stack("autocast bfloat16 around the forward only", tolerance=3e-2)
def autocast_forward() -> Case:
    enc, head, (y, c), x = encoder(), heads(), targets(), inputs()

    def forward() -> tuple[dict[str, Tensor], Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            z = enc(x)
            return losses(head, z, y, c), z

    return Case([*enc.parameters(), *head.parameters()], list(enc.parameters()), forward)


@stack("autocast float16 around, gradients beyond float16", tolerance=3e-2)
def autocast_half() -> Case:
    found = case(encoder(), 4 * inputs(), around=lambda: torch.autocast("cpu", torch.float16))
    small = found.forward

    def forward() -> tuple[dict[str, Tensor], Any]:
        by_task, z = small()
        return {task: 40 * loss for task, loss in by_task.items()}, z

    found.forward = forward
    return found


@stack("bfloat16 parameters", tolerance=3e-2)
def half_parameters() -> Case:
    return case(encoder().bfloat16(), inputs().bfloat16(), read=lambda z: z.float())


@stack("float64 parameters")
def double() -> Case:
    return case(encoder().double(), inputs().double(), read=lambda z: z.float())


@stack("GradScaler('cpu')")
def scaler() -> Case:
    return case(encoder(), inputs(), scaler=torch.amp.GradScaler("cpu"))


@stack("encoder under no_grad")
def no_grad() -> Case:
    enc, head, (y, c), x = encoder(), heads(), targets(), inputs()

    def forward(on: bool = False) -> tuple[dict[str, Tensor], Tensor]:
        with torch.set_grad_enabled(on):
            z = enc(x)
        return losses(head, z, y, c), z

    params = [*enc.parameters(), *head.parameters()]
    return Case(params, list(enc.parameters()), forward, plain=lambda: forward(True))


# --- optimisers ------------------------------------------------------------------------------------------------------
Make = Callable[[list[Tensor], bool], torch.optim.Optimizer]
FUSED: dict[str, Make] = {
    "SGD": lambda p, fused: torch.optim.SGD(p, 0.1, momentum=0.9, fused=fused),
    "AdamW": lambda p, fused: torch.optim.AdamW(p, 0.1, eps=1e-2, fused=fused),
}


def fused(make: Make) -> Callable[[], Case]:
    def build() -> Case:
        return case(*convolutions(torch.channels_last), read=lambda z: z.mean((2, 3)), optimizer=make)

    return build


for _name, _make in FUSED.items():
    stack(f"channels_last encoder, {_name}(fused=True)")(fused(_make))


@stack("channels_last input to convolutional heads, SGD(fused=True)")
def fused_heads() -> Case:
    enc = nn.Conv2d(3, WIDTH, 3).to(memory_format=torch.channels_last)
    x = torch.randn(16, 3, 8, 8).to(memory_format=torch.channels_last)
    head = nn.ModuleList([nn.Conv2d(WIDTH, 4, 3) for _ in range(3)]).to(memory_format=torch.channels_last)

    def forward() -> tuple[dict[str, Tensor], Tensor]:
        z = torch.relu(enc(x))
        return {task: ((h(z) - k) ** 2).mean() for k, (task, h) in enumerate(zip("abc", head, strict=True))}, z

    return Case([*enc.parameters(), *head.parameters()], list(enc.parameters()), forward, optimizer=FUSED["SGD"])


@stack("Muon")
def muon() -> Case:
    enc = nn.Sequential(nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, WIDTH, bias=False))
    head = nn.ModuleDict({t: nn.Linear(WIDTH, n, bias=False) for t, n in (("a", 1), ("b", 3), ("c", 1))})
    x, (y, c) = inputs(), targets()

    def forward() -> tuple[dict[str, Tensor], Tensor]:
        z = enc(x)
        return losses(head, z, y, c), z

    def make(params: list[Tensor], _: bool) -> torch.optim.Optimizer:
        return torch.optim.Muon(params, 0.1)

    return Case([*enc.parameters(), *head.parameters()], list(enc.parameters()), forward, optimizer=make)


@stack("schedule-free AdamW")
def schedule_free() -> Case:
    import schedulefree

    def make(params: list[Tensor], _: bool) -> torch.optim.Optimizer:
        optimizer = schedulefree.AdamWScheduleFree(params, 0.1, eps=1e-2)
        optimizer.train()
        return optimizer

    return case(encoder(), inputs(), optimizer=make)


@stack("SparseAdam for a shared sparse embedding")
def sparse_adam() -> Case:
    enc, head, (y, c) = nn.Embedding(20, WIDTH, sparse=True), heads(), targets()
    ids = torch.randint(0, 20, (16,))

    def forward() -> tuple[dict[str, Tensor], Tensor]:
        z = enc(ids)
        return losses(head, z, y, c), z

    class Both(torch.optim.SGD):
        """SparseAdam for the embedding where its gradient may be sparse, Adam on the same rows else."""

        def step(self, closure: Any = None) -> None:
            first = self.param_groups[0]["params"][0]
            if fused_like:
                torch.optim.SparseAdam([first], 0.1, eps=1e-2).step()
            else:
                rows = first.grad.abs().sum(1, keepdim=True) > 0
                before = first.detach().clone()
                # SparseAdam adds eps before it corrects the second moment
                torch.optim.Adam([first], 0.1, eps=1e-2 / (1 - 0.999) ** 0.5).step()
                first.data.copy_(torch.where(rows, first, before))
            first.grad = None
            super().step()

    fused_like = True

    def make(params: list[Tensor], sparse: bool) -> torch.optim.Optimizer:
        nonlocal fused_like
        fused_like = sparse
        return Both(params, 0.1)

    return Case([*enc.parameters(), *head.parameters()], list(enc.parameters()), forward, optimizer=make)


# --- hooks -----------------------------------------------------------------------------------------------------------
@stack("optimiser in backward (register_post_accumulate_grad_hook)")
def optimizer_in_backward() -> Case:
    found = case(encoder(), inputs())
    own = {p: torch.optim.SGD([p], 0.1) for p in found.parameters}

    def hook(p: Tensor) -> None:
        own[p].step()
        p.grad = None

    for p in found.parameters:
        p.register_post_accumulate_grad_hook(hook)

    class Nothing(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            """The hooks have stepped."""

    found.optimizer = lambda params, inside: (Nothing if inside else torch.optim.SGD)(params, 0.1)
    return found


@stack("register_hook that clamps a shared parameter's gradient")
def clamping_hook() -> Case:
    found = case(encoder(), inputs())
    weight = found.shared[0]
    on = True
    weight.register_hook(lambda g: g.clamp(-0.01, 0.01) if on else g)

    def plain() -> tuple[dict[str, Tensor], Any]:
        nonlocal on
        on = False
        return make()

    def forward() -> tuple[dict[str, Tensor], Any]:
        nonlocal on
        on = True
        return make()

    def optimizer(params: list[Tensor], real: bool) -> torch.optim.Optimizer:
        class Clamped(torch.optim.SGD):
            def step(self, closure: Any = None) -> None:
                first = self.param_groups[0]["params"][0]
                if not real and first.grad is not None:
                    first.grad.clamp_(-0.01, 0.01)
                super().step()

        return Clamped(params, 0.1)

    make, found.forward, found.plain, found.optimizer = found.forward, forward, plain, optimizer
    return found


# --- compilers -------------------------------------------------------------------------------------------------------
def compiled(whole: bool, backend: str) -> Callable[[], Case]:
    @functools.cache  # compiled once, as in a training: methods meet the kernels that others left
    def build() -> Case:
        enc, head, (y, c), x = encoder(), heads(), targets(), inputs()

        class Model(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.enc, self.heads = enc, head

            def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
                z = self.enc(x)
                return z, {task: self.heads[task](z) for task in ("a", "b", "c")}

        model = Model()
        fast_enc, fast_model = torch.compile(enc, backend=backend), torch.compile(model, backend=backend)

        def forward(fast: bool = True) -> tuple[dict[str, Tensor], Tensor]:
            if whole:
                z, out = (fast_model if fast else model)(x)
                return losses({k: lambda _, k=k: out[k] for k in out}, z, y, c), z
            z = (fast_enc if fast else enc)(x)
            return losses(head, z, y, c), z

        params = [*enc.parameters(), *head.parameters()]
        return Case(params, list(enc.parameters()), forward, plain=lambda: forward(False))

    return build


stack("torch.compile(encoder, aot_eager)")(compiled(False, "aot_eager"))
stack("torch.compile(encoder, inductor)")(compiled(False, "inductor"))
stack("torch.compile(model as a whole, aot_eager)")(compiled(True, "aot_eager"))
stack("torch.compile(model as a whole, inductor)")(compiled(True, "inductor"))
