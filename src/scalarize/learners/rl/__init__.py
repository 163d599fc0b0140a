"""Multi-task reinforcement learning: soft actor-critic under every method, as one more learner."""
