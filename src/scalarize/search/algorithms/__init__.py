"""Search algorithms, one small file each; the registry finds a file that is placed here. Heavy imports are local."""
