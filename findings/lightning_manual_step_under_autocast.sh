#!/usr/bin/env bash
# lightning 2.6.6, precision="bf16-mixed": the whole training_step runs under autocast, in manual optimisation as well,
# what follows the losses included: a product of two float32 matrices comes out in bfloat16. "16-mixed" on a CPU is
# bfloat16 too, without a gradient scaler. A loop of one's own that computes with gradients in training_step must leave
# autocast first.
# Seen: 'bf16-mixed: float32 @ float32 is torch.bfloat16, scaler None', the same for 16-mixed; 32-true: torch.float32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 lightning==2.6.6
cat >"$folder/check.py" <<'PY'
import lightning
import torch
from torch.utils.data import DataLoader


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch, index):
        self.layer(batch).float().pow(2).mean().backward()
        row = self.layer.weight.grad.float()
        self.seen = (row @ row.T).dtype, getattr(self.trainer.precision_plugin, "scaler", None)
        self.optimizers().step()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


for precision, dtype in (("bf16-mixed", torch.bfloat16), ("16-mixed", torch.bfloat16), ("32-true", torch.float32)):
    module = Module()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = lightning.Trainer(max_steps=1, accelerator="cpu", precision=precision, **quiet)
    trainer.fit(module, DataLoader(torch.randn(8, 4), batch_size=4))
    print(f"{precision}: float32 @ float32 is {module.seen[0]}, scaler {module.seen[1]}")
    assert module.seen == (dtype, None), module.seen
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/check.py"
