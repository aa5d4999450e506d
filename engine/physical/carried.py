"""DuckDB types that Arrow cannot carry: they travel as text, and are cast back where they arrive.

DuckDB exports HUGEINT as a decimal that holds fewer values, UUID as text, TIME WITH TIME ZONE without its zone, and BIT
damaged. A cast to VARCHAR and back is exact for all of them, also inside of nested types.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TYPE = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b(?:UHUGEINT|HUGEINT|UUID|BIT|BIGNUM|VARINT|TIME\ WITH\ TIME\ ZONE)\b"""
)


def carried(type_text: str) -> str:
    """The type as which a DuckDB type travels; itself for most.

    >>> carried("INTEGER"), carried("HUGEINT")
    ('INTEGER', 'VARCHAR')
    >>> carried('STRUCT("UUID" UUID[], e ENUM(\\'BIT\\'))')
    'STRUCT("UUID" VARCHAR[], e ENUM(\\'BIT\\'))'
    """
    return _TYPE.sub(lambda match: match[0] if match[0][0] in "'\"" else "VARCHAR", type_text)


def carrying(types: Sequence[str], source: str) -> str | None:
    """A query over ``source`` whose columns can travel, by position; ``None``: they can as they are."""
    travelling = [carried(t) for t in types]
    if travelling == list(types):
        return None
    columns = [f"c{i}" for i in range(len(types))]
    items = [
        c if there == here else f"CAST({c} AS {there})"
        for c, here, there in zip(columns, types, travelling, strict=True)
    ]
    return f"SELECT {', '.join(items)} FROM (SELECT * FROM {source}) AS __carried({', '.join(columns)})"
