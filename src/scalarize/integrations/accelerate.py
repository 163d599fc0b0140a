"""The loop of accelerate, with ``backward`` given to a Balancer.

accelerator.register_for_checkpointing(balancer)  # the method's state, with the accelerator's own
for batch in loader:
    with accelerator.accumulate(model):
        balanced_backward(accelerator, balancer, losses)  # in place of accelerator.backward(sum of losses)
        if accelerator.sync_gradients:
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import Tensor

from scalarize.balancer.balancer import BackwardResult, Balancer
from scalarize.integrations.task_losses import TaskLosses, divided
from scalarize.utils.errors import RequestError


def balanced_backward(
    accelerator: Accelerator,
    balancer: Balancer,
    losses: TaskLosses,
    representation: Tensor | Sequence[Tensor] | None = None,
    *,
    extra: Sequence[TaskLosses] = (),
    counts: Mapping[str, float] | None = None,
) -> BackwardResult:
    """Add to ``.grad`` what the method makes of ``losses``, as ``accelerator.backward`` does of one loss.

    Like that, it divides by ``accelerator.gradient_accumulation_steps`` (the full number also in a shorter last
    window), leaves ``.grad`` scaled if there is a gradient scaler, and sums over processes. With
    ``Balancer(accumulate="full")`` the last micro-batch of a window combines.

    Args:
        accelerator: the training's.
        balancer: a Balancer over parameters of the model.
        losses: losses by task, each a mean over this process's batch; None or left out: not in this batch.
        representation: at that level, what lies between encoder and heads.
        extra: losses of further batches, for methods that want them.
        counts: how many samples each loss averages here, if processes hold unequal numbers.

    Returns:
        Weights and Gramian of the step.

    Raises:
        RequestError: for an accelerator that runs ``backward`` itself (DeepSpeed, Megatron), and for what the Balancer
            refuses.
    """
    if accelerator.distributed_type in (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise RequestError("DeepSpeed and Megatron run backward themselves: use data parallelism (DDP) or FSDP2")
    parallel: Any = getattr(accelerator, "parallelism_config", None)
    if any(getattr(parallel, f"{kind}_enabled", False) for kind in ("tp", "cp", "sp")):
        raise RequestError("tensor, context and sequence parallelism split single losses: use data parallelism")
    parts = accelerator.gradient_accumulation_steps
    return balancer.backward(
        divided(losses, parts),
        representation=representation,
        extra=[divided(x, parts) for x in extra],
        final=accelerator.sync_gradients,
        scaler=accelerator.scaler,
        counts=counts,
    )
