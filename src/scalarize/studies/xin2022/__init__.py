"""Xin, Ghorbani, Garg, Firat and Gilmer, *Do Current Multi-Task Optimization Methods in Deep Learning Even Help?*,
NeurIPS 2022: translation, then vision.
"""

from scalarize.studies.xin2022 import pairs, vision

TARGETS = (*pairs.TARGETS, *vision.TARGETS)
