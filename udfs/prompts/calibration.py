"""Correcting a model's prior without labels.

A small model's "yes" and "no" are not equally likely before it has read anything: 0.5B parameters said "no" to all of
200 reviews although they ranked well. Contextual calibration (Zhao et al., 2021, "Calibrate Before Use") subtracts the answer
to content-free inputs such as "N/A". A better model, however, rightly says "no" to "N/A", and the correction ruins it.
So the inputs here come in opposite pairs: an input that says nothing but yes and one that says nothing but no. What the
model believes of either cancels out, and their midpoint is what the prompt's wording alone makes it say.
Measured on two models and six predicates in docs/quality.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

# Short and long ones: each pair alone misses on some predicate, and by another amount on each model.
OPPOSITES = (
    ("Yes.", "No."),
    ("Yes, it is.", "No, it is not."),
    ("Yes, definitely.", "No, not at all."),
    ("Definitely.", "Definitely not."),
    (
        "Yes, that is the case. There is no doubt about it, and everything here says so.",
        "No, that is not the case. There is no doubt about it, and everything here says so.",
    ),
    (
        "The answer to this question is yes, as anybody can see.",
        "The answer to this question is no, as anybody can see.",
    ),
    ("I would say yes. Yes to this, and yes again.", "I would say no. No to this, and no again."),
)


def midpoint(odds: Sequence[float]) -> float:
    """The log-odds at which "yes" and "no" balance, from those of ``OPPOSITES`` in order.

    >>> midpoint([1.0, -3.0])
    -1.0
    """
    return fmean(odds)


def probability(log_odds: float) -> float:
    """The logistic function.

    >>> probability(0.0)
    0.5
    """
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    return math.exp(log_odds) / (1 + math.exp(log_odds))
