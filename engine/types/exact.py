"""Which types have values of which one can tell whether two are the same."""

from __future__ import annotations

EXACT_KINDS = frozenset(
    (
        "boolean",
        "tinyint",
        "smallint",
        "integer",
        "bigint",
        "hugeint",
        "decimal",
        "date",
        "time",
        "timestamp",
        "enum",
        "struct",
        "list",
    )
)
"""Kinds of answers that can be compared; not free text, where one sense has many wordings, nor numbers that are nearly equal."""
