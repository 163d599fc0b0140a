"""Metrics that are better higher, and those that are better lower, by the words of their names."""

from __future__ import annotations

import itertools
import re

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")  # of val_loss, valLoss, MMLU-acc, rougeL
_HIGHER = {
    "acc", "accuracy", "accuracies", "bleu", "sacrebleu", "chrf", "meteor", "comet", "rouge", "em", "score", "scores",
    "auc", "auroc", "auprc", "map", "ndcg", "mrr", "recall", "precision", "iou", "miou", "dice", "psnr", "ssim", "mcc",
    "kappa", "spearman", "pearson", "reward", "rewards", "success", "winrate", "hits", "correct",
}  # fmt: skip
_LOWER = {
    "loss", "losses", "bpb", "bpc", "bits", "perplexity", "perplexities", "ppl", "nll", "entropy", "xent", "ce",
    "crossentropy", "error", "errors", "err", "wer", "cer", "mse", "mae", "rmse", "mape", "ece", "brier", "fid",
}  # fmt: skip
_PAIRS = {"exact match", "win rate", "pass rate", "f 1", "r 2", "pass 1", "top 1", "top 5"}  # better higher
_COMPOUND = re.compile(
    r"(?:train|val|valid|validation|eval|test|dev|log|lm|total|mean|avg)"
    r"(?:(loss|losses|ppl|perplexity|nll|bpb|error|err)|(acc|accuracy|score))"
)


def is_higher_better(name: str) -> bool | None:
    """Tell by its words if a metric is better higher.

    Args:
        name: of a metric, such as ``eval/arc_acc_norm`` or ``valLoss``; only whole words count: a glossary is no loss.

    Returns:
        True or False; None if no word, or words of both kinds, are known.

    >>> [is_higher_better(name) for name in ("arc_acc_norm", "c4/bpb", "glossary_hit_list", "error_recall")]
    [True, False, None, None]
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    compound = [found for word in words if (found := _COMPOUND.fullmatch(word))]
    pairs = {f"{a} {b}" for a, b in itertools.pairwise(words)}
    up = bool(_HIGHER & set(words) or _PAIRS & pairs or any(found[2] for found in compound))
    down = bool(_LOWER & set(words) or any(found[1] for found in compound))
    return None if up == down else up
