"""Functions of our own that need no model: an expression in their place, which DuckDB computes like any other."""

from __future__ import annotations

from decimal import Decimal

from .form import CODE, Dialect, Form
from .parts import Part, Parts
from .spoken import Spoken

_K = 60
"""The constant of reciprocal-rank fusion (Cormack, Clarke and Büttcher, 2009): how little the first ranks stand out."""


def _rrf(call: Spoken) -> Parts:
    """``LLM_RRF(a, b)`` → ``(coalesce(1.0::DOUBLE / (60 + (a)), 0) + …)``."""
    k = call.value("k", _K)
    if isinstance(k, bool) or not isinstance(k, (int, float, Decimal)) or not 0 <= k < 1e9:
        raise ValueError("k must be a number, 0 or more")
    if not call.written.arguments:
        raise ValueError("it takes ranks without a name")
    parts: list[Part] = ["("]
    for number, rank in enumerate(call.written.arguments):
        parts += [" + " if number else "", f"coalesce(1.0::DOUBLE / ({k} + (", rank, ")), 0)"]
    return (*parts, ")")


DIALECT = Dialect(
    name="AnserDB",
    summary="Functions that ask no model.",
    forms=(
        Form(
            names=("LLM_RRF", "FUSION_RRF"),
            parameters=("rank",),
            variadic=True,
            options={"k": CODE},
            rewrite=_rrf,
            needs=(),
            result="DOUBLE",
            summary="Reciprocal-rank fusion: the sum of 1 / (k + rank) over the ranks that are not NULL; k is 60.",
            example="""
SELECT title
FROM (VALUES ('A quiet film about geese', 1, 2), ('Migration', NULL, 1)) AS found(title, by_words, by_meaning)
ORDER BY LLM_RRF(by_words, by_meaning) DESC
""".strip(),
        ),
    ),
)
