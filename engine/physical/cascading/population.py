"""The rows of a certified call: those that ask something, and what they ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest
from typing import Any

from ..operators.questions import key_of
from .reference import Key


@dataclass(frozen=True, slots=True)
class Population:
    """Rows by what they ask.

    Parameters
    ----------
    keys : of each row that asks something; equal inputs have one. inputs : the arguments, by key.
    """

    keys: tuple[Key, ...]
    inputs: dict[Key, Sequence[Any]]

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any] | None]) -> Population:
        """Of rows; ``None``: it asks nothing.

        >>> Population.of([("a",), None, ("b",), ("a",)]).keys
        ('a', 'b', 'a')
        """
        keys: list[Key] = []
        inputs: dict[Key, Sequence[Any]] = {}
        for row in rows:
            if row is not None:
                keys.append(key_of(row))
                inputs.setdefault(keys[-1], row)
        return cls(tuple(keys), inputs)

    def only(self, keys: Collection[Key]) -> Population:
        """The rows that ask one of these."""
        kept = {key: row for key, row in self.inputs.items() if key in keys}
        return Population(tuple(key for key in self.keys if key in kept), kept)

    def without(self, keys: Collection[Key]) -> Population:
        """The rows that ask something else."""
        return self.only(self.inputs.keys() - set(keys))

    def drawn(self, inputs: int, salt: str) -> dict[Key, Sequence[Any]]:
        """So many inputs by chance: by ``salt`` and their keys alone, so that a rerun draws the same."""
        first = nsmallest(inputs, self.inputs, key=lambda key: blake2b(_bytes(key), key=salt.encode()).digest())
        return {key: self.inputs[key] for key in first}


def _bytes(key: Key) -> bytes:
    return key.encode(errors="surrogatepass") if isinstance(key, str) else key
