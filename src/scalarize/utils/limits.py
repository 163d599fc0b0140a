"""Limits of numbers that are asked for: beyond them a request is a slip, and would hang or fill the memory."""

from __future__ import annotations

from scalarize.utils.errors import RequestError

EPOCHS = 1_000_000  # of a training
SEGMENTS = 100_000  # of a policy
WEIGHTS = 1_000_000  # of all segments of a policy together
POPULATION = 100_000  # members or trainings of a search
SEEDS = 1_000  # models of a row, searches behind a row
THREADS = 1_024  # of a training
WORKERS = 1_024
POINTS = 10_000  # of a front
SEED = 2**63 - 1  # greatest seed


def check(name: str, value: int, most: int, least: int = 1) -> None:
    """Check a number that was asked for.

    Args:
        name: of the option or parameter, for the message.
        value: the number.
        most: the greatest that is taken.
        least: the smallest that is taken. Default 1.

    Raises:
        RequestError: it is outside.

    >>> check("--epochs", 10**9, EPOCHS)
    Traceback (most recent call last):
        ...
    scalarize.utils.errors.RequestError: --epochs must be at most 1,000,000, got 1000000000
    """
    shown = str(value) if abs(value) < 10**30 else f"a number of {len(str(abs(value)))} digits"
    if value < least:
        raise RequestError(f"{name} must be at least {least}, got {shown}")
    if value > most:
        raise RequestError(f"{name} must be at most {most:,}, got {shown}")
