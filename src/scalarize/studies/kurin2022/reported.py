"""Numbers reported in the text of the paper; its figures give none.

Test averages on CelebA are those that Xin et al. (2022, table 3) read off it, as 100 minus the error.
"""

from __future__ import annotations

TIMES: dict[str, dict[str, str]] = {
    "celeba-resnet": {
        "pcgrad": "about 35",
        **dict.fromkeys(("imtl", "mgda", "graddrop"), "1.05 to 2.4"),
        **dict.fromkeys(("rlw-dirichlet", "rlw-normal"), "about 1.05"),
    },
    "cityscapes": {"pcgrad": "1.3", **dict.fromkeys(("imtl", "mgda", "graddrop"), "1.6 to 2.3")},
    "multi-mnist": {},
}
AVERAGES: dict[str, dict[str, float]] = {
    "celeba-resnet": {"unitary": 90.9, "mgda": 90.22, "pcgrad": 90.93, "graddrop": 90.98},
}
