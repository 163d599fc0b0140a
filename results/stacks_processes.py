"""Stacks of two processes (gloo): a bare module, DDP, FSDP2, and other people's loops under torchrun's environment.

python results/stacks_processes.py NAMES METHODS LEVELS FILE    # what stacks.py starts, with lists as JSON
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import stacks_loops as loops
import torch
import torch.distributed as dist
from stacks_hand import RATE, ROWS, Net, batches, by_hand, off
from torch import nn

WORLD = 2


# --- loops of our own ------------------------------------------------------------------------------------------------
def own_loop(wrap: Any, first: str = "balancer", given: str = "shared", number: int = 3) -> loops.Loop:
    """``wrap``: what becomes of the module; first: what is made first, the Balancer or the wrapper; given: if
    ``shared=`` is told or not."""

    def run(method: str, level: str) -> float:
        if not dist.is_initialized():
            dist.init_process_group("gloo")
        rank, world = loops.processes()
        net = Net()
        shared = (lambda: list(net.enc.parameters())) if given == "shared" else (lambda: None)
        options = {"level": level, "tasks": ["a", "b", "c"]}
        if first == "balancer":
            balancer = loops.scalarize.Balancer(method, shared=shared(), **options)
        model = wrap(net)
        if first != "balancer":
            balancer = loops.scalarize.Balancer(method, shared=shared(), **options)
        optimizer = torch.optim.SGD(net.parameters(), RATE)
        for batch in batches(number, world):
            out = model(**{k: v[rank * ROWS : (rank + 1) * ROWS] for k, v in batch.items()})
            balancer.backward(
                out["losses"], **({"representation": out["representation"]} if level != "parameters" else {})
            )
            optimizer.step()
            optimizer.zero_grad()
        want = by_hand(method, level, loops.windows(number, 1, world))
        return off(whole(net), want)

    return run


def whole(net: nn.Module) -> nn.Module:
    """``net`` with its sharded parameters gathered."""
    found = Net()
    with torch.no_grad():
        for p, q in zip(found.parameters(), net.parameters(), strict=True):
            p.copy_(q.full_tensor() if hasattr(q, "full_tensor") else q)
    return found


def ddp(**options: Any) -> Any:
    return lambda net: nn.parallel.DistributedDataParallel(net, **options)


def sharded(*parts: str) -> Any:
    """FSDP2 of the named parts (``""``: the whole), in this order."""

    def wrap(net: nn.Module) -> nn.Module:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh("cpu", (WORLD,))
        for part in parts:
            fully_shard(net.get_submodule(part), mesh=mesh)
        return net

    return wrap


HEADS = ["heads.a", "heads.b", "heads.c"]
STACKS: dict[str, tuple[loops.Loop, float]] = {
    "2 processes, bare module": (own_loop(lambda net: net), 2e-3),
    "2 processes, DDP": (own_loop(ddp()), 2e-3),
    "2 processes, DDP(find_unused_parameters=True)": (own_loop(ddp(find_unused_parameters=True)), 2e-3),
    "2 processes, DDP(static_graph=True)": (own_loop(ddp(static_graph=True)), 2e-3),
    "2 processes, FSDP2, then Balancer": (own_loop(sharded("enc", ""), first="wrapper"), 2e-3),
    "2 processes, Balancer, then FSDP2": (own_loop(sharded("enc", "")), 2e-3),
    "2 processes, FSDP2, no shared=": (own_loop(sharded("enc", ""), first="wrapper", given="nothing"), 2e-3),
    "2 processes, FSDP2 of the heads only": (own_loop(sharded(*HEADS), first="wrapper"), 2e-3),
    "2 processes, FSDP2 of the encoder only": (own_loop(sharded("enc"), first="wrapper"), 2e-3),
    "2 processes, Trainer (DDP, find_unused_parameters=True is its default here)": (loops.trainer(), 2e-3),
    "2 processes, Trainer, ddp_find_unused_parameters=False, accumulation 2 of 3": (
        loops.trainer(3, 2, ddp_find_unused_parameters=False),
        2e-3,
    ),
    "2 processes, Lightning ddp": (loops.lightning(strategy="ddp", devices=WORLD), 2e-3),
    "2 processes, Lightning ddp_find_unused_parameters_true, bf16-mixed": (
        loops.lightning(strategy="ddp_find_unused_parameters_true", devices=WORLD, precision="bf16-mixed",
                        hand=loops.BF16),
        loops.HALF,
    ),
    "2 processes, accelerate, accumulate(2)": (loops.accelerated(), 2e-3),
}  # fmt: skip
NAMES = {name: tolerance for name, (_, tolerance) in STACKS.items()}


# --- starting processes ----------------------------------------------------------------------------------------------
def outcomes(names: list[str], methods: list[str], levels: list[str], limit: float = 240) -> Iterator[tuple[str, Any]]:
    """Name -> level -> method -> the error, or [kind, sentence] of what was raised.

    One pair of processes works through all names; if one takes longer than ``limit`` seconds or kills them, that is its
    outcome, and another pair goes on with the next.
    """
    left = list(names)
    while left:
        with tempfile.TemporaryDirectory() as folder:
            path, said = Path(folder) / "outcomes.jsonl", Path(folder) / "stderr"
            pair = start(left, methods, levels, path, said)
            seen, since = 0, time.monotonic()
            while left:
                lines = path.read_text().splitlines() if path.exists() else []
                if len(lines) > seen:
                    since = time.monotonic()
                    yield left.pop(0), json.loads(lines[seen])
                    seen += 1
                elif pair[0].poll() is not None or time.monotonic() - since > limit:
                    break
                else:
                    time.sleep(0.2)
            for process in pair:
                process.kill()
                process.wait()
            if left and len(path.read_text().splitlines() if path.exists() else []) <= seen:
                last = [*said.read_text().splitlines(), f"no answer within {limit:.0f} s"][-1]
                yield left.pop(0), {level: {m: ["RuntimeError", last] for m in methods} for level in levels}


def start(
    names: list[str], methods: list[str], levels: list[str], path: Path, said: Path
) -> list[subprocess.Popen[bytes]]:
    """Two processes with the environment that torchrun gives."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = []
    for rank in range(WORLD):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(WORLD), "MASTER_PORT": port}
        own |= {"MASTER_ADDR": "127.0.0.1", "LOCAL_WORLD_SIZE": str(WORLD), "OMP_NUM_THREADS": "1"}
        own |= {"GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "stacks", "TORCHELASTIC_RESTART_COUNT": "0"}
        command = [sys.executable, __file__, json.dumps(names), json.dumps(methods), json.dumps(levels), str(path)]
        with (said if rank == 0 else Path(os.devnull)).open("wb") as log:
            started.append(subprocess.Popen(command, env=os.environ | own, stdout=subprocess.DEVNULL, stderr=log))
    return started


def main(names: str, methods: str, levels: str, path: str) -> None:
    """One of the processes; the first writes a line of outcomes for each stack."""
    torch.set_num_threads(1)
    for name in json.loads(names):
        found: dict[str, dict[str, Any]] = {}
        for level in json.loads(levels):
            for method in json.loads(methods):
                told = loops.attempt(STACKS[name][0], method, level)
                found.setdefault(level, {})[method] = told if isinstance(told, float) else loops.named(told)
        if os.environ["RANK"] == "0":
            with Path(path).open("a") as file:
                file.write(json.dumps(found) + "\n")
    os._exit(0)  # not by the way of atexit: a group may be waiting for messages of a refused step


if __name__ == "__main__":
    main(*sys.argv[1:])
