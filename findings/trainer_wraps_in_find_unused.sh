#!/usr/bin/env bash
# transformers 5.24.0: under torchrun the Trainer wraps a model that is not a PreTrainedModel in
# DDP(find_unused_parameters=True). All outputs of such a module come out of one autograd node, so that a walk from a
# loss ends at the node that the representation came from, although the loss does not depend on it in this graph:
# autograd.grad(loss, representation) finds nothing. With ddp_find_unused_parameters=False it finds the gradient.
# Seen: 'loss and representation share a node: True, gradient by the representation: None', then 'False, tensor'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 transformers==5.24.0 accelerate==1.15.0
cat >"$folder/check.py" <<'PY'
import sys
import tempfile

import torch
from transformers import Trainer, TrainingArguments

if len(sys.argv) == 1:  # start two processes, once for each setting
    import subprocess

    for setting in ("default", "False"):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        subprocess.run([*command, __file__, setting], check=True)
    sys.exit()


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = torch.nn.Linear(4, 3), torch.nn.Linear(3, 1)

    def forward(self, x):
        z = self.encoder(x)
        return {"loss": self.head(z).pow(2).mean(), "representation": z}


class Looking(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        out = model(**inputs)
        loss, z = out["loss"], out["representation"]
        found = torch.autograd.grad(loss, z, retain_graph=True, allow_unused=True)[0]
        seen = (loss.grad_fn is z.grad_fn, found is None)
        if self.args.process_index == 0:
            print(f"ddp_find_unused_parameters {sys.argv[1]}: loss and representation share a node: {seen[0]}, "
                  f"the gradient by the representation is None: {seen[1]}")
        assert seen == ((True, True) if sys.argv[1] == "default" else (False, False)), seen
        return loss


with tempfile.TemporaryDirectory() as folder:
    more = {} if sys.argv[1] == "default" else {"ddp_find_unused_parameters": False}
    settings = TrainingArguments(folder, use_cpu=True, max_steps=1, report_to="none", save_strategy="no",
                                 disable_tqdm=True, **more)
    Looking(Model(), settings, train_dataset=[{"x": torch.ones(4)}] * 32).train()
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/check.py"
