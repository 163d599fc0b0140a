"""Names of columns whose use is known, whatever table they stand in."""

from __future__ import annotations

KEYS = ("run", "run_id", "id", "index", "name", "")  # columns by which tables are joined, the first in common
SIZES = {"size", "params", "n_params", "parameters", "model_size", "num_parameters"}
TOKENS = {"tokens", "n_tokens", "train_tokens", "num_tokens"}
STEPS = {"step", "_step", "steps", "global_step"}
STATES = {"state", "status"}
EMPTY = {"", "nan", "none", "null", "inf", "-inf", "infinity", "-infinity", "n/a"}
# Columns of W&B exports and of other tools that are neither weights nor metrics.
OTHER = {
    "created", "runtime", "_runtime", "_timestamp", "timestamp", "notes", "user", "tags", "sweep", "group", "job type",
    "seed", "epoch", "hostname", "gpu type", "gpu count", "lr", "learning_rate", "batch_size", "display_name",
}  # fmt: skip
# Settings of a training that lie between 0 and 1, as weights do: they are not taken for weights by their values.
TUNED = {
    "dropout", "attention_dropout", "hidden_dropout", "weight_decay", "wd", "momentum", "beta1", "beta2", "adam_beta1",
    "adam_beta2", "warmup", "warmup_ratio", "label_smoothing", "grad_clip", "max_grad_norm", "clip", "temperature",
    "ema", "ema_decay", "eps",
}  # fmt: skip
