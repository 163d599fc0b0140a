"""Trainings of one model: the protocols, the supervised learner and, in ``rl/``, multi-task soft actor-critic."""
