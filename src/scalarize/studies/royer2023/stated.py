"""Deviations from the paper, and choices where it is silent, as sentences on the pages of the targets."""

from __future__ import annotations

from collections.abc import Sequence

CHOSEN = (
    "Learning rates, best weights and policies are chosen on validation, or where there is no validation split on 30 % "
    "of the training set by trainings on the rest; the paper chooses weights on test and reports the best of its rates."
)
PAIRS = (
    "Pairs are the reference domain, or else the first task, with each of the others; the paper names its pairs of "
    "DomainNet, CIFAR and STL, and one of Taskonomy's."
)
PROBED = "At most 32 batches of an epoch are probed; the paper probes all of them."
SWEPT = (
    "The paper does not report the values of figure 5a: learning rates are a third, one and three times the recipe's, "
    "batches half, one and two times; Taskonomy's encoders have DomainNet's depths. Further axes: weights and layers. "
    "Figure 5b has all seven tasks of Taskonomy, the paper's six."
)
BATCHED = "The batch sizes of figure E are not in the text: half, one and two times 512; learning rates of the sweep."
PARTED = (
    "Without a validation split these trainings are on 70 % of the training set, so that accuracy is known at every "
    "epoch; DomainNet's learning rates are those of its own sweep, as the supplement names none."
)
RATES = (
    "The three learning rates are a third, one and three times the recipe's, on other data a ninth and nine times too: "
    "the paper names none. There, populations have at least 12 members."
)
METHODS = (
    "On the paper's own data CAGrad and PCGrad are set as in the implementation that it names; GradDrop's gradient is "
    "the sum over tasks in place of the mean, which AdamW does not see. Accumulated gradients are combined at the end, "
    "(ii) of appendix 5.1: the paper does not say which it did."
)
SEARCHED = (
    "A replaced member draws all its weights anew with probability 0.1; Ray Tune, which the paper uses, draws each "
    "number anew with 0.25, and replaces ceil(Q N) members, here round(Q N): 4 and 3 of PB2's 8. PB2's gains are "
    "standardised. The paper does not say how its populations begin: ours around weights inverse to the losses of "
    "constant predictors."
)
BESIDE = "Rows beyond the paper's: random search with as many trainings, and the weights around which searches begin."
THREE = "The supplement does not name its three attributes: the first three. Its grid is not described: sixths."
MODELS = (
    "ResNet-18 and ResNet-50 on DomainNet, as in the paper, elsewhere the smallest and largest model; the text does "
    "not name the figure's methods: those of table 1."
)
COUNTED = "Sorted counts in place of the paper's contours."
LIMIT = "The paper shows no such case: the problem, its weights and the smoothing of stch are our choice."

DATA = {
    "cifar-stl": "cifar-stl: crops padded by 4, flips and RandAugment; STL's monkey has the class of CIFAR's frog.",
    "domainnet": "domainnet: 224 pixels whatever the shape, random windows of a quarter or more, flips.",
    "celeba": "celeba: the central 178 pixels; RandAugment with 2 operations of magnitude 9; the last epoch is tested.",
    "celeba-8": "celeba-8: as celeba; a group's accuracy is the mean over its attributes.",
    "taskonomy-tiny": (
        "taskonomy-tiny: seven tasks of which the paper names two, 256 pixels, mirrored views, cosine decay, decoders "
        "without skips; the last epoch is tested, as on the paper's other data."
    ),
}


def on(workloads: Sequence[str], *sentences: str) -> tuple[str, ...]:
    """Return the sentences, and those about the data that the target is made for."""
    return (*sentences, *(DATA[name] for name in workloads if name in DATA))
