"""A trained model as ONNX: the network from prepared inputs to standardised numbers and class probabilities."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout

import torch
from torch import Tensor, nn

from scalarize.runs.saved_model import Network, SavedModel
from scalarize.utils import optional
from scalarize.utils.errors import RequestError
from scalarize.workloads.table.targets import Target

INPUTS = "inputs"
NEEDED = ("onnx", "onnxscript")


class Linked(nn.Module):
    """A network whose outputs are what a reader of ONNX needs: a value (N, 1) of a number, probabilities of classes.

    A number is still standardised, since its units may be beyond single precision.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return one tensor per target, in order."""
        found = self.network(inputs)
        return tuple(linked(target, output) for target, output in zip(self.network.targets, found, strict=True))


def linked(target: Target, output: Tensor) -> Tensor:
    """Return probabilities (N, C) of a target with C classes, else a value (N, 1); see :func:`meaning`."""
    if target.kind == "classes":
        return output.softmax(-1)
    if target.kind == "binary":
        return torch.cat([torch.sigmoid(-output), torch.sigmoid(output)], dim=1)
    if target.kind == "ordinal":
        above = [torch.ones_like(output[:, :1])]
        for place in range(output.shape[1]):  # P(y > k) cannot grow with k
            above.append(torch.minimum(above[-1], torch.sigmoid(output[:, place : place + 1])))
        above.append(torch.zeros_like(output[:, :1]))
        return torch.cat([above[k] - above[k + 1] for k in range(len(above) - 1)], dim=1)
    return output.exp() if target.kind == "count" else output


def meaning(target: Target) -> str:
    """Say how an output of the ONNX file becomes the prediction of its target."""
    if target.kind == "ordinal":
        return (
            "probabilities of the classes in order; predicted is the one in which their sum from the first reaches 0.5"
        )
    if target.classes:
        return "probabilities of the classes in order; predicted is the likeliest"
    value = f"output * {target.scale!r} + {target.centre!r}"
    return f"expm1({value})" if target.kind == "log" else value


def onnx_bytes(model: SavedModel) -> bytes:
    """Return the ONNX file of a model: input ``inputs`` (N, C) float32, one output by the name of each target.

    Raises:
        RequestError: a package that writes ONNX is not installed, or cannot write this model, or the model needs the
            domain of a row.
    """
    if model.network.paths:
        raise RequestError("a model with a path for each domain is not written as ONNX: export torch or safetensors")
    if lacking := optional.absent(NEEDED):
        raise RequestError(f"ONNX {lacking}")
    network = Linked(model.network).float().eval()
    example = torch.zeros(2, model.table.info["inputs"])
    rows = torch.export.Dim("rows", min=1)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # of the exporter, about itself
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                input_names=[INPUTS],
                output_names=model.targets,
                dynamic_shapes=({0: rows},),
                verbose=False,
            )
    except Exception as error:  # torch raises many kinds, all of them about the network
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestError(f"this model cannot be written as ONNX: {reason}") from None
    assert program is not None
    for node in program.model.graph:  # the exporter names values by operators: a target may be called so, too
        for value in node.outputs:
            if value.name in model.targets and not value.is_graph_output():
                value.name = f"{value.name} within"
    content: bytes = program.model_proto.SerializeToString()
    return content
