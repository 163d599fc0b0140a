"""Loops of others beside a training by hand: the Trainer of Hugging Face, Lightning, accelerate, closures."""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import itertools
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from stacks_case import TASKS
from stacks_hand import RATE, ROWS, Batch, Net, batches, by_hand, off
from torch import Tensor, nn
from torch.utils.data import DataLoader

import scalarize
from scalarize.utils.errors import RequestError

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
Loop = Callable[[str, str], float]  # method, level -> the error of the way that the parameters went
LOOPS: dict[str, tuple[Loop, float]] = {}
HALF = 3e-2
BF16 = {"context": lambda: torch.autocast("cpu", torch.bfloat16)}


def balancer(net: nn.Module, method: str, level: str, **options: Any) -> scalarize.Balancer:
    return scalarize.Balancer(method, shared=list(net.enc.parameters()), level=level, tasks=TASKS, **options)


def windows(number: int, size: int, world: int = 1) -> list[list[Batch]]:
    """``number`` batches in windows of ``size``, the last one shorter if it must be."""
    every = batches(number, world)
    return [every[k : k + size] for k in range(0, number, size)]


def processes() -> tuple[int, int]:
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


@functools.cache
def freeze() -> None:
    """Take what is loaded out of the garbage collector's sight: the Trainer collects at every start, for seconds."""
    gc.freeze()


# --- the Trainer of Hugging Face -------------------------------------------------------------------------------------
def trained(method: str, level: str, folder: str, number: int = 4, resume: bool = False, **settings: Any) -> Any:
    """A trained BalancedTrainer over ``number`` batches in their order."""
    import transformers

    from scalarize.integrations import BalancedTrainer

    freeze()
    usual = {"optim": "sgd", "lr_scheduler_type": "constant", "learning_rate": RATE, "max_grad_norm": 0.0}
    usual |= {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "logging_strategy": "no"}
    usual |= {"train_sampling_strategy": "sequential", "save_strategy": "no", "num_train_epochs": 1}
    arguments = transformers.TrainingArguments(folder, per_device_train_batch_size=ROWS, **usual | settings)
    data = [
        {k: v[i] for k, v in batch.items()} for batch in batches(number, processes()[1]) for i in range(len(batch["y"]))
    ]
    net = Net()
    trainer = BalancedTrainer(net, arguments, train_dataset=data, balancer=balancer(net, method, level))
    trainer.train(resume_from_checkpoint=resume or None)
    if callable(getattr(trainer.optimizer, "eval", None)):
        trainer.optimizer.eval()
    return trainer


