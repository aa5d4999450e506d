"""The option ``ranking``: how the first rows of an ORDER BY are found."""

from __future__ import annotations

from typing import Any

POINTWISE = "pointwise"
RANKINGS = (POINTWISE, "refine", "quickselect", "heap", "tournament")
SUMMARY = (
    "how `ORDER BY … LIMIT` finds the first rows: 'pointwise' (the default: by their scores), 'refine' (scores choose, then "
    "comparisons of two rows order), or by comparisons alone: 'quickselect', 'heap', 'tournament'"
)


def checked_ranking(value: Any) -> str:
    """The check of the option.

    Raises
    ------
    ValueError : it is none of ``RANKINGS``.

    >>> checked_ranking("refine")
    'refine'
    """
    if value not in RANKINGS:
        *most, last = (f"'{name}'" for name in RANKINGS)
        raise ValueError(f"takes {', '.join(most)} or {last}")
    return str(value)
