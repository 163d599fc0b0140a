#!/usr/bin/env bash
# lightning 2.6.6: in manual optimisation a learning-rate scheduler that configure_optimizers returns, with an interval
# and a frequency, is accepted and never stepped, without a warning; in automatic optimisation it is.
# Seen: 'automatic: rate 0.1 -> 0.0125; manual: rate 0.1 -> 0.1, warnings about it: 0' after 3 epochs of StepLR(1, 0.5).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 lightning==2.6.6
cat >"$folder/check.py" <<'PY'
import warnings

import lightning
import torch
from torch.utils.data import DataLoader


class Module(lightning.LightningModule):
    def __init__(self, automatic):
        super().__init__()
        self.automatic_optimization = automatic
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch, index):
        loss = self.layer(batch).pow(2).mean()
        if self.automatic_optimization:
            return loss
        self.optimizers().zero_grad()
        self.manual_backward(loss)
        self.optimizers().step()

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "epoch", "frequency": 1}}


for automatic, expected in ((True, 0.0125), (False, 0.1)):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = lightning.Trainer(max_epochs=3, accelerator="cpu", **quiet)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        trainer.fit(Module(automatic), DataLoader(torch.randn(8, 4), batch_size=4))
    about = sum("sched" in str(w.message).lower() for w in said)
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    print(f"{'automatic' if automatic else 'manual'}: rate 0.1 -> {rate}, warnings about it: {about}")
    assert abs(rate - expected) < 1e-9, rate
    assert about == 0
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/check.py"
