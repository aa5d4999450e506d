"""What a random sample of pairs nobody asked about proves of the matches among them."""

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
    while _at_most(seen, high, share) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _at_most(seen, middle, share) > delta:
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


def least_share(hits: int, trials: int, delta: float) -> float:
    """The least share of hits that is possible (Clopper and Pearson, one side).

    >>> round(least_share(30, 30, 0.05), 3), least_share(0, 5, 0.05)
    (0.905, 0.0)
    """
    if not hits:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if 1 - _at_most(hits - 1, trials, middle) > delta:
            high = middle
        else:
            low = middle
    return low


def _at_most(seen: int, trials: int, share: float) -> float:
    """P(Binomial(trials, share) <= seen)."""
    yes, no = math.log(share), math.log1p(-share)
    total = 0.0
    for k in range(min(seen, trials) + 1):
        ways = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        total += math.exp(ways + k * yes + (trials - k) * no)
    return total
