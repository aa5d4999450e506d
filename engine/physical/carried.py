"""DuckDB types that Arrow cannot carry: they travel as text, and are cast back where they arrive.

DuckDB exports HUGEINT as a decimal that holds fewer values, UUID and JSON as text, TIME WITH TIME ZONE without its zone, and BIT
damaged. A cast to VARCHAR and back is exact for all of them, also inside of nested types. ENUM travels well, but arrives
as text, which sorts otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TYPE = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b(?:UHUGEINT|HUGEINT|UUID|JSON|BIT|BIGNUM|VARINT|TIME\ WITH\ TIME\ ZONE)\b"""
)
_UNION = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\bUNION\(""")
_ENUM = re.compile(r"""ENUM\('(?:[^']|'')*'(?:,\ '(?:[^']|'')*')*\)|'(?:[^']|'')*'|"(?:[^"]|"")*\"""")


def carried(type_text: str) -> str:
    """The type as which a DuckDB type travels; itself for most.

    >>> carried("INTEGER"), carried("HUGEINT")
    ('INTEGER', 'VARCHAR')
    >>> carried('STRUCT("UUID" UUID[], e ENUM(\\'BIT\\'))')
    'STRUCT("UUID" VARCHAR[], e ENUM(\\'BIT\\'))'
    """
    return _TYPE.sub(lambda match: match[0] if match[0][0] in "'\"" else "VARCHAR", type_text)


def travels(type_text: str) -> bool:
    """Whether Arrow's Python library can work with such values; it cannot with DuckDB's unions.

    >>> travels("STRUCT(a INTEGER, u UNION(i INTEGER))[]"), travels("ENUM('UNION(')")
    (False, True)
    """
    return not any(match[0] == "UNION(" for match in _UNION.finditer(type_text))


def arriving(type_text: str) -> str:
    """The type as which DuckDB reads what has travelled.

    >>> arriving("HUGEINT"), arriving("STRUCT(e ENUM('a', 'b'))[]")
    ('VARCHAR', 'STRUCT(e VARCHAR)[]')
    """
    return _ENUM.sub(lambda match: match[0] if match[0][0] in "'\"" else "VARCHAR", carried(type_text))


def carrying(names: Sequence[str], types: Sequence[str], source: str) -> str | None:
    """A query over ``source`` whose columns can travel; ``None``: they can as they are."""
    return _cast(names, types, [carried(t) for t in types], source)


def restoring(names: Sequence[str], types: Sequence[str], source: str) -> str | None:
    """A query over what has travelled that yields the original types; ``None``: nothing was changed."""
    return _cast(names, [arriving(t) for t in types], types, source)


def _cast(names: Sequence[str], have: Sequence[str], want: Sequence[str], source: str) -> str | None:
    if list(have) == list(want):
        return None
    columns = [f"c{i}" for i in range(len(names))]  # by position: two columns may have one name
    items = [
        f'{column if there == here else f"CAST({column} AS {there})"} AS "{name.replace(chr(34), chr(34) * 2)}"'
        for column, name, here, there in zip(columns, names, have, want, strict=True)
    ]
    return f"SELECT {', '.join(items)} FROM (SELECT * FROM {source}) AS __carried({', '.join(columns)})"
