"""A mapping that forgets what was not used for longest, once its entries weigh too much."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """A least-recently-used mapping, bounded by entries and by weight.

    Parameters
    ----------
    entries : most entries. weight : most weight (bytes, roughly), as told by :meth:`put`.

    >>> memo = Memo[str, int](entries=2, weight=100)
    >>> memo.put("a", 1, 10); memo.put("b", 2, 10); memo.get("a")
    1
    >>> memo.put("c", 3, 10); memo.get("b") is None
    True
    """

    def __init__(self, entries: int, weight: int) -> None:
        self._most_entries, self._most_weight = entries, weight
        self._weight = 0
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: K) -> V | None:
        """The value, now the most recently used; ``None`` if it is not there (any more)."""
        item = self._items.get(key)
        if item is None:
            return None
        self._items.move_to_end(key)
        return item[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep a value, replacing an older one, and drop the least recently used ones that no longer fit."""
        old = self._items.pop(key, None)
        self._weight += weight - (old[1] if old else 0)
        self._items[key] = (value, weight)
        while len(self._items) > self._most_entries or self._weight > self._most_weight:
            _, (_, dropped) = self._items.popitem(last=False)
            self._weight -= dropped
