"""One small file an algorithm; a file placed here is found by the registry. Heavy imports are local to functions."""
