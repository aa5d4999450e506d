"""Chance that belongs to a row: whoever asks again gets the same."""

from __future__ import annotations


def chance(seed: int, number: int) -> float:
    """Between 0 and 1, as if by chance: a row's number, mixed (the finalizer of MurmurHash3, in public use).

    >>> chance(42, 7) == chance(42, 7) != chance(42, 8)
    True
    """
    mixed = (number * 0x9E3779B1 + seed * 0x85EBCA77) & 0xFFFFFFFF
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        mixed = (mixed ^ mixed >> shift) * factor & 0xFFFFFFFF
    return (mixed ^ mixed >> 16) / 2**32
