"""The prefix cache of a server: which leading blocks of a prompt it has computed before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import count

BLOCK = 16
_ROOT = 0


class PrefixCache:
    """A trie whose edges are blocks of 16 tokens. When it is full, the least recently used leaves go first.

    Parameters
    ----------
    tokens : how many it holds.

    >>> cache = PrefixCache(1024)
    >>> prompt = [str(i) for i in range(40)]
    >>> cache.read(prompt), cache.read([*prompt[:35], "other", "words"]), cache.read(["other", *prompt])
    (0, 32, 0)
    """

    def __init__(self, tokens: int) -> None:
        self._most = tokens // BLOCK
        # One edge an entry: (parent, block) to child. The order is that of use, a child always before its parent.
        self._edges: OrderedDict[tuple[int, tuple[str, ...]], int] = OrderedDict()
        self._nodes = count(_ROOT + 1)

    def __len__(self) -> int:
        return len(self._edges) * BLOCK

    def read(self, prompt: Sequence[str]) -> int:
        """How many leading tokens of the prompt were there; all of its whole blocks are, afterwards.

        The last token is always computed, as servers do: its probabilities begin the answer.
        """
        found, known, node = 0, True, _ROOT
        path: list[tuple[int, tuple[str, ...]]] = []
        for start in range(0, len(prompt) - BLOCK + 1, BLOCK):
            edge = (node, tuple(prompt[start : start + BLOCK]))
            known = known and edge in self._edges
            found += BLOCK * known
            node = self._edges[edge] if known else next(self._nodes)
            self._edges[edge] = node
            path.append(edge)
        self._touch(path)
        return min(found, (len(prompt) - 1) // BLOCK * BLOCK) if prompt else 0

    def _touch(self, path: Sequence[tuple[int, tuple[str, ...]]]) -> None:
        for edge in reversed(path):  # the deepest is the oldest, so no parent goes before its child
            self._edges.move_to_end(edge)
        while len(self._edges) > self._most:
            self._edges.popitem(last=False)
