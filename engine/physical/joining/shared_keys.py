"""Rows of two sides that have a key in common: a hash join whose rarest keys come first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence


def sharing(lefts: Sequence[Collection[str]], rights: Sequence[Collection[str]], most: float) -> set[tuple[int, int]]:
    """Places of rows with a key in common.

    A key that many rows have says little of each of them, so the keys with fewest pairs come first.

    Parameters
    ----------
    lefts, rights : the keys of each row. most : pairs; a key with which there would be more is left out, and so are commoner ones.

    >>> sorted(sharing([{"a", "sony"}, {"b", "sony"}], [{"sony"}, {"b"}], 2)), len(sharing([{"b"}], [{"b"}], 0))
    ([(1, 1)], 0)
    >>> sorted(sharing([{"a", "sony"}, {"b", "sony"}], [{"sony"}, {"b"}], 3))
    [(0, 0), (1, 0), (1, 1)]
    """
    found: set[tuple[int, int]] = set()
    first, second = _rows_of(lefts), _rows_of(rights)
    common = sorted(first.keys() & second.keys(), key=lambda key: (len(first[key]) * len(second[key]), key))
    for key in common:
        if len(found) + len(first[key]) * len(second[key]) > most:
            break
        found.update((left, right) for left in first[key] for right in second[key])
    return found


def _rows_of(keys: Sequence[Collection[str]]) -> dict[str, list[int]]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, own in enumerate(keys):
        for key in own:
            rows[key].append(row)
    return dict(rows)
