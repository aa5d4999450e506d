"""What a random sample of pairs, or of blocks that overlook some, proves of matches that nobody has seen."""

from __future__ import annotations

import math

LARGEST = 1 << 40


def most_missed(seen: int, share: float, delta: float) -> int:
    """The most matches that may be among pairs of which each was looked at with probability ``share`` or more.

    With ``M`` matches among them, those that are seen are at least as many as a Binomial(M, share) says, whatever the shares of
    single pairs are; so every ``M`` for which so few would be seen with probability ``delta`` or less is ruled out.

    Parameters
    ----------
    seen : matches among the pairs that were looked at (they count in the result). delta : probability of being wrong.

    >>> most_missed(0, 0.25, 0.05), most_missed(0, 1.0, 0.05), most_missed(3, 1.0, 0.05)
    (10, 0, 3)
    """
    if share <= 0:
        return LARGEST
    if share >= 1:
        return seen
    low, high = seen, max(2 * seen, 1)
    while at_most(seen, high, share) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if at_most(seen, middle, share) > delta:
            low = middle
        else:
            high = middle
    return low


def share_needed(allowed: int, delta: float) -> float:
    """The share of pairs to look at so that seeing no match rules out more than ``allowed``.

    >>> round(share_needed(10, 0.05), 3), share_needed(-1, 0.05)
    (0.238, 1.0)
    """
    return 1.0 if allowed < 0 else -math.expm1(math.log(delta) / (allowed + 1))


def most_overlooked(known: int, seen: int, others: int, delta: float) -> int:
    """The most matches that there may be beside known ones, of which somebody who overlooks some of all alike saw ``others``.

    If there are ``M``, and none is overlooked more often than a known one, then the ``others`` among all ``seen + others`` are at
    least as many as a draw without replacement has (Fisher's exact test); every ``M`` for which so few have probability ``delta``
    or less is ruled out. How often matches are overlooked need not be known.

    Parameters
    ----------
    known : matches that were there to be seen; ``seen`` of them were. delta : probability of being wrong.

    >>> most_overlooked(20, 20, 0, 0.02), most_overlooked(20, 19, 5, 0.02), most_overlooked(20, 0, 0, 0.02) == LARGEST
    (1, 9, True)
    """
    if not seen:
        return LARGEST
    low, high = others, max(2 * others, 1)
    while _drawn_at_most(others, high, known, seen + others) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _drawn_at_most(others, middle, known, seen + others) > delta:
            low = middle
        else:
            high = middle
    return low


def _drawn_at_most(most: int, good: int, other: int, draws: int) -> float:
    """P(of ``draws`` without replacement from ``good`` and ``other`` ones at most so many are good)."""
    whole = _ways(good + other, draws)
    return sum(
        math.exp(_ways(good, k) + _ways(other, draws - k) - whole)
        for k in range(max(0, draws - other), min(most, good, draws) + 1)
    )


def _ways(many: int, chosen: int) -> float:
    """The logarithm of the number of ways to choose so many."""
    return math.lgamma(many + 1) - math.lgamma(chosen + 1) - math.lgamma(many - chosen + 1)


def at_most(seen: int, trials: int, share: float) -> float:
    """P(Binomial(trials, share) <= seen); the share is above 0.

    >>> round(at_most(11, 16, 0.9), 3), at_most(0, 0, 0.9), at_most(15, 16, 1.0)
    (0.017, 1.0, 0.0)
    """
    if share >= 1:
        return float(seen >= trials)
    yes, no = math.log(share), math.log1p(-share)
    total = 0.0
    for k in range(min(seen, trials) + 1):
        total += math.exp(_ways(trials, k) + k * yes + (trials - k) * no)
    return total
