"""Metrics that are better higher, and those that are better lower, by the words of their names."""

from __future__ import annotations

import itertools
import re

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")  # of val_loss, valLoss, MMLU-acc, rougeL
_HIGHER = {
    "acc", "accuracy", "accuracies", "bleu", "sacrebleu", "gleu", "chrf", "meteor", "comet", "cider", "rouge", "em",
    "score", "scores", "auc", "auroc", "auprc", "ap", "map", "ndcg", "mrr", "recall", "precision", "sensitivity",
    "specificity", "iou", "miou", "jaccard", "dice", "psnr", "ssim", "mcc", "matthews", "kappa", "spearman",
    "spearmanr", "pearson", "pearsonr", "corr", "correlation", "likelihood", "loglikelihood", "elbo", "reward",
    "rewards", "success", "winrate", "correct", "similarity",
}  # fmt: skip
_LOWER = {
    "loss", "losses", "bpb", "bpc", "bits", "perplexity", "perplexities", "ppl", "nll", "entropy", "xent", "ce", "bce",
    "crossentropy", "logloss", "mlogloss", "error", "errors", "err", "wer", "cer", "ter", "eer", "mse", "mae", "rmse",
    "rmsle", "mape", "smape", "wape", "mase", "ece", "brier", "crps", "pinball", "hinge", "huber", "deviance", "fid",
    "kid", "kl", "lpips", "fpr", "regret", "chamfer", "mpjpe",
}  # fmt: skip
_PAIRS = {  # better higher
    "exact match", "win rate", "hit rate", "pass rate", "f 1", "r 2", "mc 1", "mc 2", "pass 1", "pass 10", "top 1",
    "top 5", "chr f", "m ap", "m io",
}  # fmt: skip
_SPREAD = {  # of a metric, or beside it: no metric
    "stderr", "std", "stdev", "var", "variance", "ci", "rank", "time", "runtime", "second", "seconds", "flos", "flops",
    "count", "samples", "len",
}  # fmt: skip
_DECIDING = {"loss", "losses", "error", "errors", "err"}  # at the end: a dice loss is a loss
_TURNED = {"neg", "negative", "minus"}
_UNCLEAR = {
    "gap", "drop", "inverse", "toxicity", "bias", "hamming", "energy", "interval", "rejected", "fp", "bf", "depth",
}  # fmt: skip
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
    >>> [is_higher_better(name) for name in ("neg_log_loss", "dice_loss", "acc_stderr,none")]
    [True, False, None]
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or {*_SPREAD, *_UNCLEAR} & set(words):
        return None
    compound = [found for word in words if (found := _COMPOUND.fullmatch(word))]
    pairs = {f"{a} {b}" for a, b in itertools.pairwise(words)}
    up = bool(_HIGHER & set(words) or _PAIRS & pairs or any(found[2] for found in compound))
    down = bool(_LOWER & set(words) or any(found[1] for found in compound))
    if words[-1] in _DECIDING:
        up = False
    turned = name.startswith("-") or bool(_TURNED & set(words))
    return None if up == down else up != turned


def is_beside(name: str) -> bool:
    """Tell by its words if a column is no metric, but the spread, the time or the number of samples of one.

    Args:
        name: of a column, such as ``acc_stderr,none`` or ``eval/runtime``.

    Returns:
        True if it is.

    >>> [is_beside(name) for name in ("acc_stderr,none", "eval_samples_per_second", "acc,none")]
    [True, True, False]
    """
    return bool(_SPREAD & {word.lower() for word in _WORDS.findall(name)})
