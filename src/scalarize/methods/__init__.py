"""Methods that make task weights, one small file per method, in three families.

A method is created by its name, which messages, files and the command line use, or by its class, whose
hyper-parameters an editor completes:

>>> create("cagrad", c=0.5).hyper == CAGrad(c=0.5).hyper
True
"""

from collections.abc import Sequence

from scalarize.methods.adapters import from_function, from_torchjd
from scalarize.methods.base import Method
from scalarize.methods.evidence import CombinedGradient, CombinedLoss, Evidence, Needs, State
from scalarize.methods.gradient_based.aligned_mtl import AlignedMTL
from scalarize.methods.gradient_based.cagrad import CAGrad
from scalarize.methods.gradient_based.config import ConFIG
from scalarize.methods.gradient_based.cr_mogm import CRMOGM
from scalarize.methods.gradient_based.db_mtl import DBMTL
from scalarize.methods.gradient_based.double_sampling import MoDo, SDMGrad
from scalarize.methods.gradient_based.dual_cone import DualProj, UPGrad
from scalarize.methods.gradient_based.epo import EPO
from scalarize.methods.gradient_based.excess_mtl import ExcessMTL
from scalarize.methods.gradient_based.fairgrad import FairGrad
from scalarize.methods.gradient_based.graddrop import GradDrop, SignAgnosticGradDrop
from scalarize.methods.gradient_based.gradnorm import GradNorm
from scalarize.methods.gradient_based.gradvac import GradVac
from scalarize.methods.gradient_based.imtl import IMTL
from scalarize.methods.gradient_based.imtl_g import IMTLG
from scalarize.methods.gradient_based.mgda import MGDA
from scalarize.methods.gradient_based.moco import MoCo
from scalarize.methods.gradient_based.nash_mtl import NashMTL
from scalarize.methods.gradient_based.pcd import PCD
from scalarize.methods.gradient_based.pcgrad import PCGrad
from scalarize.methods.gradient_based.rotograd import RotoGrad
from scalarize.methods.hyper import Hyper
from scalarize.methods.loss_based.cosmos import COSMOS
from scalarize.methods.loss_based.dwa import DWA
from scalarize.methods.loss_based.famo import FAMO
from scalarize.methods.loss_based.gls import GLS
from scalarize.methods.loss_based.go4align import GO4Align
from scalarize.methods.loss_based.imtl_l import IMTLL
from scalarize.methods.loss_based.pbi import PBI
from scalarize.methods.loss_based.stch import STCH
from scalarize.methods.loss_based.uncertainty import Uncertainty
from scalarize.methods.loss_based.uw_so import UWSO
from scalarize.methods.registry import create, get, names, register
from scalarize.methods.scalarization.constant import Fixed, Uniform, Unitary
from scalarize.methods.scalarization.policy_replay import PolicyReplay
from scalarize.methods.scalarization.rgd import RGD
from scalarize.methods.scalarization.rlw import RLW
from scalarize.weights.policy import Policy


def constant(weights: Sequence[float]) -> Method:
    """Weigh the losses alike at every step.

    Args:
        weights: T numbers >= 0, one per task; normalised to sum 1.

    Returns:
        The method ``fixed`` with these weights.

    Raises:
        RequestError: at the first step: there are not T of them, one is negative or not finite, or all are 0.

    >>> import torch
    >>> constant([1, 3]).combine_losses(torch.tensor([2.0, 4.0])).loss
    tensor(3.5000)
    """
    return Fixed(weights=list(weights))


def replay(policy: Policy) -> Method:
    """Weigh the losses as a policy says, epoch by epoch.

    Args:
        policy: task weights over epochs, its tasks in the order of the losses.

    Returns:
        The method ``policy``: weights times scale at the current epoch.

    Raises:
        RequestError: at the first step: the policy has another number of tasks.

    >>> import torch
    >>> policy = Policy.from_schedule(["a", "b"], [(0, [0.5, 0.5]), (1, [0.25, 0.75])], epochs=2)
    >>> replay(policy).combine_losses(torch.tensor([2.0, 4.0]), epoch=1).loss
    tensor(3.5000)
    """
    return PolicyReplay(policy=policy)


__all__ = [
    "COSMOS",
    "CRMOGM",
    "DBMTL",
    "DWA",
    "EPO",
    "FAMO",
    "GLS",
    "IMTL",
    "IMTLG",
    "IMTLL",
    "MGDA",
    "PBI",
    "PCD",
    "RGD",
    "RLW",
    "STCH",
    "UWSO",
    "AlignedMTL",
    "CAGrad",
    "CombinedGradient",
    "CombinedLoss",
    "ConFIG",
    "DualProj",
    "Evidence",
    "ExcessMTL",
    "FairGrad",
    "Fixed",
    "GO4Align",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "Hyper",
    "Method",
    "MoCo",
    "MoDo",
    "NashMTL",
    "Needs",
    "PCGrad",
    "PolicyReplay",
    "RotoGrad",
    "SDMGrad",
    "SignAgnosticGradDrop",
    "State",
    "UPGrad",
    "Uncertainty",
    "Uniform",
    "Unitary",
    "constant",
    "create",
    "from_function",
    "from_torchjd",
    "get",
    "names",
    "register",
    "replay",
]


def __dir__() -> list[str]:
    return __all__
