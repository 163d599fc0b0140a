"""Stacks of one process: kinds of modules, of representations and of sharing."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import timm
import torch
import transformers
from stacks_case import WIDTH, Case, case, encoder, heads, losses, stack, targets
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import BaseModelOutput


def inputs() -> Tensor:
    return torch.randn(16, 6)


class Wrapped(nn.Module):
    """A module from layers and a function of them and of the input."""

    def __init__(self, forward: Any, **layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.ModuleDict(layers), forward

    def forward(self, x: Tensor) -> Any:
        return self.function(SimpleNamespace(**self.layers), x)


@stack("plain loop")
def plain_loop() -> Case:
    return case(encoder(), inputs())


@stack("LSTM")
def lstm() -> Case:
    return case(Wrapped(lambda m, x: m.rnn(x)[0][:, -1], rnn=nn.LSTM(6, WIDTH, 2, batch_first=True)),
                torch.randn(16, 4, 6))  # fmt: skip


@stack("GRU")
def gru() -> Case:
    return case(Wrapped(lambda m, x: m.rnn(x)[1][-1], rnn=nn.GRU(6, WIDTH, batch_first=True)), torch.randn(16, 4, 6))


@stack("BatchNorm")
def batch_norm() -> Case:
    return case(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, WIDTH)), inputs())


@stack("dropout")
def dropout() -> Case:
    enc = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, WIDTH))
    return case(enc, inputs(), again=lambda: torch.manual_seed(7))


def convolutions(memory: torch.memory_format) -> tuple[nn.Module, Tensor]:
    enc = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, WIDTH, 3)).to(memory_format=memory)
    return enc, torch.randn(16, 3, 8, 8).to(memory_format=memory)


@stack("convolutions, channels_last")
def channels_last() -> Case:
    return case(*convolutions(torch.channels_last), read=lambda z: z.mean((2, 3)))


@stack("embedding, sparse gradients")
def sparse_embedding() -> Case:
    enc = nn.Sequential(nn.Embedding(20, 8, sparse=True), nn.Flatten(), nn.Linear(32, WIDTH), nn.Tanh())
    return case(enc, torch.randint(0, 20, (16, 4)))


@stack("EmbeddingBag, sparse gradients")
def embedding_bag() -> Case:
    bag = nn.EmbeddingBag(20, 8, mode="sum", sparse=True)
    return case(nn.Sequential(bag, nn.Linear(8, WIDTH), nn.Tanh()), torch.randint(0, 20, (16, 4)))


@stack("spectral_norm (parametrizations)")
def spectral_norm() -> Case:
    norm = parametrizations.spectral_norm
    enc = nn.Sequential(norm(nn.Linear(6, 8)), nn.Tanh(), norm(nn.Linear(8, WIDTH)))
    vectors = {k: v.clone() for k, v in enc.named_buffers()}

    def again() -> None:
        for k, v in enc.named_buffers():
            v.data = vectors[k].clone()

    return case(enc, inputs(), again=again)


@stack("weight_norm (parametrizations)")
def weight_norm() -> Case:
    norm = parametrizations.weight_norm
    return case(nn.Sequential(norm(nn.Linear(6, 8)), nn.Tanh(), norm(nn.Linear(8, WIDTH))), inputs())


@stack("weight_norm put on after shared= was taken")
def weight_norm_late() -> Case:
    enc = encoder()
    before = list(enc.parameters())
    for layer in (enc[0], enc[2]):
        parametrizations.weight_norm(layer)
    return case(enc, inputs(), shared=before, reference_shared=list(enc.parameters()))


def checkpointed(where: str, reentrant: bool, **options: Any) -> Case:
    enc, head, (y, c), x = encoder(), heads(), targets(), inputs().requires_grad_()

    def forward(on: bool = True) -> tuple[dict[str, Tensor], Tensor]:
        def go(module: nn.Module) -> Any:
            return (lambda t: checkpoint(module, t, use_reentrant=reentrant)) if on else module

        z = go(enc)(x) if where == "encoder" else enc(x)
        return losses({k: go(head[k]) for k in head} if where == "heads" else head, z, y, c), z

    params = [*enc.parameters(), *head.parameters()]
    return Case(params, list(enc.parameters()), forward, plain=lambda: forward(False), options=options)


@stack("checkpointing, use_reentrant=False, encoder")
def checkpoint_encoder() -> Case:
    return checkpointed("encoder", False)


@stack("checkpointing, use_reentrant=False, heads")
def checkpoint_heads() -> Case:
    return checkpointed("heads", False)


@stack("checkpointing, use_reentrant=True, encoder")
def checkpoint_reentrant() -> Case:
    return checkpointed("encoder", True)


@stack("checkpointing, use_reentrant=True, heads")
def checkpoint_reentrant_heads() -> Case:
    return checkpointed("heads", True)


@stack("tied weights (embedding and output), held twice in shared=")
def tied() -> Case:
    emb, mid, out, head = nn.Embedding(20, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 20, bias=False), heads()
    out.weight = emb.weight
    ids, (y, c) = torch.randint(0, 20, (16,)), targets()

    def forward() -> tuple[dict[str, Tensor], Tensor]:
        z = torch.tanh(mid(emb(ids)))
        found = losses(head, z, y, c)
        return {**found, "b": nn.functional.cross_entropy(out(z), ids)}, z

    shared = [*emb.parameters(), *mid.parameters(), *out.parameters()]
    return Case([emb.weight, *mid.parameters(), *head.parameters()], shared, forward)


def pyramid(told: Any) -> Case:
    low, high, small, large = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, WIDTH, 3, 2), nn.Linear(4, 1), heads()
    x, (y, c) = torch.randn(16, 3, 16, 16), targets()

    def forward() -> tuple[dict[str, Tensor], Any]:
        first = torch.relu(low(x))
        second = torch.relu(high(first))
        found = losses(large, second.mean((2, 3)), y, c)
        return {**found, "a": found["a"] + (small(first.mean((2, 3))) ** 2).mean()}, told([first, second])

    shared = [*low.parameters(), *high.parameters()]
    return Case([*shared, *small.parameters(), *large.parameters()], shared, forward)


@stack("feature pyramid: a list")
def pyramid_list() -> Case:
    return pyramid(lambda z: z)


@stack("feature pyramid: a dict")
def pyramid_dict() -> Case:
    return pyramid(lambda z: {"low": z[0], "high": z[1]})


@stack("ModelOutput of transformers as representation")
def model_output() -> Case:
    return case(encoder(), inputs(), told=lambda z: BaseModelOutput(last_hidden_state=z))


@stack("PackedSequence as representation")
def packed() -> Case:
    enc = Wrapped(lambda m, x: m.rnn(pack_padded_sequence(x, [4] * 16, batch_first=True))[0],
                  rnn=nn.GRU(6, WIDTH, batch_first=True))  # fmt: skip
    return case(enc, torch.randn(16, 4, 6), read=lambda z: z.data[:16])


@stack("timm resnet, features_only and set_grad_checkpointing")
def timm_features() -> Case:
    enc = timm.create_model("resnet18", features_only=True, out_indices=[0])
    enc.set_grad_checkpointing(True)
    return case(enc, torch.randn(16, 3, 32, 32), read=lambda z: z[0].mean((2, 3))[:, :WIDTH])


@stack("BERT, gradient_checkpointing_enable")
def bert() -> Case:
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    net = transformers.BertModel(transformers.BertConfig(vocab_size=20, **size, **quiet), add_pooling_layer=False)
    net.gradient_checkpointing_enable()
    net.train()
    enc = Wrapped(lambda m, x: m.net(x).last_hidden_state[:, 0], net=net)
    return case(enc, torch.randint(0, 20, (16, 4)), read=lambda z: z[:, :WIDTH])


@stack("LoRA of peft, base frozen")
def lora() -> Case:
    import peft

    config = peft.LoraConfig(r=2, target_modules=["0", "2"], init_lora_weights=False)
    return case(peft.get_peft_model(encoder(), config), inputs())


@stack("head reads another head")
def head_feeds_head() -> Case:
    enc, one, two, (y, _), x = encoder(), nn.Linear(WIDTH, 2), nn.Linear(WIDTH + 2, 1), targets(), inputs()

    def forward() -> tuple[dict[str, Tensor], Tensor]:
        z = enc(x)
        found = one(z)
        return {"a": (found**2).mean(), "b": ((two(torch.cat([z, found], 1)) - y) ** 2).mean(), "c": z.abs().mean()}, z

    return Case([*enc.parameters(), *one.parameters(), *two.parameters()], list(enc.parameters()), forward)


@stack("representation is one part of chunk(2); the loss also reads the other")
def chunked() -> Case:
    enc, dec, x = nn.Linear(6, 2 * WIDTH), nn.Linear(WIDTH, 6), inputs()

    def forward() -> tuple[dict[str, Tensor], Tensor]:
        mean, spread = enc(x).chunk(2, dim=1)
        rebuilt = ((dec(mean) - x) ** 2).mean()
        return {"a": rebuilt, "b": (mean**2 + spread.exp() - spread).mean(), "c": mean.abs().mean()}, mean

    return Case([*enc.parameters(), *dec.parameters()], list(enc.parameters()), forward)


@stack("complex parameters")
def complex_parameters() -> Case:
    weight = nn.Parameter(torch.randn(6, WIDTH, dtype=torch.cfloat))
    linear = nn.Linear(6, 6)
    enc = Wrapped(lambda m, x: (m.linear(x).to(torch.cfloat) @ weight).abs(), linear=linear)
    enc.register_parameter("weight", weight)
    return case(enc, inputs())


@stack("functional_call with the shared parameters")
def functional() -> Case:
    enc = encoder()
    named = dict(enc.named_parameters())
    called = Wrapped(lambda m, x: torch.func.functional_call(m.enc, named, (x,)), enc=enc)
    return case(called, inputs())


@stack("functional_call with other tensors")
def functional_others() -> Case:
    enc, head, (y, c), x = encoder(), heads(), targets(), inputs()
    copies = {k: v.detach().clone().requires_grad_() for k, v in enc.named_parameters()}

    def forward() -> tuple[dict[str, Tensor], Tensor]:
        z = torch.func.functional_call(enc, copies, (x,))
        return losses(head, z, y, c), z

    return Case([*copies.values(), *head.parameters()], list(enc.parameters()), forward,
                reference_shared=list(copies.values()))  # fmt: skip


@stack("Balancer copied by deepcopy, without its model")
def copied() -> Case:
    return case(encoder(), inputs(), balancer=copy.deepcopy)


@stack("Balancer through pickle, without its model")
def pickled() -> Case:
    return case(encoder(), inputs(), balancer=lambda b: pickle.loads(pickle.dumps(b)))


@stack("a module as shared=")
def module_as_shared() -> Case:
    enc = encoder()
    return case(enc, inputs(), shared=enc, reference_shared=list(enc.parameters()))


@stack("named_parameters() as shared=")
def named_as_shared() -> Case:
    enc = encoder()
    return case(enc, inputs(), shared=list(enc.named_parameters()), reference_shared=list(enc.parameters()))
