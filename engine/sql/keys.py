"""Small questions about ranges and names."""

from __future__ import annotations

from .tokens import Range


def within(inner: Range, outer: Range) -> bool:
    """Whether a range lies inside another."""
    return outer.lo <= inner.lo and inner.hi <= outer.hi


def name_of(source: str) -> str:
    """What an identifier names, in lower case.

    >>> name_of('"Full Title"'), name_of("Body")
    ('full title', 'body')
    """
    quoted = len(source) > 1 and source[0] == source[-1] == '"'
    return (source[1:-1].replace('""', '"') if quoted else source).lower()


def key_of(source: str) -> str:
    """Equal for references that differ only in case.

    >>> key_of("T.Body"), key_of('"Body"')
    ('t.body', '"Body"')
    """
    return source if '"' in source or "(" in source else source.lower()