def trainer(number: int = 4, size: int = 1, hand: dict[str, Any] | None = None, **settings: Any) -> Loop:
    def run(method: str, level: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            found = trained(method, level, folder, number, gradient_accumulation_steps=size, **settings)
        world = processes()[1]
        return off(found.model, by_hand(method, level, windows(number, size, world), **hand or {}))

    return run


def resumed(method: str, level: str) -> float:
    """Two steps, then another process's Trainer for the other two, from the checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        saving = {"save_strategy": "steps", "save_steps": 2}
        trained(method, level, folder, max_steps=2, **saving)
        found = trained(method, level, folder, max_steps=4, resume=True, **saving)
    return off(found.model, by_hand(method, level, windows(4, 1)))


def adamw(params: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(params, RATE, weight_decay=0.0)


def schedule_free(params: list[Tensor]) -> torch.optim.Optimizer:
    import schedulefree

    optimizer = schedulefree.SGDScheduleFree(params, RATE)
    optimizer.train()
    return optimizer


LOOPS["Trainer, max_grad_norm=1"] = trainer(max_grad_norm=1.0, hand={"clip": 1.0}), 2e-3
LOOPS["Trainer, its default optimiser adamw_torch_fused"] = (
    trainer(optim="adamw_torch_fused", hand={"optimizer": adamw}),
    2e-3,
)
LOOPS["Trainer, accumulation 2 over 5 batches (last window shorter)"] = trainer(5, 2), 2e-3
LOOPS["Trainer, bf16"] = trainer(bf16=True, hand=BF16), HALF
LOOPS["Trainer, gradient_checkpointing"] = trainer(gradient_checkpointing=True), 2e-3
LOOPS["Trainer, schedule_free_sgd"] = trainer(optim="schedule_free_sgd", hand={"optimizer": schedule_free}), 2e-3
LOOPS["Trainer, torch_compile (aot_eager)"] = trainer(torch_compile=True, torch_compile_backend="aot_eager"), 2e-3
LOOPS["Trainer, resume_from_checkpoint"] = resumed, 2e-3


# --- Lightning -------------------------------------------------------------------------------------------------------
def lightning(
    number: int = 4, size: int = 1, clip: float | None = None, full: bool = False, hand: dict[str, Any] | None = None,
    **settings: Any,
) -> Loop:  # fmt: skip
    def run(method: str, level: str) -> float:
        import lightning

        from scalarize.integrations import BalancedLightningModule

        class Module(BalancedLightningModule):
            def __init__(self) -> None:
                super().__init__(accumulate=size, clip=clip)
                self.net = Net()

            def configure_balancer(self) -> scalarize.Balancer:
                return balancer(self.net, method, level, accumulate="full" if full else None)

            def compute_losses(self, batch: Batch, batch_idx: int) -> Any:
                out = self.net(**batch)
                return out["losses"], out["representation"]

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return torch.optim.SGD(self.parameters(), RATE)

        rank, world = processes()
        mine = [{k: v[rank * ROWS : (rank + 1) * ROWS] for k, v in batch.items()} for batch in batches(number, world)]
        off_limits = ("lightning", "lightning.pytorch", "lightning.fabric")
        for name in off_limits:
            logging.getLogger(name).setLevel(logging.ERROR)
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        quiet |= {"enable_checkpointing": False, "max_epochs": 1, "use_distributed_sampler": False}
        module = Module()
        lightning.Trainer(**quiet | settings).fit(module, DataLoader(mine, batch_size=None))
        return off(module.net, by_hand(method, level, windows(number, size, world), clip=clip, full=full, **hand or {}))

    return run


LOOPS["Lightning, 32-true, clip"] = lightning(clip=1.0), 2e-3
LOOPS["Lightning, accumulate 2 over 5 batches, clip"] = lightning(5, 2, clip=1.0), 2e-3
LOOPS["Lightning, accumulate 2, accumulate='full'"] = lightning(4, 2, full=True), 2e-3
LOOPS["Lightning, bf16-mixed"] = lightning(precision="bf16-mixed", hand=BF16), HALF


def lightning_scaled(method: str, level: str) -> float:
    """float16 with the gradient scaler that Lightning has on GPUs; clipping comes after unscaling."""
    from lightning.pytorch.plugins.precision import MixedPrecision

    plugin = MixedPrecision("16-mixed", device="cpu", scaler=torch.amp.GradScaler("cpu", init_scale=64.0))
    hand = {"context": lambda: torch.autocast("cpu", torch.float16)}
    return lightning(clip=1.0, plugins=[plugin], hand=hand)(method, level)


LOOPS["Lightning, 16-mixed with a GradScaler, clip"] = lightning_scaled, HALF
LOOPS["Lightning, bf16-true"] = lightning(1, precision="bf16-true", hand={"dtype": torch.bfloat16}), HALF
LOOPS["Lightning, 64-true"] = lightning(precision="64-true", hand={"dtype": torch.float64}), 2e-3


# --- accelerate ------------------------------------------------------------------------------------------------------
def accelerated(number: int = 4, size: int = 2, full: bool = False, hand: dict[str, Any] | None = None,
                precision: str = "no", inside: bool = True) -> Loop:  # fmt: skip
    """``inside``: the prepared model makes the losses; else it is the encoder alone, and heads read what it returns."""

    def run(method: str, level: str) -> float:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState, GradientState
        from stacks_case import losses

        from scalarize.integrations import balanced_backward

        AcceleratorState._reset_state(False)
        GradientState._reset_state()
        accelerator = Accelerator(cpu=True, gradient_accumulation_steps=size, mixed_precision=precision)
        net, (rank, world) = Net(), processes()
        ours = balancer(net, method, level, accumulate="full" if full else None)
        model, optimizer = accelerator.prepare(net if inside else net.enc, torch.optim.SGD(net.parameters(), RATE))
        for batch in batches(number, world):
            mine = {k: v[rank * ROWS : (rank + 1) * ROWS] for k, v in batch.items()}
            with accelerator.accumulate(model):
                if inside:
                    out = model(**mine)
                    by_task, z = out["losses"], out["representation"]
                else:
                    z = model(mine["x"])
                    with accelerator.autocast():
                        by_task = losses(net.heads, z, mine["y"], mine["c"])
                balanced_backward(accelerator, ours, by_task, representation=z if level == "representation" else None)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
        want = by_hand(method, level, windows(number, size, world), clip=1.0, full=full, **hand or {})
        return off(net, want)

    return run


LOOPS["accelerate, accumulate(2), clip_grad_norm_"] = accelerated(), 2e-3
LOOPS["accelerate, accumulate(2), accumulate='full'"] = accelerated(full=True), 2e-3
LOOPS["accelerate, bf16, losses inside the prepared model"] = accelerated(precision="bf16", hand=BF16), HALF
LOOPS["accelerate, bf16, heads outside the prepared encoder"] = (
    accelerated(precision="bf16", hand=BF16, inside=False),
    HALF,
)


# --- closures --------------------------------------------------------------------------------------------------------
def closures(make: Callable[[list[Tensor]], Any]) -> Loop:
    """An optimiser that asks for gradients itself, twice a step or more, by a closure."""

    def run(method: str, level: str) -> float:
        from stacks_reference import expected

        batch, (net, slow) = batches(1)[0], (Net(), Net())
        ours = balancer(net, method, level)
        way, generator = scalarize.methods.create(method), torch.Generator().manual_seed(0)
        way.ensure(len(TASKS))
        learned = torch.optim.Adam(way.parameters(), 0.025) if way.learned else None

        def forward(which: Net) -> tuple[dict[str, Tensor], Tensor]:
            out = which(**batch)
            return out["losses"], out["representation"]

        def ours_closure() -> Tensor:
            net.zero_grad()
            by_task, z = forward(net)
            ours.backward(by_task, representation=z)
            return torch.stack(list(by_task.values())).sum()

        def slow_closure() -> Tensor:
            want = expected(lambda: forward(slow), slow.enc.parameters(), slow.parameters(), way, level, generator)
            for p in slow.parameters():
                g = want[id(p)]
                p.grad = None if g is None else g.to(p)
            if learned is not None:
                learned.step()
                learned.zero_grad()
            return torch.stack(list(forward(slow)[0].values())).sum()

        for which, closure in ((net, ours_closure), (slow, slow_closure)):
            optimizer = make(list(which.parameters()))
            for _ in range(2):
                optimizer.step(closure)
        return off(net, [p.detach() for p in slow.parameters()])

    return run


class SAM:
    """Sharpness-aware minimisation: the gradient at a point further up."""

    def __init__(self, params: list[Tensor]) -> None:
        self.params = params

    def step(self, closure: Callable[[], Tensor]) -> None:
        """One step of two gradients."""
        closure()
        norm = torch.cat([p.grad.flatten() for p in self.params]).norm()
        moves = [0.05 * p.grad / norm for p in self.params]
        with torch.no_grad():
            torch._foreach_add_(self.params, moves)
        closure()
        with torch.no_grad():
            torch._foreach_sub_(self.params, moves)
            torch._foreach_sub_(self.params, [RATE * p.grad for p in self.params])


LOOPS["LBFGS with a closure"] = closures(lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3)), 2e-3
LOOPS["SAM, two gradients a step"] = closures(SAM), 2e-3


def attempt(loop: Loop, method: str, level: str) -> float | Exception:
    """The error of one training, or what it raised."""
    hidden = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(hidden), contextlib.redirect_stderr(hidden):
        warnings.simplefilter("ignore")
        try:
            return loop(method, level)
        except Exception as error:
            return error


Row = tuple[str, str, list[float | Exception], float]


def rows(methods: list[str], levels: list[str], wanted: Callable[[str], bool]) -> Iterator[Row]:
    """Stack, level, an outcome a method, and the tolerance."""
    import stacks_processes

    for (name, (loop, tolerance)), level in itertools.product(LOOPS.items(), levels):
        if wanted(name):
            yield name, level, [attempt(loop, method, level) for method in methods], tolerance
    tolerances = {name: tolerance for name, tolerance in stacks_processes.NAMES.items() if wanted(name)}
    for name, found in stacks_processes.outcomes(list(tolerances), methods, levels):
        for level in levels:
            yield name, level, [restored(found[level][method]) for method in methods], tolerances[name]


def named(error: Exception) -> list[str]:
    """An exception as [kind, sentence], to be told to another process."""
    kind = type(error).__name__
    return ["RequestError", str(error)] if isinstance(error, RequestError) else [kind, f"{kind}: {error}"]


def restored(told: float | list[str]) -> float | Exception:
    """An outcome that another process told."""
    if isinstance(told, list):
        return (RequestError if told[0] == "RequestError" else RuntimeError)(told[1])
    return float(told)
