"""Xin, Ghorbani, Garg, Firat and Gilmer, *Do Current Multi-Task Optimization Methods in Deep Learning Even Help?*,
NeurIPS 2022: the vision part.
"""

from scalarize.studies.xin2022 import vision

TARGETS = vision.TARGETS
